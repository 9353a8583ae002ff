package barcode

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"posd/drivers/driver"
	"posd/scanner"
	"posd/tid"
)

func TestIBMClaims(t *testing.T) {
	d := IBM()
	for _, name := range []string{"ibm-handheld", "ibm-tabletop", "ibm-parts"} {
		if a := attributes(record(t, name)); !d.Claim(a) || !d.Adopt(a) {
			t.Errorf("%s: claim %v, adopt %v", name, d.Claim(a), d.Adopt(a))
		}
	}
	bare := driver.Attributes{Transport: driver.USBFS}
	if !d.Claim(bare) || d.Adopt(bare) {
		t.Errorf("a device without descriptor: claim %v, adopt %v", d.Claim(bare), d.Adopt(bare))
	}
	for name, a := range map[string]driver.Attributes{
		"none":     {Transport: driver.HIDRaw},
		"cut off":  {Transport: driver.USBFS, Descriptor: []byte{0x06, 0x45}},
		"a scale":  {Transport: driver.HIDRaw, Descriptor: []byte{0x06, 0x45, 0xff, 0x0a, 0x00, 0x6e, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0xc0}},
		"flash":    {Transport: driver.HIDRaw, Descriptor: []byte{0x06, 0x45, 0xff, 0x0a, 0x00, 0xa0, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x02, 0x81, 0x02, 0xc0}},
		"no input": {Transport: driver.USBFS, Descriptor: []byte{0x06, 0x45, 0xff, 0x0a, 0x00, 0x4b, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xc0}},
		"in bits":  {Transport: driver.HIDRaw, Descriptor: []byte{0x06, 0x45, 0xff, 0x0a, 0x00, 0x4b, 0xa1, 0x01, 0x75, 0x03, 0x95, 0x01, 0x81, 0x02, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0xc0}},
		"HID POS":  attributes(record(t, "hidpos")),
	} {
		if d.Claim(a) || d.Adopt(a) {
			t.Errorf("%s: claim %v, adopt %v", name, d.Claim(a), d.Adopt(a))
		}
	}
}

func commands(all ...string) (c []driver.Command) {
	for _, s := range all {
		c = append(c, driver.Command{Data: append([]byte("\x00"+s), make([]byte, 11-len(s))...)})
	}
	return c
}

const okStatus = "\x04\x10\x03\x00"

func TestIBMTalk(t *testing.T) {
	dec := openTalker(t, IBM(), attributes(record(t, "ibm-parts")), nil)
	var got readings
	step := func(s float64, data string, want ...string) {
		t.Helper()
		driver.Feed(dec, driver.Read{At: at(s), Data: []byte(data)}, got.emit)
		if said := dec.Commands(); !reflect.DeepEqual(said, commands(want...)) {
			t.Errorf("at %g s it says %v, want %v", s, said, commands(want...))
		}
	}
	const hours = 3600
	if said := dec.Commands(); said != nil {
		t.Errorf("before it begins it says %v", said)
	}
	step(5*hours, "", "\x11", "\x00\x20") // whenever it begins
	step(5*hours+9.9, "")
	step(5*hours+10, "", "\x00\x20")
	step(5*hours+10.1, okStatus)
	step(5*hours+20, "") // ten seconds since it was heard of
	step(5*hours+20.1, "", "\x00\x20")
	step(5*hours+20.2, "\x0d\x10\x03\x0096385074\x0c")
	step(5*hours+30.1, "")
	step(15*hours, "", "\x00\x20") // once, however long the computer slept
	step(15*hours+0.1, "\x04\x00\x01\x00", "\x11", "\x00\x20")
	step(15*hours+0.9, "\x04\x00\x01\x00") // it may not have come to it
	step(15*hours+1.05, "")
	step(15*hours+1.1, "", "\x00\x20")
	step(15*hours+1.2, "\x04\x00\x01\x00", "\x11", "\x00\x20")
	step(15*hours+2.3, "\x04\x00\x01\x00", "\x11", "\x00\x20")
	if s := got.codes(); s != "96385074 not-enabled" {
		t.Errorf("readings: %q", s)
	}
	step(15*hours+3, okStatus)
	step(15*hours+4, "\x04\x00\x01\x00", "\x11", "\x00\x20")
	step(15*hours+5.1, "\x04\x00\x01\x00", "\x11", "\x00\x20")
	if s := got.codes(); s != "not-enabled" {
		t.Errorf("disabled anew: %q", s)
	}
}

