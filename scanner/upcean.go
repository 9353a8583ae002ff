package scanner

import (
	"fmt"
	"strings"

	"posd/gs1"
)

// upcean reads a label that its identifier says to be of the EAN/UPC family.
func (d *decoder) upcean() {
	d.Symbology = OtherType
	d.Kind = Item
	main, beside := d.text, ""
	if i := strings.IndexAny(main, "]|"); i >= 0 {
		main, beside = main[:i], main[i:]
	}
	if gs1.IsAddOn(main) && (d.id.aim == '1' || d.id.aim == '2') {
		d.AddOn, d.Kind = main, Other
		d.problem(CodeLength, "an add-on without the EAN or UPC beside it")
		return
	}
	n, addOn := d.split(main)
	s := d.member(main[:n])
	d.number(s, n, addOn)
	d.neighbour(beside)
}

// split parts an EAN or UPC from an add-on that stands right behind it, by
// lengths. It gives the length of the first.
func (d *decoder) split(main string) (n int, addOn string) {
	if head, tail, ok := strings.Cut(main, " "); ok && gs1.IsAddOn(tail) {
		return len(head), tail
	}
	if !gs1.IsDigits(main) || gs1.HasUPCE(main) {
		return len(main), ""
	}
	lengths := d.addOnLengths()
	if len(main) == 13 && lengths == "025" && d.fits(13) && d.fits(8) {
		return d.split13(main)
	}
	for _, addOn := range lengths {
		if n := len(main) - int(addOn-'0'); n > 0 && d.fits(n) {
			return n, main[n:]
		}
	}
	return len(main), ""
}

// split13 parts 13 digits that may be an EAN-13, or eight digits with an add-on of
// five, by their check digits.
func (d *decoder) split13(main string) (n int, addOn string) {
	_, isUPCE := gs1.UPCAOf(main[:8])
	eight := isUPCE && main[0] <= '1' || gs1.CheckDigit(main[:7]) == main[7]
	switch whole := gs1.CheckDigit(main[:12]) == main[12]; {
	case eight && !whole:
		return 8, main[8:]
	case eight:
		d.problem(CodeAmbiguous, "the digits are right as an EAN-13, and as eight with an add-on of five: have the scanner send identifiers that tell them apart")
	}
	return len(main), ""
}

// addOnLengths gives the lengths an add-on may have, a digit each. AIM's
// modifier says it: 0 and 4 none; 3 some; 1 and 2 are 2 and 5 digits, as are 5
// and 6 beside the EAN-8 of Datalogic. A vendor's identifier leaves it open.
func (d *decoder) addOnLengths() string {
	switch {
	case d.opt.Known.withoutAddOn() != d.opt.Known:
		return "25"
	case d.opt.known():
		return "0"
	}
	switch d.id.aim {
	case '0', '4':
		return "0"
	case '1', '5':
		return "2"
	case '2', '6':
		return "5"
	case '3':
		return "25"
	}
	return "025"
}

// fits reports whether n digits, as the scanner is set, are an EAN or UPC of
// the kind that the identifier names.
func (d *decoder) fits(n int) bool {
	if d.opt.known() {
		want := d.id.symbology.length()
		return n == want || n == want-1 || n == 6 && d.id.symbology == UPCE || n == 13 && d.id.symbology == UPCA
	}
	s := d.opt.byLength(n)
	switch d.id.symbology {
	case UPCA, EAN13:
		return s == d.id.symbology
	case EAN8:
		return s == upcEAN
	case UPCE:
		return s == upcEAN || s == UPCE || d.ncrUPCE(n)
	case ean:
		return s == EAN13 || s == upcEAN
	}
	switch d.id.aim {
	case '4', '5', '6':
		return s == upcEAN
	}
	return s != "" && s != ITF
}

// ncrUPCE reports whether n digits are a UPC-E as NCR scanners send it: without
// check digit, unless they are told otherwise.
func (d *decoder) ncrUPCE(n int) bool {
	want := 7
	if d.opt.NumberSystemAbsent {
		want = 6
	}
	return d.opt.IDs == IDsNCR && n == want
}

// member tells which of the family a label is, where its identifier leaves that
// open: upcEAN if it may still be EAN-8 or UPC-E.
func (d *decoder) member(main string) Symbology {
	switch d.id.symbology {
	case upcEAN:
	case ean:
		if d.opt.byLength(len(main)) == upcEAN {
			return EAN8
		}
		return EAN13
	default:
		return d.id.symbology
	}
	switch d.id.aim {
	case '4', '5', '6':
		return EAN8
	}
	s := d.opt.byLength(len(main))
	switch {
	case s == upcEAN && d.id.aim != 0 && d.id.aim != '3':
		return UPCE // ]E0 is no EAN-8, and some scanners do not expand a UPC-E
	case s == EAN13 && d.id.aim != 0 && main[0] == '0':
		return UPCA
	case s == "" || s == ITF:
		return EAN13
	}
	return s
}

// neighbour reads what stands behind an EAN or UPC under an identifier of its
// own: an add-on, a composite component, or the second half of a coupon.
func (d *decoder) neighbour(s string) {
	switch {
	case s == "":
	case strings.HasPrefix(s, compositeMark):
		d.composite()
	case len(s) == 5 && s[:3] == "]E1" || len(s) == 8 && s[:3] == "]E2":
		d.addOn(s[3:])
	case d.Kind == Coupon && (strings.HasPrefix(s, "]C") || strings.HasPrefix(s, "]e0")):
	default:
		d.problem(CodeCharset, "something that is no add-on stands behind the number")
	}
}

