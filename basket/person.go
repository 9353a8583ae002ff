package basket

import "strings"

// PersonNumber reports whether a label looks like the number of a person or of
// a card rather than of a thing: 13 to 19 digits with a valid Luhn check digit
// (ISO/IEC 7812-1) in a symbology that does not carry GTINs, or an AAMVA
// driving licence. Such a label never becomes a line, neither at the lane nor
// at the POS main computer. Spaces and hyphens within the digits are passed
// over.
func PersonNumber(symbology, label string) bool {
	if strings.HasPrefix(label, "@\n") || strings.Contains(label, "\x1e\rANSI ") {
		return true
	}
	digits := make([]byte, 0, 20)
	for i := range len(label) {
		switch c := label[i]; {
		case c == ' ' || c == '-':
		case c < '0' || c > '9' || len(digits) == 19:
			return false
		default:
			digits = append(digits, c)
		}
	}
	return len(digits) >= 13 && !carriesGTIN(symbology, len(digits)) && luhn(digits)
}

func carriesGTIN(symbology string, digits int) bool {
	switch symbology {
	case "UPCA", "UPCA_S", "UPCE", "UPCE_S", "EAN8", "EAN8_S", "EAN13", "EAN13_S":
		return true
	case "ITF", "GS1DATABAR":
		return digits == 14
	}
	return false
}

// luhn is the check of ISO/IEC 7812-1. Package tid has it too; what a POS main
// computer is built of may not depend on that.
func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