func TestIBMBeep(t *testing.T) {
	datalogic := attributes(record(t, "ibm-parts"))
	for beep, want := range map[string]string{"": "\x11", "scanner": "\x14", "off": "\x18", "host": "\x18"} {
		dec := openTalker(t, IBM(), datalogic, driver.Settings{"beep": beep})
		driver.Feed(dec, driver.Read{At: at(0)}, nil)
		if said := dec.Commands(); !reflect.DeepEqual(said[0], commands(want)[0]) {
			t.Errorf("beep %q: it says %v first", beep, said)
		}
		good, bad, err := IBM().Signals(datalogic, driver.Settings{"beep": beep})
		if host := beep == "host"; err != nil || host != (good != nil) || host != (bad != nil) {
			t.Errorf("beep %q: signals %v, %v, %v", beep, good, bad, err)
		}
	}
	good, bad, err := IBM().Signals(datalogic, driver.Settings{"beep": "host"})
	if !reflect.DeepEqual(good, commands("\x30\x00\x04")) || !reflect.DeepEqual(bad, commands("\x30\x00\x05")) || err != nil {
		t.Errorf("got %v, %v, %v", good, bad, err)
	}
	if good, bad, err = IBM().Signals(driver.Attributes{}, driver.Settings{"beep": "host"}); good != nil || bad != nil || err != nil {
		t.Errorf("before the device is known: got %v, %v, %v", good, bad, err)
	}
	if _, _, err := IBM().Signals(attributes(record(t, "ibm-handheld")), driver.Settings{"beep": "host"}); err == nil || !strings.Contains(err.Error(), "Datalogic") {
		t.Errorf("another maker's: %v", err)
	}
	if _, _, err := IBM().Signals(driver.Attributes{}, driver.Settings{"beep": "loud"}); err == nil {
		t.Error("a beep that is none")
	}
	if _, err := IBM().Open(datalogic, driver.Settings{"beep": "loud"}, tid.Rules{}); err == nil {
		t.Error("a beep that is none, in Open")
	}
}

// A descriptor whose reports have ids, and stand among others.
func TestIBMReportIDs(t *testing.T) {
	a := driver.Attributes{Transport: driver.HIDRaw, Descriptor: []byte{0x06, 0x45, 0xff, 0x0a, 0x00, 0x4b, 0xa1, 0x01, 0x75, 0x08,
		0x85, 0x05, 0x95, 0x02, 0x81, 0x02, 0x91, 0x02, 0x85, 0x07, 0x95, 0x01, 0x81, 0x03, 0x95, 0x20, 0x09, 0x02, 0x81, 0x02, 0x85, 0x09, 0x95, 0x10, 0x09, 0x03, 0x91, 0x02,
		0x85, 0x0a, 0x95, 0x20, 0x81, 0x02, 0x91, 0x02, 0xc0}}
	dec := openTalker(t, IBM(), a, nil)
	driver.Feed(dec, driver.Read{At: at(0)}, nil)
	said := dec.Commands()
	if len(said) != 2 || !bytes.Equal(said[0].Data, append([]byte{9, 0x11}, make([]byte, 15)...)) {
		t.Errorf("it says %v", said)
	}
	var got readings
	driver.Feed(dec, driver.Read{At: at(1), Data: []byte("\x08\xaa\x0d\x10\x03\x0096385074\x0c")}, got.emit)
	driver.Feed(dec, driver.Read{At: at(1), Data: []byte("\x07\xaa\x0d\x10\x03\x0096385074\x0c\x00")}, got.emit)
	driver.Feed(dec, driver.Read{At: at(1), Data: []byte("\x07")}, got.emit)
	if s := got.codes(); s != "96385074 report" {
		t.Errorf("got %q", s)
	}
}

func ibmReport(status, body string) []byte {
	return []byte(string(rune(4+len(body))) + status + body)
}

