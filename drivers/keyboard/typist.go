// Package keyboard makes text of what a keyboard sends, and the other way
// round: key codes are keys, and only a layout makes characters of them.
// Scanners and card readers that play a keyboard do so for Windows, by the layout
// that they are set to; so a Typist does what Windows does with their keys.
package keyboard

import (
	"unicode/utf8"

	"posd/drivers/recording"
)

// Typist makes text of the events of one keyboard. It keeps nothing of what was
// typed but a dead key and the number that is being keyed in with Alt: card data
// pass through it.
//
//   - Caps Lock and Num Lock are states of the host: Num Lock is on at first,
//     Caps Lock off; their keys switch them, and events of their lights set them.
//   - Caps Lock turns Shift round on letters, and on the keys that it locks on a
//     layout: on DE and FR the digits too.
//   - AltGr is right Alt, or Ctrl with Alt, on layouts that have it. Elsewhere
//     right Alt is Alt.
//   - Alt and digits on the keypad give the character of that number when Alt is
//     let go, whether Num Lock is on or not: of code page 437 if the first digit
//     is not 0, else of Windows-1252. Below 128 both are ASCII.
//   - Ctrl gives control characters. Tab, Enter, Esc and Backspace give HT, CR,
//     ESC and BS; Enter and Backspace with Ctrl give LF and DEL.
//   - A dead key gives its letter with the next key, its own character with the
//     space bar, and both characters if the two do not go together.
type Typist struct {
	table     *table
	functions FunctionKeys
	held      modifiers
	caps, num bool
	dead      rune // waits for a letter
	alt       altCode
}

// NewTypist makes a Typist for a layout. f may be nil.
func NewTypist(l Layout, f FunctionKeys) *Typist {
	t := &Typist{table: l.table(), functions: f}
	t.Reset()
	return t
}

// Reset lets all keys go and sets the locks as they are at first. It reports
// whether a dead key or number is forgotten by that, which somebody waited to
// see.
func (t *Typist) Reset() (waited bool) {
	waited = t.dead != 0 || t.alt.digits > 0
	t.held, t.dead, t.alt = 0, 0, altCode{}
	t.caps, t.num = false, true
	return waited
}

// Stroke is what came of an event.
type Stroke struct {
	// Lost says that the kernel dropped events: what was begun is not whole, and
	// what comes until it ends may not be either. All keys count as let go.
	Lost bool
	// Unknown says that a key was pressed that gives no character.
	Unknown bool

	text [8]byte // one character, or a dead key's and another
	size uint8
}

// Append appends the characters in UTF-8: one, two after a dead key, or none.
func (s Stroke) Append(b []byte) []byte { return append(b, s.text[:s.size]...) }

func (s *Stroke) add(r rune) {
	s.size += uint8(utf8.EncodeRune(s.text[s.size:], r))
}

// Type takes an event. The second value is whether anything came of it. It
// allocates nothing.
func (t *Typist) Type(e recording.Event) (Stroke, bool) {
	switch {
	case e.Type == EvSyn && e.Code == SynDropped:
		t.Reset()
		return Stroke{Lost: true}, true
	case e.Type == EvLED:
		t.light(e)
	case e.Type == EvKey && e.Value == Pressed:
		return t.press(e.Code)
	case e.Type == EvKey && e.Value == Released:
		return t.release(e.Code)
	}
	return Stroke{}, false
}

func (t *Typist) light(e recording.Event) {
	switch e.Code {
	case LEDCapsLock:
		t.caps = e.Value != 0
	case LEDNumLock:
		t.num = e.Value != 0
	}
}

// modifiers are keys that are held.
type modifiers uint8

const (
	leftShift modifiers = 1 << iota
	rightShift
	leftCtrl
	rightCtrl
	leftAlt
	rightAlt
	leftMeta
	rightMeta
)

func modifier(code uint16) modifiers {
	switch code {
	case KeyLeftShift:
		return leftShift
	case KeyRightShift:
		return rightShift
	case KeyLeftCtrl:
		return leftCtrl
	case KeyRightCtrl:
		return rightCtrl
	case KeyLeftAlt:
		return leftAlt
	case KeyRightAlt:
		return rightAlt
	case KeyLeftMeta:
		return leftMeta
	case KeyRightMeta:
		return rightMeta
	}
	return 0
}

func (m modifiers) shift() int {
	if m&(leftShift|rightShift) != 0 {
		return onShift
	}
	return 0
}

func (m modifiers) ctrl() bool { return m&(leftCtrl|rightCtrl) != 0 }

// altGr reports whether what is held counts as AltGr.
func (t *Typist) altGr() bool {
	return t.table.altGr && (t.held&rightAlt != 0 || t.held.ctrl() && t.held&leftAlt != 0)
}

