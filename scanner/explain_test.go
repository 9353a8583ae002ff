package scanner

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	for label, want := range map[string]string{
		"036000291452":   `{"symbology":"UPCA","label":"036000291452","kind":"item","gtin":"00036000291452","check_digit":{"given":"2","computed":"2","ok":true}}`,
		" 4006381333931": `{"symbology":"EAN13","label":"4006381333931","kind":"item","gtin":"04006381333931","check_digit":{"given":"1","computed":"1","ok":true}}`,
		"73513537":       `{"symbology":"EAN8","label":"73513537","kind":"item","gtin":"00000073513537","check_digit":{"given":"7","computed":"7","ok":true}}`,
		"04252614":       `{"symbology":"UPCE","label":"04252614","kind":"item","gtin":"00042100005264","check_digit":{"given":"4","computed":"4","ok":true}}`,
		"0425261":        `{"symbology":"UPCE","label":"04252614","kind":"item","gtin":"00042100005264","check_digit":{"given":"","computed":"4","ok":true}}`,
		"425261":         `{"symbology":"UPCE","label":"04252614","kind":"item","gtin":"00042100005264","check_digit":{"given":"","computed":"4","ok":true}}`,
		"10614141000415": `{"symbology":"ITF","label":"10614141000415","kind":"item","gtin":"10614141000415","check_digit":{"given":"5","computed":"5","ok":true}}`,
		"512345678900":   `{"symbology":"UPCA","label":"512345678900","kind":"coupon","gtin":"00512345678900","check_digit":{"given":"0","computed":"0","ok":true}}`,

		"036000291453":   `{"symbology":"UPCA","label":"036000291453","kind":"item","check_digit":{"given":"3","computed":"2","ok":false},"error":"the check digit is 3, and 2 was computed"}`,
		"4006381333932":  `{"symbology":"EAN13","label":"4006381333932","kind":"item","check_digit":{"given":"2","computed":"1","ok":false},"error":"the check digit is 2, and 1 was computed"}`,
		"10614141000416": `{"symbology":"ITF","label":"10614141000416","kind":"item","check_digit":{"given":"6","computed":"5","ok":false},"error":"the check digit is 6, and 5 was computed"}`,
		"04252615":       `{"symbology":"UPCE","label":"04252615","kind":"item","check_digit":{"given":"5","computed":"4","ok":false},"error":"read UPC-E: the check digit is 5, and 4 was computed"}`,
		"120003":         `{"symbology":"UPCE","label":"120003","kind":"item","error":"read UPC-E: no UPC-E: the third digit is 0 before a last digit of 3"}`,
		"12345678901":    `{"symbology":"UNKNOWN","label":"12345678901","kind":"other","error":"11 digits are no UPC, EAN or GTIN: these have 6, 7, 8, 12, 13 or 14"}`,
		"":               `{"symbology":"UNKNOWN","label":"","kind":"other","error":"the label is empty"}`,
		"]A001000000":    `{"symbology":"Code39","label":"01000000","kind":"other"}`,
		"EMP-1":          `{"symbology":"UNKNOWN","label":"EMP-1","kind":"other"}`,

		"]E01101234567891]E112":                      `{"symbology":"EAN13_S","label":"1101234567891","kind":"item","gtin":"01101234567891","check_digit":{"given":"1","computed":"1","ok":true},"add_on":"12"}`,
		"]E00036000291452":                           `{"symbology":"UPCA","label":"036000291452","kind":"item","gtin":"00036000291452","check_digit":{"given":"2","computed":"2","ok":true}}`,
		"]e00109501101530003":                        `{"symbology":"GS1DATABAR","label":"09501101530003","kind":"item","gtin":"09501101530003","check_digit":{"given":"3","computed":"3","ok":true},"elements":[{"ai":"01","title":"GTIN","value":"09501101530003","at":0}]}`,
		"]C10109501101530003<GS>10A":                 `{"symbology":"EAN128","label":"0109501101530003\u001d10A","kind":"item","gtin":"09501101530003","check_digit":{"given":"3","computed":"3","ok":true},"elements":[{"ai":"01","title":"GTIN","value":"09501101530003","at":0},{"ai":"10","title":"BATCH/LOT","value":"A","at":17}]}`,
		"0109501101530003":                           `{"symbology":"UNKNOWN","label":"0109501101530003","kind":"item","gtin":"09501101530003","check_digit":{"given":"3","computed":"3","ok":true},"elements":[{"ai":"01","title":"GTIN","value":"09501101530003","at":0}]}`,
		"(01)09501101530003(10)A":                    `{"symbology":"UNKNOWN","label":"(01)09501101530003(10)A","kind":"item","gtin":"09501101530003","check_digit":{"given":"3","computed":"3","ok":true},"elements":[{"ai":"01","title":"GTIN","value":"09501101530003","at":1},{"ai":"10","title":"BATCH/LOT","value":"A","at":19}]}`,
		"(01)09501101530004":                         `{"symbology":"UNKNOWN","label":"(01)09501101530004","kind":"item","check_digit":{"given":"4","computed":"3","ok":false},"elements":[{"ai":"01","title":"GTIN","value":"09501101530004","at":1}],"error":"AI (01), byte 17: the check digit is 4, and 3 was computed"}`,
		"(8110)106141416543213500110000310123196000": `{"symbology":"UNKNOWN","label":"(8110)106141416543213500110000310123196000","kind":"coupon","elements":[{"ai":"8110","title":"COUPON CODE","value":"106141416543213500110000310123196000","at":1}]}`,
		"(05)1": `{"symbology":"UNKNOWN","label":"(05)1","kind":"other","error":"byte 0: no known AI in parentheses where one should stand"}`,
	} {
		b, err := json.Marshal(Explain(label))
		if err != nil || string(b) != want {
			t.Errorf("Explain(%q):\n got %s\nwant %s", label, b, want)
		}
	}
}

// TestExplainAgrees: what explain says of a good label is what a lane reads.
func TestExplainAgrees(t *testing.T) {
	for _, label := range []string{"036000291452", "4006381333931", "73513537", "04252614", "10614141000415", "]E473513537", "]C100106141412345678908"} {
		s, e := Decode([]byte(label), Options{}), Explain(label)
		if e.Symbology != s.Symbology || e.Label != s.Label || e.GTIN != s.GTIN || e.Kind != s.Kind || e.Error != "" {
			t.Errorf("%s: read as %s, explained as %+v", label, say(s), e)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, label := range []string{"036000291452", "425261", "(01)09501101530003(10)A", "]C10109501101530003<GS>10A", "(((", "]E3", "]A001000000"} {
		f.Add(label)
	}
	f.Fuzz(func(t *testing.T, label string) {
		e := Explain(label)
		if e.Symbology == "" || e.Symbology[0] == '?' || e.Kind == "" {
			t.Fatalf("%q: %+v", label, e)
		}
		if c := e.CheckDigit; c != nil && !c.OK && e.Error == "" {
			t.Fatalf("%q: a wrong check digit and no error: %+v", label, e)
		}
		if e.Error != "" && strings.ContainsAny(e.Error, "\x00\n") {
			t.Fatalf("%q: error %q", label, e.Error)
		}
	})
}
