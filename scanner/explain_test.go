package scanner

import (
	"encoding/json"
	"strings"
	"testing"

	"posd/gs1"
)

func TestExplain(t *testing.T) {
	pattern, _ := gs1.ParsePattern("2IIIIIVPP.PPC")
	patterns := []gs1.Pattern{pattern}
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
		"]e00109501101530004":                        `{"symbology":"GS1DATABAR","label":"09501101530004","text":"0109501101530004","kind":"item","check_digit":{"given":"4","computed":"3","ok":false},"elements":[{"ai":"01","title":"GTIN","value":"09501101530004","at":0}],"error":"AI (01), byte 15: the check digit is 4, and 3 was computed","error_at":15}`,
		"]C10109501101530003<GS>10A":                 `{"symbology":"EAN128","label":"0109501101530003\u001d10A","kind":"item","gtin":"09501101530003","check_digit":{"given":"3","computed":"3","ok":true},"elements":[{"ai":"01","title":"GTIN","value":"09501101530003","at":0},{"ai":"10","title":"BATCH/LOT","value":"A","at":17}]}`,
		"0109501101530003":                           `{"symbology":"UNKNOWN","label":"0109501101530003","kind":"item","gtin":"09501101530003","check_digit":{"given":"3","computed":"3","ok":true},"elements":[{"ai":"01","title":"GTIN","value":"09501101530003","at":0}]}`,
		"(01)09501101530003(10)A":                    `{"symbology":"UNKNOWN","label":"(01)09501101530003(10)A","kind":"item","gtin":"09501101530003","check_digit":{"given":"3","computed":"3","ok":true},"elements":[{"ai":"01","title":"GTIN","value":"09501101530003","at":1},{"ai":"10","title":"BATCH/LOT","value":"A","at":19}]}`,
		"(01)09501101530004":                         `{"symbology":"UNKNOWN","label":"(01)09501101530004","kind":"item","check_digit":{"given":"4","computed":"3","ok":false},"elements":[{"ai":"01","title":"GTIN","value":"09501101530004","at":1}],"error":"AI (01), byte 17: the check digit is 4, and 3 was computed","error_at":17}`,
		"(8110)106141416543213500110000310123196000": `{"symbology":"UNKNOWN","label":"(8110)106141416543213500110000310123196000","kind":"coupon","elements":[{"ai":"8110","title":"COUPON CODE","value":"106141416543213500110000310123196000","at":1,"meaning":"offer 654321 of the company prefix 0614141, save value 500 of code 6, to be bought: 1 of family 000, until 31 December 2010"}]}`,
		"(05)1": `{"symbology":"UNKNOWN","label":"(05)1","kind":"other","error":"byte 0: no known AI in parentheses where one should stand","error_at":0}`,

		"]Q1https://id.gs1.org/01/09506000134352?17=261231": `{"symbology":"QRCODE","label":"https://id.gs1.org/01/09506000134352?17=261231","kind":"item","gtin":"09506000134352","check_digit":{"given":"2","computed":"2","ok":true},"digital_link":true,"elements":[{"ai":"01","title":"GTIN","value":"09506000134352","at":19},{"ai":"17","title":"USE BY or EXPIRY","value":"261231","at":37,"meaning":"31 December 2026"}]}`,
		"https://id.gs1.org/01/09506000134353":              `{"symbology":"UNKNOWN","label":"https://id.gs1.org/01/09506000134353","kind":"item","check_digit":{"given":"3","computed":"2","ok":false},"digital_link":true,"elements":[{"ai":"01","title":"GTIN","value":"09506000134353","at":19}],"error":"AI (01), byte 35: the check digit is 3, and 2 was computed","error_at":35}`,
		"https://example.com/AQnYUc1gmiCNV4JGIA":            `{"symbology":"UNKNOWN","label":"https://example.com/AQnYUc1gmiCNV4JGIA","kind":"other","digital_link":true,"error":"byte 19: a compressed GS1 Digital Link is not read","error_at":19}`,
		"https://example.com/":                              `{"symbology":"UNKNOWN","label":"https://example.com/","kind":"other"}`,
		"]E02112345678900|]e03103001750":                    `{"symbology":"EAN13","label":"2112345678900","text":"2112345678900|]e03103001750","kind":"item","gtin":"02112345678900","check_digit":{"given":"0","computed":"0","ok":true},"weight":{"amount":1750,"decimals":3,"unit":"kg"},"elements":[{"ai":"3103","title":"NET WEIGHT (kg)","value":"001750","at":17,"meaning":"1.750 kg"}]}`,
		"212345928752":                                      `{"symbology":"UPCA","label":"212345928752","kind":"item","gtin":"00212345928752","reference":"00212345000007","check_digit":{"given":"2","computed":"2","ok":true},"price":{"amount":2875,"decimals":2}}`,
		"212345828755":                                      `{"symbology":"UPCA","label":"212345828755","kind":"item","gtin":"00212345828755","reference":"00212345000007","check_digit":{"given":"5","computed":"5","ok":true},"error":"the check digit of its price or weight is 8, and 9 was computed"}`,
		"(01)95012345678903(3103)001750(3932)978299":        `{"symbology":"UNKNOWN","label":"(01)95012345678903(3103)001750(3932)978299","kind":"item","gtin":"95012345678903","check_digit":{"given":"3","computed":"3","ok":true},"price":{"amount":299,"decimals":2,"currency":"EUR"},"weight":{"amount":1750,"decimals":3,"unit":"kg"},"elements":[{"ai":"01","title":"GTIN","value":"95012345678903","at":1},{"ai":"3103","title":"NET WEIGHT (kg)","value":"001750","at":19,"meaning":"1.750 kg"},{"ai":"3932","title":"PRICE","value":"978299","at":31,"meaning":"2.99 EUR"}]}`,
		"(10)A": `{"symbology":"UNKNOWN","label":"(10)A","kind":"other","elements":[{"ai":"10","title":"BATCH/LOT","value":"A","at":1}],"error":"AI (10), byte 1: it needs another AI beside it: 01 or 02 or 03 or 8006 or 8026","error_at":1}`,
	} {
		b, err := json.Marshal(Explain(label, 2026, patterns))
		if err != nil || string(b) != want {
			t.Errorf("Explain(%q):\n got %s\nwant %s", label, b, want)
		}
	}
}

