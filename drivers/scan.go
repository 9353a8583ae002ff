package drivers

import (
	"bytes"
	"errors"
	"time"

	"posd/scanner"
	"posd/tid"
)

// serialScanner reads scanners that send labels as text.
func serialScanner() Driver {
	return Driver{
		Name: "serial-scanner", Role: RoleScanner, Transport: TransportTTY,
		Doc: "bar code scanners on a serial port, USB-COM or CDC-ACM",
		Settings: append([]Setting{
			{"terminator", "auto, CR, LF, CRLF, TAB, ETX, none or a byte such as 0x04", "auto", "what ends a label"},
			{"prefix", "text, a control character such as STX or 02, or bytes such as 0x0241", "", "what stands before every label"},
			{"gap", "time span", "", "silence that ends a label; 100ms if terminator is none"},
			{"ids", "none, aim, ncr, datalogic, honeywell, zebra", "none", "the identifiers that tell the symbology"},
			{"check_digit_absent", "true, false", "false", "the scanner leaves the check digits of EAN and UPC out"},
			{"number_system_absent", "true, false", "false", "the scanner leaves the first digit of UPC out"},
			{"prefer", "EAN8, UPCE", "", "what 8 digits are that could be either"},
		}, signals()...),
		Claim: claims(TransportTTY),
		Open:  openSerialScanner,
	}
}

// labelDecoder decodes a stream of labels.
type labelDecoder struct {
	framer *scanner.Framer
	opt    scanner.Options
}

func openSerialScanner(_ Attributes, s Settings, _ tid.Rules) (Decoder, error) {
	framing, err := s.framing()
	if err != nil {
		return nil, err
	}
	opt, err := s.options()
	if err != nil {
		return nil, err
	}
	return &labelDecoder{scanner.NewFramer(framing), opt}, nil
}

func (s Settings) framing() (f scanner.Framing, err error) {
	if f.Terminator, err = scanner.ParseTerminator(s.get("terminator")); err != nil {
		return f, bad("terminator", err)
	}
	if f.Prefix, err = scanner.ParsePrefix(s.get("prefix")); err != nil {
		return f, bad("prefix", err)
	}
	f.Gap, err = s.span("gap", 0)
	return f, err
}

func (s Settings) options() (o scanner.Options, err error) {
	if o.IDs, err = scanner.ParseIDs(s.get("ids")); err != nil {
		return o, bad("ids", err)
	}
	if o.CheckDigitAbsent, err = s.flag("check_digit_absent"); err != nil {
		return o, err
	}
	if o.NumberSystemAbsent, err = s.flag("number_system_absent"); err != nil {
		return o, err
	}
	switch o.Prefer = scanner.Symbology(s.get("prefer")); o.Prefer {
	case "", scanner.EAN8, scanner.UPCE:
		return o, nil
	}
	return o, bad("prefer", errors.New("it is neither EAN8 nor UPCE"))
}

func (d *labelDecoder) Decode(r Read) []Reading { return d.readings(d.framer.Push(r.Data, r.At)) }

func (d *labelDecoder) Expire(now time.Time) []Reading { return d.readings(d.framer.Expire(now)) }

func (d *labelDecoder) Deadline() time.Time { return d.framer.Deadline() }

func (d *labelDecoder) readings(frames []scanner.Frame) []Reading {
	var readings []Reading
	for _, f := range frames {
		readings = append(readings, label(f, d.opt))
	}
	return readings
}

// label makes a reading of a frame.
func label(f scanner.Frame, opt scanner.Options) Reading {
	r := Reading{At: f.At}
	switch {
	case f.Problem != nil:
		r.Err = &ReadError{f.Problem.Code, f.Problem.Reason}
	case looksLikeTrack(f.Data):
		clear(f.Data)
		r.Err = &ReadError{"card-data", "it looks like the track of a card, and a scanner's labels are kept in clear: is this a card reader?"}
	default:
		scan := scanner.Decode(f.Data, opt)
		r.Scan = &scan
	}
	return r
}

// looksLikeTrack reports whether a label is shaped as tracks of ISO/IEC 7813:
// start sentinel, end sentinel, and enough digits for a card number between, or
// the E of a track that could not be read. A card reader that is configured as
// a scanner must not leave card numbers in baskets.
func looksLikeTrack(data []byte) bool {
	start := bytes.IndexAny(data, "%;+")
	if start < 0 || start > 4 || bytes.IndexByte(data[start:], '?') < 0 {
		return false
	}
	digits := 0
	for _, c := range data[start:] {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits >= 8 || bytes.HasPrefix(data[start+1:], []byte("E?"))
}
