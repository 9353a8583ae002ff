package tid

import "fmt"

// Lengths in digits: ISO/IEC 7812-1 for cards, ITU-T E.164 for telephones.
const (
	minPAN, maxPAN   = 12, 19
	issuerDigits     = 4
	minLoyalty       = 4
	minE164, maxE164 = 7, 15
)

// NewPayment makes a TID of a payment card number of 12 to 19 digits with a
// valid Luhn check digit (ISO/IEC 7812-1). It wipes pan.
func NewPayment(pan []byte) (TID, error) {
	defer clear(pan)
	if len(pan) < minPAN || len(pan) > maxPAN || !allDigits(pan) || !Luhn(pan) {
		return TID{}, fmt.Errorf("make payment TID: %w", ErrNotATID)
	}
	return seal(Payment, pan), nil
}

// NewLoyalty makes a TID of a loyalty number of 4 to 26 digits. issuer is the
// four digits by which the retailer's configuration names whose number it is;
// leading zeros count. It wipes number.
func NewLoyalty(issuer string, number []byte) (TID, error) {
	defer clear(number)
	if err := CheckIssuer(issuer); err != nil {
		return TID{}, fmt.Errorf("make loyalty TID: %w", err)
	}
	if len(number) < minLoyalty || len(number) > MaxDigits-issuerDigits || !allDigits(number) {
		return TID{}, fmt.Errorf("make loyalty TID: %w", ErrNotATID)
	}
	return seal(Loyalty, []byte(issuer), number), nil
}

// CheckIssuer reports what is wrong with a loyalty issuer's number.
func CheckIssuer(issuer string) error {
	if len(issuer) != issuerDigits || !allDigits([]byte(issuer)) {
		return fmt.Errorf("the loyalty issuer must be %d digits", issuerDigits)
	}
	return nil
}

// Luhn reports whether the last digit checks the others (ISO/IEC 7812-1, annex
// B). digits must be ASCII digits.
func Luhn(digits []byte) bool {
	sum, double := 0, false
	for i := len(digits) - 1; i >= 0; i-- {
		d := int(digits[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return len(digits) > 0 && sum%10 == 0
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}
