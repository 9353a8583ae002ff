package basket

import (
	"slices"
	"strings"

	"posd/aamva"
	"posd/gs1"
)

// PersonNumber reports whether a line looks like the number of a person or of a
// card rather than of a thing: 13 to 19 digits with a Luhn check digit
// (ISO/IEC 7812-1), a text that holds a payment card's number, an AAMVA driving
// licence, or GS1 elements that are a person's (gs1.Personal). Such a label never
// becomes a line, neither at the lane nor at the POS main computer.
//
// One number in ten has a Luhn check digit by chance. Digits that show the
// line's GTIN are a thing's all the same, and so are, in good GS1 elements and
// Digital Links, the numbers that GS1 gives to things (gs1.Thing). All else of a
// label is looked at, composite components and the parameters of URIs too.
func (l Line) PersonNumber() bool {
	data := strings.TrimSuffix(withoutAIM(string(l.Data)), l.AddOn)
	return l.personal(l.UPC) || l.personal(l.beyondUPC(data))
}

// beyondUPC takes the label off the data that a scanner sent, unless digits
// touch it.
func (l Line) beyondUPC(data string) string {
	main, composite, found := strings.Cut(data, compositeMark)
	id, ok := strings.CutSuffix(main, l.UPC)
	if !ok || id != "" && isDigit(id[len(id)-1]) {
		return data
	}
	if found {
		id += compositeMark + composite
	}
	return id
}

// compositeMark parts a linear code from what stands above it; then comes 0 and
// an element string, or another digit and something else.
const compositeMark = "|]e"

func (l Line) personal(text string) bool {
	parts := strings.Split(text, compositeMark)
	for _, part := range parts[1:] {
		elements, isString := strings.CutPrefix(part, "0")
		if isString && l.personalElements(elements, true) || !isString && (l.personalText(part) || l.personalText(part[min(1, len(part)):])) {
			return true
		}
	}
	return l.personalMain(parts[0])
}

// personalMain judges a label without what stands above it.
func (l Line) personalMain(text string) bool {
	if elements, isLink, err := gs1.ParseLink(text); isLink {
		return hasPersonal(elements) || err != nil && l.personalText(text) ||
			err == nil && (personNumber(gs1.LinkRest(text)) || slices.ContainsFunc(elements, personalValue))
	}
	if elements, err := gs1.ParseBracketed(text); err == nil {
		return hasPersonal(elements) || slices.ContainsFunc(elements, personalValue)
	}
	if sure := carriesElements(l.Symbology); sure || len(text) > longestCard || strings.Contains(text, gs1.GS) {
		return l.personalElements(text, sure)
	}
	return l.personalText(text)
}

// personalElements judges a text that is, or may be, an element string. What a
// bad one holds is looked at as text too, and element by element: an AI touches
// the digits of its data.
func (l Line) personalElements(text string, sure bool) bool {
	elements, err := gs1.AppendElements(nil, text, 0)
	looks := personalValue
	if err != nil {
		looks = l.doubtfulValue
	} else if err = gs1.CheckPairs(elements); err == nil {
		return hasPersonal(elements) || slices.ContainsFunc(elements, personalValue)
	}
	return sure && hasPersonal(elements) || slices.ContainsFunc(elements, isServiceNumber) ||
		(sure || strings.Contains(text, gs1.GS)) && slices.ContainsFunc(elements, looks) || l.personalText(text)
}

func hasPersonal(elements []gs1.Element) bool {
	return slices.ContainsFunc(elements, func(e gs1.Element) bool { return gs1.Personal(e.AI) })
}

// isServiceNumber reports whether an element of a text that may be an element
// string, and is no good one, is the number of a service relation (GSRN) all the
// same.
func isServiceNumber(e gs1.Element) bool {
	return gs1.Personal(e.AI) && len(e.Value) >= 18 && isDigits(e.Value[:18], 18)
}

// personalValue reports whether the data of an element that is not a thing's
// number look like a person's.
func personalValue(e gs1.Element) bool {
	return !gs1.Thing(e.AI) && (personNumber(e.Value) || slices.ContainsFunc(e.Components(), HoldsCardNumber))
}

// doubtfulValue is personalValue for an element beside others that are bad: there
// a thing's number without a check digit of GS1's may as well be a card's.
func (l Line) doubtfulValue(e gs1.Element) bool {
	return personalValue(e) || !e.Verified() && HoldsCardNumber(l.withoutGTIN(e.Value))
}

// personalText judges a text. The symbology is not asked: it is only the lane's
// word.
func (l Line) personalText(text string) bool { return personNumber(l.withoutGTIN(text)) }

// withoutGTIN takes out of a text the digits of the line's GTIN, with or without
// leading zeros and check digit: they are known to be a thing's.
func (l Line) withoutGTIN(text string) string {
	if _, err := gs1.ParseGTIN(l.GTIN); err != nil || len(l.GTIN) != 14 {
		return text
	}
	return strings.Replace(text, strings.TrimLeft(l.GTIN[:6], "0")+l.GTIN[6:13], ".", 1)
}

// longestCard is the most digits that the number of a card has.
const longestCard = 19

// withoutAIM takes away an AIM identifier, whose last digit would join a
// number's.
func withoutAIM(data string) string {
	if len(data) > 3 && data[0] == ']' {
		return data[3:]
	}
	return data
}

// personNumber judges a text as it stands, and with its percent-encoding
// resolved.
func personNumber(text string) bool {
	again := decoded(text)
	return personDigits(plain(text)) || again != text && personDigits(plain(again))
}

func personDigits(text string) bool {
	return aamva.IsLicence(text) || luhnNumber(strings.NewReplacer(" ", "", "-", "").Replace(text)) || HoldsCardNumber(text)
}

func luhnNumber(text string) bool {
	return len(text) >= 13 && len(text) <= longestCard && isDigits(text, len(text)) && luhn([]byte(text))
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
	text = plain(text)
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
