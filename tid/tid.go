// Package tid holds the secret of this system: the TID, the number by which a
// customer is recognised.
//
// TID stands for tender identification: the number of a payment card, a loyalty
// number or a telephone number, with its kind and in canonical form, so that one
// card gives one TID whichever way it was read. In card acquiring TID is
// the id of a terminal: never here.
//
// A TID lives for milliseconds. A card reader or keypad makes it from bytes that
// are wiped at once, the lane seals it for the central computer system, and then
// it is wiped; at central it is opened, looked up and wiped. It is never a
// string, and appears in no error, log, database or core dump: it redacts itself
// wherever it is printed or encoded.
//
// The canonical forms are
//
//   - payment: the primary account number of ISO/IEC 7812, 12 to 19 digits with
//     the Luhn check digit;
//   - loyalty: 4 digits that name the issuer within the configuration of the
//     retailer, then the number with its leading zeros;
//   - phone: the digits of the ITU-T E.164 number, without "+".
package tid

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// MaxDigits is the most digits that a TID of any kind has.
const MaxDigits = 30

// Kind says what a TID is the number of.
type Kind uint8

// The kinds. Their values are part of EncTID version 1 and never change.
const (
	Payment Kind = 1 // payment card
	Loyalty Kind = 2 // loyalty card or number
	Phone   Kind = 3 // telephone number
)

// String gives "payment", "loyalty" or "phone", and "none" for anything else.
func (k Kind) String() string {
	switch k {
	case Payment:
		return "payment"
	case Loyalty:
		return "loyalty"
	case Phone:
		return "phone"
	}
	return "none"
}

// ParseKind is the inverse of [Kind.String] for the three kinds.
func ParseKind(s string) (Kind, error) {
	for _, k := range []Kind{Payment, Loyalty, Phone} {
		if s == k.String() {
			return k, nil
		}
	}
	return 0, errors.New("parse kind of TID: it is none of payment, loyalty, phone")
}

// TID is a tender identification. The zero value holds no number.
//
// Copies share one memory, so that [TID.Wipe] wipes them all. One goroutine at a
// time may use it.
type TID struct {
	kind Kind
	// The memory hangs on a closure because fmt and its like print slices,
	// arrays and pointers that they find in unexported fields of other structs,
	// where they cannot call methods. They cannot look into a closure.
	open func() *memory
}

// memory is where the digits are, and nowhere else.
type memory struct {
	digits [MaxDigits]byte
	n      int
	issuer int // how many digits in front name an issuer
}

func (m *memory) number() []byte { return m.digits[:m.n:m.n] }

// join makes a TID of the digits of parts, in memory of its own. They must fit.
func join(k Kind, issuer int, parts ...[]byte) TID {
	m := &memory{issuer: issuer}
	for _, p := range parts {
		m.n += copy(m.digits[m.n:], p)
	}
	return TID{kind: k, open: func() *memory { return m }}
}

// Kind says what the TID is the number of. It is 0 for the zero value, and
// outlives [TID.Wipe].
func (t TID) Kind() Kind { return t.kind }

// IsZero reports whether t holds no number: it is the zero value or was wiped.
func (t TID) IsZero() bool { return t.open == nil || t.open().n == 0 }

// Use calls f with the canonical digits in ASCII, unless t holds no number. They
// are t's own memory: f must not change, keep or copy them, and must make no
// string of them.
func (t TID) Use(f func(digits []byte)) {
	if !t.IsZero() {
		f(t.open().number())
	}
}

// Wipe overwrites the digits. From then on t and its copies hold no number.
func (t TID) Wipe() {
	if t.open != nil {
		*t.open() = memory{}
	}
}

// Last4 gives the last four digits, which a person may see. It gives fewer of a
// number shorter than eight digits, never more than half, and none of an issuer.
func (t TID) Last4() string {
	if t.IsZero() {
		return ""
	}
	own := t.open().number()[t.open().issuer:]
	return string(own[len(own)-min(4, len(own)/2):])
}

// String says of which kind t is and that it does not show its digits.
func (t TID) String() string {
	if t.IsZero() {
		return "[no TID]"
	}
	return "[" + t.kind.String() + " TID]"
}

// GoString redacts.
func (t TID) GoString() string { return t.String() }

// Format redacts under every verb.
func (t TID) Format(s fmt.State, _ rune) { io.WriteString(s, t.String()) }

// LogValue redacts.
func (t TID) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText redacts, in JSON and XML as well. It gives no error: a log line
// must not be lost because a TID was put into it.
func (t TID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// GobEncode refuses: a redacted TID would be decoded as another one.
func (t TID) GobEncode() ([]byte, error) {
	return nil, errors.New("encode TID: it never leaves this process unsealed")
}

// Luhn reports whether digits end in the check digit of ISO/IEC 7812-1 annex B.
// Anything but digits is false, and so is nothing.
func Luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		c := digits[len(digits)-1-i]
		if !isDigit(c) {
			return false
		}
		v := int(c - '0')
		if i%2 == 1 {
			v *= 2
		}
		sum += v/10 + v%10
	}
	return len(digits) > 0 && sum%10 == 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func allDigits(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r < '0' || r > '9' })
}
