package gs1

import (
	"errors"
	"fmt"
	"strings"
)

// Pattern says what the digits of a shop's own numbers for goods of random
// weight mean: those that its scales print. It is written as the 12 digits of a
// UPC-A or the 13 of an EAN-13, each a digit or a letter:
//
//	0-9  this digit
//	I    the item's number
//	P    the price, with a point where its decimals begin: PPP.PP
//	W    the weight, with a point likewise; its unit follows the pattern
//	V    GS1's check digit of the price or weight, which has 4 or 5 digits
//	X    any digit, which says nothing
//	C    the check digit of the whole, at the end
//
// such as "2IIIIIVPP.PPC" or "29IIIIIWW.WWWC kg". A UPC-A is the EAN-13 that
// begins with 0. Only numbers for use within a shop or company are taken: those
// that begin with 2, 02 or 04 as an EAN-13 (GS1 General Specifications 2.1.11).
type Pattern struct {
	text     string
	form     string // 14 positions, as a GTIN has; without points
	decimals int
	unit     string
}

// Measure is what a label says of how much of an item there is.
type Measure struct {
	Reference GTIN // the item's, with price or weight as zeros; empty if the label's own GTIN is
	Price     *Price
	Weight    *Weight
	Problem   string // why neither is given
}

// String gives the pattern as it was written.
func (p Pattern) String() string { return p.text }

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	p := Pattern{text: text}
	form, unit, hasUnit := strings.Cut(text, " ")
	if err := p.point(form); err != nil {
		return Pattern{}, err
	}
	form = strings.ReplaceAll(form, ".", "")
	if i := strings.IndexFunc(form, func(r rune) bool { return !strings.ContainsRune("0123456789IPWVXC", r) }); i >= 0 {
		return Pattern{}, fmt.Errorf("%q is none of the digits and I, P, W, V, X, C", form[i:i+1])
	}
	switch len(form) {
	case 12:
		form = "0" + form
	case 13:
	default:
		return Pattern{}, fmt.Errorf("it has %d positions, not the 12 of a UPC-A or the 13 of an EAN-13", len(form))
	}
	p.form = "0" + form
	if strings.Contains(form, "W") != hasUnit || hasUnit && unit != Kilogram && unit != Pound {
		return Pattern{}, errors.New("a weight is followed by a space and its unit, kg or lb, and a price by nothing")
	}
	p.unit = unit
	return p, p.check()
}

// point finds the decimal point.
func (p *Pattern) point(form string) error {
	whole, decimals, ok := strings.Cut(form, ".")
	if !ok {
		return nil
	}
	p.decimals = len(decimals) - len(strings.TrimLeft(decimals, decimals[:min(1, len(decimals))]))
	if whole == "" || decimals == "" || whole[len(whole)-1] != decimals[0] || !strings.Contains("PW", decimals[:1]) || strings.Contains(decimals, ".") {
		return errors.New("a point stands between two P or two W, and there is one at most")
	}
	return nil
}

// check holds the form against what a pattern needs.
func (p *Pattern) check() error {
	price, weight := strings.Count(p.form, "P"), strings.Count(p.form, "W")
	from, to := p.field()
	switch {
	case !strings.HasPrefix(p.form, "02") && !strings.HasPrefix(p.form, "002") && !strings.HasPrefix(p.form, "004"):
		return errors.New("it must begin with 2 or 02, or with 4 as a UPC-A: other numbers are those of trade items everywhere")
	case strings.IndexByte(p.form, 'C') != 13:
		return errors.New("it must end with C, the check digit, and have no other")
	case price+weight == 0 || price > 0 && weight > 0 || to-from != price+weight:
		return errors.New("it needs one run of P, for the price, or of W, for the weight")
	case strings.Count(p.form, "V") > 1:
		return errors.New("it may have one V at most")
	case strings.Contains(p.form, "V") && to-from != 4 && to-from != 5:
		return fmt.Errorf("V checks a price or weight of 4 or 5 digits, and this one has %d", to-from)
	}
	return nil
}

// field gives where the first run of P or W is.
func (p *Pattern) field() (from, to int) {
	from = max(strings.IndexAny(p.form, "PW"), 0)
	for to = from; to < len(p.form) && p.form[to] == p.form[from] && strings.IndexByte("PW", p.form[to]) >= 0; to++ {
	}
	return from, to
}

// Overlaps reports whether some number fits both patterns.
func (p Pattern) Overlaps(q Pattern) bool {
	for i := range len(p.form) {
		if a, b := p.form[i], q.form[i]; isDigit(a) && isDigit(b) && a != b {
			return false
		}
	}
	return true
}

// Match reads a number by the pattern. ok is false if it does not fit.
func (p Pattern) Match(g GTIN) (m Measure, ok bool) {
	if len(g) != len(p.form) {
		return m, false
	}
	item := []byte(g)
	for i := range len(p.form) {
		switch c := p.form[i]; {
		case isDigit(c) && c != g[i]:
			return m, false
		case c != 'I' && !isDigit(c):
			item[i] = '0'
		}
	}
	item[13] = CheckDigit(string(item[:13]))
	m.Reference = GTIN(item)
	p.measure(g, &m)
	return m, true
}

func (p *Pattern) measure(g GTIN, m *Measure) {
	from, to := p.field()
	digits := string(g[from:to])
	if v := strings.IndexByte(p.form, 'V'); v >= 0 && g[v] != PriceCheckDigit(digits) {
		m.Problem = fmt.Sprintf("the check digit of its price or weight is %c, and %c was computed", g[v], PriceCheckDigit(digits))
		return
	}
	if p.form[from] == 'P' {
		m.Price = &Price{Amount: amount(digits), Decimals: p.decimals}
		return
	}
	m.Weight = &Weight{amount(digits), p.decimals, p.unit}
}

// What a digit comes to by the weighting factors of price check digits.
const (
	twoMinus  = "0246891357"
	three     = "0369258147"
	fivePlus  = "0516273849"
	fiveMinus = "0594837261"
)

// PriceCheckDigit computes the check digit of a price or weight of 4 or 5
// digits, as an ASCII digit (GS1 General Specifications 7.9.3 and 7.9.4). It is
// 0, no ASCII digit, for anything else.
func PriceCheckDigit(digits string) byte {
	if !IsDigits(digits) {
		return 0
	}
	sum := func(factors ...string) int {
		n := 0
		for i, factor := range factors {
			n += int(factor[digits[i]-'0'] - '0')
		}
		return n
	}
	switch len(digits) {
	case 4:
		return byte('0' + 3*sum(twoMinus, twoMinus, three, fiveMinus)%10)
	case 5:
		rest := (10 - sum(fivePlus, twoMinus, fiveMinus, fivePlus, twoMinus)%10) % 10
		return byte('0' + strings.IndexByte(fiveMinus, byte('0'+rest)))
	}
	return 0
}
