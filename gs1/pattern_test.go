package gs1

import (
	"strings"
	"testing"
)

// The two are the examples of the General Specifications 7.9.3 and 7.9.4; the
// others follow its tables by hand.
func TestPriceCheckDigit(t *testing.T) {
	for digits, want := range map[string]byte{
		"2875": '9', "14685": '6', "0000": '0', "00000": '0', "1000": '6', "0001": '5', "10000": '1',
		"": 0, "123": 0, "123456": 0, "12x4": 0,
	} {
		if got := PriceCheckDigit(digits); got != want {
			t.Errorf("PriceCheckDigit(%q) = %q, want %q", digits, got, want)
		}
	}
}

// TestPriceCheckDigitTellsMistakes: one digit read wrong is always seen.
func TestPriceCheckDigitTellsMistakes(t *testing.T) {
	for _, digits := range []string{"2875", "14685", "0999", "90210"} {
		for i := range len(digits) {
			for d := byte('0'); d <= '9'; d++ {
				wrong := digits[:i] + string(d) + digits[i+1:]
				if (PriceCheckDigit(wrong) == PriceCheckDigit(digits)) != (wrong == digits) {
					t.Errorf("%s and %s have one check digit", digits, wrong)
				}
			}
		}
	}
}

func gtin(t *testing.T, withoutCheck string) GTIN {
	t.Helper()
	g, err := ParseGTIN(withoutCheck + string(CheckDigit(withoutCheck)))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func say(m Measure, ok bool) string {
	switch {
	case !ok:
		return "no"
	case m.Price != nil:
		return string(m.Reference) + " " + m.Price.String()
	case m.Weight != nil:
		return string(m.Reference) + " " + m.Weight.String()
	}
	return string(m.Reference) + " " + m.Problem
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct{ pattern, digits, want string }{
		{"2IIIIIVPP.PPC", "21234592875", "00212345000007 28.75"},
		{"2IIIIIVPP.PPC", "21234582875", "00212345000007 the check digit of its price or weight is 8, and 9 was computed"},
		{"2IIIIIXPP.PPC", "21234582875", "00212345000007 28.75"},
		{"02IIIIIVPP.PPC", "21234592875", "00212345000007 28.75"}, // a UPC-A is an EAN-13
		{"2IIIIIPPP.PPC", "21234500005", "00212345000007 0.05"},
		{"2IIIIIPPPPPC", "21234500105", "00212345000007 105"},
		{"29IIIIIWW.WWWC kg", "291234501750", "02912345000004 1.750 kg"},
		{"28IIIIVWW.WWWC lb", "281234614685", "02812340000002 14.685 lb"},
		{"28IIIIVWW.WWWC lb", "281234714685", "02812340000002 the check digit of its price or weight is 7, and 6 was computed"},
		{"20IIIPPPP.PPPC", "201231234567", "02012300000008 1234.567"},
		{"29IIIIIWW.WWWC kg", "281234501750", "no"},
		{"29IIIIIWW.WWWC kg", "950600013435", "no"},
		{"4IIIIIPPP.PPC", "41234500005", "00412345000001 0.05"},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil || p.String() != c.pattern {
			t.Errorf("ParsePattern(%q) = %v, %v", c.pattern, p, err)
			continue
		}
		if got := say(p.Match(gtin(t, c.digits))); got != c.want {
			t.Errorf("%s: %s is %s, want %s", c.pattern, c.digits, got, c.want)
		}
	}
	p, _ := ParsePattern("2IIIIIPPP.PPC")
	for _, g := range []GTIN{"", "212345000058", "10212345000055"} {
		if m, ok := p.Match(g); ok {
			t.Errorf("%q matches: %+v", g, m)
		}
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                "it has 0 positions",
		"2IIIIIPPPPC":     "it has 11 positions",
		"2IIIIIIIPPPPPC":  "it has 14 positions",
		"2IIIIIPPPPPc":    `"c" is none of`,
		"2[0-9]IIPPPPPC":  `"[" is none of`,
		"3IIIIIPPPPPC":    "it must begin with 2 or 02",
		"IIIIIIPPPPPC":    "it must begin with 2 or 02",
		"50IIIIIPPPPPC":   "it must begin with 2 or 02",
		"03IIIIIPPPPPC":   "it must begin with 2 or 02",
		"2IIIIIPPPPPI":    "it must end with C",
		"2IIIICPPPPPC":    "it must end with C",
		"2IIIIIIIIIIC":    "it needs one run of P",
		"2IIPPIIPPPPC":    "it needs one run of P",
		"2IIIIIPPWWWC kg": "it needs one run of P",
		"2IIIIVVPPPPC":    "it may have one V",
		"2IIIIIIVPPPC":    "V checks a price or weight of 4 or 5 digits, and this one has 3",
		"2IIIIIWWWWWC":    "a weight is followed by a space and its unit",
		"2IIIIIWWWWWC g":  "a weight is followed by a space and its unit",
		"2IIIIIPPPPPC kg": "a weight is followed by a space and its unit",
		"2IIIIIP.PP.PPC":  "a point stands between",
		"2IIIII.PPPPPC":   "a point stands between",
		"2IIIIIPPPPP.C":   "a point stands between",
		"2III.IIPPPPPC":   "a point stands between",
		".2IIIIIPPPPPC":   "a point stands between",
		"2IIIIIPPPPPC.":   "a point stands between",
		"2IIIIIWW.PPPC":   "a point stands between",
		"２IIIIIPPPPPC":    "is none of",
	} {
		if p, err := ParsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePattern(%q) = %v, %v, want %s", text, p, err, want)
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"2IIIIIPPPPPC", "2IIIIIVPPPPC", true},
		{"2IIIIIPPPPPC", "02IIIIIPPPPPC", true},
		{"2IIIIIPPPPPC", "20IIIIIPPPPPC", false},
		{"21IIIIIPPPPPC", "22IIIIIPPPPPC", false},
		{"2IIIIIIPPPPPC", "22IIIIIPPPPPC", true},
		{"20IIII1PPPPPC", "20IIII2PPPPPC", false},
	} {
		a, errA := ParsePattern(c.a)
		b, errB := ParsePattern(c.b)
		if errA != nil || errB != nil || a.Overlaps(b) != c.want || b.Overlaps(a) != c.want {
			t.Errorf("%s and %s: %v %v, %v", c.a, c.b, errA, errB, !c.want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, text := range []string{"2IIIIIVPP.PPC", "29IIIIIWW.WWWC kg", "4IIIIIXPPP.PC", "20"} {
		f.Add(text, uint64(212345928754))
	}
	f.Fuzz(func(t *testing.T, text string, n uint64) {
		p, err := ParsePattern(text)
		if err != nil {
			return
		}
		digits := []byte(zeros)
		for i := 12; i >= 0; i-- {
			digits[i], n = byte('0'+n%10), n/10
			if isDigit(p.form[i]) {
				digits[i] = p.form[i]
			}
		}
		digits[13] = CheckDigit(string(digits[:13]))
		m, ok := p.Match(GTIN(digits))
		if !ok {
			t.Fatalf("%q does not match %s", text, digits)
		}
		if g, err := ParseGTIN(string(m.Reference)); err != nil || g != m.Reference {
			t.Fatalf("%q: reference %s of %s: %v", text, m.Reference, digits, err)
		}
		if again, ok := p.Match(m.Reference); !ok || again.Reference != m.Reference {
			t.Fatalf("%q: the reference %s of %s has the reference %s", text, m.Reference, digits, again.Reference)
		}
		if (m.Price != nil) == (m.Weight != nil) && m.Problem == "" {
			t.Fatalf("%q: %+v", text, m)
		}
	})
}
