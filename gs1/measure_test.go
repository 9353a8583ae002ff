package gs1

import "testing"

func TestMeasures(t *testing.T) {
	for bracketed, want := range map[string][2]string{ // price, weight
		"(01)95012345678903(3103)001750":                         {"", "1.750 kg"},
		"(01)95012345678903(3202)000150":                         {"", "1.50 lb"},
		"(01)95012345678903(3100)000003":                         {"", "3 kg"},
		"(01)95012345678903(3105)000003(3922)299":                {"2.99", "0.00003 kg"},
		"(01)95012345678903(3103)000500(3932)978123456789012345": {"1234567890123.45 EUR", "0.500 kg"},
		"(01)95012345678903(3103)000500(3930)392299":             {"299 JPY", "0.500 kg"},
		"(01)95012345678903(3932)000299":                         {"", ""}, // no such currency
		"(01)95012345678903(3103)00x500":                         {"", ""},
		"(01)95012345678903(3302)000150":                         {"", ""}, // gross
		"(01)95012345678903":                                     {"", ""},
	} {
		elements, _ := ParseBracketed(bracketed)
		var got [2]string
		if p, ok := PriceOf(elements); ok {
			got[0] = p.String()
		}
		if w, ok := WeightOf(elements); ok {
			got[1] = w.String()
		}
		if got != want {
			t.Errorf("%s: %v, want %v", bracketed, got, want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		amount   int64
		decimals int
		want     string
	}{{0, 0, "0"}, {0, 2, "0.00"}, {5, 2, "0.05"}, {1234, 2, "12.34"}, {1234, 4, "0.1234"}, {999999999999999, 9, "999999.999999999"}} {
		if got := decimal(c.amount, c.decimals); got != c.want {
			t.Errorf("decimal(%d, %d) = %s, want %s", c.amount, c.decimals, got, c.want)
		}
	}
}
