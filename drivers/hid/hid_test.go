package hid

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// scannerHex is the descriptor of a HID POS scanner as Honeywell's USB
// Interfaces User's Guide lays its report out: id 2, count, three AIM bytes, 56
// of data, two of the vendor, and the continued flag.
const scannerHex = `05 8C 09 02 A1 01 09 12 A1 02 85 02 15 00 26 FF 00 75 08 95 01 05 01 09 3B 81 02
	05 8C 09 FB 81 02 09 FC 81 02 09 FD 81 02 95 38 09 FE 82 02 01 06 66 FF 95 02 09 04 81 02
	05 8C 25 01 75 01 95 01 09 FF 81 02 75 07 81 03 C0 C0`

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestScannerDescriptor(t *testing.T) {
	d, err := Parse(unhex(t, scannerHex))
	if err != nil {
		t.Fatal(err)
	}
	if !d.Application(0x8c0002) || d.Application(0x8c0012) || !d.Numbered {
		t.Errorf("application: %+v", d)
	}
	for _, c := range []struct {
		usage Usage
		want  Slot
	}{
		{0x01003b, Slot{2, 0, 8, 1}},
		{0x8c00fb, Slot{2, 8, 8, 1}},
		{0x8c00fc, Slot{2, 16, 8, 1}},
		{0x8c00fd, Slot{2, 24, 8, 1}},
		{0x8c00fe, Slot{2, 32, 8, 56}},
		{0xff660004, Slot{2, 480, 8, 2}},
		{0x8c00ff, Slot{2, 496, 1, 1}},
	} {
		got, ok := d.Input(0x8c0012, c.usage)
		if !ok || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.usage, got, ok, c.want)
		}
	}
	if s, ok := d.Input(0, 0x8c0001); ok {
		t.Errorf("a usage that is not there is found at %+v", s)
	}
	if s, ok := d.Input(0x8c0013, 0x8c00fe); ok {
		t.Errorf("a usage is found in a collection that is not there, at %+v", s)
	}
}

func TestReports(t *testing.T) {
	d, err := Parse(unhex(t, scannerHex))
	if err != nil {
		t.Fatal(err)
	}
	report := make([]byte, 64)
	copy(report, "\x02\x03]E0abc")
	report[63] = 0x81
	id, data := d.Split(report)
	text, _ := d.Input(0, 0x8c00fe)
	more, _ := d.Input(0, 0x8c00ff)
	if b := text.Bytes(data); id != 2 || len(b) != 56 || !bytes.HasPrefix(b, []byte("abc\x00")) {
		t.Errorf("id %d, data %q", id, b)
	}
	if v, ok := more.Value(data, 0); v != 1 || !ok {
		t.Errorf("flag %d, %v", v, ok)
	}
	if _, ok := more.Value(data[:62], 0); ok {
		t.Error("a flag is read beyond the report")
	}
	if b := text.Bytes(data[:6]); string(b) != "ab" {
		t.Errorf("of a short report: %q", b)
	}
	if b := text.Bytes(data[:4]); b != nil {
		t.Errorf("of a report that ends before: %q", b)
	}
	if _, ok := text.Value(data, 56); ok {
		t.Error("a value beyond the count is read")
	}
}

func TestUsagesOfOneField(t *testing.T) {
	// Usage minimum and maximum, then the last usage for the rest; a usage that
	// brings its page; a page that comes after its usage.
	d, err := Parse(unhex(t, `19 FB 29 FD 05 8C 75 08 95 05 81 02 0B 3B 00 01 00 95 01 81 02`))
	if err != nil {
		t.Fatal(err)
	}
	for usage, want := range map[Usage]Slot{
		0x8c00fb: {0, 0, 8, 1},
		0x8c00fc: {0, 8, 8, 1},
		0x8c00fd: {0, 16, 8, 3},
		0x01003b: {0, 40, 8, 1},
	} {
		if got, ok := d.Input(0, usage); !ok || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", usage, got, ok, want)
		}
	}
}

func TestPaddingIsNotFound(t *testing.T) {
	// The same usage: constant, in an output report, and at last as data.
	d, err := Parse(unhex(t, `05 8C 75 08 95 01 09 FE 81 03 09 FE 91 02 09 FE 81 02`))
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := d.Input(0, 0x8c00fe); !ok || s.Offset != 8 {
		t.Errorf("got %+v, %v", s, ok)
	}
}

