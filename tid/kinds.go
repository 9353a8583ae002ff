package tid

import (
	"errors"
	"fmt"
)

// The reasons why a number is no TID. No error of this package repeats a digit.
var (
	// ErrNotATID: it is not a number of the kinds that were asked for.
	ErrNotATID = errors.New("not a number that is read here")
	// ErrNotConfigured: a payment card in a shop that reads none.
	ErrNotConfigured = errors.New("payment cards are not read in this shop")
	// ErrRefused: a label looks like a payment card in a shop that reads none.
	// It must not become a line either.
	ErrRefused = errors.New("this looks like the number of a payment card, and payment cards are not read in this shop")
)

// issuerDigits is how many digits name the issuer of a loyalty number.
const issuerDigits = 4

func notATID(reason string) error { return fmt.Errorf("%w: %s", ErrNotATID, reason) }

// NewPayment makes a TID of a primary account number: 12 to 19 digits that end
// in a Luhn check digit. It wipes pan.
func NewPayment(pan []byte) (TID, error) {
	defer clear(pan)
	if err := checkPayment(pan); err != nil {
		return TID{}, err
	}
	return join(Payment, 0, pan), nil
}

func checkPayment(pan []byte) error {
	switch {
	case !allDigits(pan):
		return notATID("a card number has digits only")
	case len(pan) < 12:
		return notATID("too short for a card number")
	case len(pan) > 19:
		return notATID("too long for a card number")
	case !Luhn(pan):
		return notATID("the check digit of the card number is wrong")
	}
	return nil
}

// NewLoyalty makes a TID of a loyalty number of 4 to 26 digits. issuer is four
// digits of the retailer's configuration: equal numbers of two programmes are
// two customers. It wipes number.
func NewLoyalty(issuer string, number []byte) (TID, error) {
	defer clear(number)
	if err := CheckIssuer(issuer); err != nil {
		return TID{}, err
	}
	if err := checkLoyalty(number); err != nil {
		return TID{}, err
	}
	return join(Loyalty, issuerDigits, []byte(issuer), number), nil
}

// CheckIssuer reports what is wrong with the configured issuer of loyalty
// numbers.
func CheckIssuer(issuer string) error {
	if len(issuer) != issuerDigits || !allDigits([]byte(issuer)) {
		return errors.New("the issuer of loyalty numbers must be four digits")
	}
	return nil
}

func checkLoyalty(number []byte) error {
	switch {
	case !allDigits(number):
		return notATID("a loyalty number has digits only")
	case len(number) < 4:
		return notATID("too short for a loyalty number")
	case len(number) > MaxDigits-issuerDigits:
		return notATID("too long for a loyalty number")
	}
	return nil
}

// NewPhone makes a TID of a telephone number as people of a country (ISO 3166
// alpha-2, see [KnowsCountry]) key it in, digits only: a national number with or
// without the trunk prefix, an international one behind the country's exit
// prefix, or a number with the country's own calling code. It wipes number.
func NewPhone(country string, number []byte) (TID, error) {
	defer clear(number)
	p, ok := plans[country]
	if !ok {
		return TID{}, errors.New("the telephone numbers of the configured country are not known")
	}
	if !allDigits(number) {
		return TID{}, notATID("a telephone number is keyed in as digits only")
	}
	if whole, ok := p.international(number); ok {
		return newE164(whole)
	}
	national, err := p.national(number)
	if err != nil {
		return TID{}, err
	}
	return join(Phone, 0, []byte(p.calling), national), nil
}

func newE164(number []byte) (TID, error) {
	if err := checkE164(number); err != nil {
		return TID{}, err
	}
	return join(Phone, 0, number), nil
}

// FromCanonical makes a TID of its kind and canonical digits, as
// [TID.Use] gives them. It wipes digits.
func FromCanonical(k Kind, digits []byte) (TID, error) {
	defer clear(digits)
	issuer, err := checkCanonical(k, digits)
	if err != nil {
		return TID{}, err
	}
	return join(k, issuer, digits), nil
}

// checkCanonical tells how many of the digits name an issuer.
func checkCanonical(k Kind, digits []byte) (issuer int, err error) {
	switch k {
	case Payment:
		return 0, checkPayment(digits)
	case Phone:
		return 0, checkE164(digits)
	case Loyalty:
		if err := checkLoyalty(digits[min(issuerDigits, len(digits)):]); err != nil {
			return 0, err
		}
		if !allDigits(digits) {
			return 0, notATID("a loyalty number has digits only")
		}
		return issuerDigits, nil
	}
	return 0, notATID("its kind is unknown")
}

// Slot is memory for one TID after another, for a program that handles many:
// nothing is allocated for them. One goroutine at a time may use it.
type Slot struct{ open func() *memory }

// NewSlot makes a slot.
func NewSlot() *Slot {
	m := new(memory)
	return &Slot{func() *memory { return m }}
}

// FromCanonical is [FromCanonical] in the slot's memory. The TID that was there
// before must be in use no more: it has the new one's digits from then on.
func (s *Slot) FromCanonical(k Kind, digits []byte) (TID, error) {
	defer clear(digits)
	issuer, err := checkCanonical(k, digits)
	if err != nil {
		return TID{}, err
	}
	m := s.open()
	*m = memory{issuer: issuer}
	m.n = copy(m.digits[:], digits)
	return TID{kind: k, open: s.open}, nil
}
