package basket

import "testing"

func TestPersonNumber(t *testing.T) {
	for _, c := range []struct {
		symbology, label string
		want             bool
	}{
		{"Code128", "4111111111111111", true},
		{"QRCODE", "4111 1111 1111 1111", true},
		{"UNKNOWN", "3782-822463-10005", true},
		{"Code128", "4111111111111112", false}, // no Luhn check digit
		{"EAN13", "4006381333931", false},
		{"EAN13", "0000000000000", false}, // Luhn-valid, but of a symbology for things
		{"ITF", "00000000000000", false},
		{"ITF", "0000000000000000", true},
		{"Code39", "000000000000", false},         // 12 digits
		{"Code39", "00000000000000000000", false}, // 20 digits
		{"Code39", "ABC4111111111111111", false},
		{"PDF417", "@\n\x1e\rANSI 636000090002DL", true},
		{"Code128", "", false},
	} {
		if got := PersonNumber(c.symbology, c.label); got != c.want {
			t.Errorf("PersonNumber(%s, %q) = %v", c.symbology, c.label, got)
		}
	}
}
