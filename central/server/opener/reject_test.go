package opener

import (
	"bytes"
	"crypto/hpke"
	"fmt"
	"strings"
	"testing"

	"posd/enctid"
	"posd/tid"
)

func TestEveryTamperedByteIsRejected(t *testing.T) {
	k := newKey(t, 7)
	short, long := sealOne(t, k, lane7)
	for name, known := range map[string]bool{"epoch known": true, "epoch unknown": false} {
		t.Run(name, func(t *testing.T) {
			o := newOpener(t, 2, k)
			if known {
				if _, err := o.Open(long, lane7, context); err != nil {
					t.Fatal(err)
				}
			}
			for i := range long {
				b := bytes.Clone(long)
				b[i] ^= 1 << (i % 8)
				_, err := o.Open(b, lane7, context)
				wantError(t, fmt.Sprintf("byte %d of the long form changed", i), ErrRejected, err)
			}
		})
	}
	o := newOpener(t, 2, k)
	if _, err := o.Open(long, lane7, context); err != nil {
		t.Fatal(err)
	}
	for i := range short {
		for bit := range 8 {
			b := bytes.Clone(short)
			b[i] ^= 1 << bit
			want := ErrRejected
			if 5 <= i && i < 21 {
				want = ErrUnknownEpoch // it names another epoch, and brings no enc
			}
			_, err := o.Open(b, lane7, context)
			wantError(t, fmt.Sprintf("bit %d of byte %d of the short form changed", bit, i), want, err)
		}
	}
	if _, err := o.Open(short, lane7, context); err != nil {
		t.Errorf("the true EncTID no longer opens: %v", err)
	}
}

func TestEveryOtherLengthIsRejected(t *testing.T) {
	k := newKey(t, 7)
	o := newOpener(t, 2, k)
	short, long := sealOne(t, k, lane7)
	if _, err := o.Open(long, lane7, context); err != nil {
		t.Fatal(err)
	}
	long = append(long, 0, 0)
	for n := range len(long) + 1 {
		if n == enctid.SizeWithEnc {
			continue
		}
		_, err := o.Open(long[:n], lane7, context)
		wantError(t, fmt.Sprintf("%d bytes of the long form", n), ErrRejected, err)
	}
	for n := range len(short) {
		_, err := o.Open(short[:n], lane7, context)
		wantError(t, fmt.Sprintf("%d bytes of the short form", n), ErrRejected, err)
	}
	_, err := o.Open(append(bytes.Clone(short), 0), lane7, context)
	wantError(t, "one byte more", ErrRejected, err)
}

func TestOtherContextIsRejected(t *testing.T) {
	k := newKey(t, 7)
	short, long := sealOne(t, k, lane7)
	contexts := map[string]func(*enctid.Context){
		"basket":    func(c *enctid.Context) { c.Basket[15] ^= 1 },
		"swipe":     func(c *enctid.Context) { c.Swipe++ },
		"seal time": func(c *enctid.Context) { c.SealedAt++ },
	}
	for name, change := range contexts {
		c := context
		change(&c)
		o := newOpener(t, 2, k)
		_, err := o.Open(long, lane7, c)
		wantError(t, "long form with another "+name, ErrRejected, err)
		_, err = o.Open(short, lane7, context)
		wantError(t, "the epoch was remembered after a failure", ErrUnknownEpoch, err)
		if _, err := o.Open(long, lane7, context); err != nil {
			t.Fatal(err)
		}
		_, err = o.Open(short, lane7, c)
		wantError(t, "short form with another "+name, ErrRejected, err)
	}
	long255 := strings.Repeat("x", 256)
	for name, b := range map[string]enctid.Binding{
		"lane":            {Tenant: "acme", Lane: "s12/lane-8"},
		"tenant":          {Tenant: "acmf", Lane: "s12/lane-7"},
		"cut of names":    {Tenant: "acmes", Lane: "12/lane-7"},
		"empty":           {},
		"too long tenant": {Tenant: long255, Lane: "s12/lane-7"},
		"too long lane":   {Tenant: "acme", Lane: long255},
	} {
		_, err := newOpener(t, 2, k).Open(long, b, context)
		wantError(t, "another "+name, ErrRejected, err)
	}
}

