package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/posmain"
)

const pan = "4111111111111111"

func sample() basket.Basket {
	at := time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC)
	return basket.Basket{
		V: 1, ID: basket.NewID(), Revision: 1, Incarnation: pan, Sequence: 1, // an incarnation may be all digits
		Kind: basket.Sale, Outcome: basket.Closed, OpenedAt: at, ClosedAt: at,
		Transaction: "0042-20261123-000117", BusinessDate: "2026-11-23", Operator: "anna",
		Lines: []basket.Line{{Number: 1, At: at, UPC: "036000291452", GTIN: "00036000291452", Symbology: "UPCA", Kind: basket.Item, Quantity: 1}},
		State: identity.Anonymous,
	}
}

func encode(t testing.TB, b basket.Basket) []byte {
	t.Helper()
	body, err := basket.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func line(upc, symbology string) func(*basket.Basket) {
	return func(b *basket.Basket) {
		b.Lines[0].UPC, b.Lines[0].Symbology, b.Lines[0].GTIN = upc, symbology, ""
	}
}

func TestBasketsThatHoldACardNumberAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*basket.Basket){
		"operator":           func(b *basket.Basket) { b.Operator = "card 4111-1111-1111-1111" },
		"kind":               func(b *basket.Basket) { b.Kind = pan },
		"outcome":            func(b *basket.Basket) { b.Outcome = pan },
		"business date":      func(b *basket.Basket) { b.BusinessDate = pan },
		"device":             func(b *basket.Basket) { b.Lines[0].Device = "378282246310005" },
		"problem":            func(b *basket.Basket) { b.Lines[0].Problem = "LRC of " + pan },
		"add-on":             func(b *basket.Basket) { b.Lines[0].AddOn = pan },
		"symbology":          func(b *basket.Basket) { b.Lines[0].Symbology = pan },
		"label":              line(pan, "Code128"),
		"label in groups":    line("4111 1111 1111 1111", "QRCODE"),
		"within a label":     line("https://pay.example/"+pan, "QRCODE"),
		"track in a label":   line("%B"+pan+"^DOE/JANE^3012", "PDF417"),
		"no scheme's number": line("0000000000000000", "Code39"),
		"posing as an EAN": func(b *basket.Basket) {
			line(pan, "EAN13")(b)
			b.Lines[0].Problem = "an EAN-13 has 13 digits"
		},
		"called an EAN": line(pan, "EAN13"),
		"called an ITF beside a GTIN": func(b *basket.Basket) {
			line(pan, "ITF")(b)
			b.Lines[0].GTIN = "00036000291452"
		},
		"behind a good label": func(b *basket.Basket) { b.Lines[0].Data = []byte("]E0" + "X;" + pan) },
		"data": func(b *basket.Basket) {
			line("X", "Code128")(b)
			b.Lines[0].Data = []byte("]C0" + "X;" + pan)
		},
		"gtin":     func(b *basket.Basket) { b.Lines[0].GTIN = "30569309025904" },
		"quantity": func(b *basket.Basket) { b.Lines[0].Quantity = 4111111111111111 },
		"sequence": func(b *basket.Basket) { b.Sequence = 4111111111111111 },
	} {
		b := sample()
		spoil(&b)
		if _, p := parse(encode(t, b)); p == nil || p.Type != posmain.ProblemCardNumber || strings.Contains(p.Detail, "1111") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestFieldsOfNewerLanesAreLookedThroughToo(t *testing.T) {
	good := encode(t, sample())
	for _, field := range []string{
		`"note":"` + pan + `"`, `"note":{"deep":[["` + pan + `"]]}`, `"note":` + pan, `"note":"\u0034111111111111111"`,
		`"tid":"x"`, `"enctid":"x"`, `"note":{"enc_tid":"x"}`, `"pan":null`,
	} {
		if _, p := parse([]byte("{" + field + "," + string(good[1:]))); p == nil || p.Type != posmain.ProblemCardNumber {
			t.Errorf("%s: %+v", field, p)
		}
	}
	for _, field := range []string{`"note":"till 4"`, `"note":[1,2.5,true,null,{"a":{}}]`, `"sealed_at":1795464000000`, `"id2":"0193592f-3c11-4a52-8f8e-2f6c1f0e9a01"`} {
		if _, p := parse([]byte("{" + field + "," + string(good[1:]))); p != nil {
			t.Errorf("%s: %+v", field, p)
		}
	}
}

func TestThingsAreTaken(t *testing.T) {
	for _, c := range [][2]string{
		{"4006381333931", "EAN13"}, {"4006381333931", "EAN13_S"}, {"04006381333931", "ITF"}, {"(01)04006381333931(21)6011111111111117", "EAN128"},
		{"GC-17", "Code128"}, {"0123456789", "Code39"}, {"00012345678905", "GS1DATABAR"},
	} {
		b := sample()
		line(c[0], c[1])(&b)
		b.Lines[0].Data = []byte("]E0" + c[0])
		if _, p := parse(encode(t, b)); p != nil {
			t.Errorf("%s %s: %+v", c[1], c[0], p)
		}
	}
}

// A French EAN-13 with an add-on of two digits may be an American Express number
// by its digits.
func TestALabelThatShowsItsGTINIsTaken(t *testing.T) {
	const label = "3712345678000" + "12"
	if !basket.HoldsCardNumber(label) {
		t.Fatal("it does not look like a card number")
	}
	b := sample()
	b.Lines[0].UPC, b.Lines[0].Symbology, b.Lines[0].GTIN, b.Lines[0].AddOn = label, "EAN13_S", "0"+label[:13], "12"
	if _, p := parse(encode(t, b)); p != nil {
		t.Errorf("%+v", p)
	}
}

func TestParseTellsWhatIsWrong(t *testing.T) {
	good := string(encode(t, sample()))
	add := func(field string) string { return "{" + field + "," + good[1:] }
	for _, c := range []struct{ name, body, problem, detail string }{
		{"twice", add(`"operator":"a","operator":"b"`), posmain.ProblemBadRequest, "stands twice"},
		{"case", add(`"Operator":"a"`), posmain.ProblemBadRequest, "field's name"},
		{"case of another alphabet", add(`"\u017ftate":"a"`), posmain.ProblemBadRequest, "field's name"},
		{"digits for a name", add(`"4111111111111111":1`), posmain.ProblemBadRequest, "field's name"},
		{"array", "[" + good + "]", posmain.ProblemBadRequest, "brace"},
		{"null", "null", posmain.ProblemBadRequest, "brace"},
		{"two", good + good, posmain.ProblemInvalidBasket, "follows"},
		{"cut off", good[:len(good)-1], posmain.ProblemBadRequest, "ends before"},
		{"UTF-8", add("\"note\":\"\xff\""), posmain.ProblemBadRequest, "UTF-8"},
		{"deep", add(`"note":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)), posmain.ProblemBadRequest, "deep"},
		{"type", strings.Replace(good, `"sequence":1`, `"sequence":"1"`, 1), posmain.ProblemInvalidBasket, "sequence"},
		{"big number", strings.Replace(good, `"sequence":1`, `"sequence":9223372036854775808`, 1), posmain.ProblemInvalidBasket, "2^63"},
		{"long kind", strings.Replace(good, `"kind":"sale"`, `"kind":"`+strings.Repeat("é", 1000)+`"`, 1), posmain.ProblemInvalidBasket, "..."},
		{"version", strings.Replace(good, `"v":1`, `"v":2`, 1), posmain.ProblemInvalidBasket, "v is 2"},
	} {
		_, p := parse([]byte(c.body))
		if p == nil || p.Type != c.problem || !strings.Contains(p.Detail, c.detail) || len(p.Detail) > 400 {
			t.Errorf("%s: %+v, want %s, %q", c.name, p, c.problem, c.detail)
		}
	}
}

func TestEveryProblemHasAStatus(t *testing.T) {
	for kind, p := range problems {
		if p.status < 400 || p.title == "" {
			t.Errorf("%s: %+v", kind, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	good := encode(f, sample())
	f.Add(good, "")
	f.Add(bytes.Replace(good, []byte("anna"), []byte("{%s}"), 1), "")
	f.Add([]byte(`{"note":"`+pan+`"}`), "x")
	f.Add([]byte(`{"a":[{"b":"\u0034"}]}`), "4 111")
	f.Fuzz(func(t *testing.T, body []byte, note string) {
		b, p := parse(body)
		if p != nil {
			if strings.Contains(p.Detail, pan) || p.Status < 400 {
				t.Errorf("problem %+v", p)
			}
			return
		}
		if _, err := basket.Parse(body); err != nil {
			t.Errorf("taken, though: %v", err)
		}
		// Nothing that is taken stays so with a card number beside it.
		text, _ := json.Marshal(note)
		dirty := fmt.Appendf(nil, `{"x_note":[%s,"%s"],%s`, text, pan, bytes.TrimSpace(body)[1:])
		if _, p := parse(dirty); p == nil {
			t.Errorf("taken with a card number beside %s", b.ID)
		}
	})
}
