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

	// Prefer is EAN8 or UPCE: what 8 digits are that no identifier tells apart
	// and whose check digit is right as either. If empty, they are a UPC-E if
	// the first is 0, which in an EAN-8 only a shop's own numbers have, and else
	// an EAN-8.
	Prefer Symbology
}

// zeros stand before the text of a label, so that its digits and its GTIN are
// parts of one string.
const zeros = "00000000000000"

// compositeMark parts an EAN or UPC from its composite component.
const compositeMark = "|]e0"

// decoder makes one scan.
type decoder struct {
	Scan
	opt    Options
	id     identified
	padded string // zeros, then the text behind the identifier
}

func (d *decoder) text() string { return d.padded[len(zeros):] }

// Decode reads one label, without its prefix and terminator. It always gives
// a scan: a bad label has a Problem. It keeps nothing of frame.
//
// Without an identifier, 12 digits are a UPC-A, 13 an EAN-13, 8 an EAN-8 or
// UPC-E by their check digit, and 14 a GTIN-14 in ITF. 13 or 14 digits with a
// wrong check digit may as well be the number of a card: they are UNKNOWN.
// Behind AIM's ]E0, which does not tell UPC-A from UPC-E and EAN-13, 13 digits
// with a leading 0 are a UPC-A: the number in it is the same.
func Decode(frame []byte, opt Options) Scan {
	d := decoder{opt: opt}
	d.Data, d.Symbology, d.Kind = bytes.Clone(frame), Unknown, Other
	switch {
	case len(frame) == 0:
		d.problem(CodeEmpty, "the label is empty")
	case !isText(frame):
		d.problem(CodeNotText, "the label is no text: check speed and parity of the line")
	default:
		d.id = identify(frame, opt.IDs)
		d.padded = zeros + string(frame[d.id.length:])
		d.Label = d.text()
		d.decode()
	}
	return d.Scan
}

func (d *decoder) decode() {
	switch d.id.symbology {
	case Unknown:
		d.unidentified()
	case upcEAN, ean, UPCA, UPCE, EAN8, EAN13:
		d.upcean()
	case EAN128, GS1DataMatrix, GS1QRCode, GS1DataBar, GS1DataBarE, GS1DataBarT2, dataBar, gs1DotCode:
		d.gs1()
	case ITF:
		d.itf()
	case Code39:
		d.Symbology = Code39
		if t := d.text(); len(t) > 2 && t[0] == '*' && t[len(t)-1] == '*' {
			d.Label = t[1 : len(t)-1] // start and stop characters
		}
	default:
		d.Symbology = d.id.symbology
	}
}

// unidentified reads a label that nothing tells the symbology of.
func (d *decoder) unidentified() {
	switch {
	case d.id.length > 0:
		d.problem(CodeUnknownSymbology, "its AIM identifier names no known symbology")
		return
	case gs1.IsDigits(d.text()):
		d.digits()
	case d.spacedAddOn():
	case d.looksGS1():
		d.elements(d.Label)
	}
	if d.opt.IDs != "" && d.opt.IDs != IDsNone && d.Problem == nil {
		d.problem(CodeUnknownSymbology, fmt.Sprintf("no %s identifier stands before it", d.opt.IDs))
	}
}

// digits reads a label of digits alone.
func (d *decoder) digits() {
	text := d.text()
	switch s := d.opt.byLength(len(text)); {
	case s != "":
		d.number(s, len(text), "")
		if d.Problem != nil && len(text) >= 13 {
			d.Symbology, d.Kind = Unknown, Other
		}
	case d.looksGS1():
		d.elements(d.Label)
	}
}

// spacedAddOn reads digits, a space and the digits of an add-on.
func (d *decoder) spacedAddOn() bool {
	main, addOn, _ := strings.Cut(d.text(), " ")
	s := d.opt.byLength(len(main))
	if s == "" || s == ITF || !gs1.IsDigits(main) || !gs1.IsAddOn(addOn) {
		return false
	}
	trial := *d
	if trial.number(s, len(main), addOn); trial.Problem != nil {
		return false
	}
	*d = trial
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
	text := d.text()
	switch {
	case !gs1.IsDigits(text):
		d.problem(CodeCharset, "an ITF has nothing but digits")
	case d.id.aim == '3' && len(text) == 13:
		d.Label = text + string(gs1.CheckDigit(text))
		d.GTIN, d.Kind = gs1.GTIN(d.Label), Item
	case len(text) == 14:
		d.number(ITF, 14, "")
	}
}

// problem notes what is wrong, if nothing was before.
func (d *decoder) problem(code, reason string) {
	if d.Problem == nil {
		d.Problem = &Problem{code, reason}
	}
}

// fail notes an error of package gs1.
func (d *decoder) fail(err error) {
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
	case errors.As(err, &element):
		code = CodeElements
	}
	d.problem(code, err.Error())
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
