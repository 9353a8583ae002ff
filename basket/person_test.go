package basket

import "testing"

func TestPersonNumber(t *testing.T) {
	for _, c := range []struct {
		symbology, problem, gtin, label string
		want                            bool
	}{
		{"Code128", "", "", "4111111111111111", true},
		{"QRCODE", "", "", "4111 1111 1111 1111", true},
		{"QRCODE", "", "", "https://pay.example/?pan=4111111111111111", true},
		{"UNKNOWN", "", "", "3782-822463-10005", true},
		{"Code128", "", "", "4111111111111112", false}, // no Luhn check digit
		{"EAN13", "", "04006381333931", "4006381333931", false},
		{"EAN13", "", "00000000000000", "0000000000000", false}, // Luhn-valid, and a GTIN
		{"EAN13", "check-digit", "", "0000000000018", true},
		{"UPCA", "", "00036000291452", "4111111111111111", true}, // whatever the lane calls it
		{"UPCE", "", "00042100005264", "04252614", false},
		{"EAN128", "", "", "0100000000000000", false},
		{"EAN128", "elements", "", "4111111111111111", true},
		{"ITF", "", "00000000000000", "00000000000000", false},
		{"ITF", "check-digit", "", "00000000000018", true},
		{"ITF", "", "", "4111111111111111", true},
		{"Code39", "", "", "000000000000", false},         // 12 digits
		{"Code39", "", "", "00000000000000000000", false}, // 20 digits
		{"Code39", "", "", "ABC-0000000000000", false},
		{"PDF417", "", "", "@\n\x1e\rANSI 636000090002DL", true},
		{"PDF417", "", "", "]L0@\r\nANSI 636000090002DL", true},
		{"PDF417", "", "", "ANSI 1.2", false},
		{"Code128", "", "", "", false},
	} {
		l := Line{Symbology: c.symbology, UPC: c.label, Problem: c.problem, GTIN: c.gtin}
		if got := l.PersonNumber(); got != c.want {
			t.Errorf("%s %q (%s): PersonNumber %v", c.symbology, c.label, c.problem, got)
		}
	}
	addOn := Line{Symbology: "UPCE_S", UPC: "04252614", GTIN: "00042100005264", AddOn: "00005", Data: []byte("0425261400005")}
	if !luhn(addOn.Data) || addOn.PersonNumber() {
		t.Error("an add-on made a number of 13 digits a person's")
	}
	if l := (Line{Symbology: "Code128", UPC: "A", Data: []byte("]C04111111111111111")}); !l.PersonNumber() {
		t.Error("a card number in the data was passed over")
	}
}