func (d *decoder) addOn(digits string) {
	if !gs1.IsAddOn(digits) {
		d.problem(CodeCharset, "the add-on is not 2 or 5 digits")
		return
	}
	d.AddOn, d.Symbology = digits, d.Symbology.withAddOn()
}

// number reads the first n characters as a number of symbology s: completed by
// what the scanner left out, its check digit verified, its GTIN found. addOn may
// be empty.
func (d *decoder) number(s Symbology, n int, addOn string) {
	digits := d.text[:n]
	if (s == UPCA || s == UPCE) && n == 13 && digits[0] == '0' { // sent as an EAN-13
		digits = digits[1:]
	}
	if s == upcEAN {
		s = d.eightDigits(digits)
	}
	d.Symbology, d.Label, d.Kind = s, digits, Item
	switch complete := d.complete(s, digits); {
	case digits != "" && !gs1.IsDigits(digits):
		d.problem(CodeCharset, fmt.Sprintf("a label of type %s has nothing but digits", s))
	case s == UPCE:
		d.upce(complete)
	case len(complete) != s.length():
		d.wrongLength(s, len(digits))
	default:
		d.Label = complete
		d.gtin(complete, n)
	}
	if d.GTIN.IsCoupon() && s != ITF {
		d.Kind = Coupon
	}
	if addOn != "" {
		d.addOn(addOn)
	}
}

// gtin verifies the check digit of digits, which end n characters into the
// text unless a scanner left some of them out.
func (d *decoder) gtin(digits string, n int) {
	if err := gs1.VerifyCheckDigit(digits); err != nil {
		d.fail(err)
		return
	}
	if d.GTIN = gs1.GTIN(d.padded[n : n+len(zeros)]); !strings.HasSuffix(string(d.GTIN), digits) {
		d.GTIN = gs1.GTIN(d.keep(zeros[len(digits):], digits, 0))
	}
}

func (d *decoder) wrongLength(s Symbology, n int) {
	d.problem(CodeLength, fmt.Sprintf("it has %d digits, and a label of type %s has %d", n, s, s.length()))
}

// length is the number of digits with number system and check digit.
func (s Symbology) length() int {
	switch s {
	case UPCE, EAN8:
		return 8
	case UPCA:
		return 12
	case EAN13:
		return 13
	}
	return 14
}

// complete puts back what the scanner is set to leave out. Digits that do not
// have the length which that takes are given back as they are.
func (d *decoder) complete(s Symbology, digits string) string {
	want := s.length()
	noCheck := d.opt.CheckDigitAbsent || s == UPCE && d.ncrUPCE(len(digits)) || d.opt.known() && len(digits) == want-1
	if noCheck {
		want--
	}
	if d.opt.NumberSystemAbsent && (s == UPCA || s == UPCE) && len(digits) == want-1 {
		digits = d.keep("0", digits, 0)
	}
	if noCheck && len(digits) == want && s != UPCE {
		if c := gs1.CheckDigit(digits); c != 0 {
			digits = d.keep("", digits, c)
		}
	}
	return digits
}

// upce finds the GTIN of a UPC-E of 8 digits, or of 7 that lack the check digit.
// A scanner may have expanded it to the 12 digits of its UPC-A.
func (d *decoder) upce(digits string) {
	if gs1.HasUPCE(digits) {
		d.Label, d.GTIN = digits, gs1.GTIN(d.keep(zeros[12:], digits, 0))
		return
	}
	d.Label = digits
	if len(digits) == 12 {
		if err := gs1.VerifyCheckDigit(digits); err != nil {
			d.fail(err)
			return
		}
	}
	short := len(digits) == 7 && (d.opt.CheckDigitAbsent || d.opt.IDs == IDsNCR) || (len(digits) == 7 || len(digits) == 6) && d.opt.known()
	if len(digits) != 8 && !short {
		d.wrongLength(UPCE, len(digits))
		return
	}
	upca, ok := gs1.UPCAOf(digits)
	if !ok {
		_, err := gs1.ExpandUPCE(digits)
		d.fail(err)
		return
	}
	d.GTIN = gs1.GTIN(d.keep(zeros[12:], string(upca[:11]), upca[11]))
	if len(digits) < 8 { // six digits lack the number system too, which is 0
		d.Label = d.keep(zeros[:7-len(digits)], digits, upca[11])
	}
}

// eightDigits tells EAN-8 from UPC-E by their check digits, and by what is
// preferred where these do not tell.
func (d *decoder) eightDigits(digits string) Symbology {
	isEAN8 := len(digits) == 7 || gs1.CheckDigit(digits[:7]) == digits[7]
	isUPCE := false
	if digits[0] <= '1' {
		_, isUPCE = gs1.UPCAOf(digits)
	}
	switch {
	case isUPCE && !isEAN8:
		return UPCE
	case isEAN8 && !isUPCE:
		return EAN8
	case d.opt.Prefer == UPCE || d.opt.Prefer == EAN8:
		return d.opt.Prefer
	}
	if digits[0] == '0' { // no EAN-8 of goods for sale begins with it: the numbers are for use within a shop
		return UPCE
	}
	if isUPCE && len(digits) == 8 {
		d.problem(CodeAmbiguous, "the eight digits are right as an EAN-8 and as a UPC-E: have the scanner send identifiers, or set prefer")
	}
	return EAN8
}
