package barcode

import (
	"errors"
	"time"

	"posd/drivers/driver"
	"posd/scanner"
	"posd/tid"
)

// Serial reads scanners that send labels as text.
func Serial() driver.Driver {
	return driver.Driver{
		Name: "serial-scanner", Role: driver.Scanner, Transports: []driver.Transport{driver.TTY},
		Doc: "bar code scanners on a serial port, USB-COM or CDC-ACM",
		Settings: append([]driver.Setting{
			{Key: "terminator", Values: "auto, CR, LF, CRLF, TAB, ETX, none or a byte such as 0x04", Default: "auto", Doc: "what ends a label"},
			{Key: "prefix", Values: "text, a control character such as STX or 02, or bytes such as 0x0241", Doc: "what stands before every label"},
			{Key: "gap", Values: "time span", Doc: "silence that ends a label; 100ms if terminator is none"},
			{Key: "ids", Values: "none, aim, ncr, datalogic, honeywell, zebra", Default: "none", Doc: "the identifiers that tell the symbology"},
			{Key: "check_digit_absent", Values: "true, false", Default: "false", Doc: "the scanner leaves the check digits of EAN and UPC out"},
			{Key: "number_system_absent", Values: "true, false", Default: "false", Doc: "the scanner leaves the first digit of UPC out"},
			{Key: "prefer", Values: "EAN8, UPCE", Doc: "what 8 digits are that could be either"},
		}, driver.SignalSettings()...),
		Claim:   func(a driver.Attributes) bool { return a.Transport == driver.TTY },
		Signals: driver.LineSignals,
		Open:    openSerial,
	}
}

// labelDecoder decodes a stream of labels.
type labelDecoder struct {
	framer *scanner.Framer
	opt    scanner.Options
}

func openSerial(_ driver.Attributes, s driver.Settings, _ tid.Rules) (driver.Decoder, error) {
	framing, err := framing(s)
	if err != nil {
		return nil, err
	}
	opt, err := options(s)
	if err != nil {
		return nil, err
	}
	return &labelDecoder{scanner.NewFramer(framing), opt}, nil
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

func (d *labelDecoder) Decode(r driver.Read, emit driver.Emit) {
	d.labels(d.framer.Push(r.Data, r.At), emit)
}

func (d *labelDecoder) Expire(now time.Time, emit driver.Emit) { d.labels(d.framer.Expire(now), emit) }

func (d *labelDecoder) Deadline() time.Time { return d.framer.Deadline() }

func (d *labelDecoder) labels(frames []scanner.Frame, emit driver.Emit) {
	for _, f := range frames {
		label(f, d.opt, emit)
	}
}
