// Package tid holds the secret of the whole system: a tender identification
// (TID), the number of a payment card, a loyalty card or a telephone that a
// shopper shows when paying. In card acquiring TID means terminal id: not here.
// The word is that of claim 1 of US 2009/0076923 A1.
//
// A TID lives in memory, for the milliseconds between a reader and the
// encryption, and nowhere else. It is never a string. The type [TID] keeps its
// digits behind a closure, where no fmt verb, logger or encoder can reach them,
// also not inside somebody else's unexported field; [TID.Wipe] overwrites them.
package tid

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// Kind says what sort of number a TID is. Its values are those of the EncTID's
// plaintext.
type Kind uint8

// The kinds of TID.
const (
	Payment Kind = 1 // payment card number (PAN), ISO/IEC 7812-1
	Loyalty Kind = 2 // the retailer's own number, behind four digits for the issuer
	Phone   Kind = 3 // telephone number, E.164 without the plus sign
)

// String gives the word that baskets use: payment, loyalty or phone.
func (k Kind) String() string {
	switch k {
	case Payment:
		return "payment"
	case Loyalty:
		return "loyalty"
	case Phone:
		return "phone"
	}
	return "unknown"
}

// ParseKind reads the word that String gives.
func ParseKind(s string) (Kind, error) {
	for _, k := range []Kind{Payment, Loyalty, Phone} {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, errors.New("parse kind of number: it is none of payment, loyalty, phone")
}

// MaxDigits is the length of the longest TID.
const MaxDigits = 30

// secret is where the digits are. Only the closure of a TID points to it.
type secret struct {
	digits [MaxDigits]byte
	n      int
}

// TID is a tender identification in canonical form. Copies of a TID share one
// secret: wiping one wipes all. The zero TID holds nothing. A TID cannot be
// compared, printed or encoded; every attempt gives "[TID]" and its kind.
//
// A TID is not safe for use by several goroutines at once.
type TID struct {
	kind   Kind
	reveal func() *secret
}

// seal copies digits into a new TID.
func seal(k Kind, parts ...[]byte) TID {
	s := new(secret)
	for _, p := range parts {
		s.n += copy(s.digits[s.n:], p)
	}
	return TID{k, func() *secret { return s }}
}

// FromCanonical makes a TID of digits that are in canonical form already, as
// they come out of an EncTID. It wipes digits.
func FromCanonical(k Kind, digits []byte) (TID, error) {
	defer clear(digits)
	if !allDigits(digits) {
		return TID{}, fmt.Errorf("make TID: %w", ErrNotATID)
	}
	ok := false
	switch k {
	case Payment:
		ok = len(digits) >= minPAN && len(digits) <= maxPAN && Luhn(digits)
	case Loyalty:
		ok = len(digits) >= issuerDigits+minLoyalty && len(digits) <= MaxDigits
	case Phone:
		ok = len(digits) >= minE164 && len(digits) <= maxE164 && digits[0] != '0'
	}
	if !ok {
		return TID{}, fmt.Errorf("make TID: %w", ErrNotATID)
	}
	return seal(k, digits), nil
}

// Kind says what sort of number t is, 0 for the zero TID.
func (t TID) Kind() Kind { return t.kind }

// IsZero reports whether t never held a number.
func (t TID) IsZero() bool { return t.reveal == nil }

// Use calls f with the digits. They are valid during the call only, and must
// not be kept or changed. After Wipe, and for the zero TID, there are none.
func (t TID) Use(f func(digits []byte)) {
	if t.reveal == nil {
		f(nil)
		return
	}
	s := t.reveal()
	f(slices.Clip(s.digits[:s.n]))
}

// Last4 gives the last four digits, which a person may see, or "" if there are
// fewer than eight in all.
func (t TID) Last4() (last string) {
	t.Use(func(digits []byte) {
		if len(digits) >= 8 {
			last = string(digits[len(digits)-4:])
		}
	})
	return last
}

// Wipe overwrites the digits of t and of all its copies.
func (t TID) Wipe() {
	if t.reveal != nil {
		*t.reveal() = secret{}
	}
}

func (t TID) redacted() string {
	if t.IsZero() {
		return "[TID none]"
	}
	return "[TID " + t.kind.String() + "]"
}

// String, GoString, Format, MarshalText, MarshalJSON and LogValue all give the
// kind and never a digit.
func (t TID) String() string               { return t.redacted() }
func (t TID) GoString() string             { return t.redacted() }
func (t TID) Format(f fmt.State, _ rune)   { fmt.Fprint(f, t.redacted()) }
func (t TID) MarshalText() ([]byte, error) { return []byte(t.redacted()), nil }
func (t TID) MarshalJSON() ([]byte, error) { return []byte(`"` + t.redacted() + `"`), nil }
func (t TID) LogValue() slog.Value         { return slog.StringValue(t.redacted()) }

// GobEncode refuses: a TID never leaves the process.
func (t TID) GobEncode() ([]byte, error) {
	return nil, errors.New("encode TID: a TID is never encoded")
}

// MarshalBinary refuses: a TID never leaves the process.
func (t TID) MarshalBinary() ([]byte, error) {
	return nil, errors.New("encode TID: a TID is never encoded")
}
