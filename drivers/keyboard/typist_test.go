package keyboard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"posd/drivers/recording"
)

// down, up and tap are events of keys; lamp is a light's.
func down(code uint16) recording.Event {
	return recording.Event{Type: EvKey, Code: code, Value: Pressed}
}
func up(code uint16) recording.Event { return recording.Event{Type: EvKey, Code: code} }

func tap(codes ...uint16) (events []recording.Event) {
	for _, c := range codes {
		events = append(events, down(c), recording.Event{}, up(c), recording.Event{})
	}
	return events
}

func lamp(code uint16, value int32) []recording.Event {
	return []recording.Event{{Type: EvLED, Code: code, Value: value}}
}

// with holds a key while others are tapped.
func with(held uint16, events ...recording.Event) []recording.Event {
	return slices.Concat([]recording.Event{down(held)}, events, []recording.Event{up(held)})
}

// typed gives the text of events, with ? for a key that gives no character, and
// ! for keys that were lost.
func typed(t *Typist, events ...recording.Event) string {
	var b []byte
	for _, e := range events {
		s, ok := t.Type(e)
		switch {
		case s.Lost:
			b = append(b, '!')
		case s.Unknown:
			b = append(b, '?')
		case ok != (s.size > 0):
			b = append(b, "(a stroke without anything)"...)
		}
		b = s.Append(b)
	}
	return string(b)
}

