package basket

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"posd/gs1"
	"posd/identity"
)

func sample() Basket {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	return Basket{
		V: Version, ID: NewID(), Revision: 1, Incarnation: "0123456789abcdef", Sequence: 7,
		Kind: Sale, Outcome: Closed, OpenedAt: at, ClosedAt: at.Add(time.Minute),
		Transaction: "T-17", BusinessDate: "2026-11-23", Operator: "anna",
		Lines: []Line{{Number: 1, At: at, UPC: "036000291452", GTIN: "00036000291452", Symbology: "UPCA", Kind: Item, Quantity: 1, Device: "scanner"}},
		State: identity.Pending,
		Identities: []Identity{
			{Swipe: 1, Kind: identity.Loyalty, At: at, State: identity.Pending},
		},
	}
}

func TestWireRoundTrip(t *testing.T) {
	full := sample()
	full.Lines = append(full.Lines, Line{
		Number: 2, At: full.OpenedAt, UPC: "212345928752", GTIN: "00212345928752", Reference: "00212345000007", Symbology: "UPCA", Kind: Item, Quantity: 1,
		Price: &gs1.Price{Amount: 2875, Decimals: 2, Currency: "USD"}, Weight: &gs1.Weight{Amount: 1750, Decimals: 3, Unit: "kg"}, Problem: "pairs", Error: "AI (10), byte 16: it",
	})
	want, err := Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := Marshal(b); !bytes.Equal(got, want) {
		t.Errorf("parsed and printed again:\n%s\nwant\n%s", got, want)
	}
	const line = `"gtin":"00212345928752","reference":"00212345000007","symbology":"UPCA","kind":"item","quantity":1,` +
		`"price":{"amount":2875,"decimals":2,"currency":"USD"},"weight":{"amount":1750,"decimals":3,"unit":"kg"},"problem":"pairs","error":"AI (10), byte 16: it"`
	if !bytes.Contains(want, []byte(line)) {
		t.Errorf("written %s, want %s", want, line)
	}
}

func TestParseTakesFieldsOfNewerLanes(t *testing.T) {
	body, _ := Marshal(sample())
	body = bytes.Replace(body, []byte(`"v":1`), []byte(`"v":1,"till_colour":"red"`), 1)
	if _, err := Parse(body); err != nil {
		t.Error(err)
	}
}

