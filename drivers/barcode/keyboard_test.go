package barcode

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
	"posd/scanner"
	"posd/tid"
)

// keyBits gives the bits of keys that a device has.
func keyBits(codes ...uint16) []uint64 {
	bits := make([]uint64, 12)
	for _, c := range codes {
		bits[c/64] |= 1 << (c % 64)
	}
	return bits
}

func TestKeyboardClaims(t *testing.T) {
	letters := []uint16{keyboard.KeyEnter, keyboard.KeyA, keyboard.KeyZ, keyboard.Key1, keyboard.Key0}
	for name, c := range map[string]struct {
		a    driver.Attributes
		want bool
	}{
		"a keyboard":   {driver.Attributes{Transport: driver.Evdev, Keys: keyBits(letters...)}, true},
		"unknown keys": {driver.Attributes{Transport: driver.Evdev}, true},
		"a mouse":      {driver.Attributes{Transport: driver.Evdev, Keys: keyBits(0x110, 0x111)}, false},
		"a keypad":     {driver.Attributes{Transport: driver.Evdev, Keys: keyBits(keyboard.KeyKPEnter, keyboard.KeyKP0, keyboard.KeyKP1)}, false},
		"a line":       {driver.Attributes{Transport: driver.TTY}, false},
	} {
		if got := Keyboard().Claim(c.a); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if Keyboard().Adopt != nil || Serial().Adopt != nil {
		t.Error("what does not tell itself is read without being configured")
	}
}

func TestKeyboardSettings(t *testing.T) {
	for say, s := range map[string]driver.Settings{
		"layout":        {"layout": "xx"},
		"function_keys": {"function_keys": "DOWN"},
		"pace":          {"pace": "0"},
		"terminator":    {"terminator": "END"},
		"suffix":        {"suffix": "0x0"},
	} {
		if _, err := Keyboard().Open(driver.Attributes{}, s, tid.Rules{}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: got %v, want %q", s, err, say)
		}
	}
}

// typist types on a decoder, an event every step.
type typist struct {
	t   testing.TB
	dec driver.Decoder
	got readings
	now time.Time
}

func newTypist(t testing.TB, s driver.Settings) *typist {
	t.Helper()
	dec, err := Keyboard().Open(driver.Attributes{Transport: driver.Evdev}, s, tid.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	return &typist{t: t, dec: dec, now: at(0)}
}

func (y *typist) event(e recording.Event, step time.Duration) {
	y.now = y.now.Add(step)
	driver.Feed(y.dec, driver.Read{At: y.now, Data: e.Append(nil)}, y.got.emit)
}

func (y *typist) text(l keyboard.Layout, how keyboard.Typing, step time.Duration, s string) {
	events, err := l.Keys([]byte(s), how)
	if err != nil {
		y.t.Fatal(err)
	}
	for _, e := range events {
		if e.Type == keyboard.EvKey {
			y.event(e, step)
		}
	}
}

func (y *typist) wait(d time.Duration) {
	y.now = y.now.Add(d)
	driver.Feed(y.dec, driver.Read{At: y.now}, y.got.emit)
}

// A label is what was typed, on every layout, in every way of typing.
func TestKeyboardProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := rapid.SampledFrom(keyboard.Layouts()).Draw(r, "layout")
		how := keyboard.Typing{
			CapsLock: rapid.Bool().Draw(r, "caps"), Toggle: rapid.Bool().Draw(r, "toggle"),
			AltCodes: rapid.Bool().Draw(r, "alt"), Keypad: rapid.Bool().Draw(r, "keypad"),
		}
		label := rapid.StringMatching(`[ -~\x1d]{2,40}`).Filter(func(s string) bool { return !looksLikeTrack([]byte(s)) }).Draw(r, "label")
		events, err := l.Keys([]byte(label+"\r"), how)
		if err != nil {
			r.Skip("the layout has not all of it")
		}
		dec, err := Keyboard().Open(driver.Attributes{}, driver.Settings{"layout": l.String()}, tid.Rules{})
		if err != nil {
			r.Fatal(err)
		}
		var got readings
		now := at(0)
		if how.CapsLock {
			driver.Feed(dec, driver.Read{At: now, Data: recording.Event{Type: keyboard.EvLED, Code: keyboard.LEDCapsLock, Value: 1}.Append(nil)}, got.emit)
		}
		for len(events) > 0 { // some events in a read
			n := rapid.IntRange(1, min(9, len(events))).Draw(r, "events")
			var data []byte
			for _, e := range events[:n] {
				data = e.Append(data)
			}
			events = events[n:]
			now = now.Add(8 * time.Millisecond)
			driver.Feed(dec, driver.Read{At: now, Data: data}, got.emit)
		}
		if len(got) != 1 || string(got[0].Scan.Data) != label {
			r.Fatalf("got %+v", got)
		}
	})
}