func TestType(t *testing.T) {
	alt := func(digits ...uint16) []recording.Event { return with(KeyLeftAlt, tap(digits...)...) }
	for _, c := range []struct {
		say    string
		layout Layout
		events []recording.Event
		want   string
	}{
		{"letters", US, tap(KeyA, KeyZ, Key1, KeySpace), "az1 "},
		{"Shift", US, with(KeyLeftShift, tap(KeyA, Key1, Key2)...), "A!@"},
		{"the other Shift", US, with(KeyRightShift, tap(KeyA)...), "A"},
		{"both Shifts, one let go", US, slices.Concat([]recording.Event{down(KeyLeftShift), down(KeyRightShift), up(KeyRightShift)}, tap(KeyA), []recording.Event{up(KeyLeftShift)}, tap(KeyA)), "Aa"},
		{"keys that overlap", US, []recording.Event{down(KeyA), down(KeyB), up(KeyA), up(KeyB)}, "ab"},
		{"a key that repeats", US, []recording.Event{down(KeyA), {Type: EvKey, Code: KeyA, Value: Repeated}, up(KeyA)}, "a"},
		{"other events", US, []recording.Event{{Type: 4, Code: 4, Value: KeyA}, {Type: EvSyn}, {Type: EvKey, Code: KeyA, Value: 7}}, ""},
		{"named keys", US, tap(KeyEnter, KeyKPEnter, KeyTab, KeyEsc, KeyBackspace, KeyLinefeed), "\r\r\t\x1b\b\n"},
		{"keys without a character", US, tap(KeyF1, KeyDown, KeyDelete, 255, 0x2ff, 99), "??????"},
		{"a lock that means nothing", US, tap(KeyScrollLock), ""},
		{"Windows key", US, slices.Concat(with(KeyLeftMeta, tap(KeyR)...), with(KeyRightMeta, tap(KeyKP1, KeyEnter)...)), "???"},

		{"Caps Lock", US, tap(KeyCapsLock, KeyA, Key1, KeyCapsLock, KeyA), "A1a"},
		{"Caps Lock and Shift", US, slices.Concat(tap(KeyCapsLock), with(KeyLeftShift, tap(KeyA, Key1)...)), "a!"},
		{"the light of Caps Lock", US, slices.Concat(lamp(LEDCapsLock, 1), tap(KeyA), lamp(LEDCapsLock, 0), tap(KeyA)), "Aa"},
		{"another light", US, slices.Concat(lamp(2, 1), tap(KeyA, KeyKP1)), "a1"},
		{"Caps Lock on letters with accents", DE, tap(KeyCapsLock, KeyLeftBrace, KeySemicolon, KeyApostrophe), "ÜÖÄ"},
		{"Caps Lock on the digits of DE", DE, tap(KeyCapsLock, Key1, KeyMinus, KeyRightBrace, KeySlash, Key102nd), "!?*-<"},
		{"Caps Lock on the digits of FR", FR, tap(KeyCapsLock, Key1, Key0, KeyM, Key102nd), "10?<"},
		{"Caps Lock and Shift on the digits of FR", FR, slices.Concat(tap(KeyCapsLock), with(KeyLeftShift, tap(Key1, KeyQ)...)), "&a"},
		{"Caps Lock on letters of AltGr", UK, slices.Concat(tap(KeyCapsLock), with(KeyRightAlt, tap(KeyA, Key4)...)), "Á€"},
		{"Caps Lock on signs of AltGr", DE, slices.Concat(tap(KeyCapsLock), with(KeyRightAlt, tap(Key9)...)), "]"},
		{"Caps Lock on capitals that are none", IT, tap(KeyCapsLock, KeyLeftBrace, Key1), "è1"},

		{"the keypad", US, tap(KeyKP0, KeyKP1, KeyKP9, KeyKPDot, KeyKPSlash, KeyKPAsterisk, KeyKPMinus, KeyKPPlus, KeyKPEqual, KeyKPComma), "019./*-+=,"},
		{"its comma", DE, tap(KeyKPDot), ","},
		{"Num Lock off", US, tap(KeyNumLock, KeyKP1, KeyKPDot, KeyKPPlus, KeyNumLock, KeyKP1), "??+1"},
		{"the light of Num Lock", US, slices.Concat(lamp(LEDNumLock, 0), tap(KeyKP1), lamp(LEDNumLock, 1), tap(KeyKP1)), "?1"},
		{"the keypad with Shift", US, with(KeyLeftShift, tap(KeyKP1)...), "?"},

		{"Ctrl and letters", US, with(KeyLeftCtrl, tap(KeyA, KeyZ, KeyM)...), "\x01\x1a\r"},
		{"Ctrl and capitals", US, with(KeyRightCtrl, with(KeyLeftShift, tap(KeyA)...)...), "\x01"},
		{"Ctrl and signs", US, with(KeyLeftCtrl, tap(KeyLeftBrace, KeyBackslash, KeyRightBrace, Key102nd)...), "\x1b\x1c\x1d\x1c"},
		{"Ctrl, Shift and signs", US, with(KeyLeftCtrl, with(KeyLeftShift, tap(Key2, Key6, KeyMinus)...)...), "\x00\x1e\x1f"},
		{"Ctrl and keys that have nothing", US, with(KeyLeftCtrl, tap(Key1, KeyKP1, KeyTab, KeySemicolon)...), "????"},
		{"Ctrl and named keys", US, with(KeyLeftCtrl, tap(KeyEnter, KeyKPEnter, KeyBackspace, KeyEsc, KeySpace)...), "\n\n\x7f\x1b "},
		{"Ctrl and letters of the layout", FR, with(KeyLeftCtrl, tap(KeyQ, KeySemicolon)...), "\x01\r"},
		{"Ctrl where the US have a letter", FR, with(KeyLeftCtrl, tap(KeyM)...), "?"},
		{"Ctrl in the US places", DE, with(KeyLeftCtrl, tap(KeyLeftBrace, KeyBackslash, KeyRightBrace)...), "\x1b\x1c\x1d"},
		{"Ctrl and Shift in the US places", DE, with(KeyLeftCtrl, with(KeyLeftShift, tap(Key2, Key6)...)...), "\x00\x1e"},
		{"Ctrl and the layout's signs", DE, with(KeyLeftCtrl, with(KeyLeftShift, tap(KeySlash)...)...), "\x1f"},
		{"Ctrl and a dead key", FR, with(KeyLeftCtrl, tap(KeyLeftBrace, KeyRightBrace)...), "\x1b\x1d"},
		{"Ctrl, Shift and the signs of FR", FR, with(KeyLeftCtrl, with(KeyLeftShift, tap(Key5, Key6, Key8, Key9)...)...), "\x1b\x1f\x1c\x1e"},

		{"AltGr", DE, with(KeyRightAlt, tap(KeyQ, Key7, Key8, Key9, Key0, KeyMinus, KeyRightBrace, Key102nd, KeyE)...), `@{[]}\~|€`},
		{"AltGr as Ctrl and Alt", DE, with(KeyLeftCtrl, with(KeyLeftAlt, tap(KeyQ)...)...), "@"},
		{"AltGr with Ctrl", DE, with(KeyLeftCtrl, with(KeyRightAlt, tap(Key9)...)...), "]"},
		{"AltGr and Shift", IT, with(KeyRightAlt, with(KeyLeftShift, tap(KeyLeftBrace, KeyRightBrace)...)...), "{}"},
		{"AltGr and keys that have nothing", DE, with(KeyRightAlt, tap(KeyA, KeyEnter, KeySpace, KeyKP1)...), "????"},
		{"right Alt of the US", US, with(KeyRightAlt, slices.Concat(tap(KeyA), tap(KeyKP6, KeyKP5))...), "?"},
		{"Alt and letters", DE, with(KeyLeftAlt, tap(KeyA, KeyF1+3)...), "??"},

		{"a number with Alt", US, alt(KeyKP6, KeyKP5), "A"},
		{"as scanners send it", US, alt(KeyKP0, KeyKP6, KeyKP5), "A"},
		{"with right Alt", US, with(KeyRightAlt, tap(KeyKP6, KeyKP5)...), "A"},
		{"GS", DE, alt(KeyKP0, KeyKP2, KeyKP9), "\x1d"},
		{"GS without 0", DE, alt(KeyKP2, KeyKP9), "\x1d"},
		{"NUL", US, alt(KeyKP0), "\x00"},
		{"of page 437", US, slices.Concat(alt(KeyKP1, KeyKP2, KeyKP8), alt(KeyKP2, KeyKP3, KeyKP3), alt(KeyKP2, KeyKP5, KeyKP4)), "ÇΘ■"},
		{"of Windows-1252", US, slices.Concat(alt(KeyKP0, KeyKP1, KeyKP6, KeyKP0), alt(KeyKP0, KeyKP2, KeyKP3, KeyKP3), alt(KeyKP0, KeyKP1, KeyKP2, KeyKP8), alt(KeyKP0, KeyKP2, KeyKP5, KeyKP5)), "\u00a0é€ÿ"},
		{"of neither", US, slices.Concat(alt(KeyKP2, KeyKP5, KeyKP6), alt(KeyKP9, KeyKP9, KeyKP9, KeyKP9, KeyKP9, KeyKP9)), "??"},
		{"with Num Lock off", US, slices.Concat(tap(KeyNumLock), alt(KeyKP6, KeyKP5)), "A"},
		{"with something between", US, slices.Concat(with(KeyLeftAlt, tap(KeyKP6, KeyA, KeyKP5)...), tap(KeyB)), "?b"},
		{"two after each other", US, slices.Concat(alt(KeyKP6, KeyKP5), alt(KeyKP6, KeyKP6)), "AB"},
		{"Alt alone", US, slices.Concat(alt(), tap(KeyA)), "a"},
		{"both Alts", US, []recording.Event{down(KeyLeftAlt), down(KeyKP6), up(KeyKP6), down(KeyRightAlt), up(KeyLeftAlt), down(KeyKP5), up(KeyRightAlt)}, "A"},
		{"Ctrl with Alt of the US", US, with(KeyLeftCtrl, with(KeyLeftAlt, tap(KeyKP6)...)...), "?"},

		{"a dead key and its letter", DE, tap(KeyGrave, KeyA, KeyEqual, KeyE), "âé"},
		{"a dead key with Shift", DE, slices.Concat(with(KeyLeftShift, tap(KeyEqual)...), tap(KeyA)), "à"},
		{"a dead key and a capital", FR, slices.Concat(with(KeyLeftShift, tap(KeyLeftBrace)...), with(KeyLeftShift, tap(KeyE)...)), "Ë"},
		{"a dead key and the space bar", DE, tap(KeyGrave, KeySpace, KeyA), "^a"},
		{"a dead key and another letter", DE, tap(KeyGrave, KeyX, Key1), "^x1"},
		{"a dead key twice", DE, tap(KeyGrave, KeyGrave, KeyA), "^^a"},
		{"two dead keys", DE, tap(KeyGrave, KeyEqual), "^´"},
		{"a dead key and Enter", DE, tap(KeyGrave, KeyEnter), "^\r"},
		{"a dead key and a number", DE, slices.Concat(tap(KeyGrave), alt(KeyKP6, KeyKP5)), "Â"},
		{"a dead key of AltGr", FR, slices.Concat(with(KeyRightAlt, tap(Key2)...), tap(KeyN)), "ñ"},
		{"the same character, not dead", FR, slices.Concat(with(KeyRightAlt, tap(Key9)...), tap(KeyQ)), "^a"},
		{"a dead key and an unknown one", DE, tap(KeyGrave, KeyF1, KeyA), "?â"},

		{"lost keys", US, slices.Concat([]recording.Event{down(KeyLeftShift), {Type: EvSyn, Code: SynDropped}}, tap(KeyA)), "!a"},
		{"lost keys and a dead one", DE, slices.Concat(tap(KeyGrave), []recording.Event{{Type: EvSyn, Code: SynDropped}}, tap(KeyA)), "!a"},
		{"lost keys of a number", US, []recording.Event{down(KeyLeftAlt), down(KeyKP6), {Type: EvSyn, Code: SynDropped}, up(KeyLeftAlt)}, "!"},
		{"lost keys and locks", US, slices.Concat(tap(KeyCapsLock, KeyNumLock), []recording.Event{{Type: EvSyn, Code: SynDropped}}, tap(KeyA, KeyKP1)), "!a1"},
	} {
		if got := typed(NewTypist(c.layout, nil), c.events...); got != c.want {
			t.Errorf("%s (%s): got %q, want %q", c.say, c.layout, got, c.want)
		}
	}
}

