package basket

import (
	"strings"
	"testing"
	"unicode"

	"posd/gs1"
)

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

// TestPersonNumberInElements: of GS1 elements and Digital Links, the numbers of
// things are a thing's, the numbers of persons never, and all else is looked at.
func TestPersonNumberInElements(t *testing.T) {
	const pan, gtin, gs = "4111111111111111", "09506000134352", "\x1d"
	for _, c := range []struct {
		symbology, gtin, label, data string
		want                         bool
	}{
		{"EAN128", gtin, "01" + gtin + "21" + pan, "", false}, // a serial number is a thing's
		{"EAN128", gtin, "01" + gtin + "10" + pan + gs + "17261231", "", false},
		{"EAN128", "", "253" + "9506000134352" + pan, "", false}, // a document's
		{"EAN128", "", "255" + "9506000134352", "", false},
		{"EAN128", "", "8004" + pan, "", false},                                            // an asset's
		{"EAN128", gtin, "01" + gtin + "21A" + gs + "8040" + "490154203237518", "", false}, // an IMEI has a Luhn check digit
		{"EAN128", gtin, "01" + gtin + "91" + pan, "", true},
		{"EAN128", gtin, "01" + gtin + "240" + pan, "", true},
		{"EAN128", "", "91" + pan, "", true},
		{"EAN128", "", "8018061414199999999997", "", true},
		{"EAN128", "", "8017061414199999999997", "", true},
		{"EAN128", "", "8018061414199999999990", "", true}, // with a wrong check digit too
		{"EAN128", gtin, "01" + gtin + "8018061414199999999997", "", true},
		{"GS1QRCODE", "", "00106141412345678908" + "4301" + "JANE+DOE", "", true},
		{"EAN128", "", "7253DOE", "", true}, // and without the number of whom
		{"UNKNOWN", gtin, "01" + gtin + "21" + pan, "", false},
		{"UNKNOWN", gtin, "01" + gtin + "91" + pan, "", true},
		{"UNKNOWN", "", "8018061414199999999997", "", true},
		{"OTHER", "", "8018061414199999999990" + gs + "91A", "", true},
		{"QRCODE", "", "4300 Main Street, Springfield, and so on", "", false},
		{"EAN128", gtin, "(01)" + gtin + "(21)" + pan, "", false},
		{"EAN128", gtin, "(01)" + gtin + "(91)" + pan, "", true},

		{"EAN13", "02112345678900", "2112345678900", "]E02112345678900|]e010" + pan, false},
		{"EAN13", "02112345678900", "2112345678900", "]E02112345678900|]e01099991234" + gs + "98COMP", false},
		{"EAN13", "02112345678900", "2112345678900", "]E02112345678900|]e091" + pan, true},
		{"EAN13", "02112345678900", "2112345678900", "]E02112345678900|]e08018061414199999999997", true},
		{"EAN13", "02112345678900", "2112345678900", "]E02112345678900|]e2" + pan, true},
		{"EAN13", "02112345678900", "2112345678900", "]E02112345678900|]e0hello " + pan, true},
		{"UPCA", "00036000291452", "036000291452", "]E00036000291452|]e091A|]e2" + pan, true},
		{"EAN128", gtin, "01" + gtin, "]C101" + gtin + "|]e091" + pan, true},

		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "/21/" + pan, "", false},
		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "?17=261231", "]Q1https://id.gs1.org/01/" + gtin + "?17=261231", false},
		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "?99=" + pan, "", true},
		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "?pan=" + pan, "", true},
		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "?x=1&" + pan, "", true},
		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "#" + pan, "", true},
		{"QRCODE", gtin, "https://id.gs1.org/" + pan + "/01/" + gtin, "", true},
		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "/89/" + pan, "", true}, // badly built
		{"QRCODE", gtin, "https://id.gs1.org/01/" + gtin + "?10=A&21=" + pan, "", true},
		{"QRCODE", "", "https://id.gs1.org/8018/061414199999999997", "", true},
		{"QRCODE", "", "https://id.gs1.org/gsrn/061414199999999990", "", true},
		{"QRCODE", "", "https://id.gs1.org/00/106141412345678908?4301=JANE", "", true},
		{"QRCODE", "", "https://shop.example/01/" + pan, "", true}, // no GTIN has 16 digits
		{"UNKNOWN", "", "https://shop.example/?q=" + pan, "", true},

		{"EAN13", "02112345678900", "2112345678900", "A2112345678900", false}, // behind a vendor's identifier
		{"UPCA", "00036000291452", "036000291452", pan + " 036000291452", true},
		{"Code39", "", "111111111111", "]A04111111111111", false},
		{"Code39", "", "111111111111", "4111" + "111111111111", true}, // joined, it is one
	} {
		l := Line{Symbology: c.symbology, UPC: c.label, GTIN: c.gtin, Data: []byte(c.data)}
		if got := l.PersonNumber(); got != c.want {
			t.Errorf("%s %q %q: PersonNumber %v", c.symbology, c.label, c.data, got)
		}
	}
}

