package card

import (
	"errors"
	"fmt"

	"posd/drivers/hid"
	"posd/msr"
)

// The usages of page FF00 for what was swiped, by MagTek (USB HID Swipe Reader
// Technical Reference Manual 99875191, "HID usages"). ID TECH's readers have
// them too, in "Mag-Tek format" or "other mode".
const (
	usageStatus1 = hid.Usage(0xff00<<16 | 0x20) // decode status of tracks 1 to 3
	usageLength1 = hid.Usage(0xff00<<16 | 0x28) // their lengths
	usageData1   = hid.Usage(0xff00<<16 | 0x30) // their characters
	usageEncode  = hid.Usage(0xff00<<16 | 0x38) // card encode type
	usageCard    = hid.Usage(0xff00<<16 | 0x39) // card status, of insert readers
)

// fields is where the tracks are in a report that has a field for each.
type fields struct {
	descriptor           hid.Descriptor
	report               uint8
	status, length, data [3]hid.Slot
	encode               hid.Slot
	card                 hid.Slot // Count 0: the report has none
}

func fieldsOf(d hid.Descriptor) (fields, error) {
	f := fields{descriptor: d}
	first, ok := d.Input(0, usageData1)
	if !ok {
		return f, errors.New("its report descriptor has no track data (usage FF00:30)")
	}
	f.report = first.Report
	for i := range f.data {
		n := hid.Usage(i)
		f.status[i], f.length[i], f.data[i] = f.part(usageStatus1+n), f.part(usageLength1+n), f.part(usageData1+n)
		if f.status[i].Count == 0 || f.length[i].Count == 0 || f.data[i].Size != 8 || f.data[i].Offset%8 != 0 {
			return f, fmt.Errorf("its report descriptor does not have status, length and data of track %d (usages %v, %v and %v) in one report",
				i+1, usageStatus1+n, usageLength1+n, usageData1+n)
		}
	}
	f.encode, f.card = f.part(usageEncode), f.part(usageCard)
	return f, nil
}

// part finds a usage in the report that holds the tracks.
func (f *fields) part(u hid.Usage) hid.Slot {
	s, ok := f.descriptor.Input(0, u)
	if !ok || s.Report != f.report {
		return hid.Slot{}
	}
	return s
}

// tracks gives the fields of a report. What stands in a field beyond the length
// of its track is of an earlier one, or undefined, and is not looked at.
func (f *fields) tracks(data []byte) (tracks [4]msr.Field, err error) {
	for i := range f.data {
		status, ok1 := f.status[i].Value(data, 0)
		n, ok2 := f.length[i].Value(data, 0)
		field := f.data[i].Bytes(data)
		switch {
		case !ok1 || !ok2:
			return tracks, tooShort(data)
		case status&1 != 0:
			tracks[i].Failed = msr.CodeReaderError
		case n > uint32(len(field)):
			tracks[i].Failed = msr.CodeLength
		default:
			tracks[i].Data = field[:n]
		}
	}
	return tracks, nil
}

func tooShort(data []byte) error {
	return fmt.Errorf("a report of %d bytes ends before its tracks: it is shorter than its descriptor says", len(data))
}

// empty reports whether a report says of no track that there is anything.
func empty(tracks [4]msr.Field) bool {
	for _, t := range tracks {
		if t.Failed != "" || len(t.Data) > 0 {
			return false
		}
	}
	return true
}

// onlyInserted reports whether an insert reader says no more than that a card
// came.
func (f *fields) onlyInserted(data []byte, tracks [4]msr.Field) bool {
	return number(f.card, data)&1 != 0 && empty(tracks)
}