func TestValidateRefuses(t *testing.T) {
	hh, de := identity.NewHHID(), identity.MakeDeIdentTID(1, [16]byte{1})
	for name, spoil := range map[string]func(*Basket){
		"version":              func(b *Basket) { b.V = 2 },
		"no id":                func(b *Basket) { b.ID = ID{} },
		"open":                 func(b *Basket) { b.Outcome = Open },
		"revision 0":           func(b *Basket) { b.Revision = 0 },
		"no number":            func(b *Basket) { b.Sequence = 0 },
		"incarnation":          func(b *Basket) { b.Incarnation = "0123456789ABCDEF" },
		"training":             func(b *Basket) { b.Kind = Training },
		"date":                 func(b *Basket) { b.BusinessDate = "23.11.2026" },
		"operator":             func(b *Basket) { b.Operator = "an\x00na" },
		"line gap":             func(b *Basket) { b.Lines[0].Number = 2 },
		"line of nothing":      func(b *Basket) { b.Lines[0].Quantity = 0 },
		"empty label":          func(b *Basket) { b.Lines[0].UPC = "" },
		"short gtin":           func(b *Basket) { b.Lines[0].GTIN = "036000291452" },
		"reference of another": func(b *Basket) { b.Lines[0].Reference = "00042100005264" },
		"reference unchecked":  func(b *Basket) { b.Lines[0].Reference = "00036000291453" },
		"reference too short":  func(b *Basket) { b.Lines[0].Reference = "036000291452" },
		"reference of nothing": func(b *Basket) { b.Lines[0].GTIN, b.Lines[0].Reference = "", "00036000000001" },
		"negative price":       func(b *Basket) { b.Lines[0].Price = &gs1.Price{Amount: -1} },
		"huge price":           func(b *Basket) { b.Lines[0].Price = &gs1.Price{Amount: 1e15} },
		"price of decimals":    func(b *Basket) { b.Lines[0].Price = &gs1.Price{Amount: 1, Decimals: 10} },
		"price in nothing":     func(b *Basket) { b.Lines[0].Price = &gs1.Price{Currency: "eur"} },
		"weight in stones":     func(b *Basket) { b.Lines[0].Weight = &gs1.Weight{Amount: 1, Unit: "st"} },
		"weight of decimals":   func(b *Basket) { b.Lines[0].Weight = &gs1.Weight{Amount: 1, Decimals: -1, Unit: "kg"} },
		"error with a bell":    func(b *Basket) { b.Lines[0].Error = "a\ab" },
		"line kind":            func(b *Basket) { b.Lines[0].Kind = "gift" },
		"ids without resolved": func(b *Basket) { b.HHID, b.DeIdentTID = hh, de },
		"resolved without ids": func(b *Basket) { b.Identities[0].State = identity.Resolved },
		"identity kind":        func(b *Basket) { b.Identities[0].Kind = "card" },
		"swipe 0":              func(b *Basket) { b.Identities[0].Swipe = 0 },
		"swipe twice":          func(b *Basket) { b.Identities = append(b.Identities, b.Identities[0]) },
		"too many lines":       func(b *Basket) { b.Lines = make([]Line, MaxLines+1) },
	} {
		b := sample()
		spoil(&b)
		if b.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestParseRefusesTrailingBytes(t *testing.T) {
	body, _ := Marshal(sample())
	if _, err := Parse(append(body, " {}"...)); err == nil {
		t.Error("a second object was taken")
	}
}

func TestTagFollowsPriority(t *testing.T) {
	loyalty := Identity{Swipe: 1, Kind: identity.Loyalty, State: identity.Resolved, HHID: identity.HHID{1}, DeIdentTID: "l"}
	payment := Identity{Swipe: 2, Kind: identity.Payment, State: identity.Resolved, HHID: identity.HHID{2}, DeIdentTID: "p"}
	second := payment
	second.Swipe, second.HHID, second.DeIdentTID = 3, identity.HHID{3}, "q"
	in := func(id Identity, s identity.State) Identity {
		return Identity{Swipe: id.Swipe, Kind: id.Kind, State: s}
	}
	priority := []identity.Kind{identity.Loyalty, identity.Payment}
	for name, c := range map[string]struct {
		ids   []Identity
		state identity.State
		hhid  identity.HHID
	}{
		"nobody":                         {nil, identity.Anonymous, identity.HHID{}},
		"loyalty first":                  {[]Identity{loyalty, payment}, identity.Resolved, identity.HHID{1}},
		"payment until loyalty is known": {[]Identity{in(loyalty, identity.Pending), payment}, identity.Resolved, identity.HHID{2}},
		"the later of two":               {[]Identity{payment, second}, identity.Resolved, identity.HHID{3}},
		"pending before refused":         {[]Identity{in(loyalty, identity.Unresolved), in(payment, identity.Pending)}, identity.Pending, identity.HHID{}},
		"opted out":                      {[]Identity{in(loyalty, identity.OptedOut), in(payment, identity.Unresolved)}, identity.OptedOut, identity.HHID{}},
		"refused":                        {[]Identity{in(loyalty, identity.Unresolved)}, identity.Unresolved, identity.HHID{}},
	} {
		b := Basket{Identities: c.ids, State: identity.Resolved, HHID: identity.HHID{9}}
		b.Tag(priority)
		if b.State != c.state || b.HHID != c.hhid {
			t.Errorf("%s: %s %v, want %s %v", name, b.State, b.HHID, c.state, c.hhid)
		}
	}
}

func TestParseID(t *testing.T) {
	id := NewID()
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Errorf("ParseID(%q) = %v, %v", id, got, err)
	}
	for _, s := range []string{"", "7", strings.ToUpper(id.String()), "urn:uuid:" + id.String(), "{" + id.String() + "}"} {
		if s == id.String() {
			continue
		}
		if _, err := ParseID(s); err == nil {
			t.Errorf("ParseID(%q) was taken", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	body, _ := Marshal(sample())
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := Parse(body)
		if err != nil {
			return
		}
		once, err := Marshal(b)
		if err != nil {
			t.Fatalf("parsed but cannot be printed: %v", err)
		}
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("printed but cannot be parsed: %v", err)
		}
		if twice, _ := Marshal(again); !bytes.Equal(once, twice) {
			t.Errorf("printed %s, then %s", once, twice)
		}
	})
}
