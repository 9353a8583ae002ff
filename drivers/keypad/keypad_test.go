package keypad

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
	"posd/tid"
)

func at(s float64) time.Time { return time.Unix(0, 0).Add(time.Duration(s * float64(time.Second))) }

func rules() tid.Rules { return tid.Rules{Country: "US", Payment: true} }

func open(t testing.TB, d driver.Driver, s driver.Settings) driver.Decoder {
	t.Helper()
	dec, err := d.Open(driver.Attributes{}, s, rules())
	if err != nil {
		t.Fatal(err)
	}
	return dec
}

// readings collects what a decoder emits.
type readings []driver.Reading

func (r *readings) emit(e driver.Reading) { *r = append(*r, e) }

// kinds tells of each reading: the last digits of a number, the kind of key, or
// the code of an error.
func (r *readings) kinds() string {
	var all []string
	for _, e := range *r {
		switch e.Type {
		case driver.Swipe:
			all = append(all, e.Swipe.Last4())
			e.Swipe.TID.Wipe()
		case driver.Key:
			all = append(all, string(e.Key))
		default:
			all = append(all, e.Err.Code)
		}
	}
	*r = nil
	return strings.Join(all, " ")
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		d   driver.Driver
		s   driver.Settings
		say string
	}{
		{Serial(), driver.Settings{"close_key": "End"}, "close_key"},
		{Serial(), driver.Settings{"enter_key": "End"}, "enter_key"},
		{Serial(), driver.Settings{"clear_key": "0x00"}, "clear_key"},
		{Serial(), driver.Settings{"start": "ESC"}, "start"},
		{Serial(), driver.Settings{"frame": "etx"}, "frame"},
		{Serial(), driver.Settings{"timeout": "0"}, "timeout"},
		{Keyboard(), driver.Settings{"layout": "xx"}, "layout"},
		{Keyboard(), driver.Settings{"num_lock_clears": "maybe"}, "num_lock_clears"},
		{Keyboard(), driver.Settings{"close_key": "7"}, "close key"},
	} {
		if _, err := c.d.Open(driver.Attributes{}, c.s, rules()); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s, %v: got %v, want %q", c.d.Name, c.s, err, c.say)
		}
	}
}