// menu reports whether what is held counts as Alt.
func (t *Typist) menu() bool { return t.held&(leftAlt|rightAlt) != 0 && !t.altGr() }

func (t *Typist) press(code uint16) (Stroke, bool) {
	if m := modifier(code); m != 0 {
		t.held |= m
		return Stroke{}, false
	}
	switch code {
	case KeyCapsLock:
		t.caps = !t.caps
		return Stroke{}, false
	case KeyNumLock:
		t.num = !t.num
		return Stroke{}, false
	case KeyScrollLock:
		return Stroke{}, false
	}
	if t.menu() {
		return t.number(code)
	}
	s, ok := t.symbol(code)
	if !ok {
		return Stroke{Unknown: true}, true
	}
	return t.give(s)
}

// number takes a key that is pressed while Alt is held.
func (t *Typist) number(code uint16) (Stroke, bool) {
	digit, ok := keypadDigit(code)
	if !ok || t.held.ctrl() || t.held&(leftMeta|rightMeta) != 0 {
		t.alt.bad = true
		return Stroke{Unknown: true}, true
	}
	t.alt.digit(digit)
	return Stroke{}, false
}

func keypadDigit(code uint16) (int, bool) {
	for digit, key := range keypadDigits {
		if key == code {
			return digit, true
		}
	}
	return 0, false
}

func (t *Typist) release(code uint16) (Stroke, bool) {
	t.held &^= modifier(code)
	if t.alt == (altCode{}) || t.held&(leftAlt|rightAlt) != 0 {
		return Stroke{}, false
	}
	a := t.alt
	t.alt = altCode{}
	if a.bad { // which was said when the key came
		return Stroke{}, false
	}
	if r, ok := a.char(); ok {
		return t.give(symbol(r))
	}
	return Stroke{Unknown: true}, true
}

// give makes a stroke of a symbol and the dead key before it.
func (t *Typist) give(s symbol) (Stroke, bool) {
	dead := t.dead
	t.dead = 0
	var out Stroke
	switch letter := compose(dead, rune(s)); {
	case dead == 0 && s < 0:
		t.dead = s.char()
		return Stroke{}, false
	case dead == 0:
		out.add(rune(s))
	case letter != 0:
		out.add(letter)
	case s == ' ':
		out.add(dead)
	default:
		out.add(dead)
		out.add(s.char())
	}
	return out, true
}

// symbol gives what a key gives with what is held, Alt apart.
func (t *Typist) symbol(code uint16) (symbol, bool) {
	switch shift, altGr, ctrl := t.held.shift(), t.altGr(), t.held.ctrl(); {
	case t.held&(leftMeta|rightMeta) != 0 || code >= codes:
		return 0, false
	case altGr:
		return t.character(code, shift|onAltGr)
	case ctrl:
		return t.ctrl(code, shift)
	default:
		if s, ok := t.plain(code, shift); ok {
			return s, true
		}
		return t.character(code, shift)
	}
}

// character gives what the layout has on a key.
func (t *Typist) character(code uint16, at int) (symbol, bool) {
	if t.caps && t.table.locked[at][code] {
		at ^= onShift
	}
	s := t.table.symbols[at][code]
	return s, s != 0
}

// ctrl gives what a key gives with Ctrl.
func (t *Typist) ctrl(code uint16, shift int) (symbol, bool) {
	switch code {
	case KeyEnter, KeyKPEnter:
		return '\n', true
	case KeyBackspace:
		return 0x7f, true
	case KeyEsc:
		return 0x1b, true
	case KeySpace:
		return ' ', true
	}
	s := t.table.control[shift][code]
	return s, s != noControl
}

// plain gives the keys that are the same on every layout.
func (t *Typist) plain(code uint16, shift int) (symbol, bool) {
	if d, ok := keypadDigit(code); ok {
		return symbol('0' + d), t.digits(shift)
	}
	switch code {
	case KeyKPDot:
		return symbol(t.table.decimal), t.digits(shift)
	case KeyEnter, KeyKPEnter:
		return '\r', true
	case KeyTab:
		return '\t', true
	case KeyEsc:
		return 0x1b, true
	case KeyBackspace:
		return '\b', true
	case KeyLinefeed:
		return '\n', true
	case KeySpace:
		return ' ', true
	case KeyKPSlash:
		return '/', true
	case KeyKPAsterisk:
		return '*', true
	case KeyKPMinus:
		return '-', true
	case KeyKPPlus:
		return '+', true
	case KeyKPEqual:
		return '=', true
	case KeyKPComma:
		return ',', true
	}
	c, ok := t.functions[code]
	return symbol(c), ok && shift == 0
}

// digits reports whether the keypad gives digits: else it moves the cursor.
func (t *Typist) digits(shift int) bool { return t.num && shift == 0 }