// TestExplainAgrees: what explain says of a good label is what a lane reads.
func TestExplainAgrees(t *testing.T) {
	for _, label := range []string{"036000291452", "4006381333931", "73513537", "04252614", "10614141000415", "]E473513537", "]C100106141412345678908"} {
		s, e := Decode([]byte(label), Options{}), Explain(label, 2026, nil)
		if e.Symbology != s.Symbology || e.Label != s.Label || e.GTIN != s.GTIN || e.Kind != s.Kind || e.Error != "" {
			t.Errorf("%s: read as %s, explained as %+v", label, say(s), e)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, label := range []string{"036000291452", "425261", "(01)09501101530003(10)A", "]C10109501101530003<GS>10A", "(((", "]E3", "]A001000000", "https://id.gs1.org/01/09506000134352?17=261231", "]E02112345678900|]e03103001750", "(8110)1061414165432132501101203140131"} {
		f.Add(label)
	}
	f.Fuzz(func(t *testing.T, label string) {
		e := Explain(label, 2026, nil)
		if e.Symbology == "" || e.Symbology[0] == '?' || e.Kind == "" {
			t.Fatalf("%q: %+v", label, e)
		}
		if c := e.CheckDigit; c != nil && !c.OK && e.Error == "" {
			t.Fatalf("%q: a wrong check digit and no error: %+v", label, e)
		}
		if e.ErrorAt != nil && (e.Error == "" || *e.ErrorAt > len(e.Label) && *e.ErrorAt > len(e.Text)) {
			t.Fatalf("%q: an error at %d: %+v", label, *e.ErrorAt, e)
		}
		if e.Error != "" && strings.ContainsAny(e.Error, "\x00\n") {
			t.Fatalf("%q: error %q", label, e.Error)
		}
	})
}
