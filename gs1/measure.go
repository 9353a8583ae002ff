package gs1

import (
	"strconv"
	"strings"
)

// Price is money: a whole number of units of 10 to the power of -Decimals, so
// that no cent is lost.
type Price struct {
	Amount   int64  `json:"amount"`
	Decimals int    `json:"decimals"`
	Currency string `json:"currency,omitempty"` // ISO 4217; empty: the shop's own
}

// String gives 12.34 EUR.
func (p Price) String() string {
	return strings.TrimSpace(decimal(p.Amount, p.Decimals) + " " + p.Currency)
}

// Weight is a net weight, counted as a Price is.
type Weight struct {
	Amount   int64  `json:"amount"`
	Decimals int    `json:"decimals"`
	Unit     string `json:"unit"` // kg or lb
}

// The units of weight.
const (
	Kilogram = "kg"
	Pound    = "lb"
)

// String gives 1.750 kg.
func (w Weight) String() string { return decimal(w.Amount, w.Decimals) + " " + w.Unit }

// decimal writes amount with a decimal point.
func decimal(amount int64, decimals int) string {
	digits := strconv.FormatInt(amount, 10)
	if decimals <= 0 {
		return digits
	}
	if len(digits) <= decimals {
		digits = strings.Repeat("0", decimals+1-len(digits)) + digits
	}
	return digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
}

// PriceOf gives the price among elements (AI 392n, or 393n with its currency).
func PriceOf(elements []Element) (p Price, ok bool) {
	for _, e := range elements {
		switch {
		case !e.good():
		case strings.HasPrefix(e.AI, "392"):
			return Price{Amount: amount(e.Value), Decimals: number(e.AI[3:])}, true
		case strings.HasPrefix(e.AI, "393"):
			return Price{amount(e.Value[3:]), number(e.AI[3:]), Currency(e.Value[:3])}, true
		}
	}
	return p, false
}

// WeightOf gives the net weight among elements (AI 310n or 320n).
func WeightOf(elements []Element) (w Weight, ok bool) {
	for _, e := range elements {
		switch {
		case !e.good():
		case strings.HasPrefix(e.AI, "310"):
			return Weight{amount(e.Value), number(e.AI[3:]), Kilogram}, true
		case strings.HasPrefix(e.AI, "320"):
			return Weight{amount(e.Value), number(e.AI[3:]), Pound}, true
		}
	}
	return w, false
}

// good reports whether an element's data are what its AI asks for.
func (e Element) good() bool { return lookup(e.AI).check(e.AI, e.Value, 0) == nil }

// amount is the value of up to 18 digits.
func amount(digits string) int64 {
	n := int64(0)
	for i := range len(digits) {
		n = n*10 + int64(digits[i]-'0')
	}
	return n
}
