package aamva

import "testing"

func TestIsLicence(t *testing.T) {
	for text, want := range map[string]bool{
		"@\n\x1e\rANSI 636026080102DL00410288ZA03290015DLDAQD12345678": true,
		"ANSI 636026":                       true,
		"@\n\x1c\rAAMVA6360260102DAAPUBLIC": true,
		"ANSI X ANSI 636026":                true,
		"ANSI 63602":                        false,
		"ANSI/ASME 636026":                  false,
		"AAMVA":                             false,
		"036000291452":                      false,
		"":                                  false,
	} {
		if got := IsLicence(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
