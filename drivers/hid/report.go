package hid

// Slot is where values of one usage are in a report.
type Slot struct {
	Report uint8
	Offset int // bits from the report's data, which begins after its id
	Size   int // bits of one value
	Count  int
}

// Application reports whether the device has a top-level collection of this
// usage: what the device is.
func (d Descriptor) Application(u Usage) bool {
	for _, f := range d.Fields {
		if len(f.Collections) > 0 && f.Collections[0] == u {
			return true
		}
	}
	return false
}

// Input finds the values of a usage in the input reports, as Find does.
func (d Descriptor) Input(within, u Usage) (Slot, bool) { return d.Find(Input, within, u) }

// Find finds the values of a usage in the reports of a kind that begin in the
// collection with usage within (0: anywhere). Where a usage comes twice, the
// first counts. The values of an array are numbers of usages, so that none can be
// found in it; but an array of a single usage is what makers write for bytes.
func (d Descriptor) Find(kind Kind, within, u Usage) (Slot, bool) {
	for _, f := range d.Fields {
		if f.Kind != kind || f.Constant || f.Size == 0 || f.Array && len(f.Usages) > 1 || within != 0 && !holds(f.Collections, within) {
			continue
		}
		if s, ok := f.slot(u); ok {
			return s, true
		}
	}
	return Slot{}, false
}

// Length gives how many bytes a report has behind its id, 0 if there is no such
// report.
func (d Descriptor) Length(kind Kind, report uint8) int {
	bits := 0
	for _, f := range d.Fields {
		if f.Kind == kind && f.Report == report {
			bits = max(bits, f.Offset+f.Size*f.Count)
		}
	}
	return (bits + 7) / 8
}

func holds(collections []Usage, u Usage) bool {
	for _, c := range collections {
		if c == u {
			return true
		}
	}
	return false
}

// slot finds the run of values that have one usage.
func (f Field) slot(u Usage) (Slot, bool) {
	for i, have := range f.Usages {
		if have != u || i >= f.Count {
			continue
		}
		run := 1
		if i == len(f.Usages)-1 {
			run = f.Count - i // the last usage stands for the rest
		}
		return Slot{Report: f.Report, Offset: f.Offset + i*f.Size, Size: f.Size, Count: run}, true
	}
	return Slot{}, false
}

// Split takes the report id off a report as hidraw gives it.
func (d Descriptor) Split(report []byte) (id uint8, data []byte) {
	if d.Numbered && len(report) > 0 {
		return report[0], report[1:]
	}
	return 0, report
}

// Value gives the i-th value of a slot as an unsigned number; false if the
// report ends before it, or it has more than 32 bits.
func (s Slot) Value(data []byte, i int) (uint32, bool) {
	from := s.Offset + i*s.Size
	if i < 0 || i >= s.Count || s.Size > 32 || from+s.Size > len(data)*8 {
		return 0, false
	}
	var v uint32
	for bit := range s.Size {
		at := from + bit
		v |= uint32(data[at/8]>>(at%8)&1) << bit
	}
	return v, true
}

// Bytes gives the values of a slot of whole bytes, as far as the report goes;
// nil if they are no whole bytes.
func (s Slot) Bytes(data []byte) []byte {
	from := s.Offset / 8
	if s.Size != 8 || s.Offset%8 != 0 || from >= len(data) {
		return nil
	}
	return data[from:min(from+s.Count, len(data))]
}
