package scanner

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"posd/gs1"
)

// Options says how a scanner is set up.
type Options struct {
	IDs IDs

	// CheckDigitAbsent: the scanner leaves the check digits of EAN and UPC out.
	// They are computed. NCR scanners leave out that of UPC-E as they come,
	// which the preset knows.
	CheckDigitAbsent bool

	// NumberSystemAbsent: the scanner leaves the first digit of UPC-A and UPC-E
	// out. It is taken for 0.
	NumberSystemAbsent bool

	// Known is the symbology, where a driver is told it by the scanner's own
	// header: then no identifier is looked for, and a check digit that is missing
	// is computed. With an add-on (UPCA_S ...) one stands behind the number.
	// Empty or Unknown: by identifier and digits.
	Known Symbology

	// Prefer is EAN8 or UPCE: what 8 digits are that no identifier tells apart
	// and whose check digit is right as either. If empty, they are a UPC-E if
	// the first is 0, which in an EAN-8 only a shop's own numbers have, and else
	// an EAN-8.
	Prefer Symbology
}

// zeros stand before the text of a label, so that its digits and its GTIN are
// parts of one string.
const zeros = "00000000000000"

// decoder makes one scan.
type decoder struct {
	Scan
	opt    Options
	id     identified
	padded string          // zeros, then text
	room   strings.Builder // where padded stands, with room behind it for what a scanner left out
}

// keep gives a string of what stands before digits, the digits, and a check
// digit if that is not 0: in the room.
func (d *decoder) keep(before, digits string, check byte) string {
	start := d.room.Len()
	d.room.WriteString(before)
	d.room.WriteString(digits)
	if check != 0 {
		d.room.WriteByte(check)
	}
	return d.room.String()[start:]
}

// Decode reads one label, without its prefix and terminator. It always gives
// a scan: a bad label has a Problem. It keeps nothing of frame.
//
// Without an identifier, 12 digits are a UPC-A, 13 an EAN-13, 8 an EAN-8 or
// UPC-E by their check digit, and 14 a GTIN-14 in ITF. 13 or 14 digits with a
// wrong check digit may as well be the number of a card: they are UNKNOWN.
// Behind AIM's ]E0, which does not tell UPC-A from UPC-E and EAN-13, 13 digits
// with a leading 0 are a UPC-A: the number in it is the same.
//
// A label that holds GS1 elements, as an element string or as the URI of a
// Digital Link in whatever symbology, gets its GTIN and kind by these.
func Decode(frame []byte, opt Options) Scan {
	if opt.known() {
		return decode(frame, opt, identified{symbology: opt.Known.withoutAddOn(), elements: opt.Known.isGS1()})
	}
	return decode(frame, opt, identify(frame, opt.IDs))
}

// known reports whether a driver knows the symbology from elsewhere.
func (o Options) known() bool { return o.Known != "" && o.Known != Unknown }

// decode reads a label whose identifier is read.
func decode(frame []byte, opt Options, id identified) Scan {
	d := decoder{opt: opt, id: id}
	d.Data, d.Symbology, d.Kind = bytes.Clone(frame), Unknown, Other
	switch {
	case len(frame) == 0:
		d.problem(CodeEmpty, "the label is empty")
	case !isText(frame) && !isLatin(frame):
		d.problem(CodeNotText, "the label is no text: check speed and parity of the line")
	default:
		d.begin(utf8Of(frame[d.id.length:]))
		d.Label = d.text
		d.decode()
	}
	return d.Scan
}

// begin takes over the text of a label.
func (d *decoder) begin(text []byte) {
	d.room.Grow(len(zeros) + len(text) + 3*len(zeros))
	d.room.WriteString(zeros)
	d.room.Write(text)
	d.padded = d.room.String()
	if d.id.eci {
		d.padded = withoutECI(d.padded)
	}
	d.text = d.padded[len(zeros):]
}

