package barcode

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/scanner"
	"posd/tid"
)

// HIDPOS reads scanners in HID POS mode.
func HIDPOS() driver.Driver {
	return driver.Driver{
		Name: "hid-pos-scanner", Role: driver.Scanner, Transports: []driver.Transport{driver.HIDRaw, driver.USBFS},
		Doc:  "bar code scanners in HID POS mode (usage page 8C)",
		Mode: "scan the programming code of the USB interface that the scanner's manual calls HID POS or USB HID Bar Code Scanner (Honeywell TERMID131)",
		Beep: "the scanner; the host with beep = \"host\", where the report descriptor has the beeper (usages 8C:85 and 86: Honeywell): switch the scanner's own good-read beep off then",
		Settings: []driver.Setting{
			{Key: "beep", Values: "scanner, host", Default: "scanner", Doc: "who gives the signal of a good read"},
		},
		Claim:   isHIDPOS,
		Adopt:   isHIDPOS,
		Open:    openHIDPOS,
		Signals: posSignals,
	}
}

func isHIDPOS(a driver.Attributes) bool {
	_, err := layoutOf(a)
	return err == nil
}

// What scanners of Honeywell, first Hand Held Products, take: in a feature report
// where labels are to go (1: to HID POS, where the scanner has another interface
// too), and in an output report the commands of its menu, which are answered as
// labels.
const (
	reportRedirect = 0xfe
	reportMenu     = 0xfd
)

const (
	partExpiry = 300 * time.Millisecond // until the next part of a label must come
	joinExpiry = 100 * time.Millisecond // the same, where nothing but a full report says that one comes
)

// posDecoder decodes Scanned Data Reports.
type posDecoder struct {
	posLayout
	menu     bool    // it answers commands
	redirect []byte  // the feature report to be sent first
	parts    parts   // AIM identifier and data
	begun    posPart // the first part of the label, without its text
}

func openHIDPOS(a driver.Attributes, s driver.Settings, _ tid.Rules) (driver.Decoder, error) {
	l, err := layoutOf(a)
	if err != nil {
		return nil, fmt.Errorf("read HID device: %w", err)
	}
	if _, _, err := posSignals(a, s); err != nil {
		return nil, err
	}
	return &posDecoder{
		posLayout: l, menu: l.descriptor.Length(hid.Output, reportMenu) > 0, redirect: redirectOf(a, l.descriptor), parts: newParts(),
	}, nil
}

// redirectOf gives the feature report that has labels go to HID POS; none if the
// scanner is not Honeywell's and its descriptor does not say that this is what
// the report is for: what another make has under that id nobody knows.
func redirectOf(a driver.Attributes, d hid.Descriptor) []byte {
	n := d.Length(hid.Feature, reportRedirect)
	said, _ := d.Find(hid.Feature, 0, usageRedirect)
	if n == 0 || said.Report != reportRedirect && a.Vendor != vendorHoneywell {
		return nil
	}
	report := make([]byte, 1+n)
	report[0], report[1] = reportRedirect, 1
	return report
}

const vendorHoneywell = 0x0c2e

// posSignals gives the reports that sound the scanner's beeper. Without a
// descriptor, the settings alone are checked.
func posSignals(a driver.Attributes, s driver.Settings) (kept, refused []driver.Command, err error) {
	switch s.Get("beep") {
	case "", "scanner":
		return nil, nil, nil
	case "host":
	default:
		return nil, nil, driver.Bad("beep", errors.New("it is neither scanner nor host"))
	}
	if len(a.Descriptor) == 0 {
		return nil, nil, nil
	}
	d, err := hid.Parse(a.Descriptor)
	if err != nil {
		return nil, nil, err
	}
	good, okGood := d.Find(hid.Output, 0, usageGoodBeep)
	bad, okBad := d.Find(hid.Output, 0, usageErrorBeep)
	if !okGood || !okBad {
		return nil, nil, driver.Bad("beep", errors.New("the scanner's report descriptor has no beeper (usages 8C:85 and 86): leave the beep to the scanner"))
	}
	return flag(d, good), flag(d, bad), nil
}

// flag gives the output report in which nothing but one flag is set.
func flag(d hid.Descriptor, at hid.Slot) []driver.Command {
	report := make([]byte, 1+d.Length(hid.Output, at.Report))
	report[0] = at.Report
	report[1+at.Offset/8] = 1 << (at.Offset % 8)
	return []driver.Command{{Data: report}}
}

// Due is never: nothing is said but first.
func (d *posDecoder) Due() time.Time { return time.Time{} }

// Commands gives what is to be said first.
func (d *posDecoder) Commands() []driver.Command {
	if d.redirect == nil {
		return nil
	}
	first := []driver.Command{{Feature: true, Data: d.redirect}}
	d.redirect = nil
	return first
}

func (d *posDecoder) Deadline() time.Time {
	switch {
	case !d.parts.more:
		return time.Time{}
	case d.continued.Count == 0:
		return d.parts.last.Add(joinExpiry)
	}
	return d.parts.last.Add(partExpiry)
}

func (d *posDecoder) Expire(now time.Time, emit driver.Emit) {
	switch {
	case !d.parts.more || now.Before(d.Deadline()):
	case d.continued.Count > 0:
		d.parts.expire(emit)
	default:
		if b, ok := d.parts.end(); ok {
			d.whole(b, emit)
		}
	}
}

func (d *posDecoder) Decode(r driver.Read, emit driver.Emit) {
	id, data := d.descriptor.Split(r.Data)
	if id != d.report {
		return // status and the like
	}
	part, err := d.read(data)
	if err != nil {
		d.parts.spoil()
		emit(driver.Failure(r.At, "report", err.Error()))
		return
	}
	if d.parts.more && part.begins(d.begun) {
		d.parts.expire(emit)
	}
	if !d.parts.more {
		d.begin(part, r.At, emit)
	}
	if b, ok := d.parts.add(part.text, part.more, r.At, emit); ok {
		d.whole(b, emit)
	}
}

// begin begins a label with its identifier.
func (d *posDecoder) begin(part posPart, at time.Time, emit driver.Emit) {
	if d.begun = part; part.aim[0] != 0 {
		d.parts.add(part.aim[:], true, at, emit)
	}
	d.begun.text = nil
}

func (d *posDecoder) whole(b []byte, emit driver.Emit) {
	b = bytes.TrimRight(b, "\r\n\t") // the suffix that a scanner is set to send, as on other interfaces
	switch {
	case len(b) == 0:
		emit(driver.Failure(d.parts.last, scanner.CodeEmpty, "the report holds no data"))
	case d.menu && isMenuReply(b, d.begun.code):
	case bytes.IndexByte(b, 0) >= 0:
		emit(driver.Failure(d.parts.last, scanner.CodeNotText, "it holds NUL: the report is not laid out as its descriptor says"))
	case !isCard(b, d.parts.last, emit):
		emit(driver.Reading{Type: driver.Scan, At: d.parts.last, Scan: scanner.Decode(b, scanner.Options{})})
	}
}

// isMenuReply reports whether a label is what a scanner says to a command: the
// text under ]X0, and whether the command was understood under ]Z6. Labels have
// ]X0 too (Trioptic, Code 32, ISSN, postal codes), with a code identifier of their
// own; that of the text is "?".
func isMenuReply(b []byte, code byte) bool {
	return bytes.HasPrefix(b, []byte("]Z6")) || code == '?' && bytes.HasPrefix(b, []byte("]X0"))
}