func TestPushPopAndKinds(t *testing.T) {
	// An output and a feature report count for themselves; pop brings size back.
	d, err := Parse(unhex(t, `05 8C 75 08 95 02 A4 75 01 91 02 B4 09 FE 81 02 B1 02 FE 02 00 AA BB`))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Fields) != 3 || d.Fields[0].Size != 1 || d.Fields[0].Kind != Output || d.Fields[1].Size != 8 || d.Fields[1].Offset != 0 || d.Fields[2].Kind != Feature {
		t.Errorf("%+v", d.Fields)
	}
}

func TestArrays(t *testing.T) {
	// A boot keyboard's keys, and then bytes that a maker calls an array.
	d, err := Parse(unhex(t, `05 07 19 00 29 65 75 08 95 06 81 00 05 8C 09 FE 95 20 81 00`))
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := d.Input(0, 0x070004); ok {
		t.Errorf("a key is found at %+v", s)
	}
	if s, ok := d.Input(0, 0x8c00fe); !ok || s != (Slot{0, 48, 8, 32}) {
		t.Errorf("got %+v, %v", s, ok)
	}
}

func TestUsageTwice(t *testing.T) {
	// The first counts, in its collection and in all; one in another report too.
	d, err := Parse(unhex(t, `05 8C 09 02 A1 01 75 08 95 04 85 01 09 FE 81 02 09 12 A1 02 85 02 09 FE 81 02 09 FE 81 02 C0 C0`))
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := d.Input(0, 0x8c00fe); !ok || s != (Slot{1, 0, 8, 4}) {
		t.Errorf("anywhere: %+v, %v", s, ok)
	}
	if s, ok := d.Input(0x8c0012, 0x8c00fe); !ok || s != (Slot{2, 0, 8, 4}) {
		t.Errorf("in its collection: %+v, %v", s, ok)
	}
	// Twice in one field: the first is one value, the second stands for the rest.
	d, err = Parse(unhex(t, `05 8C 75 08 95 05 09 FE 09 FE 81 02`))
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := d.Input(0, 0x8c00fe); !ok || s != (Slot{0, 0, 8, 1}) {
		t.Errorf("in one field: %+v, %v", s, ok)
	}
}

func TestReportIDsCollide(t *testing.T) {
	// Two collections share input report 2, which goes on behind what the first
	// has of it; report 2 of another kind counts for itself.
	d, err := Parse(unhex(t, `05 8C 09 02 A1 01 85 02 75 08 95 03 09 FE 81 02 91 02 C0 09 03 A1 01 85 02 95 02 09 FF 81 02 B1 02 C0`))
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := d.Input(0x8c0003, 0x8c00ff); !ok || s != (Slot{2, 24, 8, 2}) {
		t.Errorf("got %+v, %v", s, ok)
	}
	for kind, want := range map[Kind]int{Input: 5, Output: 3, Feature: 2} {
		if n := d.Length(kind, 2); n != want {
			t.Errorf("kind %d: %d bytes, want %d", kind, n, want)
		}
	}
	if n := d.Length(Output, 1); n != 0 {
		t.Errorf("a report that is not there has %d bytes", n)
	}
	if s, ok := d.Find(Output, 0, 0x8c00fe); ok {
		t.Errorf("a usage is found in a report that has none, at %+v", s)
	}
}

func TestLengthOfBits(t *testing.T) {
	d, err := Parse(unhex(t, `05 8C 85 04 75 01 95 09 09 85 91 02`))
	if err != nil {
		t.Fatal(err)
	}
	if n := d.Length(Output, 4); n != 2 {
		t.Errorf("9 bits are %d bytes", n)
	}
	if s, ok := d.Find(Output, 0, 0x8c0085); !ok || s != (Slot{4, 0, 1, 9}) {
		t.Errorf("got %+v, %v", s, ok)
	}
}

// Slots that lie beyond a report, or in no bytes, give nothing.
func TestSlotsBeyondReports(t *testing.T) {
	data := []byte{1, 2, 3}
	for _, s := range []Slot{{0, 24, 8, 1}, {0, 1 << 20, 8, 64}, {0, 4, 8, 1}, {0, 0, 7, 1}, {0, 0, 16, 1}} {
		if b := s.Bytes(data); b != nil {
			t.Errorf("%+v: bytes %x", s, b)
		}
	}
	for _, s := range []Slot{{0, 24, 8, 1}, {0, 16, 16, 1}, {0, 0, 8, 0}} {
		if v, ok := s.Value(data, 0); ok {
			t.Errorf("%+v: value %d", s, v)
		}
	}
	if v, ok := (Slot{0, 0, 40, 1}).Value(make([]byte, 8), 0); ok {
		t.Errorf("a value of 40 bits: %d", v)
	}
	if v, ok := (Slot{0, 0, 8, 3}).Value(data, -1); ok {
		t.Errorf("a value before the first: %d", v)
	}
	if v, ok := (Slot{0, 4, 12, 1}).Value(data, 0); !ok || v != 0x020 {
		t.Errorf("across bytes: %#x, %v", v, ok)
	}
}

