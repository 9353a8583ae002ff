// Package gs1 reads the numbers and element strings of the GS1 system: GTINs
// with their check digits, the zero-suppressed UPC-E, add-ons, coupons, numbers
// of a shop's own for goods of random weight, and the application identifiers
// (AI) of GS1-128, GS1 DataBar, GS1 DataMatrix, GS1 QR Code and of Digital Link
// URIs.
//
// It follows the GS1 General Specifications, ISO/IEC 15420 (EAN/UPC), the GS1
// Digital Link Standard and the GS1 Barcode Syntax Dictionary, from which the
// table of AIs is made. All of it is pure: text in, values out. No error repeats a value that was read, as
// some of them (AI 8018) are numbers of persons.
package gs1

import (
	"errors"
	"fmt"
)

// GTIN is a Global Trade Item Number in its 14-digit form, filled with leading
// zeros; empty if there is none.
type GTIN string

// What is wrong with a number, beside its check digit.
var (
	ErrCharset = errors.New("not all of it is digits")
	ErrLength  = errors.New("wrong number of digits")
)

// CheckDigitError is a number whose last digit is not its check digit.
type CheckDigitError struct {
	Given, Computed byte // ASCII digits
}

func (e *CheckDigitError) Error() string {
	return fmt.Sprintf("the check digit is %c, and %c was computed", e.Given, e.Computed)
}

// zeros fill a number up to the 14 digits of a GTIN.
const zeros = "00000000000000"

// ParseGTIN reads a GTIN-8, GTIN-12 (UPC-A), GTIN-13 (EAN-13) or GTIN-14 and
// verifies its check digit. A UPC-E goes through ExpandUPCE first. The error is
// ErrLength, ErrCharset or a *CheckDigitError, wrapped.
func ParseGTIN(digits string) (GTIN, error) {
	switch len(digits) {
	case 8, 12, 13, 14:
	default:
		return "", fmt.Errorf("read GTIN: %w: %d, not 8, 12, 13 or 14", ErrLength, len(digits))
	}
	if err := VerifyCheckDigit(digits); err != nil {
		return "", fmt.Errorf("read GTIN: %w", err)
	}
	return GTIN(zeros[len(digits):] + digits), nil
}

// CheckDigit computes the check digit that follows digits, as an ASCII digit:
// modulo 10 with weights 3 and 1 from the right (GS1 General Specifications
// 7.9). It serves GTIN, SSCC, GLN, GSRN and all other GS1 keys of fixed length.
// It is 0, no ASCII digit, if anything but digits is given.
func CheckDigit(digits string) byte {
	sum, weight := 0, 3
	for i := len(digits) - 1; i >= 0; i-- {
		d := digits[i] - '0'
		if d > 9 {
			return 0
		}
		sum += int(d) * weight
		weight = 4 - weight
	}
	return byte('0' + (10-sum%10)%10)
}

// VerifyCheckDigit verifies the last of digits. The error is ErrLength,
// ErrCharset or a *CheckDigitError, unwrapped.
func VerifyCheckDigit(digits string) error {
	if len(digits) < 2 {
		return ErrLength
	}
	n := len(digits) - 1
	want := CheckDigit(digits[:n])
	if want == 0 || !isDigit(digits[n]) {
		return ErrCharset
	}
	if given := digits[n]; given != want {
		return &CheckDigitError{given, want}
	}
	return nil
}

// IsAddOn reports whether s is the content of an add-on symbol: 2 or 5 digits
// beside an EAN or UPC, such as the issue of a magazine or the price of a book
// (GS1 General Specifications 5.2.2.5).
func IsAddOn(s string) bool { return (len(s) == 2 || len(s) == 5) && IsDigits(s) }

// IsDigits reports whether s is all ASCII digits. An empty string is not.
func IsDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// IsCoupon reports whether a number in an EAN or UPC symbol is that of a
// coupon, by its GS1 prefix: 05 (UPC number system 5), 981 to 984 and 99.
func (g GTIN) IsCoupon() bool {
	if len(g) != 14 || g[0] != '0' {
		return false
	}
	p := g[1:4] // the GS1 prefix; 000 in a GTIN-8, which has prefixes of its own
	return p >= "050" && p <= "059" || p >= "981" && p <= "984" || p >= "990"
}
