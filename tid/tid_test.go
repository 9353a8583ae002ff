package tid

import (
	"bytes"
	"strings"
	"testing"
)

// Published test numbers of the card schemes, of 13 to 19 digits.
var testPANs = []string{
	"4111111111111111", "4012888888881881", "4222222222222", "5555555555554444", "5105105105105100",
	"378282246310005", "371449635398431", "6011111111111117", "6011000990139424", "3530111333300000",
	"30569309025904", "38520000023237", "6304000000000000", "4000000000000000006",
}

func digitsOf(id TID) (s string) {
	id.Use(func(d []byte) { s = string(d) })
	return s
}

// consumed calls make with a copy of text and checks that it was wiped, and that
// no error repeats a digit.
func consumed(t *testing.T, text string, make func([]byte) (TID, error)) (TID, error) {
	t.Helper()
	arg := []byte(text)
	id, err := make(arg)
	if !bytes.Equal(arg, bytes.Repeat([]byte{0}, len(arg))) {
		t.Errorf("the argument of %d bytes was not wiped (error %v)", len(text), err)
	}
	if err != nil {
		if strings.ContainsAny(err.Error(), "0123456789") {
			t.Errorf("error with a digit: %v", err)
		}
		if !id.IsZero() || id.Kind() != 0 {
			t.Errorf("a TID beside an error")
		}
	}
	return id, err
}

