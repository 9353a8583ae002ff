package technician

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
	"posd/tid"
)

func rules() tid.Rules { return tid.Rules{Payment: true, Country: "US", Issuer: "0001"} }

// burstOf makes a burst of what a recording holds.
func burstOf(t testing.TB, file string) *Burst {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	b := &Burst{Source: drivers.Source{Device: "front", Path: "/dev/x", Settings: driver.Settings{}}}
	for k, v := range rec.Settings {
		b.Source.Settings[k] = v
	}
	b.Source.Attributes = driver.Attributes{Transport: driver.Transport(rec.Transport), Vendor: rec.Vendor, Product: rec.Product, Descriptor: rec.Descriptor}
	for _, h := range rec.More {
		if h.Key == "driver" {
			b.Source.Driver = h.Value
			if d, err := drivers.Find(h.Value); err == nil {
				b.Source.Role = d.Role
			}
		}
	}
	for _, e := range rec.Entries {
		data := e.Data
		if rec.Transport == recording.Evdev {
			data = e.Event.Append(nil)
		}
		if !e.ToDevice {
			b.Reads = append(b.Reads, driver.Read{At: time.Unix(0, 0).Add(e.At), Data: data})
		}
	}
	return b
}

// all gives every recording of the drivers.
func all(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../drivers/testdata/*.rec")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	return files
}

// Of the recordings of card readers and keypads nothing is left but what says
// how they are laid out.
func TestMaskLeavesNoNumbers(t *testing.T) {
	number := regexp.MustCompile(`[0-9]{4,}`)
	masked := 0
	for _, file := range all(t) {
		b := burstOf(t, file)
		if b.Source.Role == driver.Scanner {
			continue
		}
		if !mask(b, rules(), false) {
			t.Errorf("%s: not masked", file)
		}
		masked++
		for _, n := range number.FindAllString(said(b), -1) {
			if strings.Trim(n, "9") != "" {
				t.Errorf("%s: %s is left", file, n)
			}
		}
	}
	if masked < 15 {
		t.Errorf("only %d recordings of card readers and keypads", masked)
	}
}

// A masked recording is still read by its driver, without a number.
func TestMaskedSwipesAreStillSwipes(t *testing.T) {
	b := burstOf(t, "../drivers/testdata/msr-bank.rec")
	mask(b, rules(), false)
	h := heard(b, rules())
	if h.Best != "serial-msr" || len(h.Events()) == 0 || h.Events()[0].Type != driver.Swipe || h.Events()[0].Last4 == "1111" {
		t.Errorf("got %+v", h)
	}
}

// Labels of goods are evidence, and stay as they are.
func TestGoodsAreNotMasked(t *testing.T) {
	for _, name := range []string{"upca", "ean13", "aim", "datalogic", "hidpos-long", "crlf", "noise"} {
		b := burstOf(t, "../drivers/testdata/"+name+".rec")
		before := said(b)
		if mask(b, rules(), false) || said(b) != before {
			t.Errorf("%s was masked: %q", name, said(b))
		}
	}
}

func scanBurst(label string) *Burst {
	return &Burst{
		Source: drivers.Source{Role: driver.Scanner, Driver: "serial-scanner", Path: "/dev/x", Attributes: driver.Attributes{Transport: driver.TTY}, Settings: driver.Settings{}},
		Reads:  []driver.Read{{At: time.Unix(0, 0), Data: []byte(label + "\r")}},
	}
}

// A scanner may scan a card's number or a person's.
func TestPersonsLabelsAreMasked(t *testing.T) {
	for _, label := range []string{"4111111111111111", "]C18018950600000000000017", "378282246310005", "%B4111111111111111^A/B^30121010000?"} {
		if b := scanBurst(label); !mask(b, rules(), false) || strings.ContainsAny(said(b), "12345678") {
			t.Errorf("%s: %q", label, said(b))
		}
	}
}

func TestTestCardsMayStay(t *testing.T) {
	const track = "%%B%s^CARD/TEST^30121010000000000000?;%s=30121010000000000000?"
	for number, want := range map[string]bool{
		"4111111111111111": false, "5555555555554444": false, "4111111111111112": true, "4539578763621486": true,
	} {
		b := scanBurst(strings.ReplaceAll(strings.ReplaceAll(track, "%%", "%"), "%s", number))
		b.Source.Role = driver.MSR
		if got := mask(b, rules(), true); got != want || strings.Contains(said(b), number) == want {
			t.Errorf("%s: masked %t, %q", number, got, said(b))
		}
	}
	for _, label := range []string{"4111111111111111\r4539 5787 6362 1486", "4539-5787-6362-1486 4111111111111111", "4111 1111 1111 1111\r4539 5787 6362 1486"} {
		if b := scanBurst(label); !mask(b, rules(), true) || strings.Contains(said(b), "4539") {
			t.Errorf("%q: %q", label, said(b))
		}
	}
	if b := scanBurst("4111 1111 1111 1111"); mask(b, rules(), true) {
		t.Errorf("in groups: %q", said(b))
	}
	two := scanBurst(";4111111111111111=3012101?;4539578763621486=3012101?")
	two.Source.Role = driver.MSR
	if !mask(two, rules(), true) {
		t.Error("a real number beside a test number stays")
	}
}

// Whatever a card reader sends: behind the mask no two letters or digits stand
// together that are not those of the mask.
func TestMaskProperty(t *testing.T) {
	together := regexp.MustCompile(`[0-9A-Za-z]{2,}`)
	rapid.Check(t, func(rt *rapid.T) {
		b := scanBurst("")
		b.Source.Role = rapid.SampledFrom([]driver.Role{driver.MSR, driver.Keypad}).Draw(rt, "role")
		b.Reads = nil
		for range rapid.IntRange(1, 5).Draw(rt, "reads") {
			b.Reads = append(b.Reads, driver.Read{Data: rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(rt, "data")})
		}
		before := b.size()
		mask(b, rules(), false)
		if b.size() != before {
			rt.Fatal("the length changed")
		}
		for _, s := range together.FindAllString(said(b), -1) {
			if strings.Trim(s, "9X") != "" {
				rt.Fatalf("%q is left", s)
			}
		}
	})
}

func TestMaskKeys(t *testing.T) {
	for _, layout := range keyboard.Layouts() {
		for _, how := range []keyboard.Typing{{}, {AltCodes: true}} {
			events, err := layout.Keys([]byte(";4539578763621486=3012?\r"), how)
			if err != nil {
				t.Fatal(err)
			}
			b := &Burst{Source: drivers.Source{Role: driver.MSR, Attributes: driver.Attributes{Transport: driver.Evdev}, Settings: driver.Settings{"layout": layout.String()}}}
			for _, e := range append(events, recording.Event{Type: 4, Code: 4, Value: 0x70021}) {
				b.Reads = append(b.Reads, driver.Read{Data: e.Append(nil)})
			}
			mask(b, rules(), false)
			if got := said(b); strings.ContainsAny(got, "01234567") && !how.AltCodes || strings.Contains(got, "4539") {
				t.Errorf("%s: %q", layout, got)
			}
			for e := range recording.Events(b.Reads[len(b.Reads)-1].Data) {
				if e.Value != 0 {
					t.Errorf("%s: the scan code is left", layout)
				}
			}
		}
	}
}

// said gives what a burst says.
func said(b *Burst) string { return string(text(b)) }

// maskedText gives what is left of what a device of a role sends.
func maskedText(role driver.Role, transport driver.Transport, descriptor []byte, data string) string {
	b := scanBurst("")
	b.Source.Role, b.Source.Attributes = role, driver.Attributes{Transport: transport, Descriptor: descriptor}
	b.Reads = []driver.Read{{Data: []byte(data)}}
	mask(b, rules(), false)
	return said(b)
}

// A number is masked in whatever form a reader sends it.
func TestMaskForms(t *testing.T) {
	wide := func(s string) string { return strings.Join(strings.Split(s, ""), "\x00") }
	packed := "\x02" + strings.Repeat(" ", 7) + "\x45\x39\x57\x87\x63\x62\x14\x86\x03"
	// One vendor's field of 32 values of 8 bits, in report 2.
	described := []byte{0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x85, 0x02, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x20, 0x09, 0x02, 0x81, 0x02, 0xc0}
	// The same in 64 values of 4 bits.
	nibbles := []byte{0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x85, 0x02, 0x15, 0x00, 0x25, 0x0f, 0x75, 0x04, 0x95, 0x40, 0x09, 0x02, 0x81, 0x02, 0xc0}
	for name, left := range map[string]string{
		"two bytes a character":       maskedText(driver.MSR, driver.TTY, nil, wide(";4539578763621486=3012?")),
		"packed":                      maskedText(driver.MSR, driver.TTY, nil, packed),
		"two bytes a character, HID":  maskedText(driver.MSR, driver.HIDRaw, described, "\x02"+wide("4539578763621486")),
		"packed, HID":                 maskedText(driver.MSR, driver.HIDRaw, described, "\x02\x45\x39\x57\x87\x63\x62\x14\x86"),
		"packed, HID, fields of 4":    maskedText(driver.MSR, driver.HIDRaw, nibbles, "\x02\x45\x39\x57\x87\x63\x62\x14\x86"),
		"a report that is not told":   maskedText(driver.MSR, driver.HIDRaw, described, "\x03\x45\x39\x57\x87\x63\x62\x14\x86"),
		"no descriptor":               maskedText(driver.MSR, driver.HIDRaw, nil, "\x02\x45\x39\x57\x87\x63\x62\x14\x86"),
		"two bytes, no descriptor":    maskedText(driver.MSR, driver.HIDRaw, nil, wide("4539578763621486")),
		"past the end of its report":  maskedText(driver.MSR, driver.HIDRaw, described, "\x02"+strings.Repeat("\x00", 32)+"4539578763621486"),
		"two bytes past its end, HID": maskedText(driver.MSR, driver.HIDRaw, described, "\x02"+strings.Repeat("\x00", 32)+wide("4539578763621486")),
	} {
		if slices.ContainsFunc([]byte(left), func(c byte) bool { return strings.IndexByte("45E\x87c\x14\x86", c) >= 0 }) {
			t.Errorf("%s: %q is left", name, left)
		}
	}
}

// The bits of a track are masked whole: lone bytes of them look like text. Of a
// frame of ID TECH the head is left, which tells the lengths.
func TestMaskBits(t *testing.T) {
	const bits = "\x58\x24\x84\x10\x42\x08\x21\x84\x10\x42\x08\x4d\xd4\x20\x02\x0c\x10\x42\x08\x83\x98\x10\x7e\x00"
	for head, left := range map[string]string{
		"":                                 "",
		"\x02\x18\x00\x04\x10\x00\x18\x00": "\x02\x18\x00\x04\x10\x00\x18\x00",
		"\x02\x18\x00\x84\x10\x00\x18\x00\x00\x02": "\x02\x18\x00\x84\x10\x00\x18\x00\x00\x02",
	} {
		want := left + strings.Repeat("\xaa", len(head)-len(left)+len(bits))
		if got := maskedText(driver.MSR, driver.TTY, nil, head+bits); got != want {
			t.Errorf("behind %x: % x", head, got)
		}
	}
}

// A card that is swiped at a keyboard's reader is masked whatever layout is
// configured, and whatever the device is said to be.
func TestMaskKeysOfAnotherLayout(t *testing.T) {
	for _, layout := range keyboard.Layouts() {
		events, err := layout.Keys([]byte("4539578763621486\r"), keyboard.Typing{})
		if err != nil {
			t.Fatal(err)
		}
		for _, configured := range keyboard.Layouts() {
			b := &Burst{Source: drivers.Source{Role: driver.Scanner, Attributes: driver.Attributes{Transport: driver.Evdev}, Settings: driver.Settings{"layout": configured.String()}}}
			for _, e := range events {
				b.Reads = append(b.Reads, driver.Read{Data: e.Append(nil)})
			}
			if !mask(b, rules(), false) || string(typed(b, layout)) != strings.Repeat("9", 16)+"\r" {
				t.Errorf("%s, read as %s: %q", layout, configured, string(typed(b, layout)))
			}
		}
	}
}

// A number that was cut in two is no number, and is masked all the same.
func TestMaskWhatWasCut(t *testing.T) {
	c := collector{open: map[string]*Burst{}, cut: map[string]bool{}, more: make(chan struct{}, 1)}
	var left []string
	c.take = func(b *Burst) { mask(b, rules(), false); left = append(left, said(b)) }
	s := scanBurst("").Source
	for _, part := range []string{strings.Repeat("#", maxBurst) + "45395787", "63621486\r"} {
		c.hear(s, driver.Read{At: time.Unix(0, 0), Data: []byte(part)})
		c.flush(time.Unix(0, 0))
	}
	c.flush(time.Unix(10, 0))
	c.hear(s, driver.Read{At: time.Unix(20, 0), Data: []byte("036000291452\r")})
	c.flush(time.Unix(30, 0))
	if len(left) != 3 || strings.Contains(left[0], "45") || strings.Contains(left[1], "63") || left[2] != "036000291452\r" {
		t.Errorf("%.20q", left)
	}
	c.hear(s, driver.Read{At: time.Unix(40, 0), Data: []byte("036000291452\r")})
	c.close()
	if c.hear(s, driver.Read{Data: []byte("1")}); len(c.open) != 0 {
		t.Error("what came too late is kept")
	}
}
