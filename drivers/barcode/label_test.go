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
		";4111111111111111=3012":                                                                               true, // of which the end is lost
		"%B4111111111111111^SHOPPER/TE":                                                                        true,
		"1;378282246310005=3012":                                                                               true,
		"4111111111111111=30121010000?":                                                                        true, // of which the start is lost
		"4111111111111111=3012":                                                                                true,
		"B4111111111111111^SHOPPER/TEST^3012101?":                                                              true,
		"B4111 1111 1111 1111^SHOPPER":                                                                         true,
		"]C04111111111111111=3012":                                                                             true,
		"]C0B4111111111111111^A":                                                                               true,
		"]C0;4111111111111111=3012":                                                                            true,
		"%b4111111111111111^shopper":                                                                           true,
		";55000055555":                                                                                         true,
		"%B5500005555":                                                                                         true,
		"%b5500005555":                                                                                         true,
		"05555555559^DOE/JOHN^25121010000012300?":                                                              true,
		"^DOE/JOHN^2512101":                                                                                    true,
		"555559=25121010000012300?":                                                                            true,
		"]C0555559=25121010000012300":                                                                          true,
		";555559=2512101":                                                                                      true,
		"=2512101":                                                                                             true,
		"^DOE/JOHN^251210":                                                                                     false,
		"x^2=4711^1.5":                                                                                         false,
		"id=2512101":                                                                                           false,
		"12=123456":                                                                                            false,
		"12=1234567&x":                                                                                         false,
		";5500005":                                                                                             false,
		"%BB55000055":                                                                                          false,
		"+491234567890":                                                                                        false,
		"]C0":                                                                                                  false,
		"b4111111111111111^shopper":                                                                            true,
		"4111111111111111=":                                                                                    false, // nothing of a card is behind the number
		"4111111111111111=301":                                                                                 false,
		"41111111111=3012":                                                                                     false,
		"B41111111111^A":                                                                                       false,
		"B4111111111111111":                                                                                    false,
		"C4111111111111111^A":                                                                                  false,
		"+A123BJC5D6E71G":                                                                                      false, // HIBC
		"BEGIN:VCARD;TEL:+4912345678901;NOTE:":                                                                 false,
		"order=123456789012;sku=1":                                                                             false,
		"https://example.com/?id=+4912345678901;x=1":                                                           false,
		"https://example.com/?q=%201234567890123&x":                                                            false,
		"0109506000134352\x1d10ABC=1":                                                                          false,
		"":                                                                                                     false,
		"B":                                                                                                    false,
		"=":                                                                                                    false,
		"036000291452":                                                                                         false,
		"50% OFF":                                                                                              false,
		"%CLOSE":                                                                                               false,
		"WHAT; WHEN? 12345":                                                                                    false,
	} {
		if got := looksLikeTrack([]byte(label)); got != want {
			t.Errorf("%s: %t", label, got)
		}
	}
}
