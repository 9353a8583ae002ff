package basket

import (
	"strings"
	"testing"
)

func TestHoldsCardNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"4111111111111111", true},
		{"5555555555554444", true},
		{"2223003122003222", true},
		{"378282246310005", true},
		{"6011111111111117", true},
		{"30569309025904", true},
		{"3530111333300000", true},
		{"4111 1111 1111 1111", true},
		{"4111-1111-1111-1111", true},
		{"3782 822463 10005", true},
		{"card 4111111111111111.", true},
		{"4111 1111 1111 1111 12/30", true},
		{"17 4111111111111111 30", true},
		{"x4111111111111111y", true},
		{"%B4111111111111111^DOE/J^3012", true},
		{"", false},
		{"T-17", false},
		{"4111111111111112", false},                     // no Luhn check digit
		{"411111111111111", false},                      // 15 digits, as Visa does not issue them
		{"4111  1111 1111 1111", false},                 // two spaces: no groups of one number
		{"00000000000000000000", false},                 // 20 digits
		{"0000000000000000", false},                     // Luhn-valid, of no scheme
		{"20261123101500005", false},                    // a time stamp
		{"0191f0a0-0000-7000-8000-000000000001", false}, // a UUID
		{"2026-11-23T10:00:00.123456789Z", false},
		{strings.Repeat("4", 40), false},
	} {
		if got := HoldsCardNumber(c.text); got != c.want {
			t.Errorf("HoldsCardNumber(%q) = %v", c.text, got)
		}
	}
}

// Whatever stands around a card number, it is found, as long as no digit
// touches it.
func FuzzHoldsCardNumber(f *testing.F) {
	f.Add("", "")
	f.Add("12 ", " 30")
	f.Add("1-", "-")
	f.Fuzz(func(t *testing.T, before, after string) {
		if touched(before, after) {
			t.Skip()
		}
		if !HoldsCardNumber(before + "4111111111111111" + after) {
			t.Errorf("not found between %q and %q", before, after)
		}
	})
}

// touched reports whether a digit of any script touches what stands between.
func touched(before, after string) bool {
	before, after = plain(before), plain(after)
	return before != "" && isDigit(before[len(before)-1]) || after != "" && isDigit(after[0])
}
