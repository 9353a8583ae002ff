package barcode

import (
	"bytes"
	"errors"
	"time"

	"posd/drivers/driver"
	"posd/scanner"
)

// labelSettings are the settings of scanners that send labels as text.
func labelSettings() []driver.Setting {
	return []driver.Setting{
		{Key: "terminator", Values: "auto, CR, LF, CRLF, TAB, ETX, none or a byte such as 0x04", Default: "auto", Doc: "what ends a label"},
		{Key: "prefix", Values: "text, a control character such as STX or 02, or bytes such as 0x0241", Doc: "what stands before every label"},
		{Key: "suffix", Values: "as prefix", Doc: "what stands behind every label, before the terminator"},
		{Key: "gap", Values: "time span", Doc: "silence that ends a label; 100ms if terminator is none"},
		{Key: "ids", Values: "none, aim, ncr, datalogic, honeywell, zebra", Default: "none", Doc: "the identifiers that tell the symbology"},
		{Key: "check_digit_absent", Values: "true, false", Default: "false", Doc: "the scanner leaves the check digits of EAN and UPC out"},
		{Key: "number_system_absent", Values: "true, false", Default: "false", Doc: "the scanner leaves the first digit of UPC out"},
		{Key: "prefer", Values: "EAN8, UPCE", Doc: "what 8 digits are that could be either"},
	}
}

// labelDecoder decodes a stream of labels.
type labelDecoder struct {
	framing scanner.Framing
	framer  *scanner.Framer
	suffix  string
	opt     scanner.Options
}

func newLabelDecoder(s driver.Settings) (d labelDecoder, err error) {
	if d.framing, err = framing(s); err != nil {
		return d, err
	}
	if d.suffix, err = scanner.ParsePrefix(s.Get("suffix")); err != nil {
		return d, driver.Bad("suffix", err)
	}
	if d.opt, err = options(s); err != nil {
		return d, err
	}
	d.framer = scanner.NewFramer(d.framing)
	return d, nil
}

func framing(s driver.Settings) (f scanner.Framing, err error) {
	if f.Terminator, err = scanner.ParseTerminator(s.Get("terminator")); err != nil {
		return f, driver.Bad("terminator", err)
	}
	if f.Prefix, err = scanner.ParsePrefix(s.Get("prefix")); err != nil {
		return f, driver.Bad("prefix", err)
	}
	f.Gap, err = s.Span("gap", 0)
	return f, err
}

func options(s driver.Settings) (o scanner.Options, err error) {
	if o.IDs, err = scanner.ParseIDs(s.Get("ids")); err != nil {
		return o, driver.Bad("ids", err)
	}
	if o.CheckDigitAbsent, err = s.Flag("check_digit_absent"); err != nil {
		return o, err
	}
	if o.NumberSystemAbsent, err = s.Flag("number_system_absent"); err != nil {
		return o, err
	}
	switch o.Prefer = scanner.Symbology(s.Get("prefer")); o.Prefer {
	case "", scanner.EAN8, scanner.UPCE:
		return o, nil
	}
	return o, driver.Bad("prefer", errors.New("it is neither EAN8 nor UPCE"))
}

func (d *labelDecoder) Deadline() time.Time { return d.framer.Deadline() }

// labels gives the readings of frames.
func (d *labelDecoder) labels(frames []scanner.Frame, emit driver.Emit) {
	forget := false
	for _, f := range frames {
		forget = d.label(f, emit) || forget
	}
	if forget {
		d.framer.Drop()
	}
}

// label gives the reading of a frame, and reports whether the framer is to forget
// what it holds: it is of a card, or may be of one that could not be read.
func (d *labelDecoder) label(f scanner.Frame, emit driver.Emit) (forget bool) {
	switch data, ok := bytes.CutSuffix(f.Data, []byte(d.suffix)); {
	case f.Problem != nil:
		emit(driver.Failure(f.At, f.Problem.Code, f.Problem.Reason))
		return !d.framer.Pending()
	case isCard(f.Data, f.At, emit):
		return true
	case !ok:
		emit(driver.Failure(f.At, "no-suffix", "the suffix that is set does not stand behind it"))
	case len(data) == 0:
		emit(driver.Failure(f.At, scanner.CodeEmpty, "nothing stands between its ends"))
	default:
		emit(driver.Reading{Type: driver.Scan, At: f.At, Scan: scanner.Decode(data, d.opt)})
	}
	return false
}
