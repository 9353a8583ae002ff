package basket

import (
	"strings"

	"posd/gs1"
)

// PersonNumber reports whether a line looks like the number of a person or of a
// card rather than of a thing: 13 to 19 digits with a Luhn check digit
// (ISO/IEC 7812-1), a text that holds a payment card's number, or an AAMVA
// driving licence. Such a label never becomes a line, neither at the lane nor
// at the POS main computer.
//
// One number in ten has a Luhn check digit by chance. A good GS1 element string
// and a label that shows the line's GTIN are things all the same.
func (l Line) PersonNumber() bool {
	if l.Problem == "" && carriesElements(l.Symbology) {
		return false
	}
	data := strings.TrimSuffix(withoutAIM(string(l.Data)), l.AddOn)
	return !l.showsGTIN(l.UPC) && personNumber(l.UPC) || !l.showsGTIN(data) && personNumber(data)
}

// showsGTIN reports whether the digits of the line's GTIN stand in text, with
// or without leading zeros and check digit. The symbology is not asked: it is
// only the lane's word.
func (l Line) showsGTIN(text string) bool {
	if _, err := gs1.ParseGTIN(l.GTIN); err != nil || len(l.GTIN) != 14 {
		return false
	}
	return strings.Contains(text, strings.TrimLeft(l.GTIN[:6], "0")+l.GTIN[6:13])
}

// withoutAIM takes away an AIM identifier, whose last digit would join a
// number's.
func withoutAIM(data string) string {
	if len(data) > 3 && data[0] == ']' {
		return data[3:]
	}
	return data
}

func personNumber(text string) bool {
	if at := strings.Index(text, "ANSI "); at > 0 && strings.Contains(text[:at], "@") {
		return true
	}
	return luhnNumber(strings.NewReplacer(" ", "", "-", "").Replace(text)) || HoldsCardNumber(text)
}

func luhnNumber(text string) bool {
	return len(text) >= 13 && len(text) <= 19 && isDigits(text, len(text)) && luhn([]byte(text))
}

// carriesElements reports whether a symbology (UnifiedPOS spelling) carries GS1
// element strings.
func carriesElements(symbology string) bool {
	switch symbology {
	case "EAN128", "GS1DATABAR", "GS1DATABAR_E", "GS1DATABAR_TYPE2", "GS1DATAMATRIX", "GS1QRCODE":
		return true
	}
	return false
}

// HoldsCardNumber reports whether a text holds what looks like the number of a
// payment card: 13 to 19 digits in one run, or in groups parted by single
// spaces or hyphens, with a valid Luhn check digit (ISO/IEC 7812-1) and the
// length and first digits that card schemes issue. No text of a basket may. The
// issuer's digits keep receipt numbers and time stamps out of it, of which one
// in ten has a Luhn check digit by chance.
func HoldsCardNumber(text string) bool {
	for i := 0; i < len(text); {
		if !isDigit(text[i]) {
			i++
			continue
		}
		end := chainEnd(text, i)
		if chainHoldsCardNumber(text[i:end]) {
			return true
		}
		i = end
	}
	return false
}

// chainEnd gives where the chain of digit groups that begins at i ends.
func chainEnd(text string, i int) int {
	for i < len(text) {
		switch {
		case isDigit(text[i]):
		case (text[i] == ' ' || text[i] == '-') && i+1 < len(text) && isDigit(text[i+1]):
		default:
			return i
		}
		i++
	}
	return i
}

// chainHoldsCardNumber looks at every sequence of whole groups.
func chainHoldsCardNumber(chain string) bool {
	var digits [19]byte
	for start := 0; start < len(chain); start++ {
		if !isDigit(chain[start]) || start > 0 && isDigit(chain[start-1]) {
			continue
		}
		n := 0
		for i := start; i < len(chain); i++ {
			if !isDigit(chain[i]) {
				continue
			}
			if n == len(digits) {
				break
			}
			digits[n] = chain[i]
			n++
			if last := i+1 == len(chain) || !isDigit(chain[i+1]); last && issued(digits[:n]) && luhn(digits[:n]) {
				return true
			}
		}
	}
	return false
}

// issued reports whether a card scheme issues numbers of this length that
// begin like this.
func issued(d []byte) bool {
	n := len(d)
	if n < 13 {
		return false
	}
	first4 := int(d[0]-'0')*1000 + int(d[1]-'0')*100 + int(d[2]-'0')*10 + int(d[3]-'0')
	switch first2 := first4 / 100; {
	case d[0] == '4': // Visa
		return n == 13 || n == 16 || n == 19
	case first2 >= 51 && first2 <= 55, first4 >= 2221 && first4 <= 2720: // Mastercard
		return n == 16
	case first2 == 34, first2 == 37: // American Express
		return n == 15
	case first4/10 >= 300 && first4/10 <= 305, first4 == 3095, first2 == 36, first2 == 38, first2 == 39: // Diners Club
		return n >= 14
	case first4 >= 3528 && first4 <= 3589, first4 >= 2200 && first4 <= 2204, first4 == 9792: // JCB, Mir, Troy
		return n >= 16
	case d[0] == '6', first2 == 50, first2 >= 56 && first2 <= 58: // Discover, UnionPay, RuPay, Maestro
		return true
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

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
