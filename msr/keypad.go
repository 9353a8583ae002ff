package msr

import (
	"errors"
	"time"

	"posd/tid"
)

// EntryKind says what came of a key.
type EntryKind string

// The kinds of entry.
const (
	EntryNumber    EntryKind = "number"     // Enter behind digits: Swipe holds the number
	EntryClose     EntryKind = "close"      // the close key: the basket is paid for
	EntryClear     EntryKind = "clear"      // what was keyed in is dropped
	EntryTimeout   EntryKind = "timeout"    // digits without Enter are dropped
	EntryOverflow  EntryKind = "overflow"   // more digits than any number has: dropped up to Enter
	EntryLineError EntryKind = "line-error" // a byte that no key sends: dropped up to Enter
)

// Entry is what came of a key.
type Entry struct {
	Kind  EntryKind
	Swipe *Swipe // of EntryNumber; nil otherwise
}

// KeypadOptions is how a keypad behaves.
type KeypadOptions struct {
	Rules   tid.Rules
	Close   byte          // the close key, 0 for '*': see [Keypad]
	Timeout time.Duration // after the last key, 0 for 30 s
}

const (
	defaultClose   = '*'
	defaultTimeout = 30 * time.Second
	// maxKeyed is the longest loyalty number. The longest telephone number,
	// with an exit prefix, has 20 digits.
	maxKeyed = 26
)

// Keypad makes entries of keys, one byte a key in ASCII:
//
//   - 0 to 9;
//   - Enter: CR or LF (or both);
//   - Clear: ESC, CAN, "C" or "c";
//   - Backspace: BS or DEL;
//   - Close: "*" unless configured otherwise. While digits wait it clears them
//     only, so that a slip of the finger in a telephone number does not end the
//     sale; pressed again it closes.
//
// Other printable characters, such as the "-" of a telephone number, are
// ignored. The digits are in memory of its own, which is cleared when the entry
// ends. One goroutine may use a Keypad. It must not be copied.
type Keypad struct {
	rules   tid.Rules
	close   byte
	timeout time.Duration

	buf  [maxKeyed]byte
	n    int
	bad  bool // dropping up to Enter
	last time.Time
}

// NewKeypad gives a keypad in its first state. The error is that of a close key
// that has another meaning already.
func NewKeypad(o KeypadOptions) (*Keypad, error) {
	k := &Keypad{rules: o.Rules, close: o.Close, timeout: o.Timeout}
	if k.close == 0 {
		k.close = defaultClose
	}
	if k.timeout == 0 {
		k.timeout = defaultTimeout
	}
	if meaning(k.close) != keyOther {
		return nil, errors.New("close key: it must be a printable character that is no digit and not the key for Clear")
	}
	if k.timeout < 0 {
		return nil, errors.New("time-out of the keypad: it must be above zero")
	}
	return k, nil
}

type key int

const (
	keyOther key = iota
	keyDigit
	keyEnter
	keyClear
	keyBack
	keyNone // no key sends it
)

func meaning(c byte) key {
	switch {
	case c >= '0' && c <= '9':
		return keyDigit
	case c == cr || c == lf:
		return keyEnter
	case c == 0x1b || c == 0x18 || c == 'C' || c == 'c':
		return keyClear
	case c == 0x08 || c == 0x7f:
		return keyBack
	case c < ' ' || c > '~':
		return keyNone
	}
	return keyOther
}

// Push takes a key that was read at now. ok reports whether an entry came of it.
func (k *Keypad) Push(c byte, now time.Time) (e Entry, ok bool) {
	late, expired := k.Expire(now)
	k.last = now
	if e, ok = k.press(c); ok {
		return e, true
	}
	return late, expired
}

func (k *Keypad) press(c byte) (Entry, bool) {
	if c == k.close {
		return k.drop(EntryClose)
	}
	switch meaning(c) {
	case keyClear:
		k.reset()
		return Entry{Kind: EntryClear}, true
	case keyEnter:
		return k.enter()
	case keyDigit:
		return k.digit(c)
	case keyBack:
		if k.n > 0 {
			k.n--
			k.buf[k.n] = 0
		}
	case keyNone:
		return k.fail(EntryLineError)
	}
	return Entry{}, false
}

// drop gives an entry of kind, or Clear if there was something to clear.
func (k *Keypad) drop(kind EntryKind) (Entry, bool) {
	if k.n > 0 || k.bad {
		kind = EntryClear
	}
	k.reset()
	return Entry{Kind: kind}, true
}

func (k *Keypad) enter() (Entry, bool) {
	defer k.reset()
	if k.n == 0 {
		return Entry{}, false
	}
	s := Swipe{Source: SourceKeypad}
	last := string(lastDigits(k.buf[:k.n]))
	var err error
	if s.TID, err = k.rules.FromKeypad(k.buf[:k.n]); err != nil {
		s.Code, s.Reason, s.tail = refusal(err), err.Error(), last
	}
	return Entry{Kind: EntryNumber, Swipe: &s}, true
}

func (k *Keypad) digit(c byte) (Entry, bool) {
	switch {
	case k.bad:
		return Entry{}, false
	case k.n == len(k.buf):
		return k.fail(EntryOverflow)
	}
	k.buf[k.n] = c
	k.n++
	return Entry{}, false
}

func (k *Keypad) fail(kind EntryKind) (Entry, bool) {
	again := k.bad
	k.reset()
	k.bad = true
	return Entry{Kind: kind}, !again
}

func (k *Keypad) reset() {
	clear(k.buf[:])
	k.n, k.bad = 0, false
}

// Deadline is when the keys pressed so far expire, or the zero time if none
// waits.
func (k *Keypad) Deadline() time.Time {
	if k.n == 0 && !k.bad {
		return time.Time{}
	}
	return k.last.Add(k.timeout)
}

// Expire drops digits whose deadline has come.
func (k *Keypad) Expire(now time.Time) (e Entry, ok bool) {
	deadline := k.Deadline()
	if deadline.IsZero() || now.Before(deadline) {
		return Entry{}, false
	}
	ok = k.n > 0
	k.reset()
	return Entry{Kind: EntryTimeout}, ok
}
