package keyboard

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"posd/drivers/recording"
)

func allRows() (all []string) {
	for _, d := range definitions {
		for _, lv := range []level{d.plain, d.shift, d.altGr, d.altGrShift} {
			all = append(all, lv.rows[:]...)
		}
	}
	return all
}

func TestLayoutsAreWhole(t *testing.T) {
	if len(Layouts()) != len(definitions) {
		t.Errorf("%d layouts, %d definitions", len(Layouts()), len(definitions))
	}
	for _, d := range definitions {
		for i, lv := range []level{d.plain, d.shift, d.altGr, d.altGrShift} {
			for r, row := range lv.rows {
				if n := utf8.RuneCountInString(row); n != len(rows[r]) && (row != "" || i < 2) {
					t.Errorf("%s, level %d: row %d has %d characters for %d keys", d.name, i, r, n, len(rows[r]))
				}
			}
			for _, dead := range lv.dead {
				if strings.Count(strings.Join(lv.rows[:], ""), string(dead)) != 1 {
					t.Errorf("%s, level %d: dead key %c is not there once", d.name, i, dead)
				}
				if !slices.ContainsFunc(accents[:], func(a struct {
					dead  rune
					pairs string
				}) bool {
					return a.dead == dead
				}) {
					t.Errorf("%s: dead key %c has no letters", d.name, dead)
				}
			}
		}
		for _, c := range d.lock {
			if strings.Count(strings.Join(d.plain.rows[:], ""), string(c)) != 1 {
				t.Errorf("%s: Caps Lock locks %c, which is not there once", d.name, c)
			}
		}
		if len(d.ctrlShift)%2 != 0 || d.decimal == 0 {
			t.Errorf("%s is not whole", d.name)
		}
	}
	for _, a := range accents {
		if utf8.RuneCountInString(a.pairs)%2 != 0 {
			t.Errorf("the letters of %c are no pairs", a.dead)
		}
	}
	if a, b := utf8.RuneCountInString(cp437), utf8.RuneCountInString(windows1252); a != 128 || b != 32 {
		t.Errorf("the code pages have %d and %d characters", a, b)
	}
}

func TestParseLayout(t *testing.T) {
	for _, l := range Layouts() {
		if got, err := ParseLayout(strings.ToUpper(l.String())); got != l || err != nil {
			t.Errorf("%s: %v, %v", l, got, err)
		}
	}
	for name, want := range map[string]Layout{"": US, "GB": UK, "fr": FR} {
		if got, err := ParseLayout(name); got != want || err != nil {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := ParseLayout("dvorak"); err == nil || !strings.Contains(err.Error(), "us, uk, de, fr, es, it") {
		t.Errorf("got %v", err)
	}
}

// ascii is everything that a label may have.
func ascii() string {
	var b []byte
	for c := range byte(128) {
		b = append(b, c)
	}
	return string(b)
}

// begin gives a typist on a host as the scanner takes it to be.
func begin(l Layout, how Typing) *Typist {
	t := NewTypist(l, nil)
	if how.CapsLock {
		t.Type(lamp(LEDCapsLock, 1)[0])
	}
	return t
}

func TestKeysGiveTheirText(t *testing.T) {
	for _, l := range Layouts() {
		for _, how := range typings() {
			for _, text := range []string{ascii(), "éèàùçñöüä€", "a^ ^a ~n `` \x1d"} {
				if !how.AltCodes && (l == US && strings.ContainsRune(text, 'é') || strings.Contains(text, "€")) {
					continue // keyboards have only the letters of their country
				}
				events, err := l.Keys([]byte(text), how)
				if err != nil {
					t.Errorf("%s %+v: %v", l, how, err)
					continue
				}
				if got := typed(begin(l, how), events...); got != text {
					t.Errorf("%s %+v: got %q", l, how, got)
				}
			}
		}
	}
}

func TestKeysProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(Layouts()).Draw(t, "layout")
		how := rapid.SampledFrom(typings()).Draw(t, "how")
		text := rapid.StringOf(rapid.RuneFrom([]rune(ascii()))).Draw(t, "text")
		events, err := l.Keys([]byte(text), how)
		if err != nil {
			t.Fatal(err)
		}
		typist := begin(l, how)
		if got := typed(typist, events...); got != text {
			t.Fatalf("got %q", got)
		}
		if typist.held != 0 || typist.caps != how.CapsLock || typist.Reset() {
			t.Fatal("a key is still held, or a lock is not what it was")
		}
	})
}

