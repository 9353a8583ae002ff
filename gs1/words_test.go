package gs1

import "testing"

func TestWords(t *testing.T) {
	for bracketed, want := range map[string]string{
		"(17)261231":                            "31 December 2026",
		"(17)260200":                            "28 February 2026",
		"(15)280200":                            "29 February 2028",
		"(17)760101":                            "1 January 2076", // 50 years ahead
		"(17)770101":                            "1 January 1977",
		"(7003)2612312359":                      "31 December 2026 23:59",
		"(8008)26123107":                        "31 December 2026 07",
		"(8008)261231073059":                    "31 December 2026 07:30:59",
		"(7007)260101260202":                    "1 January 2026 2 February 2026",
		"(7250)19991231":                        "31 December 1999",
		"(3103)001750":                          "1.750 kg",
		"(3202)000150":                          "1.50 lb",
		"(3600)000003":                          "3 qt (US)",
		"(3370)000003":                          "3",
		"(3922)299":                             "2.99",
		"(3932)978299":                          "2.99 EUR",
		"(3910)8405":                            "5 USD",
		"(3942)1250":                            "12.50 %",
		"(3952)000299":                          "2.99",
		"(422)276":                              "DE",
		"(423)276840":                           "DE US",
		"(421)840CH":                            "US",
		"(7030)999A":                            "",
		"(10)ABC":                               "",
		"(01)09506000134352":                    "",
		"(17)261331":                            "",
		"(4399)A":                               "",
		"(8112)11061414165432111234567":         "offer 654321 of the company prefix 0614141, serial number 1234567",
		"(8110)1061414165432132501101203140131": "offer 654321 of the company prefix 0614141, saves 2.50, to be bought: 1 of family 120, until 31 January 2014",
		"(8110)106141416543213500110000310123196000":         "offer 654321 of the company prefix 0614141, save value 500 of code 6, to be bought: 1 of family 000, until 31 December 2010",
		"(8110)01234561234561111101232501314250101" + "9001": "",
	} {
		elements, _ := ParseBracketed(bracketed)
		if got := elements[0].Words(2026); got != want {
			t.Errorf("%s: %q, want %q", bracketed, got, want)
		}
	}
}

func TestCentury(t *testing.T) {
	for _, c := range [][3]int{{26, 2026, 2026}, {76, 2026, 2076}, {77, 2026, 1977}, {0, 2026, 2000}, {49, 1999, 2049}, {50, 1999, 1950}, {20, 2070, 2120}, {21, 2070, 2021}, {1, 2051, 2101}} {
		if got := century(c[0], c[1]); got != c[2] {
			t.Errorf("century(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