func TestReset(t *testing.T) {
	typist := NewTypist(DE, nil)
	if typist.Reset() {
		t.Error("something waited in a new typist")
	}
	typed(typist, slices.Concat([]recording.Event{down(KeyLeftShift)}, tap(KeyCapsLock, KeyNumLock))...)
	if typist.Reset() {
		t.Error("keys that are held wait for nothing")
	}
	if got := typed(typist, tap(KeyA, KeyKP1)...); got != "a1" {
		t.Errorf("got %q", got)
	}
	for say, events := range map[string][]recording.Event{
		"a dead key": tap(KeyGrave),
		"a number":   append([]recording.Event{down(KeyLeftAlt)}, tap(KeyKP6)...),
	} {
		if typed(typist, events...); !typist.Reset() {
			t.Errorf("%s did not wait", say)
		}
	}
}

func TestFunctionKeys(t *testing.T) {
	f, err := ParseFunctionKeys("down=GS F7=0x1C  delete=nul")
	if err != nil {
		t.Fatal(err)
	}
	if got := typed(NewTypist(US, f), tap(KeyDown, KeyF7, KeyDelete, KeyF8)...); got != "\x1d\x1c\x00?" {
		t.Errorf("got %q", got)
	}
	if got := typed(NewTypist(US, f), slices.Concat(with(KeyLeftCtrl, tap(KeyDown)...), with(KeyLeftShift, tap(KeyDown)...))...); got != "??" {
		t.Errorf("with others held: %q", got)
	}
	if none, err := ParseFunctionKeys(""); err != nil || len(none) != 0 {
		t.Errorf("got %v, %v", none, err)
	}
	for _, bad := range []string{"GS", "F8", "F8=", "F13=GS", "F8=G", "F8=0x20", "F8=0x", "F8=1D", "=GS", "F8=GS f8=FS", "F8 = GS"} {
		if f, err := ParseFunctionKeys(bad); err == nil {
			t.Errorf("%q: got %v", bad, f)
		}
	}
}

