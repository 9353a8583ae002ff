package barcode

import "testing"

func TestLooksLikeTrack(t *testing.T) {
	for label, want := range map[string]bool{
		"%B4111111111111111^A/B^30121010000?": true,
		";4111111111111111=30121010000?":      true,
		"1%E?":                                true,
		"02D500801F4A2800839B%*4111********1111^SHOPPER/TEST^3012*******?*;4111********1111=3012*******?*3D4A": true,
		"02D500801F3D2800839B;4111111111111111=30121010000?":                                                   true,
		"https://example.com/a%20b?x=1234567890123456":                                                         false,
		"https://id.gs1.org/01/09506000134352?17=261231&note=50%2B5":                                           false,
		"https://id.gs1.org/01/09506000134352;v=1?10=AB":                                                       false,
		"036000291452":      false,
		"50% OFF":           false,
		"%CLOSE":            false,
		"WHAT; WHEN? 12345": false,
	} {
		if got := looksLikeTrack([]byte(label)); got != want {
			t.Errorf("%s: %t", label, got)
		}
	}
}
