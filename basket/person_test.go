package basket

import "testing"

func TestPersonNumber(t *testing.T) {
	for _, c := range []struct {
		symbology, problem, label string
		want                      bool
	}{
		{"Code128", "", "4111111111111111", true},
		{"QRCODE", "", "4111 1111 1111 1111", true},
		{"QRCODE", "", "https://pay.example/?pan=4111111111111111", true},
		{"UNKNOWN", "", "3782-822463-10005", true},
		{"Code128", "", "4111111111111112", false}, // no Luhn check digit
		{"EAN13", "", "4006381333931", false},
		{"EAN13", "", "0000000000000", false}, // Luhn-valid, but of a symbology for things
		{"UNKNOWN", "check-digit", "0000000000000", true},
		{"EAN128", "", "0100000000000000", false},
		{"EAN128", "elements", "4111111111111111", true},
		{"ITF", "", "00000000000000", false},
		{"ITF", "check-digit", "00000000000000", true},
		{"ITF", "length", "0000000000000000", true},
		{"Code39", "", "000000000000", false},         // 12 digits
		{"Code39", "", "00000000000000000000", false}, // 20 digits
		{"Code39", "", "ABC-0000000000000", false},
		{"PDF417", "", "@\n\x1e\rANSI 636000090002DL", true},
		{"PDF417", "", "]L0@\r\nANSI 636000090002DL", true},
		{"PDF417", "", "ANSI 1.2", false},
		{"Code128", "", "", false},
	} {
		l := Line{Symbology: c.symbology, UPC: c.label, Problem: c.problem}
		if got := l.PersonNumber(); got != c.want {
			t.Errorf("%s %q (%s): PersonNumber %v", c.symbology, c.label, c.problem, got)
		}
	}
	if l := (Line{Symbology: "Code128", UPC: "A", Data: []byte("]C04111111111111111")}); !l.PersonNumber() {
		t.Error("a card number in the data was passed over")
	}
}