// Every character that a layout has is typed by its own keys.
func TestKeysFindAllOfALayout(t *testing.T) {
	for _, l := range Layouts() {
		d := definitions[l]
		for _, lv := range []level{d.plain, d.shift, d.altGr, d.altGrShift} {
			text := strings.ReplaceAll(strings.Join(lv.rows[:], ""), " ", "")
			events, err := l.Keys([]byte(text), Typing{})
			if err != nil {
				t.Errorf("%s: %v in %s", l, err, text)
			}
			if got := typed(NewTypist(l, nil), events...); got != text {
				t.Errorf("%s: got %q of %q", l, got, text)
			}
		}
	}
}

func TestKeysTypeAsTheyAreTold(t *testing.T) {
	pressed := func(events []recording.Event) (codes []uint16) {
		for _, e := range events {
			if e.Type == EvKey && e.Value == Pressed {
				codes = append(codes, e.Code)
			}
		}
		return codes
	}
	for _, c := range []struct {
		layout Layout
		text   string
		how    Typing
		want   []uint16
	}{
		{US, "aA", Typing{}, []uint16{KeyA, KeyLeftShift, KeyA}},
		{US, "aA", Typing{CapsLock: true}, []uint16{KeyLeftShift, KeyA, KeyA}},
		{US, "aA!", Typing{Toggle: true}, []uint16{KeyA, KeyCapsLock, KeyA, KeyCapsLock, KeyLeftShift, Key1}},
		{US, "A", Typing{AltCodes: true}, []uint16{KeyLeftAlt, KeyKP0, KeyKP0, KeyKP6, KeyKP5}},
		{US, "1+\r", Typing{Keypad: true}, []uint16{KeyKP1, KeyKPPlus, KeyKPEnter}},
		{DE, "z]^", Typing{}, []uint16{KeyY, KeyRightAlt, Key9, KeyGrave, KeySpace}},
		{FR, "1", Typing{}, []uint16{KeyLeftShift, Key1}},
		{FR, "1", Typing{CapsLock: true}, []uint16{Key1}},
		{FR, "\x1d", Typing{}, []uint16{KeyLeftCtrl, KeyRightBrace}},
	} {
		events, err := c.layout.Keys([]byte(c.text), c.how)
		if got := pressed(events); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %q %+v: got %v, want %v (%v)", c.layout, c.text, c.how, got, c.want, err)
		}
	}
}

func TestKeysErrors(t *testing.T) {
	for _, c := range []struct {
		layout Layout
		text   string
		how    Typing
		want   string
	}{
		{US, "4111é", Typing{}, "character 5 cannot be typed on keyboard layout us"},
		{DE, "é\xff", Typing{}, "character 2 cannot be typed on keyboard layout de"},
		{DE, "Ω", Typing{AltCodes: true}, "character 1 cannot be typed on keyboard layout de"},
	} {
		if events, err := c.layout.Keys([]byte(c.text), c.how); events != nil || err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v", c.text, err)
		}
	}
}

// keys gives the bits of some keys, in words as the kernel has them.
func keys(codes ...uint16) []uint64 {
	var bits [12]uint64
	for _, c := range codes {
		bits[c/64] |= 1 << (c % 64)
	}
	return bits[:]
}

func TestKindsOfKeyboards(t *testing.T) {
	all := func() (every []uint16) {
		for c := uint16(1); c < codes; c++ {
			every = append(every, c)
		}
		return every
	}()
	row := []uint16{Key0, Key1, Key2, Key3, Key4, Key5, Key6, Key7, Key8, Key9}
	for _, c := range []struct {
		say           string
		keys          []uint64
		keyboard, pad bool
	}{
		{"a whole keyboard", keys(all...), true, false},
		{"a keypad", keys(append(keypadDigits[:], KeyKPEnter, KeyNumLock)...), false, true},
		{"a keypad of digits in a row", keys(append(row, KeyEnter)...), false, true},
		{"a keypad without Enter", keys(keypadDigits[:]...), false, false},
		{"a power button", keys(116), false, false},
		{"a mouse", keys(0x110, 0x111, 0x112), false, false},
		{"a remote control", keys(KeyEnter, KeyUp, KeyDown, KeyLeft, KeyRight), false, false},
		{"nothing", nil, false, false},
		{"a keypad, cut off", keys(append(keypadDigits[:], KeyKPEnter)...)[:1], false, false},
	} {
		if a, b := IsKeyboard(c.keys), IsNumericPad(c.keys); a != c.keyboard || b != c.pad {
			t.Errorf("%s: keyboard %v, keypad %v", c.say, a, b)
		}
	}
}
