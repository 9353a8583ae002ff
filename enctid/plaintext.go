package enctid

import (
	"errors"

	"posd/tid"
)

// PlaintextSize is the size of what is encrypted, whatever the TID: kind 1,
// length 1, digits padded with zero bytes to 30. So the size of an EncTID tells
// nothing.
const PlaintextSize = 2 + tid.MaxDigits

// errShape never says what was seen: that might be card data.
var errShape = errors.New("not a TID: digits only, of a length its kind allows (track data and card verification values are refused)")

// digitsAllowed bounds the number of digits by kind: 12 to 19 for a payment
// card (ISO/IEC 7812), an issuer and 4 to 26 digits for a loyalty number, up to
// 15 for a phone (E.164). A card verification value is shorter than each of
// them, and a card number with anything of its track behind it is longer.
func digitsAllowed(k tid.Kind) (least, most int) {
	switch k {
	case tid.Payment:
		return 12, 19
	case tid.Loyalty:
		return 8, tid.MaxDigits
	case tid.Phone:
		return 7, 15
	}
	return 1, 0
}

// AppendPlaintext appends the plaintext of a TID's kind and canonical digits to
// dst. Anything but digits, and a number of digits that the kind does not
// allow, is an error.
func AppendPlaintext(dst []byte, k tid.Kind, digits []byte) ([]byte, error) {
	if !shapeOK(k, digits) {
		return dst, errShape
	}
	dst = append(dst, byte(k), byte(len(digits)))
	dst = append(dst, digits...)
	for range tid.MaxDigits - len(digits) {
		dst = append(dst, 0)
	}
	return dst, nil
}

// ParsePlaintext is the inverse of [AppendPlaintext] and as strict. The digits
// point into b.
func ParsePlaintext(b []byte) (k tid.Kind, digits []byte, err error) {
	if len(b) != PlaintextSize || int(b[1]) > tid.MaxDigits {
		return 0, nil, errShape
	}
	k, digits = tid.Kind(b[0]), b[2:2+b[1]:2+b[1]]
	for _, c := range b[2+len(digits):] {
		if c != 0 {
			return 0, nil, errShape
		}
	}
	if !shapeOK(k, digits) {
		return 0, nil, errShape
	}
	return k, digits, nil
}

func shapeOK(k tid.Kind, digits []byte) bool {
	least, most := digitsAllowed(k)
	if len(digits) < least || len(digits) > most {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
