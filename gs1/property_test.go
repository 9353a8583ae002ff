package gs1

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// genData draws good data for one component.
func genData(t *rapid.T, c component) string {
	n := rapid.IntRange(int(c.least), int(c.most)).Draw(t, "length")
	if c.lint&lintCsum != 0 {
		digits := rapid.StringOfN(rapid.RuneFrom([]rune(anyDigit)), n-1, n-1, n-1).Draw(t, "digits")
		return digits + string(CheckDigit(digits))
	}
	for l := lintCsumalpha; l <= lintCouponposoffer; l <<= 1 {
		fits := strings.Fields(lintTests[l].good)
		if c.lint&l == 0 || l == lintGcppos1 && c.lint != l || l == lintHasnondigit {
			continue
		}
		data := rapid.SampledFrom(fits).Filter(func(s string) bool {
			return len(s) >= int(c.least) && len(s) <= int(c.most) && (l != lintCsumalpha || len(s) > 5 && IsDigits(s[:4]) && !IsDigits(s))
		})
		return data.Draw(t, "data")
	}
	set := map[byte]string{'N': anyDigit, 'X': cset82, 'Y': cset39, 'Z': "aZ09-_"}[c.set]
	return rapid.StringOfN(rapid.RuneFrom([]rune(set)), n, n, n).Draw(t, "text")
}

// genElement draws an AI of any kind with good data.
func genElement(t *rapid.T) Element {
	d := &definitions[rapid.IntRange(0, len(definitions)-1).Draw(t, "AI")]
	e := Element{AI: rapid.SampledFrom([]string{d.from, d.to}).Draw(t, "end of range"), Title: d.name()}
	for _, c := range d.parts {
		if c.optional && rapid.Bool().Draw(t, "left out") {
			break
		}
		e.Value += genData(t, c)
	}
	return e
}

// TestElementsRoundTrip: what is written is read as it was, for every AI with
// good data, in any order.
func TestElementsRoundTrip(t *testing.T) {
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(genElement), 1, 8).Draw(t, "elements")
		raw := FormatElements(want)
		got, err := AppendElements(nil, raw, 0)
		if err != nil || !same(got, want) {
			t.Fatalf("%s is written %q, which is %s, %v", values(want), raw, values(got), err)
		}
		for i, e := range got {
			if e.Title != want[i].Title || raw[e.At:e.At+len(e.AI)] != e.AI {
				t.Fatalf("%q: %+v", raw, e)
			}
			seen[e.AI] = true
		}
		// One byte that is no character of any set is seen, and where it is.
		at := rapid.IntRange(0, len(got)-1).Draw(t, "which")
		broken := got[at].At + len(got[at].AI) + rapid.IntRange(0, len(got[at].Value)-1).Draw(t, "byte")
		_, err = AppendElements(nil, raw[:broken]+"^"+raw[broken+1:], 0)
		if bad, ok := err.(*ElementError); !ok || bad.AI != got[at].AI {
			t.Fatalf("%q with byte %d broken: %v", raw, broken, err)
		}
	})
	if len(seen) < len(definitions)/3 {
		t.Errorf("%d AIs of %d were drawn", len(seen), len(definitions))
	}
}
