package enctid

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"posd/tid"
)

var lane7 = Binding{Tenant: "acme", Lane: "s12/lane-7"}

func testKey(t testing.TB, id KeyID) PublicKey {
	t.Helper()
	kem, _, _ := Suite()
	k, err := kem.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return PublicKey{ID: id, Key: k.PublicKey().Bytes()}
}

func card(t testing.TB) tid.TID {
	t.Helper()
	c, err := tid.NewPayment([]byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEpochSealsTheWireForm(t *testing.T) {
	e, err := NewEpoch(testKey(t, 7), lane7)
	if err != nil {
		t.Fatal(err)
	}
	first, err := e.Seal(card(t), Context{Swipe: 1})
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.Seal(card(t), Context{Swipe: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != Size || bytes.Equal(first, second) {
		t.Errorf("EncTIDs have %d bytes and equal each other: %t; want 82 and false", len(first), bytes.Equal(first, second))
	}
	if bytes.Contains(first, []byte("4111111111")) {
		t.Error("the digits are there in clear")
	}
	m, err := Parse(first)
	if err != nil || m.Key != 7 || m.Epoch != e.ID() || m.Enc != nil || len(m.Box) != 60 {
		t.Errorf("Parse gives %+v, %v", m, err)
	}
	if e.Uses() != 2 || e.Key() != 7 {
		t.Errorf("epoch says key %d, %d uses", e.Key(), e.Uses())
	}
	long, err := WithEnc(first, e.Enc())
	if err != nil || len(long) != SizeWithEnc {
		t.Fatalf("WithEnc gives %d bytes, %v", len(long), err)
	}
	m2, err := Parse(long)
	if err != nil || !bytes.Equal(m2.Enc, e.Enc()) || !bytes.Equal(m2.Box, m.Box) || m2.Epoch != m.Epoch {
		t.Errorf("the long form parses to another message: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	short := append([]byte{Version1}, make([]byte, Size-1)...)
	long := append([]byte{Version1}, make([]byte, SizeWithEnc-1)...)
	long[21] = 1
	change := func(b []byte, i int, c byte) []byte { b = bytes.Clone(b); b[i] = c; return b }
	for name, b := range map[string][]byte{
		"nothing": nil, "a header": short[:22], "one byte less": short[:81], "one byte more": long[:83],
		"long, one byte less": long[:SizeWithEnc-1], "long, one byte more": append(bytes.Clone(long), 0),
		"version 0": change(short, 0, 0), "version 2": change(short, 0, 2),
		"short with the flag": change(short, 21, 1), "long without": change(long, 21, 0),
		"unknown flag": change(short, 21, 2), "unknown flag in long": change(long, 21, 3),
	} {
		if m, err := Parse(b); err != ErrRejected || m.Box != nil {
			t.Errorf("%s: error is %v, want ErrRejected and nothing else", name, err)
		}
	}
	for _, b := range [][]byte{short, long} {
		if _, err := Parse(b); err != nil {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

func TestWithEncRefuses(t *testing.T) {
	e, err := NewEpoch(testKey(t, 1), lane7)
	if err != nil {
		t.Fatal(err)
	}
	short, err := e.Seal(card(t), Context{})
	if err != nil {
		t.Fatal(err)
	}
	long, err := WithEnc(short, e.Enc())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ enctid, enc []byte }{
		"long already": {long, e.Enc()},
		"short enc":    {short, e.Enc()[1:]},
		"no enc":       {short, nil},
		"no EncTID":    {nil, e.Enc()},
	} {
		if _, err := WithEnc(c.enctid, c.enc); err != ErrRejected {
			t.Errorf("%s: error is %v, want ErrRejected", name, err)
		}
	}
}

func TestEpochEnds(t *testing.T) {
	e, err := NewEpoch(testKey(t, 1), lane7)
	if err != nil {
		t.Fatal(err)
	}
	c := card(t)
	for range MaxUses {
		if _, err := e.Seal(c, Context{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Seal(c, Context{}); !errors.Is(err, ErrSpent) {
		t.Errorf("use %d gives %v, want ErrSpent", MaxUses+1, err)
	}
	e, err = NewEpoch(testKey(t, 1), lane7)
	if err != nil {
		t.Fatal(err)
	}
	e.Drop()
	if _, err := e.Seal(c, Context{}); !errors.Is(err, ErrSpent) {
		t.Errorf("a dropped epoch gives %v, want ErrSpent", err)
	}
}

func TestSealRefusesAnEmptyTID(t *testing.T) {
	e, err := NewEpoch(testKey(t, 1), lane7)
	if err != nil {
		t.Fatal(err)
	}
	wiped := card(t)
	wiped.Wipe()
	for name, c := range map[string]tid.TID{"zero": {}, "wiped": wiped} {
		if b, err := e.Seal(c, Context{}); err == nil || b != nil {
			t.Errorf("%s TID was sealed", name)
		}
	}
	if e.Uses() != 0 {
		t.Errorf("refusals count as %d uses", e.Uses())
	}
}

func TestBadKeysAndNames(t *testing.T) {
	good := testKey(t, 1)
	long := strings.Repeat("x", 256)
	for name, c := range map[string]struct {
		pub PublicKey
		b   Binding
	}{
		"no key":      {PublicKey{ID: 1}, lane7},
		"short key":   {PublicKey{ID: 1, Key: good.Key[1:]}, lane7},
		"no tenant":   {good, Binding{Lane: "a/b"}},
		"no lane":     {good, Binding{Tenant: "a"}},
		"long tenant": {good, Binding{Tenant: long, Lane: "a/b"}},
		"long lane":   {good, Binding{Tenant: "a", Lane: long}},
	} {
		if _, err := NewEpoch(c.pub, c.b); err == nil {
			t.Errorf("NewEpoch accepts %s", name)
		}
	}
	if _, err := NewSealer(Binding{}); err == nil {
		t.Error("NewSealer accepts an empty binding")
	}
	s := newSealer(t)
	if err := s.SetKey(PublicKey{ID: 3, Key: []byte("junk")}); err == nil || !strings.Contains(err.Error(), "key 3") {
		t.Errorf("SetKey with junk gives %v, want an error that names the key", err)
	}
}

func TestPlaintext(t *testing.T) {
	for name, c := range map[string]struct {
		kind   tid.Kind
		digits string
		ok     bool
	}{
		"card":               {tid.Payment, "4111111111111111", true},
		"12 digits":          {tid.Payment, strings.Repeat("1", 12), true},
		"19 digits":          {tid.Payment, strings.Repeat("1", 19), true},
		"loyalty":            {tid.Loyalty, "00012900123456789", true},
		"longest":            {tid.Loyalty, strings.Repeat("9", 30), true},
		"phone":              {tid.Phone, "15551234567", true},
		"CVV":                {tid.Payment, "123", false},
		"CVV as loyalty":     {tid.Loyalty, "1234", false},
		"CVV as phone":       {tid.Phone, "1234", false},
		"track 2":            {tid.Payment, "4111111111111111=2512", false},
		"track 2 as loyalty": {tid.Loyalty, "4111111111111111=2512", false},
		"track 1":            {tid.Loyalty, "B4111111111111111^DOE/J", false},
		"PAN and expiry":     {tid.Payment, "41111111111111112512", false},
		"PAN with blanks":    {tid.Payment, "4111 1111 1111 1111", false},
		"zero byte":          {tid.Payment, "411111111111\x00", false},
		"31 digits":          {tid.Loyalty, strings.Repeat("9", 31), false},
		"empty":              {tid.Phone, "", false},
		"no kind":            {0, "4111111111111111", false},
		"unknown kind":       {4, "4111111111111111", false},
	} {
		b, err := AppendPlaintext(nil, c.kind, []byte(c.digits))
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v, want ok %t", name, err, c.ok)
		}
		if err != nil {
			if len(b) != 0 || c.digits != "" && strings.Contains(err.Error(), c.digits) {
				t.Errorf("%s: the refusal gives data or repeats it: %v", name, err)
			}
			continue
		}
		kind, digits, err := ParsePlaintext(b)
		if len(b) != PlaintextSize || err != nil || kind != c.kind || string(digits) != c.digits {
			t.Errorf("%s: does not come back from its %d bytes: %v", name, len(b), err)
		}
	}
}

func TestParsePlaintextRefuses(t *testing.T) {
	good, err := AppendPlaintext(nil, tid.Payment, []byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(i int, c byte) []byte { b := bytes.Clone(good); b[i] = c; return b }
	for name, b := range map[string][]byte{
		"short": good[:31], "long": append(bytes.Clone(good), 0), "empty": nil,
		"kind 0": change(0, 0), "kind 9": change(0, 9),
		"length 0": change(1, 0), "length 15": change(1, 15), "length 17": change(1, 17),
		"length 31": change(1, 31), "length 255": change(1, 255),
		"separator": change(6, '='), "letter": change(6, 'A'), "zero byte": change(6, 0), "above 9": change(6, ':'), "below 0": change(6, '/'),
		"padding": change(18, 1), "last byte": change(31, '0'),
	} {
		if _, _, err := ParsePlaintext(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The strings that both sides must build alike, byte by byte.
func TestBindingStrings(t *testing.T) {
	e := EpochID{0: 0xe0, 15: 0xef}
	c := Context{Basket: [16]byte{0: 0xba, 15: 0xbf}, Swipe: 2, SealedAt: 1_700_000_000_000}
	bound := "01" + "00000007" + "e00000000000000000000000000000ef" + "0004" + hex.EncodeToString([]byte("acme")) + "000a" + hex.EncodeToString([]byte("s12/lane-7"))
	wantInfo := "0010" + hex.EncodeToString([]byte("hhid/enctid info")) + bound
	wantAAD := "000f" + hex.EncodeToString([]byte("hhid/enctid aad")) + bound + "ba0000000000000000000000000000bf" + "00000002" + "0000018bcfe56800"
	if got := hex.EncodeToString(Info(7, e, lane7)); got != wantInfo {
		t.Errorf("info\n got %s\nwant %s", got, wantInfo)
	}
	if got := hex.EncodeToString(AppendAAD(nil, 7, e, lane7, c)); got != wantAAD {
		t.Errorf("AAD\n got %s\nwant %s", got, wantAAD)
	}
}

// Different inputs never give the same string, wherever their bytes are cut.
func TestBindingStringsAreUnambiguous(t *testing.T) {
	type input struct {
		k KeyID
		e EpochID
		b Binding
		c Context
	}
	draw := func(t *rapid.T, name string) input {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("a/\x00\x01")), 1, 4, 255)
		return input{
			k: KeyID(rapid.Uint32Range(0, 2).Draw(t, name+" key")),
			e: EpochID{15: rapid.ByteRange(0, 2).Draw(t, name+" epoch")},
			b: Binding{text.Draw(t, name+" tenant"), text.Draw(t, name+" lane")},
			c: Context{Basket: [16]byte{0: rapid.ByteRange(0, 2).Draw(t, name+" basket")}, Swipe: rapid.Uint32Range(0, 2).Draw(t, name+" swipe"), SealedAt: rapid.Int64Range(-1, 1).Draw(t, name+" time")},
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := draw(t, "x"), draw(t, "y")
		sameAAD := bytes.Equal(AppendAAD(nil, x.k, x.e, x.b, x.c), AppendAAD(nil, y.k, y.e, y.b, y.c))
		if sameAAD != (x == y) {
			t.Fatalf("AAD equal: %t for %+v and %+v", sameAAD, x, y)
		}
		sameInfo := bytes.Equal(Info(x.k, x.e, x.b), Info(y.k, y.e, y.b))
		if want := x.k == y.k && x.e == y.e && x.b == y.b; sameInfo != want {
			t.Fatalf("info equal: %t for %+v and %+v", sameInfo, x, y)
		}
	})
}

func FuzzParse(f *testing.F) {
	short := append([]byte{1, 0, 0, 0, 7}, make([]byte, 77)...)
	f.Add(short)
	long := append([]byte{1, 0, 0, 0, 7}, make([]byte, 1197)...)
	long[21] = 1
	f.Add(long)
	f.Add([]byte{})
	f.Add(append([]byte{2}, short[1:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if err != ErrRejected {
				t.Fatalf("error %v", err)
			}
			return
		}
		if got := m.append(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x comes back as %x", b, got)
		}
	})
}

func FuzzParsePlaintext(f *testing.F) {
	good, _ := AppendPlaintext(nil, tid.Payment, []byte("4111111111111111"))
	f.Add(good)
	f.Add(make([]byte, PlaintextSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, digits, err := ParsePlaintext(b)
		if err != nil {
			return
		}
		if got, err := AppendPlaintext(nil, k, digits); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%x comes back as %x, %v", b, got, err)
		}
	})
}

func BenchmarkNewEpoch(b *testing.B) {
	pub := testKey(b, 1)
	for b.Loop() {
		if _, err := NewEpoch(pub, lane7); err != nil {
			b.Fatal(err)
		}
	}
}
