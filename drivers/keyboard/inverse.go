package keyboard

import (
	"fmt"
	"unicode/utf8"

	"posd/drivers/recording"
)

// Typing is how a scanner or card reader types. The zero Typing takes the keys
// of the layout, with Shift, AltGr, Ctrl and dead keys, on a host whose Caps Lock
// is off.
type Typing struct {
	// CapsLock says that Caps Lock is on at the host, and that the scanner
	// presses Shift the other way round to make up for it.
	CapsLock bool
	// Toggle says that the scanner presses Caps Lock before and after a capital,
	// and not Shift.
	Toggle bool
	// AltCodes says that the scanner keys every character in by its number,
	// with Alt and a leading 0.
	AltCodes bool
	// Keypad says that digits, + - * / = and Enter are pressed on the keypad.
	Keypad bool
}

// Keys gives the events of a device that types text, which is UTF-8: those for
// which a Typist of the layout gives text. The error names no character.
func (l Layout) Keys(text []byte, how Typing) ([]recording.Event, error) {
	w := writer{table: l.table(), how: how}
	for n := 1; len(text) > 0; n++ {
		r, size := utf8.DecodeRune(text)
		if !w.write(r) { // nor can utf8.RuneError
			return nil, fmt.Errorf("character %d cannot be typed on keyboard layout %s", n, l)
		}
		text = text[size:]
	}
	return w.events, nil
}

// writer presses keys.
type writer struct {
	table  *table
	how    Typing
	events []recording.Event
}

func (w *writer) write(r rune) bool {
	if w.how.AltCodes {
		return w.altCode(r)
	}
	return w.fixed(r) || w.onLayout(r) || w.withCtrl(r) || w.composed(r)
}

// key presses or releases a key.
func (w *writer) key(code uint16, value int32) {
	w.events = append(w.events, recording.Event{Type: EvKey, Code: code, Value: value}, recording.Event{Type: EvSyn, Code: SynReport})
}

// press presses a key and lets it go, with others held.
func (w *writer) press(code uint16, held ...uint16) {
	for _, h := range held {
		w.key(h, Pressed)
	}
	w.key(code, Pressed)
	w.key(code, Released)
	for _, h := range held {
		w.key(h, Released)
	}
}

// fixed presses the keys that are the same on every layout.
func (w *writer) fixed(r rune) bool {
	t := Typist{table: w.table, num: true}
	keys := []uint16{KeyEnter, KeyTab, KeyEsc, KeyBackspace, KeySpace}
	if w.how.Keypad {
		keys = append(append(keypadDigits[:], KeyKPSlash, KeyKPAsterisk, KeyKPMinus, KeyKPPlus, KeyKPEqual, KeyKPEnter), keys...)
	}
	for _, code := range keys {
		if s, ok := t.plain(code, 0); ok && s == symbol(r) {
			w.press(code)
			return true
		}
	}
	return false
}

// onLayout presses the key that has a character.
func (w *writer) onLayout(r rune) bool {
	code, at, ok := w.find(symbol(r))
	if ok {
		w.at(code, at)
	}
	return ok
}

func (w *writer) find(s symbol) (code uint16, at int, ok bool) {
	for at := range w.table.symbols {
		for code, have := range w.table.symbols[at] {
			if have == s && s != 0 {
				return uint16(code), at, true
			}
		}
	}
	return 0, 0, false
}

// at presses a key so that it gives what it has at a level.
func (w *writer) at(code uint16, at int) {
	locked := w.table.locked[at][code]
	if locked && w.how.CapsLock {
		at ^= onShift
	}
	toggle := locked && w.how.Toggle && at&onShift != 0
	if toggle {
		at ^= onShift
		w.press(KeyCapsLock)
	}
	var held []uint16
	if at&onShift != 0 {
		held = append(held, KeyLeftShift)
	}
	if at&onAltGr != 0 {
		held = append(held, KeyRightAlt)
	}
	w.press(code, held...)
	if toggle {
		w.press(KeyCapsLock)
	}
}

// withCtrl presses the keys of a control character.
func (w *writer) withCtrl(r rune) bool {
	if r == 0x7f {
		w.press(KeyBackspace, KeyLeftCtrl)
		return true
	}
	for code, s := range w.table.control[0] {
		if s == symbol(r) {
			w.press(uint16(code), KeyLeftCtrl)
			return true
		}
	}
	for code, s := range w.table.control[onShift] {
		if s == symbol(r) {
			w.press(uint16(code), KeyLeftCtrl, KeyLeftShift)
			return true
		}
	}
	return false
}

// composed presses a dead key and the letter for it, or the space bar.
func (w *writer) composed(r rune) bool {
	for _, a := range accents {
		code, at, ok := w.find(symbol(-a.dead))
		if !ok {
			continue
		}
		if a.dead == r {
			w.at(code, at)
			w.press(KeySpace)
			return true
		}
		for _, letter := range a.pairs {
			if compose(a.dead, letter) == r {
				w.at(code, at)
				return w.onLayout(letter)
			}
		}
	}
	return false
}

// altCode keys a character in by its number.
func (w *writer) altCode(r rune) bool {
	number, ok := ansi(r)
	if !ok {
		return false
	}
	w.key(KeyLeftAlt, Pressed)
	for _, c := range fmt.Sprintf("%04d", number) {
		w.press(keypadDigits[c-'0'])
	}
	w.key(KeyLeftAlt, Released)
	return true
}

// ansi gives the number of a character on code page 1252.
func ansi(r rune) (int, bool) {
	for number := range 256 {
		a := altCode{ansi: true, number: number}
		if have, _ := a.char(); have == r {
			return number, true
		}
	}
	return 0, false
}