// Whatever label shows a card's number outside of what GS1 gives to things, in
// every symbology, is seen.
func FuzzPersonNumber(f *testing.F) {
	f.Add("https://id.gs1.org/01/09506000134352?x=", "&17=261231", "QRCODE", "09506000134352")
	f.Add("010950600013435291", "", "EAN128", "09506000134352")
	f.Add("https://id.gs1.org/01/09506000134352?99=", "", "UNKNOWN", "09506000134352")
	f.Add("2112345678900|]e091", "", "EAN13", "02112345678900")
	f.Add("01095060001343528018", "", "EAN128", "")
	f.Add("|]e", "", "", "") // no digit of an identifier
	f.Fuzz(func(t *testing.T, before, after, symbology, gtin string) {
		const pan = "4111111111111111"
		if touched(before, after) || strings.Contains(gtin, "11111") {
			t.Skip()
		}
		l := Line{UPC: before + pan + after, Symbology: symbology, GTIN: gtin}
		if l.PersonNumber() {
			return
		}
		// It may be a thing's number then, and only that.
		for _, text := range []string{l.UPC, strings.ReplaceAll(l.UPC, pan, "378282246310005"), strings.ReplaceAll(l.UPC, pan, "5555555555554444")} {
			elements, isLink, err := gs1.ParseLink(text)
			if !isLink {
				elements, err = gs1.ParseElements(strings.Split(text, compositeMark)[0])
			}
			if bracketed, errB := gs1.ParseBracketed(text); errB == nil {
				elements, err = bracketed, nil
			}
			thing := false
			for _, e := range elements {
				thing = thing || gs1.Thing(e.AI)
			}
			if err != nil || !thing {
				t.Fatalf("%q, %s: no person's number", l.UPC, symbology)
			}
		}
	})
}

// TestPersonNumberInDisguise: a card's number is seen in whatever digits, spaces
// and dashes people would read it, behind percent-encoding, and where an AI
// touches it.
func TestPersonNumberInDisguise(t *testing.T) {
	const pan, gtin, gs, link = "4111111111111111", "09506000134352", "\x1d", "https://id.gs1.org/01/09506000134352"
	encoded := strings.Replace(pan, "1", "%31", 3)
	groups := func(between string) string { return "4111" + between + "1111" + between + "1111" + between + "1111" }
	for _, c := range []struct {
		symbology, label, data string
		want                   bool
	}{
		{"QRCODE", "４１１１１１１１１１１１１１１１", "", true},                // full width
		{"QRCODE", "card ٤١١١١١١١١١١١١١١١ x", "", true},         // Arabic
		{"QRCODE", "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏", "", true},                // mathematical
		{"QRCODE", groups("\u00a0"), "", true},                  // no-break spaces
		{"QRCODE", "card " + groups("\u2009") + " x", "", true}, // thin spaces
		{"QRCODE", "card " + groups("\u2013") + " x", "", true}, // dashes
		{"QRCODE", "card " + groups("\u200b") + " x", "", true}, // of no width
		{"QRCODE", "\u202e" + groups("\u200f"), "", true},       // marks of direction
		{"QRCODE", "４１１１１１１１１１１１１１１２", "", false},

		{"QRCODE", "https://shop.example/?c=" + encoded, "", true},
		{"QRCODE", "https://shop.example/?c=" + strings.ReplaceAll(encoded, "%", "%25"), "", true},
		{"QRCODE", "https://shop.example/?c=" + groups("+"), "", true},
		{"QRCODE", "https://shop.example/?c=" + groups("%20"), "", true},
		{"QRCODE", link + "?c=" + encoded, "", true},
		{"QRCODE", link + "#" + encoded, "", true},
		{"QRCODE", link + "?99=" + strings.ReplaceAll(encoded, "%", "%25"), "", true},
		{"QRCODE", link + "/91/" + encoded, "", true}, // badly built
		{"QRCODE", "%" + pan + "^", "", true},         // %41 is no A here
		{"QRCODE", "100%" + groups("+"), "", false},   // no URI

		{"EAN128", "91" + pan + gs + "17999999", "", true},
		{"EAN128", "01" + gtin + "17999999" + "91" + pan, "", true},
		{"GS1DATAMATRIX", "01" + gtin + "21" + pan + gs + "17999999", "", true},
		{"GS1DATAMATRIX", "01" + gtin + "21" + "2112345678901232" + gs + "17999999", "", false}, // Luhn-valid, of no scheme
		{"EAN128", "00" + "360000000000000081" + gs + "17999999", "", false},                    // an SSCC
		{"EAN128", "37" + "5" + gs + "91" + pan, "", true},                                      // lacks an AI
		{"UNKNOWN", "01" + gtin + "91" + pan + gs + "17999999", "", true},
		{"EAN13", "2112345678900", "]E02112345678900|]e091" + pan + gs + "17999999", true},
		{"EAN13", "2112345678900", "]E02112345678900|]e0240378282246310005", true},
		{"GS1DATABAR_E", "01" + gtin + "3103000123" + "3932978" + "378282246310005", "", true}, // an amount behind its currency
		{"QRCODE", link + "?3103=000123&3932=978378282246310005", "", true},
	} {
		l := Line{Symbology: c.symbology, UPC: c.label, Data: []byte(c.data)}
		if c.symbology == "EAN13" {
			l.GTIN = "02112345678900"
		}
		if got := l.PersonNumber(); got != c.want {
			t.Errorf("%s %q %q: PersonNumber %v", c.symbology, c.label, c.data, got)
		}
	}
}

// TestDigitOf: every decimal digit of Unicode, by the values of its neighbours:
// those of a script stand in a row, and there are ten.
func TestDigitOf(t *testing.T) {
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			if n%10 != 0 {
				t.Fatalf("the digits before %U are not ten", r)
			}
			continue
		}
		if got, want := digitOf(r), rune('0'+n%10); got != want {
			t.Fatalf("%U is %c, not %c", r, got, want)
		}
		n++
	}
	if n < 600 {
		t.Errorf("Unicode has %d decimal digits", n)
	}
}