// 64 KiB of collections in one another, and of nothing but ends.
func TestHugeDescriptors(t *testing.T) {
	for name, b := range map[string][]byte{
		"nested":      bytes.Repeat([]byte{0xa1, 0x01}, 32<<10),
		"nested, met": append(bytes.Repeat([]byte{0xa1, 0x01}, 16<<10), bytes.Repeat([]byte{0xc0}, 32<<10)...),
		"pushes":      bytes.Repeat([]byte{0xa4}, 64<<10),
		"zeros":       make([]byte, 64<<10),
		"fields":      bytes.Repeat([]byte{0x81, 0x02}, 32<<10),
	} {
		if _, err := Parse(b); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A range of usages that is wider than anybody's field, or backward, costs nothing
// but itself.
func TestWideRanges(t *testing.T) {
	for _, ranges := range []string{"1A 00 00 2B FF 0F 00 00", "19 00 2B FF FF FF FF", "19 05 29 04"} {
		text := "05 0C 09 01 A1 01 85 09 " + ranges + " 15 00 26 FF 0F 75 10 95 01 81 00 C0 05 8C 09 02 A1 01 85 02 09 FE 75 08 95 02 81 02 C0"
		d, err := Parse(unhex(t, text))
		if err != nil {
			t.Fatalf("%s: %v", ranges, err)
		}
		if at, ok := d.Find(Input, 0, 0x8c<<16|0xfe); !ok || at.Report != 2 {
			t.Errorf("%s: the reader is not found: %+v", ranges, at)
		}
	}
}

func TestLies(t *testing.T) {
	for name, c := range map[string]struct{ descriptor, say string }{
		"cut off":             {"05", "beyond"},
		"long item cut off":   {"FE 05 00 01", "beyond"},
		"long item head":      {"FE 05", "beyond"},
		"collections open":    {"A1 01", "not ended"},
		"end without begin":   {"C0", "not begun"},
		"pop without push":    {"B4", "without a push"},
		"too deep":            {strings.Repeat("A1 01 ", 65), "collections"},
		"too many pushes":     {strings.Repeat("A4 ", 65), "pushes"},
		"report id 0":         {"85 00", "report id"},
		"huge value":          {"76 01 01", "bits"},
		"huge count":          {"97 FF FF FF FF", "values"},
		"huge report":         {"76 00 01 96 01 02 81 02", "longer than"},
		"many small reports":  {"75 08 96 FF 3F 81 02 81 02", "longer than"},
		"page of 32 bits":     {"07 00 00 01 00", "usage page"},
		"range without start": {"29 04", "without a minimum"},
		"usages without end":  {strings.Repeat("09 01 ", 1025), "usages"},
		"too long":            {strings.Repeat("05 01 ", 2049), "bytes"},
	} {
		if _, err := Parse(unhex(t, c.descriptor)); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: got %v, want %q", name, err, c.say)
		}
	}
}

func FuzzDescriptor(f *testing.F) {
	f.Add(unhex(f, scannerHex), []byte("\x02\x03]E0abc"))
	f.Add(unhex(f, `19 FB 29 FD 05 8C 75 08 95 05 81 02`), []byte{})
	f.Add(unhex(f, strings.Repeat("A1 01 ", 64)+strings.Repeat("C0 ", 64)), []byte{1})
	f.Fuzz(func(t *testing.T, descriptor, report []byte) {
		d, err := Parse(descriptor)
		if err != nil {
			return
		}
		_, data := d.Split(report)
		for _, field := range d.Fields {
			if end := field.Offset + field.Size*field.Count; end > maxReportBits {
				t.Fatalf("a field ends at bit %d", end)
			}
			for i, u := range field.Usages {
				s, ok := d.Input(0, u)
				if !ok {
					continue
				}
				if n := d.Length(Input, s.Report); s.Offset+s.Size*s.Count > n*8 {
					t.Fatalf("a value at bit %d of a report of %d bytes", s.Offset, n)
				}
				if b := s.Bytes(data); len(b) > len(data) || len(b) > s.Count {
					t.Fatalf("%d bytes of a report of %d", len(b), len(data))
				}
				s.Value(data, i)
			}
		}
	})
}
