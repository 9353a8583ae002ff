package barcode

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
	"posd/drivers/recording"
	"posd/scanner"
	"posd/tid"
)

func record(t testing.TB, name string) recording.Recording {
	t.Helper()
	text, err := os.ReadFile("../testdata/" + name + ".rec")
	if err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// attributes gives what a recording says of its device.
func attributes(rec recording.Recording) driver.Attributes {
	return driver.Attributes{Transport: driver.Transport(rec.Transport), Vendor: rec.Vendor, Product: rec.Product, Descriptor: rec.Descriptor}
}

func at(s float64) time.Time { return time.Unix(0, 0).Add(time.Duration(s * float64(time.Second))) }

// readings collects what a decoder emits.
type readings []driver.Reading

func (r *readings) emit(e driver.Reading) { *r = append(*r, e) }

func (r *readings) codes() string {
	var all []string
	for _, e := range *r {
		if p := e.Problem(); p != nil {
			all = append(all, p.Code)
		} else {
			all = append(all, e.Scan.Label)
		}
	}
	*r = nil
	return strings.Join(all, " ")
}

func TestHIDPOSIsCertain(t *testing.T) {
	d := HIDPOS()
	for _, name := range []string{"hidpos", "hidpos-nocount", "hidpos-honeywell", "hidpos-joined", "hidpos-cradle", "hidpos-dumb", "hidpos-base"} {
		if a := attributes(record(t, name)); !d.Claim(a) || !d.Adopt(a) {
			t.Errorf("%s: claim %v, adopt %v", name, d.Claim(a), d.Adopt(a))
		}
	}
	// STMicroelectronics' demonstration has its page where bar code scanners are,
	// and many a device is made after it.
	for name, descriptor := range map[string][]byte{
		"none":       nil,
		"a demo":     {0x05, 0x8c, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x03, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0xc0},
		"usage 06":   {0x05, 0x8c, 0x09, 0x06, 0xa1, 0x01, 0x09, 0xfe, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0xc0},
		"no data":    {0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x12, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0xc0},
		"id for one": {0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x09, 0xfe, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0x85, 0x01, 0x09, 0x15, 0x81, 0x02, 0xc0},
		"cut off":    {0x05, 0x8c, 0x09, 0x02, 0xa1},
	} {
		if a := (driver.Attributes{Transport: driver.HIDRaw, Descriptor: descriptor}); d.Claim(a) || d.Adopt(a) {
			t.Errorf("%s: claim %v, adopt %v", name, d.Claim(a), d.Adopt(a))
		}
	}
}

func TestHIDPOSBeep(t *testing.T) {
	d, honeywell := HIDPOS(), attributes(record(t, "hidpos-honeywell"))
	host := driver.Settings{"beep": "host"}
	good, bad, err := d.Signals(honeywell, host)
	if err != nil || !reflect.DeepEqual(good, []driver.Command{{Data: []byte{4, 0x40}}}) || !reflect.DeepEqual(bad, []driver.Command{{Data: []byte{4, 0x20}}}) {
		t.Errorf("got %v, %v, %v", good, bad, err)
	}
	for _, s := range []driver.Settings{nil, {"beep": "scanner"}} {
		if good, bad, err = d.Signals(honeywell, s); good != nil || bad != nil || err != nil {
			t.Errorf("%v: got %v, %v, %v", s, good, bad, err)
		}
	}
	if good, bad, err = d.Signals(driver.Attributes{}, host); good != nil || bad != nil || err != nil {
		t.Errorf("before the device is known: got %v, %v, %v", good, bad, err)
	}
	for _, c := range []struct {
		a   driver.Attributes
		s   driver.Settings
		say string
	}{
		{attributes(record(t, "hidpos-nocount")), host, "has no beeper"},
		{driver.Attributes{Descriptor: []byte{5}}, host, "beyond the end"},
		{honeywell, driver.Settings{"beep": "loud"}, "neither"},
		{driver.Attributes{}, driver.Settings{"beep": "loud"}, "neither"},
	} {
		if _, _, err := d.Signals(c.a, c.s); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v: got %v, want %q", c.s, err, c.say)
		}
	}
	if _, err := d.Open(honeywell, driver.Settings{"beep": "loud"}, tid.Rules{}); err == nil {
		t.Error("a setting that is none is taken")
	}
}

