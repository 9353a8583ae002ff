package gs1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The check digits were computed by their publishers. In order: a widely
// printed UPC-A, EAN-13 and EAN-8; GTINs of the figures of the GS1 General
// Specifications and of GS1's check digit calculator; a book; numbers of the
// scan data tests of the GS1 Barcode Syntax Engine.
var goodGTINs = []struct{ digits, gtin string }{
	{"036000291452", "00036000291452"},
	{"4006381333931", "04006381333931"},
	{"73513537", "00000073513537"},
	{"9501101530003", "09501101530003"},
	{"95012345678903", "95012345678903"},
	{"6291041500213", "06291041500213"},
	{"9780201379624", "09780201379624"},
	{"24012345678905", "24012345678905"},
	{"2112233789657", "02112233789657"},
	{"416000336108", "00416000336108"},
	{"02345680", "00000002345680"},
	{"000000000000", "00000000000000"},
}

func TestParseGTIN(t *testing.T) {
	for _, c := range goodGTINs {
		got, err := ParseGTIN(c.digits)
		if err != nil || string(got) != c.gtin {
			t.Errorf("ParseGTIN(%q) = %q, %v, want %q", c.digits, got, err, c.gtin)
		}
		for wrong := range byte(10) {
			bad := c.digits[:len(c.digits)-1] + string('0'+wrong)
			if bad == c.digits {
				continue
			}
			var e *CheckDigitError
			if g, err := ParseGTIN(bad); !errors.As(err, &e) || g != "" {
				t.Errorf("ParseGTIN(%q) = %q, %v, want a check digit error", bad, g, err)
			} else if e.Given != '0'+wrong || e.Computed != c.digits[len(c.digits)-1] {
				t.Errorf("ParseGTIN(%q): given %c, computed %c", bad, e.Given, e.Computed)
			}
		}
	}
}

func TestParseGTINRefuses(t *testing.T) {
	for digits, want := range map[string]error{
		"":                ErrLength,
		"1":               ErrLength,
		"1234567":         ErrLength,
		"03600029145":     ErrLength,
		"040063813339310": ErrLength,
		"03600029145x":    ErrCharset,
		"x36000291452":    ErrCharset,
		"0360 0291452":    ErrCharset,
		"٠٣٦٠٠٠":          ErrCharset, // 12 bytes of digits that are not ASCII
	} {
		if g, err := ParseGTIN(digits); !errors.Is(err, want) || g != "" {
			t.Errorf("ParseGTIN(%q) = %q, %v, want %v", digits, g, err, want)
		}
	}
}

// TestCheckDigit holds the check digit against the other way of writing it
// down: weights from the left by the length, as in the General Specifications'
// own table (7.9.1).
func TestCheckDigit(t *testing.T) {
	for i := range 2000 {
		digits := fmt.Sprint(1_000_003 * (i + 1) * (i + 7))
		sum := 0
		for j, c := range digits {
			weight := 3
			if (len(digits)-j)%2 == 0 {
				weight = 1
			}
			sum += weight * int(c-'0')
		}
		next := sum
		for next%10 != 0 {
			next++
		}
		if got, want := CheckDigit(digits), byte('0'+next-sum); got != want {
			t.Fatalf("CheckDigit(%s) = %c, want %c", digits, got, want)
		}
	}
	if got := CheckDigit("12a4"); got != 0 {
		t.Errorf("CheckDigit of what is no number = %d, want 0", got)
	}
}

func TestIsAddOn(t *testing.T) {
	for s, want := range map[string]bool{"12": true, "51995": true, "": false, "1": false, "123": false, "1a": false, "123456": false, "5199x": false} {
		if got := IsAddOn(s); got != want {
			t.Errorf("IsAddOn(%q) = %v", s, got)
		}
	}
}

func TestCouponPrefix(t *testing.T) {
	for digits, want := range map[string]bool{
		"512345678900":   true, // UPC number system 5
		"0512345678900":  true, // the same as EAN-13
		"9923456789018":  true, // GS1 prefix 99
		"9812345678903":  true, // 981 to 984: common currency
		"9842345678900":  true,
		"9852345678900":  false,
		"9800000000007":  false, // a refund receipt
		"0602345678900":  false,
		"036000291452":   false,
		"9780201379624":  false,
		"5012345678900":  false, // GS1 UK, not number system 5
		"05123459":       false, // an EAN-8
		"10512345678907": false, // a case, which no coupon is
	} {
		g, err := ParseGTIN(digits[:len(digits)-1] + string(CheckDigit(digits[:len(digits)-1])))
		if err != nil || g.IsCoupon() != want {
			t.Errorf("%s: IsCoupon = %v, %v", digits, g.IsCoupon(), err)
		}
	}
	if GTIN("").IsCoupon() {
		t.Error("no GTIN is a coupon")
	}
}

func FuzzGTIN(f *testing.F) {
	for _, c := range goodGTINs {
		f.Add(c.digits)
	}
	f.Add("03600029145x")
	f.Fuzz(func(t *testing.T, s string) {
		g, err := ParseGTIN(s)
		if err != nil {
			if g != "" {
				t.Fatalf("%q gives a GTIN beside an error", s)
			}
			return
		}
		if len(g) != 14 || !strings.HasSuffix(string(g), s) || strings.Trim(string(g[:14-len(s)]), "0") != "" {
			t.Fatalf("%q became %q", s, g)
		}
		if again, err := ParseGTIN(string(g)); err != nil || again != g {
			t.Fatalf("%q became %q, which becomes %q, %v", s, g, again, err)
		}
	})
}

func BenchmarkParseGTIN(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseGTIN("036000291452"); err != nil {
			b.Fatal(err)
		}
	}
}
