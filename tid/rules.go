package tid

import (
	"bytes"
	"errors"
	"regexp"
)

// Errors of this package. None of them holds a digit.
var (
	ErrNotATID       = errors.New("this is no number of that kind")
	ErrNotConfigured = errors.New("payment cards are not read in this shop (payment_cards)")
	ErrCountry       = errors.New("the shop's country is not known")
)

// Rules say which numbers a shop reads as TIDs. Loyalty patterns are tried
// first, against the whole number.
type Rules struct {
	Payment bool             // payment cards are read
	Country string           // ISO 3166-1 alpha-2, for telephone numbers
	Issuer  string           // four digits, in front of a loyalty number
	Loyalty []*regexp.Regexp // a number that one matches whole is a loyalty number
}

// FromCard makes a TID of the number field of a card's track: a loyalty
// number, else a payment card. It wipes digits.
func (r Rules) FromCard(digits []byte) (TID, error) {
	defer clear(digits)
	if r.isLoyalty(digits) {
		return NewLoyalty(r.Issuer, digits)
	}
	return r.payment(digits)
}

// FromKeypad makes a TID of keyed digits: a loyalty number, else a telephone
// number as it is dialled in the shop's country. It wipes digits.
func (r Rules) FromKeypad(digits []byte) (TID, error) {
	defer clear(digits)
	if r.isLoyalty(digits) {
		return NewLoyalty(r.Issuer, digits)
	}
	return NewPhone(r.Country, digits)
}

// FromLabel makes a TID of the digits of a barcode that is no item: a loyalty
// number, else a payment card. It wipes digits.
func (r Rules) FromLabel(digits []byte) (TID, error) { return r.FromCard(digits) }

func (r Rules) payment(digits []byte) (TID, error) {
	if len(digits) < minPAN || len(digits) > maxPAN || !allDigits(digits) || !Luhn(digits) {
		return TID{}, ErrNotATID
	}
	if !r.Payment {
		return TID{}, ErrNotConfigured
	}
	return NewPayment(digits)
}

func (r Rules) isLoyalty(digits []byte) bool {
	for _, pattern := range r.Loyalty {
		if whole := pattern.Find(digits); len(whole) > 0 && bytes.Equal(whole, digits) {
			return true
		}
	}
	return false
}
