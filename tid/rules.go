package tid

import "regexp"

// Rules is what a shop reads as TIDs.
type Rules struct {
	Payment bool             // payment cards are read
	Country string           // ISO 3166 alpha-2: how telephone numbers are keyed in; "" reads none
	Issuer  string           // four digits that name the issuer of loyalty numbers
	Loyalty []*regexp.Regexp // each matches whole loyalty numbers; none reads none
}

// FromCard makes a TID of the number on a card's track: a loyalty number if a
// pattern matches, otherwise a payment card. The error is [ErrNotConfigured] for
// a payment card in a shop that reads none, [ErrNotATID] for any other number.
// It wipes digits.
func (r Rules) FromCard(digits []byte) (TID, error) {
	defer clear(digits)
	if r.IsLoyalty(digits) {
		return NewLoyalty(r.Issuer, digits)
	}
	if err := checkPayment(digits); err != nil {
		return TID{}, err
	}
	if !r.Payment {
		return TID{}, ErrNotConfigured
	}
	return NewPayment(digits)
}

// FromKeypad makes a TID of a number that was keyed in: a loyalty number if a
// pattern matches, otherwise a telephone number of the shop's country. Card
// numbers are never keyed in. It wipes digits.
func (r Rules) FromKeypad(digits []byte) (TID, error) {
	defer clear(digits)
	switch {
	case r.IsLoyalty(digits):
		return NewLoyalty(r.Issuer, digits)
	case r.Country == "":
		return TID{}, notATID("no loyalty number, and telephone numbers are not read in this shop")
	}
	return NewPhone(r.Country, digits)
}

// FromLabel makes a TID of the digits of a bar code: a loyalty number if a
// pattern matches, otherwise the number of a payment card (13 to 19 digits with
// a Luhn check digit). The error is [ErrRefused] for that in a shop that reads
// no payment cards, [ErrNotATID] for any other number. It wipes digits.
func (r Rules) FromLabel(digits []byte) (TID, error) {
	defer clear(digits)
	switch {
	case r.IsLoyalty(digits):
		return NewLoyalty(r.Issuer, digits)
	case len(digits) < 13 || checkPayment(digits) != nil:
		return TID{}, notATID("neither a loyalty number nor a card number")
	case !r.Payment:
		return TID{}, ErrRefused
	}
	return NewPayment(digits)
}

// IsLoyalty reports whether a loyalty pattern matches the whole number. It
// leaves digits as they are.
func (r Rules) IsLoyalty(digits []byte) bool {
	for _, pattern := range r.Loyalty {
		// Of the alternatives of a pattern the longest counts: the first one
		// may match a part of the number only.
		longest := pattern.Copy()
		longest.Longest()
		if at := longest.FindIndex(digits); at != nil && at[0] == 0 && at[1] == len(digits) && len(digits) > 0 {
			return true
		}
	}
	return false
}