func TestTypeAllocatesNothing(t *testing.T) {
	f, _ := ParseFunctionKeys("F8=GS")
	typist := NewTypist(DE, f)
	events := slices.Concat(tap(KeyA, KeyGrave, KeyE, KeyF8, KeyEnter), with(KeyLeftAlt, tap(KeyKP2, KeyKP3, KeyKP3)...), with(KeyLeftCtrl, tap(KeyRightBrace)...))
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		buf = buf[:0]
		for _, e := range events {
			s, _ := typist.Type(e)
			buf = s.Append(buf)
		}
	}); n != 0 || string(buf) != "aê\x1d\rΘ\x1d" {
		t.Errorf("%v allocations for %q", n, buf)
	}
}

// A recording prints what it is given; a typist gives nothing of what it was.
func TestTypistKeepsNothing(t *testing.T) {
	typist := NewTypist(US, nil)
	before := fmt.Sprintf("%v", typist)
	events, err := US.Keys([]byte("%B4111111111111111^DOE/J^2512?;4111111111111111=2512?\r"), Typing{})
	if err != nil {
		t.Fatal(err)
	}
	typed(typist, events...)
	if after := fmt.Sprintf("%v", typist); after != before {
		t.Error("a typist is not what it was before text went through it")
	}
}

// FuzzType types any events. Every character is paid for by a key that was
// pressed, and once the keys are let go and the state is set right, text is read
// again as it should be.
func FuzzType(f *testing.F) {
	for _, l := range Layouts() {
		for _, how := range typings() {
			events, err := l.Keys([]byte("Ab1@\x1d\r"), how)
			if err != nil {
				f.Fatal(err)
			}
			var b []byte
			for _, e := range events {
				b = e.Append(b)
			}
			f.Add(uint8(l), b)
		}
	}
	f.Add(uint8(DE), recording.Event{Type: EvSyn, Code: SynDropped}.Append(down(KeyLeftShift).Append(nil)))
	f.Fuzz(func(t *testing.T, layout uint8, b []byte) {
		l := Layouts()[int(layout)%len(Layouts())]
		typist := NewTypist(l, FunctionKeys{KeyF8: 0x1d})
		pressed, chars := 0, 0
		for e := range recording.Events(b) {
			s, ok := typist.Type(e)
			if e.Type == EvKey && e.Value == Pressed {
				pressed++
			}
			text := s.Append(nil)
			chars += utf8.RuneCount(text)
			if !utf8.Valid(text) || ok != (len(text) > 0 || s.Lost || s.Unknown) || chars > pressed {
				t.Fatalf("%v: %+v after %d keys and %d characters", e, s, pressed, chars)
			}
		}
		lost := recording.Event{Type: EvSyn, Code: SynDropped}
		const text = "aB1\x1d\r"
		events, err := l.Keys([]byte(text), Typing{})
		if err != nil {
			t.Fatal(err)
		}
		if got := typed(typist, append([]recording.Event{lost}, events...)...); got != "!"+text {
			t.Fatalf("after lost keys: %q", got)
		}
	})
}

func typings() (all []Typing) {
	for i := range 16 {
		all = append(all, Typing{CapsLock: i&1 != 0, Toggle: i&2 != 0, AltCodes: i&4 != 0, Keypad: i&8 != 0})
	}
	return all
}

func TestStrokeHasRoom(t *testing.T) {
	widest := 0
	for _, a := range accents {
		widest = max(widest, utf8.RuneLen(a.dead))
	}
	char := 0
	for _, r := range cp437 + windows1252 + strings.Join(allRows(), "") {
		char = max(char, utf8.RuneLen(r))
	}
	if room := len(Stroke{}.text); widest+char > room {
		t.Errorf("a stroke has room for %d bytes, and may need %d", room, widest+char)
	}
}