// A beeper in another report, in its second byte, of a device without ids.
func TestHIDPOSBeepByDescriptor(t *testing.T) {
	a := driver.Attributes{Descriptor: []byte{0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x75, 0x01, 0x95, 0x0a, 0x91, 0x03, 0x95, 0x02, 0x09, 0x85, 0x09, 0x86, 0x91, 0x02, 0x95, 0x0c, 0x91, 0x03, 0xc0}}
	good, bad, err := HIDPOS().Signals(a, driver.Settings{"beep": "host"})
	if err != nil || !bytes.Equal(good[0].Data, []byte{0, 0, 0x08, 0}) || !bytes.Equal(bad[0].Data, []byte{0, 0, 0x04, 0}) {
		t.Errorf("got %v, %v, %v", good, bad, err)
	}
}

func openTalker(t testing.TB, d driver.Driver, a driver.Attributes, s driver.Settings) driver.Talker {
	t.Helper()
	dec, err := d.Open(a, s, tid.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	return dec.(driver.Talker)
}

// Output is redirected once each time that the device is opened, where it has
// the report for it.
func TestHIDPOSRedirects(t *testing.T) {
	for name, want := range map[string][]driver.Command{
		"hidpos-honeywell": {{Feature: true, Data: []byte{0xfe, 1}}},
		"hidpos":           nil,
	} {
		for range 2 {
			dec := openTalker(t, HIDPOS(), attributes(record(t, name)), nil)
			driver.Feed(dec, driver.Read{At: at(0)}, nil)
			if got := dec.Commands(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
			if got := dec.Commands(); got != nil {
				t.Errorf("%s: again %v", name, got)
			}
		}
	}
}

// What a feature report 254 is for is told by its usage or by the maker: nothing
// is written into another's.
func TestHIDPOSRedirectsNoOther(t *testing.T) {
	a := attributes(record(t, "hidpos-honeywell"))
	for _, c := range []struct {
		vendor uint16
		usage  byte
		want   bool
	}{{0x0c2e, 3, true}, {0x0c2e, 7, true}, {0x1eab, 3, true}, {0x1eab, 7, false}} {
		d := bytes.Replace(a.Descriptor, []byte{0x09, 3, 0xb2}, []byte{0x09, c.usage, 0xb2}, 1)
		dec := openTalker(t, HIDPOS(), driver.Attributes{Transport: driver.HIDRaw, Vendor: c.vendor, Descriptor: d}, nil)
		if got := len(dec.Commands()) > 0; got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// A scanner without menu may have labels under the identifier of menu replies.
func TestMenuReplyOfAnother(t *testing.T) {
	dec := openTalker(t, HIDPOS(), attributes(record(t, "hidpos-nocount")), nil)
	report := make([]byte, 35)
	copy(report, "]X09770317847001")
	var got readings
	if driver.Feed(dec, driver.Read{At: at(0), Data: report}, got.emit); got.codes() != "9770317847001" {
		t.Error("it is passed over")
	}
}

func report(n int, aim, text string, more byte) []byte {
	r := make([]byte, 64)
	r[0], r[1] = 2, byte(n)
	copy(r[2:], aim)
	copy(r[5:], text)
	r[63] = more
	return r
}

func TestHIDPOSJoining(t *testing.T) {
	dec := openTalker(t, HIDPOS(), attributes(record(t, "hidpos-honeywell")), nil)
	var got readings
	feed := func(s float64, r []byte) { driver.Feed(dec, driver.Read{At: at(s), Data: r}, got.emit) }
	full := strings.Repeat("x", 56)

	// What is left of a label with a bad report is none; the next one is read.
	feed(0, report(56, "]C0", full, 1))
	feed(0.01, report(57, "]C0", full, 0))
	feed(0.02, report(2, "]C0", "xy", 0))
	feed(0.5, report(2, "]C0", "ab", 0))
	if s := got.codes(); s != "report ab" {
		t.Errorf("a bad report between: %q", s)
	}
	// Where its rest does not come, that is told once.
	feed(0.6, report(56, "]C0", full, 1))
	feed(0.61, report(57, "]C0", full, 0))
	feed(1.7, report(2, "]C0", "ab", 0))
	if s := got.codes(); s != "report ab" {
		t.Errorf("a bad report at the end: %q", s)
	}
	feed(1.8, report(57, "]C0", full, 0))
	feed(1.9, report(2, "]C0", "ab", 0))
	if s := got.codes(); s != "report ab" {
		t.Errorf("a bad report alone: %q", s)
	}
	// A report of another id does not.
	feed(2, report(56, "]C0", full, 1))
	feed(2.01, []byte{5, 1})
	feed(2.02, report(2, "]C0", "ab", 0))
	if s := got.codes(); s != full+"ab" {
		t.Errorf("another report between: %q", s)
	}
	// Nothing is longer than a frame: one error, and the next label is read.
	for i := range 2*scanner.MaxFrame/56 + 3 {
		feed(3+float64(i)/200, report(56, "]C0", full, 1))
	}
	if s := got.codes(); s != scanner.CodeTooLong {
		t.Errorf("too long: %q", s)
	}
	feed(5.6, report(2, "]C0", "cd", 0))
	if s := got.codes(); s != "cd" {
		t.Errorf("after it: %q", s)
	}
	for i := range scanner.MaxFrame/56 + 3 {
		feed(6+float64(i)/100, report(56, "]C0", full, 1))
	}
	feed(7.7, report(2, "]C0", "ef", 0))
	feed(8.1, report(2, "]C0", "gh", 0))
	if s := got.codes(); s != scanner.CodeTooLong+" gh" {
		t.Errorf("too long, and ended: %q", s)
	}
	// What stands for the identifier and is none is passed over.
	feed(9, report(3, "ABC", "ijk", 0))
	if s := got.codes(); s != "ijk" {
		t.Errorf("no identifier: %q", s)
	}
	feed(10, report(4, "]C0", "a\x00bc", 0))
	if len(got) != 1 || got[0].Err.Code != scanner.CodeNotText || !strings.Contains(got[0].Err.Reason, "descriptor") {
		t.Errorf("NUL: %+v", got)
	}
}

// Full reports without end, where nothing else says that a label goes on.
func TestHIDPOSJoinedTooLong(t *testing.T) {
	dec := openTalker(t, HIDPOS(), attributes(record(t, "hidpos-joined")), nil)
	var got readings
	r := []byte("\x01\x3e" + strings.Repeat("x", 62))
	for i := range scanner.MaxFrame/62 + 3 {
		driver.Feed(dec, driver.Read{At: at(float64(i) / 100), Data: r}, got.emit)
	}
	driver.Feed(dec, driver.Read{At: at(5)}, got.emit)
	if s := got.codes(); s != scanner.CodeTooLong {
		t.Errorf("got %q", s)
	}
	if due := dec.Deadline(); !due.IsZero() {
		t.Errorf("it waits until %v", due)
	}
}

// A count in another report says nothing of this one.
func TestHIDPOSCountElsewhere(t *testing.T) {
	a := driver.Attributes{Descriptor: []byte{0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x01, 0x85, 0x01, 0x0b, 0x3b, 0x00, 0x01, 0x00, 0x81, 0x02,
		0x85, 0x02, 0x95, 0x08, 0x09, 0xfe, 0x81, 0x02, 0xc0}}
	dec := openTalker(t, HIDPOS(), a, nil)
	var got readings
	driver.Feed(dec, driver.Read{At: at(0), Data: []byte("\x02ABC-1\x00\x00\x00")}, got.emit)
	if s := got.codes(); s != "ABC-1" {
		t.Errorf("got %q", s)
	}
}

// The buffer that had the track of a card in it has nothing of it.
func TestHIDPOSClearsTracks(t *testing.T) {
	dec := openTalker(t, HIDPOS(), attributes(record(t, "hidpos-honeywell")), nil).(*posDecoder)
	var got readings
	driver.Feed(dec, driver.Read{At: at(0), Data: report(26, "\x00\x00\x00", ";4111111111111111=30121010", 1)}, got.emit)
	driver.Feed(dec, driver.Read{At: at(0), Data: report(3, "\x00\x00\x00", "?\r\n", 0)}, got.emit)
	if s := got.codes(); s != "card-data" {
		t.Fatalf("got %q", s)
	}
	if b := dec.parts.text[:cap(dec.parts.text)]; bytes.ContainsAny(b, "14") {
		t.Errorf("the buffer holds %q", bytes.Trim(b, "\x00"))
	}
}
