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

// The usages of bar code scanners (HID Point of Sale Usage Tables 1.02).
const (
	usageScanner    = hid.Usage(0x8c<<16 | 0x02)
	usageScanned    = hid.Usage(0x8c<<16 | 0x12) // Scanned Data Report
	usageAIM1       = hid.Usage(0x8c<<16 | 0xfb)
	usageAIM2       = hid.Usage(0x8c<<16 | 0xfc)
	usageAIM3       = hid.Usage(0x8c<<16 | 0xfd)
	usageData       = hid.Usage(0x8c<<16 | 0xfe)
	usageContinued  = hid.Usage(0x8c<<16 | 0xff)
	usageByteCount  = hid.Usage(0x01<<16 | 0x3b)
	menuReply       = "]X0" // Honeywell: what a scanner answers to a menu command
	continuedExpiry = time.Second
)

// HIDPOS reads scanners in HID POS mode.
func HIDPOS() driver.Driver {
	return driver.Driver{
		Name: "hid-pos-scanner", Role: driver.Scanner, Transports: []driver.Transport{driver.HIDRaw},
		Doc: "bar code scanners in HID POS mode (usage page 8C), on hidraw",
		Claim: func(a driver.Attributes) bool {
			_, err := layoutOf(a)
			return err == nil
		},
		Open: openHIDPOS,
	}
}

// posLayout is where things are in the Scanned Data Report.
type posLayout struct {
	descriptor hid.Descriptor
	report     uint8
	aim        [3]hid.Slot
	data       hid.Slot
	count      hid.Slot // Count 0: the report has none
	continued  hid.Slot // Count 0: labels fit into one report
}

func layoutOf(a driver.Attributes) (posLayout, error) {
	var l posLayout
	if len(a.Descriptor) == 0 {
		return l, errors.New("it has no HID report descriptor")
	}
	var err error
	if l.descriptor, err = hid.Parse(a.Descriptor); err != nil {
		return l, err
	}
	if !l.descriptor.Application(usageScanner) {
		return l, errors.New("its report descriptor has no bar code scanner (usage 8C:02): is it in HID POS mode?")
	}
	return l, l.find()
}

// find looks for the report's parts. Some makes leave the Scanned Data
// collection out.
func (l *posLayout) find() error {
	within := usageScanned
	var ok bool
	if l.data, ok = l.descriptor.Input(within, usageData); !ok {
		within = usageScanner
		l.data, ok = l.descriptor.Input(within, usageData)
	}
	if !ok || l.data.Size != 8 || l.data.Offset%8 != 0 {
		return errors.New("its report descriptor has no decoded data (usage 8C:FE) in bytes")
	}
	l.report = l.data.Report
	for i, usage := range []hid.Usage{usageAIM1, usageAIM2, usageAIM3} {
		l.aim[i] = l.part(within, usage)
	}
	l.count = l.part(within, usageByteCount)
	l.continued = l.part(within, usageContinued)
	return nil
}

// part finds a usage in the report that holds the data.
func (l *posLayout) part(within, usage hid.Usage) hid.Slot {
	s, ok := l.descriptor.Input(within, usage)
	if !ok || s.Report != l.report {
		return hid.Slot{}
	}
	return s
}

// posDecoder decodes Scanned Data Reports.
type posDecoder struct {
	posLayout
	label []byte // AIM identifier and data of the reports so far
	last  time.Time
	more  bool
	skip  bool // the label is too long: dropped up to its last report
}

func openHIDPOS(a driver.Attributes, _ driver.Settings, _ tid.Rules) (driver.Decoder, error) {
	l, err := layoutOf(a)
	if err != nil {
		return nil, fmt.Errorf("read HID device: %w", err)
	}
	return &posDecoder{posLayout: l}, nil
}

func (d *posDecoder) Deadline() time.Time {
	if !d.more {
		return time.Time{}
	}
	return d.last.Add(continuedExpiry)
}

func (d *posDecoder) Expire(now time.Time, emit driver.Emit) {
	if !d.more || now.Before(d.Deadline()) {
		return
	}
	at := d.last
	d.reset()
	emit(driver.Failure(at, "incomplete", "the rest of a label in several reports did not come"))
}

func (d *posDecoder) reset() { d.label, d.more, d.skip = d.label[:0], false, false }

func (d *posDecoder) Decode(r driver.Read, emit driver.Emit) {
	id, data := d.descriptor.Split(r.Data)
	if id != d.report {
		return // status and the like
	}
	aim, text, err := d.parts(data)
	if err != nil {
		d.reset()
		emit(driver.Failure(r.At, "report", err.Error()))
		return
	}
	if !d.more {
		d.label = append(d.label[:0], aim...)
	}
	d.last = r.At
	more, _ := d.continued.Value(data, 0)
	d.more = more != 0
	d.add(text, emit)
}

// add appends the text of a report, and gives the label when it is whole.
func (d *posDecoder) add(text []byte, emit driver.Emit) {
	if !d.skip {
		d.label = append(d.label, text...)
	}
	if len(d.label) > scanner.MaxFrame {
		d.skip, d.label = true, d.label[:0]
		emit(driver.Failure(d.last, scanner.CodeTooLong, "8 KiB came without the end of the label"))
	}
	if d.more {
		return
	}
	if !d.skip {
		d.whole(d.label, emit)
	}
	d.reset()
}

func (d *posDecoder) whole(b []byte, emit driver.Emit) {
	b = bytes.TrimRight(b, "\r\n\t") // the suffix that a scanner is set to send, as on other interfaces
	switch {
	case len(b) == 0:
		emit(driver.Failure(d.last, scanner.CodeEmpty, "the report holds no data"))
	case bytes.HasPrefix(b, []byte(menuReply)):
	case bytes.IndexByte(b, 0) >= 0:
		emit(driver.Failure(d.last, scanner.CodeNotText, "it holds NUL: the report is not laid out as its descriptor says"))
	default:
		label(scanner.Frame{Data: b, At: d.last}, scanner.Options{}, emit)
	}
}

// parts gives the AIM identifier and the text of a report.
func (d *posDecoder) parts(data []byte) (aim, text []byte, err error) {
	text = d.data.Bytes(data)
	if text == nil {
		return nil, nil, fmt.Errorf("a report of %d bytes ends before its data: it is shorter than its descriptor says", len(data))
	}
	shift, aim := d.identifier(data, text)
	text = text[min(shift, len(text)):]
	if d.count.Count == 0 {
		return aim, bytes.TrimRight(text, "\x00"), nil
	}
	n, ok := d.count.Value(data, 0)
	if !ok || n > uint32(len(text)) {
		return nil, nil, fmt.Errorf("a report says that it holds %d bytes, and has room for %d", n, len(text))
	}
	return aim, bytes.TrimRight(text[:n], "\x00"), nil
}

// identifier gives the AIM identifier, if there is one. Some makes send it, and
// the data behind it, a byte later than their descriptor says: the "]" tells.
func (d *posDecoder) identifier(data, text []byte) (shift int, aim []byte) {
	var id [3]byte
	for i, slot := range d.aim {
		if v, ok := slot.Value(data, 0); ok {
			id[i] = byte(v)
		}
	}
	switch {
	case id[0] == ']':
		return 0, id[:]
	case id[1] == ']' && len(text) > 0:
		return 1, []byte{']', id[2], text[0]}
	}
	return 0, nil
}
