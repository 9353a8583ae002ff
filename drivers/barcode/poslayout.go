package barcode

import (
	"bytes"
	"errors"
	"fmt"

	"posd/drivers/driver"
	"posd/drivers/hid"
)

// The usages of bar code scanners (HID Point of Sale Usage Tables 1.02).
const (
	pageScanner    = hid.Usage(0x8c << 16)
	usageScanner   = pageScanner | 0x02
	usageDumb      = pageScanner | 0x03
	usageBase      = pageScanner | 0x04 // of a cordless scanner
	usageCradle    = pageScanner | 0x05
	usageScanned   = pageScanner | 0x12 // Scanned Data Report
	usageErrorBeep = pageScanner | 0x85
	usageGoodBeep  = pageScanner | 0x86
	usageAIM1      = pageScanner | 0xfb
	usageAIM2      = pageScanner | 0xfc
	usageAIM3      = pageScanner | 0xfd
	usageData      = pageScanner | 0xfe
	usageContinued = pageScanner | 0xff
	usageByteCount = hid.Usage(0x01<<16 | 0x3b)
	usageRedirect  = hid.Usage(0xff66<<16 | 0x03) // of Hand Held Products: Output Redirection
	usageCodeID    = hid.Usage(0xff66<<16 | 0x04) // and its own identifier of the symbology
)

// posLayout is where things are in the Scanned Data Report.
type posLayout struct {
	descriptor hid.Descriptor
	report     uint8
	aim        [3]hid.Slot
	data       hid.Slot
	count      hid.Slot // Count 0: the report has none
	code       hid.Slot // Count 0: the report has none
	continued  hid.Slot // Count 0: the report does not say that the next one goes on
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
	for _, app := range []hid.Usage{usageScanner, usageDumb, usageBase, usageCradle} {
		if l.descriptor.Application(app) {
			return l, l.find(app)
		}
	}
	return l, errors.New("its report descriptor has no bar code scanner (usage 8C:02 to 05): is it in HID POS mode?")
}

// find looks for the report's parts. Some makes leave the Scanned Data
// collection out.
func (l *posLayout) find(app hid.Usage) error {
	within := usageScanned
	var ok bool
	if l.data, ok = l.descriptor.Input(within, usageData); !ok {
		within = app
		l.data, ok = l.descriptor.Input(within, usageData)
	}
	switch {
	case !ok || l.data.Size != 8 || l.data.Offset%8 != 0:
		return errors.New("its report descriptor has no decoded data (usage 8C:FE) in bytes")
	case l.data.Report == 0 && l.descriptor.Numbered:
		return errors.New("its report descriptor has the decoded data in a report without an id, beside others that have one")
	}
	l.report = l.data.Report
	for i, usage := range []hid.Usage{usageAIM1, usageAIM2, usageAIM3} {
		l.aim[i] = l.part(within, usage)
	}
	l.count = l.part(within, usageByteCount)
	l.code = l.part(within, usageCodeID)
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

// posPart is what one report has of a label. Its slices are valid as long as the
// report.
type posPart struct {
	aim  [3]byte // its identifier; 0 if there is none
	code byte    // the maker's own; 0 if there is none
	text []byte
	more bool // the next report goes on
}

// begins reports whether a part is of another label than the one that has begun:
// its identifier is another.
func (p posPart) begins(begun posPart) bool {
	return p.aim[0] != 0 && begun.aim[0] != 0 && p.aim != begun.aim
}

// read reads a report.
func (l *posLayout) read(data []byte) (p posPart, err error) {
	text := l.data.Bytes(data)
	if text == nil {
		return p, fmt.Errorf("a report of %d bytes ends before its data: it is shorter than its descriptor says", len(data))
	}
	shift := l.identifier(data, text, &p.aim)
	text = text[min(shift, len(text)):]
	room := len(text)
	if l.count.Count > 0 {
		n, ok := l.count.Value(data, 0)
		if !ok || n > uint32(room) {
			return p, fmt.Errorf("a report says that it holds %d bytes, and has room for %d", n, room)
		}
		text = text[:n]
	}
	if v, ok := l.code.Value(data, 0); ok {
		p.code = byte(v)
	}
	p.text = bytes.TrimRight(text, "\x00")
	if l.continued.Count > 0 {
		flag, _ := l.continued.Value(data, 0)
		p.more = flag != 0
	} else {
		p.more = len(p.text) == room
	}
	return p, nil
}

// identifier reads the AIM identifier, if there is one. Some makes send it, and
// the data behind it, a byte later than their descriptor says: the "]" tells.
func (l *posLayout) identifier(data, text []byte, id *[3]byte) (shift int) {
	for i, slot := range l.aim {
		if v, ok := slot.Value(data, 0); ok {
			id[i] = byte(v)
		}
	}
	switch {
	case id[0] == ']':
		return 0
	case id[1] == ']' && len(text) > 0:
		id[0], id[1], id[2] = ']', id[2], text[0]
		return 1
	}
	*id = [3]byte{}
	return 0
}