// However a label is cut into parts, it is the same.
func TestIBMJoinsParts(t *testing.T) {
	a := attributes(record(t, "ibm-parts"))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ -~]{1,400}`).Filter(func(s string) bool { return !looksLikeTrack([]byte(s)) }).Draw(t, "text")
		dec, err := IBM().Open(a, nil, tid.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		var got readings
		now := 0.0
		send := func(body string) {
			now += rapid.Float64Range(0, 0.29).Draw(t, "pause")
			driver.Feed(dec, driver.Read{At: at(now), Data: ibmReport("\x10\x03\x00", body)}, got.emit)
		}
		for rest := text; ; {
			n := rapid.IntRange(0, min(57, len(rest))).Draw(t, "length")
			if n == len(rest) {
				send(rest + "\x00\x18\x0b")
				break
			}
			id := rapid.SampledFrom([]string{"\x10\x18\x0b", "\x10\xff\x0b", "\x10\x10\x10\x00", "\x14\x00\x00\x00"}).Draw(t, "id")
			send(rest[:n] + id)
			rest = rest[n:]
			if rapid.Bool().Draw(t, "status") {
				driver.Feed(dec, driver.Read{At: at(now), Data: []byte(okStatus)}, got.emit)
			}
		}
		if len(got) != 1 || got[0].Type != driver.Scan {
			t.Fatalf("%d readings: %+v", len(got), got)
		}
		if s := got[0].Scan; string(s.Data) != text || s.Label != text || s.Symbology != scanner.Code128 {
			t.Fatalf("got %q", s.Data)
		}
	})
}

func TestIBMSpoiledParts(t *testing.T) {
	dec := openTalker(t, IBM(), attributes(record(t, "ibm-parts")), nil)
	var got readings
	now := 0.0
	feed := func(r []byte) {
		now += 0.1
		driver.Feed(dec, driver.Read{At: at(now), Data: r}, got.emit)
	}
	for name, bad := range map[string][]byte{
		"report":                     {64},
		scanner.CodeUnknownSymbology: ibmReport("\x10\x03\x00", "xyz"),
		"hardware":                   ibmReport("\x30\x03\x00", "xyz\x10\x18\x0b"),
	} {
		feed(ibmReport("\x10\x03\x00", "abc\x10\x18\x0b"))
		feed(bad)
		feed(ibmReport("\x10\x03\x00", "def\x00\x18\x0b"))
		feed(ibmReport("\x10\x03\x00", "ghi\x00\x18\x0b"))
		if s := got.codes(); s != name+" ghi" {
			t.Errorf("%s: got %q", name, s)
		}
	}
	for range scanner.MaxFrame/57 + 3 {
		feed(ibmReport("\x10\x03\x00", strings.Repeat("x", 57)+"\x10\x18\x0b"))
	}
	feed(ibmReport("\x10\x03\x00", "end\x00\x18\x0b"))
	if s := got.codes(); s != scanner.CodeTooLong {
		t.Errorf("too long: %q", s)
	}
}

// Where the identifier of a label begins in one part and ends in the next, these
// are one label; where the rest of one was lost, it is no part of another.
func TestIBMIdentifierInTwoParts(t *testing.T) {
	dec := openTalker(t, IBM(), attributes(record(t, "ibm-parts")), nil)
	now := 0.0
	for _, c := range []struct{ parts, want string }{
		{"abc\x00\x33\x10\x33\x0b|\x0b", "abc"},
		{"abc\x00\x10\x33\x0b|\x33\x0b", "abc"},
		{"abc\x00\x33\x10\xff\x0b|\x0b", "abc"},
		{"a\x10\x33\x0b|bc\x00\x33\x10\x33\x0b|\x0b", "abc"},
		{"abcd\x33\x10\x33\x0b|\x0b", scanner.CodeUnknownSymbology}, // it does not begin as an identifier
		{"abc\x00\x33\x10\x33\x0b|\x0c", scanner.CodeIncomplete + " " + scanner.CodeEmpty},
		{"\x33\x10\x33\x0b|\x0b", scanner.CodeUnknownSymbology},
		{"\x0b", scanner.CodeUnknownSymbology},
		{"abc\x10\x33\x0b|96385074\x0c", scanner.CodeIncomplete + " 96385074"},
		{"abc\x10\x33\x0b|def\x10\x18\x0b|g\x00\x18\x0b", scanner.CodeIncomplete + " defg"},
		{"abc\x10\x33\x0b|xyz|def\x00\x18\x0b", scanner.CodeUnknownSymbology + " def"}, // spoiled, and then another
		{"abc\x10\xff\x0b|def\x00\x18\x0b", "abcdef"},
	} {
		var got readings
		now += 10
		for _, body := range strings.Split(c.parts, "|") {
			now += 0.1
			driver.Feed(dec, driver.Read{At: at(now), Data: append([]byte{byte(4 + len(body)), 0x10, 3, 0}, body...)}, got.emit)
		}
		if s := got.codes(); s != c.want {
			t.Errorf("%q: got %q, want %q", c.parts, s, c.want)
		}
	}
}

// A label that was begun does not wait for the next poll to end, nor does the
// poll wait for it.
func TestIBMDeadlines(t *testing.T) {
	dec := openTalker(t, IBM(), attributes(record(t, "ibm-parts")), nil)
	if due := dec.Due(); !due.Equal(driver.Start()) {
		t.Errorf("at first: %v", due)
	}
	driver.Feed(dec, driver.Read{At: at(100)}, nil)
	if due := dec.Due(); !due.Equal(at(110)) || !dec.Deadline().IsZero() {
		t.Errorf("begun: %v", due)
	}
	driver.Feed(dec, driver.Read{At: at(104), Data: ibmReport("\x10\x03\x00", "abc\x10\x18\x0b")}, nil)
	if due := dec.Deadline(); !due.Equal(at(104.3)) {
		t.Errorf("in a label: %v", due)
	}
	var got readings
	if dec.Expire(at(104.2), got.emit); len(got) > 0 {
		t.Errorf("too soon: %+v", got)
	}
	driver.Feed(dec, driver.Read{At: at(105.5)}, got.emit)
	if s := got.codes(); s != "incomplete" || !dec.Deadline().IsZero() || !dec.Due().Equal(at(114)) {
		t.Errorf("got %q, %v", s, dec.Due())
	}
}

// Of a label that was not to be taken nothing is left: it may have been a card's.
func TestPartsForget(t *testing.T) {
	for name, after := range map[string]func(p *parts){
		"spoiled":  func(p *parts) { p.spoil() },
		"expired":  func(p *parts) { p.expire(new(readings).emit) },
		"too long": func(p *parts) { p.add(make([]byte, scanner.MaxFrame), true, at(0), new(readings).emit) },
	} {
		p := newParts()
		p.add([]byte(";4111111111111111"), true, at(0), nil)
		if after(&p); bytes.Contains(p.text[:cap(p.text)], []byte("4111")) {
			t.Errorf("%s: the buffer holds it", name)
		}
	}
}

// A state of the scanner that does not touch labels costs none.
func TestIBMLabelsInStates(t *testing.T) {
	for status, want := range map[string]string{
		"\x90\x03\x00": "not-ready 96385074 96385074", "\x11\x03\x00": "firmware 96385074 96385074", "\x10\x83\x00": "command-reject 96385074 96385074",
		"\x30\x03\x00": "hardware hardware", "\x10\x07\x00": "check-digit check-digit",
	} {
		dec := openTalker(t, IBM(), attributes(record(t, "ibm-parts")), nil)
		var got readings
		for range 2 {
			driver.Feed(dec, driver.Read{At: at(1), Data: ibmReport(status, "96385074\x0c")}, got.emit)
		}
		if s := got.codes(); s != want {
			t.Errorf("%x: got %q, want %q", status, s, want)
		}
	}
	// By themselves, states are told once, and bad labels each time.
	dec := openTalker(t, IBM(), attributes(record(t, "ibm-parts")), nil)
	var got readings
	for _, status := range []string{"\x30\x03\x00", "\x30\x03\x00", "\x10\x07\x00", "\x10\x07\x00", "\x30\x03\x00"} {
		driver.Feed(dec, driver.Read{At: at(1), Data: ibmReport(status, "")}, got.emit)
	}
	if s := got.codes(); s != "hardware check-digit check-digit hardware" {
		t.Errorf("by themselves: got %q", s)
	}
}

func TestIBMClearsTracks(t *testing.T) {
	dec := openTalker(t, IBM(), attributes(record(t, "ibm-parts")), nil).(*ibmDecoder)
	var got readings
	driver.Feed(dec, driver.Read{At: at(0), Data: ibmReport("\x10\x03\x00", ";4111111111111111=3012\x10\x18\x0b")}, got.emit)
	driver.Feed(dec, driver.Read{At: at(0), Data: ibmReport("\x10\x03\x00", "1010?\x00\x18\x0b")}, got.emit)
	if s := got.codes(); s != "card-data" {
		t.Fatalf("got %q", s)
	}
	if b := dec.parts.text[:cap(dec.parts.text)]; bytes.ContainsAny(b, "0123456789") {
		t.Errorf("the buffer holds %q", bytes.Trim(b, "\x00"))
	}
}

// Only the digits of EAN and UPC come as numbers.
func TestIBMTabInLabel(t *testing.T) {
	dec := openTalker(t, IBM(), attributes(record(t, "ibm-tabletop")), nil)
	var got readings
	driver.Feed(dec, driver.Read{At: at(0), Data: ibmReport("\x10\x03\x00", "A\tB\x00\x18\x0b")}, got.emit)
	if s := got.codes(); s != "A\tB" {
		t.Errorf("got %q", s)
	}
}

// Identifiers are told apart, and each is in its table once.
func TestIBMIdentifiers(t *testing.T) {
	for name, table := range map[string][]ibmID{"one byte": ibmShort[:], "three bytes": ibmLong[:]} {
		seen := map[byte]bool{}
		for _, k := range table {
			if seen[k.id] || k.symbology == "" {
				t.Errorf("%s: %+v", name, k)
			}
			seen[k.id] = true
		}
	}
	if got := fmt.Sprint(len(ibmShort), len(ibmLong)); got != "4 32" {
		t.Errorf("there are %s identifiers", got)
	}
}
