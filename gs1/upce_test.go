package gs1

import (
	"errors"
	"fmt"
	"testing"
)

// One or more for each last digit (GS1 General Specifications 5.2.2.4.2). The
// first three are printed in many places; the others follow the rule, their
// check digits were computed by hand.
var upces = []struct{ upce, upca string }{
	{"04252614", "042100005264"},
	{"06543217", "065100004327"},
	{"01234565", "012345000065"},
	{"01234505", "012000003455"},
	{"01234523", "012200003453"},
	{"01234531", "012300000451"},
	{"01234543", "012340000053"},
	{"01234558", "012345000058"},
	{"01234596", "012345000096"},
	{"11234562", "112345000062"}, // number system 1
}

func TestExpandUPCE(t *testing.T) {
	for _, c := range upces {
		for _, digits := range []string{c.upce, c.upce[:7], c.upce[1:7]} {
			want := c.upca
			if len(digits) == 6 {
				eleven := "0" + c.upca[1:11]
				want = eleven + string(CheckDigit(eleven))
			}
			if got, err := ExpandUPCE(digits); err != nil || got != want {
				t.Errorf("ExpandUPCE(%q) = %q, %v, want %q", digits, got, err, want)
			}
		}
		if got, ok := CompressUPCA(c.upca); !ok || got != c.upce {
			t.Errorf("CompressUPCA(%q) = %q, %v, want %q", c.upca, got, ok, c.upce)
		}
	}
}

func TestExpandUPCERefuses(t *testing.T) {
	var wrong *CheckDigitError
	if _, err := ExpandUPCE("04252615"); !errors.As(err, &wrong) || wrong.Given != '5' || wrong.Computed != '4' {
		t.Errorf("a wrong check digit: %v", err)
	}
	for digits, want := range map[string]error{
		"":          ErrLength,
		"12345":     ErrLength,
		"123456789": ErrLength,
		"04x52614":  ErrCharset,
		"0425261x":  ErrCharset,
		"24252614":  ErrNotUPCE, // number system
		"2425261":   ErrNotUPCE,
		"120003":    ErrNotUPCE, // third digit 0, 1, 2 before a last 3
		"121453":    ErrNotUPCE,
		"122003":    ErrNotUPCE,
	} {
		if got, err := ExpandUPCE(digits); !errors.Is(err, want) || got != "" {
			t.Errorf("ExpandUPCE(%q) = %q, %v, want %v", digits, got, err, want)
		}
	}
}

// TestEveryUPCE goes through all numbers a UPC-E can hold: each stands for a
// good UPC-A, and no two that are written as short as they can be for the same.
func TestEveryUPCE(t *testing.T) {
	refused, longer := 0, 0
	for n := range 2_000_000 {
		digits := fmt.Sprintf("%07d", n)
		upca, err := ExpandUPCE(digits)
		if err != nil {
			if !errors.Is(err, ErrNotUPCE) || digits[6] != '3' || digits[3] > '2' {
				t.Fatalf("%s: %v", digits, err)
			}
			refused++
			continue
		}
		upce, ok := CompressUPCA(upca)
		if !ok {
			t.Fatalf("%s is %s, which has no UPC-E", digits, upca)
		}
		if again, err := ExpandUPCE(upce); err != nil || again != upca {
			t.Fatalf("%s is %s, %s, %s, %v", digits, upca, upce, again, err)
		}
		if upce[:7] != digits {
			longer++
			if last := digits[6]; !(last == '4' && digits[4] == '0' || last >= '5' && digits[5] == '0') {
				t.Fatalf("%s is %s, which is written %s", digits, upca, upce)
			}
		}
	}
	if refused != 60_000 || longer != 20_000+100_000 {
		t.Errorf("%d refused, %d could be shorter", refused, longer)
	}
}

func TestCompressUPCARefuses(t *testing.T) {
	for _, upca := range []string{"", "03600029145", "036000291452", "036000291453", "212345000065", "01234500006x", "012345000066", "0012345000065"} {
		if got, ok := CompressUPCA(upca); ok {
			t.Errorf("CompressUPCA(%q) = %q", upca, got)
		}
	}
}

func FuzzUPCE(f *testing.F) {
	for _, c := range upces {
		f.Add(c.upce)
		f.Add(c.upce[1:7])
	}
	f.Fuzz(func(t *testing.T, s string) {
		upca, err := ExpandUPCE(s)
		if err != nil {
			return
		}
		if _, err := ParseGTIN(upca); err != nil {
			t.Fatalf("%q is %q: %v", s, upca, err)
		}
		upce, ok := CompressUPCA(upca)
		if !ok {
			t.Fatalf("%q is %q, which has no UPC-E", s, upca)
		}
		if again, err := ExpandUPCE(upce); err != nil || again != upca {
			t.Fatalf("%q is %q, written %q, which is %q, %v", s, upca, upce, again, err)
		}
	})
}

func BenchmarkExpandUPCE(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ExpandUPCE("04252614"); err != nil {
			b.Fatal(err)
		}
	}
}