// junkEncs are encapsulated keys that no honest lane makes. The last 32 bytes of
// an enc are the X25519 share.
func junkEncs(enc []byte) map[string][]byte {
	change := func(f func(b []byte)) []byte { b := bytes.Clone(enc); f(b); return b }
	return map[string][]byte{
		"all zero":         make([]byte, enctid.EncSize),
		"all ones":         bytes.Repeat([]byte{0xff}, enctid.EncSize),
		"X25519 point 0":   change(func(b []byte) { clear(b[enctid.EncSize-32:]) }),
		"X25519 point 1":   change(func(b []byte) { clear(b[enctid.EncSize-32:]); b[enctid.EncSize-32] = 1 }),
		"zero ML-KEM part": change(func(b []byte) { clear(b[:enctid.EncSize-32]) }),
		"halves exchanged": append(bytes.Clone(enc[enctid.EncSize/2:]), enc[:enctid.EncSize/2]...),
	}
}

func TestJunkEncIsRejected(t *testing.T) {
	k := newKey(t, 7)
	o := newOpener(t, 2, k)
	short, long := sealOne(t, k, lane7)
	if _, err := o.Open(long, lane7, context); err != nil {
		t.Fatal(err)
	}
	for name, enc := range junkEncs(long[22 : 22+enctid.EncSize]) {
		b, err := enctid.WithEnc(short, enc)
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.Open(b, lane7, context)
		wantError(t, name, ErrRejected, err)
	}
	if _, err := o.Open(short, lane7, context); err != nil {
		t.Errorf("junk drove the good epoch out: %v", err)
	}
}

// sealRaw seals any plaintext, as a lane that does not keep to the rules could.
func sealRaw(t testing.TB, k PrivateKey, b enctid.Binding, plain []byte) []byte {
	t.Helper()
	kem, kdf, suite := enctid.Suite()
	pub, err := kem.NewPublicKey(k.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	e := enctid.EpochID{9}
	enc, sender, err := hpke.NewSender(pub, kdf, suite, enctid.Info(k.ID, e, b))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := enctid.NewAEAD(sender)
	if err != nil {
		t.Fatal(err)
	}
	head := []byte{enctid.Version1, byte(k.ID >> 24), byte(k.ID >> 16), byte(k.ID >> 8), byte(k.ID)}
	head = append(append(append(head, e[:]...), 1), enc...)
	return aead.Seal(head, nil, plain, enctid.AppendAAD(nil, k.ID, e, b, context))
}

func TestBadPlaintextIsRejected(t *testing.T) {
	k := newKey(t, 7)
	good := goodPlaintext()
	if c, err := newOpener(t, 2, k).Open(sealRaw(t, k, lane7, good), lane7, context); err != nil || digitsOf(c) != pan {
		t.Fatalf("the good plaintext does not open: %v", err)
	}
	change := func(i int, c byte) []byte { b := bytes.Clone(good); b[i] = c; return b }
	for name, plain := range map[string][]byte{
		"padding":       change(31, 1),
		"first padding": change(18, '0'),
		"kind 0":        change(0, 0),
		"kind 200":      change(0, 200),
		"length 31":     change(1, 31),
		"length 0":      change(1, 0),
		"too long":      change(1, 17),
		"separator":     change(9, '='),
		"letter":        change(9, 'B'),
		"no Luhn":       change(17, '2'),
		"31 bytes":      good[:31],
		"33 bytes":      append(bytes.Clone(good), 0),
	} {
		o := newOpener(t, 2, k)
		_, err := o.Open(sealRaw(t, k, lane7, plain), lane7, context)
		wantError(t, name, ErrRejected, err)
		if len(o.lanes) != 0 {
			t.Errorf("%s: the epoch was remembered", name)
		}
	}
}

func goodPlaintext() []byte {
	b := make([]byte, enctid.PlaintextSize)
	b[0], b[1] = byte(tid.Payment), byte(len(pan))
	copy(b[2:], pan)
	return b
}

// Names that cannot come from a certificate are refused before anything else.
func TestBadBindingIsRejected(t *testing.T) {
	k := newKey(t, 7)
	for _, b := range []enctid.Binding{{Tenant: "acme"}, {Lane: "s12/lane-7"}, {Tenant: "acme", Lane: strings.Repeat("x", 256)}} {
		_, err := newOpener(t, 2, k).Open(sealRaw(t, k, b, goodPlaintext()), b, context)
		wantError(t, fmt.Sprintf("%+v", b), ErrRejected, err)
	}
}

func FuzzOpen(f *testing.F) {
	k := newKey(f, 7)
	o := newOpener(f, 2, k)
	short, long := sealOne(f, k, lane7)
	f.Add(short)
	f.Add(long)
	f.Add(sealRaw(f, k, lane7, []byte("short")))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		c, err := o.Open(wire, lane7, context)
		switch err {
		case nil:
			if digitsOf(c) != pan {
				t.Fatal("a forged EncTID was opened")
			}
		case ErrRejected, ErrUnknownEpoch:
		default:
			t.Fatalf("error %v", err)
		}
	})
}