func TestKeyboardClaims(t *testing.T) {
	bits := func(codes ...uint16) []uint64 {
		b := make([]uint64, 12)
		for _, c := range codes {
			b[c/64] |= 1 << (c % 64)
		}
		return b
	}
	pad := []uint16{keyboard.KeyKPEnter, keyboard.KeyKP0, keyboard.KeyKP1, keyboard.KeyKP2, keyboard.KeyKP3, keyboard.KeyKP4, keyboard.KeyKP5, keyboard.KeyKP6, keyboard.KeyKP7, keyboard.KeyKP8, keyboard.KeyKP9}
	for name, c := range map[string]struct {
		a    driver.Attributes
		want bool
	}{
		"a keypad":             {driver.Attributes{Transport: driver.Evdev, Keys: bits(pad...)}, true},
		"one that says it all": {driver.Attributes{Transport: driver.Evdev, Keys: bits(keyboard.KeyEnter, keyboard.KeyA, keyboard.KeyZ, keyboard.Key1, keyboard.Key0)}, true},
		"unknown keys":         {driver.Attributes{Transport: driver.Evdev}, true},
		"a mouse":              {driver.Attributes{Transport: driver.Evdev, Keys: bits(0x110)}, false},
		"a line":               {driver.Attributes{Transport: driver.TTY}, false},
	} {
		if got := Keyboard().Claim(c.a); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if Keyboard().Adopt != nil || Serial().Adopt != nil {
		t.Error("what does not tell itself is read without being configured")
	}
}

// pad presses keys of a keypad that is a keyboard.
type pad struct {
	dec driver.Decoder
	got readings
	now float64
}

func (p *pad) event(typ, code uint16, value int32) {
	p.now += 0.06
	driver.Feed(p.dec, driver.Read{At: at(p.now), Data: recording.Event{Type: typ, Code: code, Value: value}.Append(nil)}, p.got.emit)
}

func (p *pad) press(codes ...uint16) {
	for _, c := range codes {
		p.event(keyboard.EvKey, c, keyboard.Pressed)
		p.event(keyboard.EvKey, c, keyboard.Repeated)
		p.event(keyboard.EvKey, c, keyboard.Released)
	}
}

// number is 2125550123 on the keypad.
var number = []uint16{keyboard.KeyKP2, keyboard.KeyKP1, keyboard.KeyKP2, keyboard.KeyKP5, keyboard.KeyKP5, keyboard.KeyKP5, keyboard.KeyKP0, keyboard.KeyKP1, keyboard.KeyKP2, keyboard.KeyKP3}

func TestKeyboardKeys(t *testing.T) {
	p := &pad{dec: open(t, Keyboard(), nil)}
	// Keys without a meaning on a keypad, a Shift that is held, Num Lock.
	p.press(number[:3]...)
	p.press(keyboard.KeyF1, keyboard.KeyTab, keyboard.KeyHome, keyboard.KeyLeftCtrl, keyboard.KeyNumLock)
	p.press(number[3:]...)
	p.press(keyboard.KeyEnter)
	if s := p.got.kinds(); s != "0123" {
		t.Errorf("other keys between: %q", s)
	}
	p.event(keyboard.EvKey, keyboard.KeyLeftShift, keyboard.Pressed)
	p.press(keyboard.Key8) // *
	p.event(keyboard.EvKey, keyboard.KeyLeftShift, keyboard.Released)
	if s := p.got.kinds(); s != "close" {
		t.Errorf("Shift and 8: %q", s)
	}
	p.press(keyboard.KeyKP1, keyboard.KeyC)
	if s := p.got.kinds(); s != "clear" {
		t.Errorf("C: %q", s)
	}
	p = &pad{dec: open(t, Keyboard(), driver.Settings{"close_key": "+", "num_lock_clears": "true", "layout": "fr"})}
	p.press(keyboard.KeyKP1, keyboard.KeyNumLock, keyboard.KeyKPAsterisk, keyboard.KeyKPPlus)
	if s := p.got.kinds(); s != "clear close" {
		t.Errorf("settings: %q", s)
	}
	// On this layout the keys above the letters are digits with Shift.
	p.press(number[:9]...)
	p.event(keyboard.EvKey, keyboard.KeyLeftShift, keyboard.Pressed)
	p.press(keyboard.Key3)
	p.event(keyboard.EvKey, keyboard.KeyLeftShift, keyboard.Released)
	p.press(keyboard.KeyKPEnter)
	if s := p.got.kinds(); s != "0123" {
		t.Errorf("layout: %q", s)
	}
}

func TestKeyboardLoss(t *testing.T) {
	p := &pad{dec: open(t, Keyboard(), nil)}
	p.press(number[:4]...)
	p.event(keyboard.EvSyn, keyboard.SynDropped, 0)
	p.press(number...)
	p.press(keyboard.KeyKPEnter)
	p.press(number...)
	p.press(keyboard.KeyKPEnter)
	if s := p.got.kinds(); s != "keys-lost 0123" {
		t.Errorf("got %q", s)
	}
}

func TestFits(t *testing.T) {
	reads := func(step float64, pieces ...string) (all []driver.Read) {
		for i, p := range pieces {
			all = append(all, driver.Read{At: at(float64(i) * step), Data: []byte(p)})
		}
		return all
	}
	for name, c := range map[string]struct {
		reads []driver.Read
		want  bool
	}{
		"a person":         {reads(0.2, "1", "2", "3", "\r"), true},
		"a slow line":      {reads(0.001, "1", "2", "3", "\r"), false},
		"300 baud":         {reads(0.033, "1", "2", "3", "\r"), false},
		"a scanner":        {reads(0.2, "036000291452\r"), false},
		"a pin pad":        {reads(3, "\x02123\x03", "\x0245", "6\x03"), true},
		"a scanner's STX":  {reads(3, "\x02A036000291452\x03"), false},
		"a frame cut off":  {reads(3, "\x02123", "A"), true},
		"in a frame":       {reads(1, "\x02123", "A"), false},
		"nothing":          {nil, true},
		"a single key":     {reads(1, "5"), true},
		"a person, slowly": {reads(2, "5", "\r"), true},
	} {
		if got := Serial().Fits(c.reads); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	events := func(step float64, codes ...uint16) (all []driver.Read) {
		for i, code := range codes {
			data := recording.Event{Type: keyboard.EvKey, Code: code, Value: keyboard.Pressed}.Append(nil)
			all = append(all, driver.Read{At: at(float64(i) * step), Data: recording.Event{Type: keyboard.EvKey, Code: code, Value: keyboard.Released}.Append(data)})
		}
		return all
	}
	for name, c := range map[string]struct {
		reads []driver.Read
		want  bool
	}{
		"a person":     {events(0.2, append(number, keyboard.KeyKPEnter)...), true},
		"a quick one":  {events(0.06, append(number, keyboard.KeyKPEnter)...), true},
		"a scanner":    {events(0.016, append(number, keyboard.KeyKPEnter)...), false},
		"a slow one":   {events(0.032, append(number, keyboard.KeyKPEnter)...), false},
		"letters":      {events(0.2, keyboard.KeyA, keyboard.KeyKP1), false},
		"nothing":      {nil, true},
		"a single key": {events(1, keyboard.KeyEsc), true},
	} {
		if got := Keyboard().Fits(c.reads); got != c.want {
			t.Errorf("keyboard, %s: %v", name, got)
		}
	}
}

// A framed number is read, however the line cuts it and whatever stood before it.
func TestFrameProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		lrc := rapid.Bool().Draw(r, "lrc")
		s := driver.Settings{"frame": "stx"}
		send := rapid.SliceOfN(rapid.SampledFrom([]byte("0123456789*\x02\x03\x08\r\x00\xffA")), 0, 100).Draw(r, "noise")
		frame := []byte("\x022125550123\x03")
		if lrc {
			s["frame"] = "stx-lrc"
			frame = append(frame, xor(frame[1:]))
		}
		dec, err := Serial().Open(driver.Attributes{}, s, rules())
		if err != nil {
			r.Fatal(err)
		}
		var got readings
		now := 0.0
		feed := func(b []byte) {
			for len(b) > 0 {
				n := rapid.IntRange(1, len(b)).Draw(r, "piece")
				driver.Feed(dec, driver.Read{At: at(now), Data: bytes.Clone(b[:n])}, got.emit)
				b, now = b[n:], now+0.01
			}
		}
		feed(send)
		now += 3 // what has no end expires
		got.kinds()
		feed(frame)
		if kinds := got.kinds(); kinds != "0123" && kinds != "incomplete 0123" {
			r.Fatalf("got %q", kinds)
		}
		if d := dec.(*serialDecoder); d.frame.buf != [64]byte{} {
			r.Fatal("the number is left in the frame")
		}
	})
}