// withoutECI takes the extended channel interpretations out of a text, each a
// backslash and six digits; a backslash of the label itself is doubled (AIM
// ITS/04-001). The text is UTF-8 all the same: isText has seen to that.
func withoutECI(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for text != "" {
		before, rest, found := strings.Cut(text, `\`)
		b.WriteString(before)
		switch {
		case len(rest) >= 6 && gs1.IsDigits(rest[:6]):
			rest = rest[6:]
		case found:
			b.WriteByte('\\')
			rest = strings.TrimPrefix(rest, `\`)
		}
		text = rest
	}
	return b.String()
}

func (d *decoder) decode() {
	if d.id.elements {
		d.gs1()
		return
	}
	switch d.id.symbology {
	case Unknown:
		d.unidentified()
	case upcEAN, ean, UPCA, UPCE, EAN8, EAN13:
		d.upcean()
	case ITF:
		d.itf()
	case Code39:
		d.Symbology = Code39
		if t := d.text; len(t) > 2 && t[0] == '*' && t[len(t)-1] == '*' {
			d.Label = t[1 : len(t)-1] // start and stop characters
		}
	default:
		d.Symbology = d.id.symbology
		d.link()
	}
}

// unidentified reads a label that nothing tells the symbology of.
func (d *decoder) unidentified() {
	switch {
	case d.id.length > 0:
		d.problem(CodeUnknownSymbology, "its AIM identifier names no known symbology")
		return
	case gs1.IsDigits(d.text):
		d.digits()
	case d.spacedAddOn(), d.link():
	case looksGS1(d.text):
		d.form = elements
		d.elements()
	}
	if d.opt.IDs != "" && d.opt.IDs != IDsNone && d.Problem == nil {
		d.problem(CodeUnknownSymbology, fmt.Sprintf("no %s identifier stands before it", d.opt.IDs))
	}
}

// digits reads a label of digits alone.
func (d *decoder) digits() {
	text := d.text
	switch s := d.opt.byLength(len(text)); {
	case s != "":
		d.number(s, len(text), "")
		if d.Problem != nil && len(text) >= 13 {
			d.Symbology, d.Kind = Unknown, Other
		}
	case looksGS1(text):
		d.form = elements
		d.elements()
	}
}

// spacedAddOn reads digits, a space and the digits of an add-on.
func (d *decoder) spacedAddOn() bool {
	main, addOn, _ := strings.Cut(d.text, " ")
	s := d.opt.byLength(len(main))
	if s == "" || s == ITF || !gs1.IsDigits(main) || !gs1.IsAddOn(addOn) {
		return false
	}
	before := d.Scan
	if d.number(s, len(main), addOn); d.Problem != nil {
		d.Scan = before
		return false
	}
	return true
}

// byLength tells the symbology of digits by their number alone: upcEAN for what
// may be EAN-8 or UPC-E, nothing for what is none.
func (o Options) byLength(n int) Symbology {
	if o.CheckDigitAbsent {
		n++
	}
	switch {
	case n == 14:
		return ITF
	case n == 13:
		return EAN13
	case n == 12 || n == 11 && o.NumberSystemAbsent:
		return UPCA
	case n == 8:
		return upcEAN
	case n == 7 && o.NumberSystemAbsent:
		return UPCE
	}
	return ""
}

// itf reads Interleaved 2 of 5: a GTIN-14 if it has 14 digits. Modifier 3 says
// that the scanner verified the check digit and left it out.
func (d *decoder) itf() {
	d.Symbology = ITF
	text := d.text
	switch {
	case !gs1.IsDigits(text):
		d.problem(CodeCharset, "an ITF has nothing but digits")
	case d.id.aim == '3' && len(text) == 13:
		d.Label = d.keep("", text, gs1.CheckDigit(text))
		d.GTIN, d.Kind = gs1.GTIN(d.Label), Item
	case len(text) == 14:
		d.number(ITF, 14, "")
	}
}

// problem notes what is wrong, if nothing was before.
func (d *decoder) problem(code, reason string) { d.problemAt(code, reason, -1) }

func (d *decoder) problemAt(code, reason string, at int) {
	if d.Problem == nil {
		d.Problem = &Problem{code, reason, at}
	}
}

// fail notes an error of package gs1, if there is one.
func (d *decoder) fail(err error) {
	if err == nil {
		return
	}
	code := CodeFormat
	var check *gs1.CheckDigitError
	var element *gs1.ElementError
	switch {
	case errors.As(err, &check):
		code = CodeCheckDigit
	case errors.Is(err, gs1.ErrLength):
		code = CodeLength
	case errors.Is(err, gs1.ErrCharset):
		code = CodeCharset
	case errors.As(err, &element) && element.AI == "" && d.form == link:
		code = CodeLink
	case errors.As(err, &element):
		code = CodeElements
	}
	d.failAs(code, err)
}

func (d *decoder) failAs(code string, err error) {
	at := -1
	if element, ok := errors.AsType[*gs1.ElementError](err); ok {
		at = element.At
	}
	d.problemAt(code, err.Error(), at)
}

// isLatin reports whether a label with an identifier of AIM's is ISO 8859-1, in
// which 2D codes are where they do not say otherwise (ISO/IEC 18004, section 7.3.2),
// without control characters.
func isLatin(b []byte) bool {
	if !isAIM(b) {
		return false
	}
	for _, c := range b {
		if c >= 0x80 && c < 0xa0 || c < 0x80 && !isText([]byte{c}) {
			return false
		}
	}
	return true
}

// utf8Of makes UTF-8 of ISO 8859-1; what is UTF-8 stays as it is.
func utf8Of(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	all := make([]byte, 0, 2*len(b))
	for _, c := range b {
		all = utf8.AppendRune(all, rune(c))
	}
	return all
}

// isText reports whether a label is UTF-8 without control characters, save
// those that stand in bar codes: GS and its like, end of line and transmission.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := rune(b[0]), 1
		if r >= utf8.RuneSelf {
			if r, n = utf8.DecodeRune(b); r < 0xa0 || r == utf8.RuneError {
				return false
			}
		}
		if r == 0x7f || r < 0x20 && strings.IndexByte("\x04\t\n\r\x1c\x1d\x1e\x1f", byte(r)) < 0 {
			return false
		}
		b = b[n:]
	}
	return true
}