func TestPayment(t *testing.T) {
	for _, pan := range testPANs {
		id, err := consumed(t, pan, NewPayment)
		if err != nil || digitsOf(id) != pan || id.Kind() != Payment || id.Last4() != pan[len(pan)-4:] {
			t.Errorf("%s: %q, kind %s, last 4 %q, error %v", pan, digitsOf(id), id.Kind(), id.Last4(), err)
		}
	}
	for name, pan := range map[string]string{
		"empty": "", "11 digits": "41111111112", "20 digits": "41111111111111111115", "check digit": "4111111111111112",
		"blanks": "4111 1111 1111 1111", "track 2": "4111111111111111=2512", "letters": "411111111111111A", "NUL": "4111111111111111\x00",
		"other digits": "٤111111111111111",
	} {
		if _, err := consumed(t, pan, NewPayment); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLoyalty(t *testing.T) {
	for _, c := range []struct{ issuer, number, want string }{
		{"0001", "0001", "00010001"},
		{"0001", "2900123456789", "00012900123456789"},
		{"9999", "0000000042", "99990000000042"}, // leading zeros count
		{"0001", strings.Repeat("7", 26), "0001" + strings.Repeat("7", 26)},
		{"0001", "123", ""},
		{"0001", strings.Repeat("7", 27), ""},
		{"0001", "12345A", ""},
		{"0001", "", ""},
		{"001", "123456", ""},
		{"00001", "123456", ""},
		{"000A", "123456", ""},
		{"", "123456", ""},
	} {
		id, err := consumed(t, c.number, func(b []byte) (TID, error) { return NewLoyalty(c.issuer, b) })
		if (err == nil) != (c.want != "") || digitsOf(id) != c.want {
			t.Errorf("issuer %q, number %q: %q, error %v; want %q", c.issuer, c.number, digitsOf(id), err, c.want)
		}
		if err == nil && id.Kind() != Loyalty {
			t.Errorf("number %q: kind %s", c.number, id.Kind())
		}
	}
}

func TestCanonicalComesBack(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		digits string
		ok     bool
	}{
		{Payment, "4111111111111111", true},
		{Payment, "4111111111111112", false},
		{Payment, "12025550123", false},
		{Loyalty, "00012900123456789", true},
		{Loyalty, strings.Repeat("1", 30), true},
		{Loyalty, "0001123", false},
		{Loyalty, "000", false},
		{Loyalty, "00A11234567", false},
		{Loyalty, "0001123A567", false},
		{Loyalty, strings.Repeat("1", 31), false},
		{Phone, "12025550123", true},
		{Phone, "4930123456", true},
		{Phone, "2902123", true}, // Saint Helena: in no plan of ours
		{Phone, "11025550123", false},
		{Phone, "1202555012", false},
		{Phone, "02025550123", false},
		{Phone, "290212", false},
		{Phone, "9991234567890123", false},
		{Phone, "1202555O123", false},
		{Phone, "", false},
		{0, "4111111111111111", false},
		{4, "4111111111111111", false},
	} {
		id, err := consumed(t, c.digits, func(b []byte) (TID, error) { return FromCanonical(c.kind, b) })
		if (err == nil) != c.ok || c.ok && (digitsOf(id) != c.digits || id.Kind() != c.kind) {
			t.Errorf("%s %s: %q, error %v, want ok %t", c.kind, c.digits, digitsOf(id), err, c.ok)
		}
	}
}

func TestWipeOverwrites(t *testing.T) {
	id, err := NewPayment([]byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []byte // what no caller may do
	id.Use(func(d []byte) { kept = d })
	if cap(kept) != len(kept) {
		t.Errorf("the digits can be appended to in place: %d of %d", len(kept), cap(kept))
	}
	other := id
	other.Wipe()
	if !bytes.Equal(kept, make([]byte, 16)) {
		t.Errorf("the memory holds %q after Wipe", kept)
	}
	id.Use(func([]byte) { t.Error("Use after Wipe got digits") })
	if !id.IsZero() || id.Last4() != "" || id.Kind() != Payment {
		t.Errorf("after Wipe: zero %t, last 4 %q, kind %s", id.IsZero(), id.Last4(), id.Kind())
	}
	id.Wipe() // once more does no harm
}

func TestZero(t *testing.T) {
	var id TID
	id.Wipe()
	id.Use(func([]byte) { t.Error("the zero TID has digits") })
	if !id.IsZero() || id.Last4() != "" || id.Kind() != 0 || id.String() != "[no TID]" {
		t.Errorf("zero TID: %v, kind %s", id, id.Kind())
	}
}

// A TID has memory of its own, apart from its argument's and from other TIDs'.
func TestOwnMemory(t *testing.T) {
	arg := []byte("4111111111111111")
	one, _ := NewPayment(arg)
	copy(arg, "5555555555554444")
	two, _ := NewPayment(arg)
	copy(arg, "9999999999999999")
	two.Wipe()
	if digitsOf(one) != "4111111111111111" {
		t.Errorf("the first TID now has other digits")
	}
}

func TestLast4ShowsNoMoreThanHalf(t *testing.T) {
	for number, want := range map[string]string{
		"1234": "34", "12345": "45", "123456": "456", "1234567": "567", "12345678": "5678", "2900123456789": "6789",
	} {
		id, err := NewLoyalty("0001", []byte(number))
		if err != nil || id.Last4() != want {
			t.Errorf("%s: %q, want %q (%v)", number, id.Last4(), want, err)
		}
		back, err := FromCanonical(Loyalty, []byte("0001"+number))
		if err != nil || back.Last4() != want {
			t.Errorf("%s from its canonical form: %q, want %q (%v)", number, back.Last4(), want, err)
		}
	}
}

func TestKinds(t *testing.T) {
	for k, word := range map[Kind]string{Payment: "payment", Loyalty: "loyalty", Phone: "phone"} {
		got, err := ParseKind(word)
		if err != nil || got != k || k.String() != word {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "none", "Payment", "4111111111111111"} {
		if k, err := ParseKind(word); err == nil || k != 0 || strings.ContainsAny(err.Error(), "14") {
			t.Errorf("%q: %v, %v", word, k, err)
		}
	}
}

func TestLuhn(t *testing.T) {
	for _, pan := range testPANs {
		if !Luhn([]byte(pan)) {
			t.Errorf("%s: false", pan)
		}
		// One wrong digit is always found, in any place.
		for i := range pan {
			for c := byte('0'); c <= '9'; c++ {
				wrong := []byte(pan)
				wrong[i] = c
				if Luhn(wrong) != (c == pan[i]) {
					t.Errorf("%s: %t with %c at %d", pan, Luhn(wrong), c, i)
				}
			}
		}
	}
	for _, bad := range []string{"", "4111111111111111=", "411111111111111A", "4111 1111"} {
		if Luhn([]byte(bad)) {
			t.Errorf("%q: true", bad)
		}
	}
}