func xor(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

// Digits beside frames are no entry.
func TestBesideFrames(t *testing.T) {
	dec := open(t, Serial(), driver.Settings{"frame": "stx"})
	var got readings
	driver.Feed(dec, driver.Read{At: at(0), Data: []byte("2125550123\r")}, got.emit)
	driver.Feed(dec, driver.Read{At: at(1), Data: []byte("*\x1b")}, got.emit)
	driver.Feed(dec, driver.Read{At: at(9), Data: []byte("12\x02789\x0334")}, got.emit)
	driver.Feed(dec, driver.Read{At: at(20), Data: []byte("56")}, got.emit)
	if s := got.kinds(); s != "frame close clear frame 9 frame frame" {
		t.Errorf("got %q", s)
	}
	if due := dec.Deadline(); !due.IsZero() {
		t.Errorf("it waits until %v", due)
	}
}

func TestStart(t *testing.T) {
	dec := open(t, Serial(), driver.Settings{"start": "1b 4d"}).(driver.Talker)
	said := dec.Commands()
	if len(said) != 1 || string(said[0].Data) != "\x1bM" {
		t.Errorf("at first it says %v", said)
	}
	driver.Feed(dec, driver.Read{At: at(0), Data: []byte("1\r")}, (&readings{}).emit)
	if said := dec.Commands(); said != nil {
		t.Errorf("then it says %v", said)
	}
	if said := open(t, Serial(), nil).(driver.Talker).Commands(); said != nil {
		t.Errorf("without start it says %v", said)
	}
}

func TestKeysOfOwn(t *testing.T) {
	dec := open(t, Serial(), driver.Settings{"enter_key": "E", "clear_key": "0x08"})
	var got readings
	driver.Feed(dec, driver.Read{At: at(0), Data: []byte("99\x082125550123E")}, got.emit)
	if s := got.kinds(); s != "clear 0123" {
		t.Errorf("got %q", s)
	}
	dec = open(t, Serial(), nil)
	driver.Feed(dec, driver.Read{At: at(0), Data: []byte("99\x08\x082125550123\r\x00")}, got.emit)
	if s := got.kinds(); s != "0123 line-error" {
		t.Errorf("of all: got %q", s)
	}
}

func TestFrames(t *testing.T) {
	long := strings.Repeat("1", 70)
	with := func(b string) string { return b + string(rune(xor([]byte(b)[1:]))) }
	for name, c := range map[string]struct {
		frame string
		send  string
		want  string
		told  bool // to take the next entry
	}{
		"one":                  {"stx", "\x022125550123\x03", "0123", true},
		"half of one":          {"stx", "\x02212555", "", false},
		"nothing in it":        {"stx", "\x02\x03", "", true},
		"begun twice":          {"stx", "\x02999\x022125550123\x03", "frame 0123", true},
		"too long":             {"stx", "\x02" + long + "\x03", "frame", true},
		"too long, then good":  {"stx", "\x02" + long + "\x03\x022125550123\x03", "frame 0123", true},
		"too long, begun anew": {"stx", "\x02" + long + "\x022125550123\x03", "frame frame 0123", true},
		"with LRC":             {"stx-lrc", with("\x022125550123\x03"), "0123", true},
		"LRC missing":          {"stx-lrc", "\x022125550123\x03", "", false},
		"LRC wrong":            {"stx-lrc", "\x022125550123\x03\x00" + with("\x022125550124\x03"), "frame 0124", true},
		"too long, with LRC":   {"stx-lrc", with("\x02"+long+"\x03") + with("\x022125550124\x03"), "frame 0124", true},
		"its LRC is wrong too": {"stx-lrc", "\x02" + long + "\x03\x00" + with("\x022125550124\x03"), "frame 0124", true},
		"a key beside":         {"stx", "*", "close", false},
	} {
		dec := open(t, Serial(), driver.Settings{"frame": c.frame, "start": "05"}).(driver.Talker)
		dec.Commands()
		var got readings
		for _, b := range []byte(c.send) { // of the same time
			driver.Feed(dec, driver.Read{At: at(1), Data: []byte{b}}, got.emit)
		}
		if s := got.kinds(); s != c.want {
			t.Errorf("%s: got %q, want %q", name, s, c.want)
		}
		if told := dec.Commands() != nil; told != c.told {
			t.Errorf("%s: told to go on: %v", name, told)
		}
	}
}

func TestFrameExpires(t *testing.T) {
	dec := open(t, Serial(), driver.Settings{"frame": "stx", "start": "05"}).(driver.Talker)
	dec.Commands()
	var got readings
	driver.Feed(dec, driver.Read{At: at(1), Data: []byte("\x02212")}, got.emit)
	if due := dec.Deadline(); !due.Equal(at(3)) {
		t.Errorf("it waits until %v", due)
	}
	dec.Expire(at(2.9), got.emit)
	if s := got.kinds(); s != "" || dec.Commands() != nil {
		t.Errorf("too soon: %q", s)
	}
	dec.Expire(at(3), got.emit)
	if s := got.kinds(); s != "incomplete" || dec.Commands() == nil || !dec.Deadline().IsZero() {
		t.Errorf("got %q, and it waits until %v", s, dec.Deadline())
	}
}