func TestKeyboardPace(t *testing.T) {
	us := keyboard.US
	y := newTypist(t, nil)
	y.text(us, keyboard.Typing{}, 24*time.Millisecond, "96385074\r") // 48 ms a key
	y.wait(time.Second)
	y.text(us, keyboard.Typing{}, 26*time.Millisecond, "96385074\r")
	y.wait(time.Second)
	y.text(us, keyboard.Typing{AltCodes: true}, 8*time.Millisecond, "96385074\r") // 80 ms a character, 16 a key
	y.wait(time.Second)
	// One pause, as of a busy USB hub, is no pace.
	y.text(us, keyboard.Typing{}, 8*time.Millisecond, "9638")
	y.wait(200 * time.Millisecond)
	y.text(us, keyboard.Typing{}, 8*time.Millisecond, "5074\r")
	y.wait(time.Second)
	// What came before a label is not of it.
	y.text(us, keyboard.Typing{}, 8*time.Millisecond, "\r")
	y.wait(time.Second)
	y.text(us, keyboard.Typing{}, 8*time.Millisecond, "96385074\r")
	if s := y.got.codes(); s != "96385074 typed 96385074 96385074 96385074" {
		t.Errorf("got %q", s)
	}
	y = newTypist(t, driver.Settings{"pace": "none", "terminator": "none"})
	y.text(us, keyboard.Typing{}, 40*time.Millisecond, "96385074")
	y.wait(time.Second)
	y.text(us, keyboard.Typing{}, 40*time.Millisecond, "7")
	y.wait(time.Second)
	if s := y.got.codes(); s != "96385074 7" {
		t.Errorf("at any pace: got %q", s)
	}
}

var droppedEvent = recording.Event{Type: keyboard.EvSyn, Code: keyboard.SynDropped}

func TestKeyboardLoss(t *testing.T) {
	us, z, step := keyboard.US, keyboard.Typing{}, 8*time.Millisecond
	y := newTypist(t, nil)
	y.text(us, z, step, "9638")
	y.event(droppedEvent, step)
	y.text(us, z, step, "50")
	y.event(droppedEvent, step)
	y.text(us, z, step, "74\r")
	y.wait(afterLoss)
	y.text(us, z, step, "5901234123457\r")
	if s := y.got.codes(); s != "keys-lost keys-lost 5901234123457" {
		t.Errorf("within a label: got %q", s)
	}
	// The rest of a label may come, and its end not.
	y.event(droppedEvent, step)
	y.text(us, z, step, "5074")
	y.wait(afterLoss)
	y.text(us, z, step, "96385074\r")
	if s := y.got.codes(); s != "keys-lost 96385074" {
		t.Errorf("without end: got %q", s)
	}
	// What comes without a silence may be of the same label.
	y.event(droppedEvent, step)
	y.text(us, z, step, "DAQT64235789\rDCSSAMPLE\r")
	y.wait(afterLoss - 3*step)
	y.text(us, z, step, "DACMICHAEL\r")
	y.wait(5 * time.Second)
	y.text(us, z, step, "96385074\r")
	if s := y.got.codes(); s != "keys-lost 96385074" {
		t.Errorf("in lines: got %q", s)
	}
	// Keys may be lost from the first on.
	y.wait(5 * time.Second)
	y.event(droppedEvent, 0)
	y.text(us, z, step, "5074\r")
	y.wait(5 * time.Second)
	if s := y.got.codes(); s != "keys-lost" {
		t.Errorf("the first of a label: got %q", s)
	}
	// What silence has ended is told once.
	y.event(droppedEvent, step)
	y.text(us, z, step, "5074")
	y.wait(5 * time.Second)
	if s := y.got.codes(); s != "keys-lost" || !y.dec.Deadline().IsZero() {
		t.Errorf("ended by silence: got %q, and it waits until %v", s, y.dec.Deadline())
	}
	// A licence that has begun goes on being none.
	y.text(us, z, step, "@\n\x1e\rANSI 6360")
	y.event(droppedEvent, step)
	y.text(us, z, step, "DAQT64235789\nDCSSAMPLE\r")
	y.wait(5 * time.Second)
	if s := y.got.codes(); s != scanner.CodePersonal+" keys-lost" {
		t.Errorf("in a licence: got %q", s)
	}
}

// memory gives all bytes that a framer has room for.
func memory(f *scanner.Framer) (all []byte) {
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		if field := v.Field(i); field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Uint8 {
			field = field.Slice(0, field.Cap())
			for j := range field.Len() {
				all = append(all, byte(field.Index(j).Uint()))
			}
		}
	}
	return all
}

// Of a card's number nothing is left, however it came.
func TestKeyboardForgets(t *testing.T) {
	us, z, step := keyboard.US, keyboard.Typing{}, 8*time.Millisecond
	y := newTypist(t, nil)
	left := func() bool { return bytes.Contains(memory(y.dec.(*keyDecoder).framer), []byte("4111")) }
	y.text(us, z, step, ";4111111111111111")
	if !left() {
		t.Fatal("the test does not see what the framer holds")
	}
	y.text(us, z, step, "=30121010?\r")
	if s := y.got.codes(); s != "card-data" || left() {
		t.Errorf("a track: %q, left %v", s, left())
	}
	y.text(us, z, 50*time.Millisecond, "4111111111111111\r")
	if s := y.got.codes(); s != "typed" || left() {
		t.Errorf("typed: %q, left %v", s, left())
	}
	y.text(us, z, step, ";4111111111111111")
	if y.event(droppedEvent, step); left() {
		t.Error("it is left when keys are lost")
	}
	y.text(us, z, step, "4111111111111111\r")
	if s := y.got.codes(); s != "keys-lost" || left() {
		t.Errorf("behind lost keys: %q, left %v", s, left())
	}
}

func TestKeyboardUnknownKey(t *testing.T) {
	us, z, step := keyboard.US, keyboard.Typing{}, 8*time.Millisecond
	press := func(y *typist, code uint16) {
		y.event(recording.Event{Type: keyboard.EvKey, Code: code, Value: keyboard.Pressed}, step)
		y.event(recording.Event{Type: keyboard.EvKey, Code: code, Value: keyboard.Released}, step)
	}
	y := newTypist(t, nil)
	y.text(us, z, step, "9638")
	press(y, keyboard.KeyHome)
	press(y, keyboard.KeyEnd)
	y.text(us, z, step, "5074\r")
	y.wait(time.Second)
	y.text(us, z, step, "5901234123457\r")
	if s := y.got.codes(); s != "unknown-key 5901234123457" {
		t.Errorf("within a label: got %q", s)
	}
	press(y, keyboard.KeyHome)
	y.wait(time.Second)
	press(y, keyboard.KeyHome)
	y.wait(time.Second)
	y.text(us, z, step, "96385074\r")
	if s := y.got.codes(); s != "unknown-key unknown-key 96385074" {
		t.Errorf("by itself: got %q", s)
	}
	y = newTypist(t, driver.Settings{"function_keys": "HOME=GS"})
	y.text(us, z, step, "]C010")
	press(y, keyboard.KeyHome)
	y.text(us, z, step, "A\r")
	if s := y.got.codes(); s != "10\x1dA" {
		t.Errorf("as GS: got %q", s)
	}
}

// A driving licence holds line ends: none of it becomes a label.
func TestKeyboardLicence(t *testing.T) {
	y := newTypist(t, nil)
	y.text(keyboard.US, keyboard.Typing{}, 8*time.Millisecond, "@\n\x1e\rANSI 636000100002DL00410278ZV03190008DLDAQT64235789\nDCSSAMPLE\nDACMICHAEL\r")
	y.wait(time.Second)
	y.text(keyboard.US, keyboard.Typing{}, 8*time.Millisecond, "96385074\r")
	if s := y.got.codes(); s != scanner.CodePersonal+" 96385074" {
		t.Errorf("got %q", s)
	}
}
