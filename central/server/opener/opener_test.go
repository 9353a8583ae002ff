package opener

import (
	"bytes"
	"crypto/hpke"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"posd/enctid"
	"posd/tid"
)

const pan = "4111111111111111"

var (
	lane7   = enctid.Binding{Tenant: "acme", Lane: "s12/lane-7"}
	context = enctid.Context{Basket: [16]byte{1, 2, 3}, Swipe: 4, SealedAt: 1_700_000_000_000}
)

func newKey(t testing.TB, id enctid.KeyID) PrivateKey {
	t.Helper()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return PrivateKey{ID: id, State: Sealing, Key: k}
}

func newOpener(t testing.TB, perLane int, keys ...PrivateKey) *Opener {
	t.Helper()
	o, err := New(keys, perLane)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func public(k PrivateKey) enctid.PublicKey { return enctid.PublicKey{ID: k.ID, Key: k.Key.Public()} }

func card(t testing.TB) tid.TID {
	t.Helper()
	c, err := tid.NewPayment([]byte(pan))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sealOne makes one EncTID of a new epoch, in both forms.
func sealOne(t testing.TB, k PrivateKey, b enctid.Binding) (short, long []byte) {
	t.Helper()
	e, err := enctid.NewEpoch(public(k), b)
	if err != nil {
		t.Fatal(err)
	}
	if short, err = e.Seal(card(t), context); err != nil {
		t.Fatal(err)
	}
	if long, err = enctid.WithEnc(short, e.Enc()); err != nil {
		t.Fatal(err)
	}
	return short, long
}

func digitsOf(c tid.TID) string {
	out := ""
	c.Use(func(d []byte) { out = string(d) })
	return out
}

// wantError demands the very same error value, and with it the same text.
func wantError(t *testing.T, what string, want, got error) {
	t.Helper()
	if got != want {
		t.Errorf("%s: error is %v, want exactly %v", what, got, want)
	}
}

func TestOpen(t *testing.T) {
	k := newKey(t, 7)
	o := newOpener(t, 2, k)
	short, long := sealOne(t, k, lane7)

	_, err := o.Open(short, lane7, context)
	wantError(t, "short form first", ErrUnknownEpoch, err)
	for _, wire := range [][]byte{long, short, long, short} {
		got, err := o.Open(wire, lane7, context)
		if err != nil || got.Kind() != tid.Payment || digitsOf(got) != pan {
			t.Fatalf("opening %d bytes gives kind %v, right digits: %t, %v", len(wire), got.Kind(), digitsOf(got) == pan, err)
		}
		got.Wipe()
	}
	// Any replica opens what brings its enc.
	if _, err := newOpener(t, 2, k).Open(long, lane7, context); err != nil {
		t.Errorf("another replica: %v", err)
	}
}

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

// A key may be destroyed while one of its EncTIDs is being opened.
func TestNothingIsRememberedForADestroyedKey(t *testing.T) {
	k := newKey(t, 7)
	o := newOpener(t, 2, k)
	_, long := sealOne(t, k, lane7)
	m, err := enctid.Parse(long)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := o.aead(m, lane7)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.SetKeys([]PrivateKey{{ID: 7, State: Destroyed}}); err != nil {
		t.Fatal(err)
	}
	o.remember(m, lane7, aead)
	if len(o.lanes) != 0 {
		t.Error("the epoch is remembered")
	}
}

func TestKeyStates(t *testing.T) {
	k := newKey(t, 7)
	short, long := sealOne(t, k, lane7)
	o := newOpener(t, 2, k)
	if _, err := o.Open(long, lane7, context); err != nil {
		t.Fatal(err)
	}
	set := func(keys ...PrivateKey) {
		t.Helper()
		if err := o.SetKeys(keys); err != nil {
			t.Fatal(err)
		}
	}
	k.State = OpenOnly
	set(k)
	if _, err := o.Open(short, lane7, context); err != nil {
		t.Errorf("an open-only key no longer opens: %v", err)
	}
	set(PrivateKey{ID: 7, State: Destroyed})
	for _, wire := range [][]byte{short, long} {
		_, err := o.Open(wire, lane7, context)
		wantError(t, "destroyed key", ErrKeyRetired, err)
	}
	set(newKey(t, 8))
	for _, wire := range [][]byte{short, long} {
		_, err := o.Open(wire, lane7, context)
		wantError(t, "key never heard of", ErrRejected, err)
	}
	set(k)
	_, err := o.Open(short, lane7, context)
	wantError(t, "the epoch outlived its key", ErrUnknownEpoch, err)
	other := newKey(t, 7)
	_, err = newOpener(t, 2, other).Open(long, lane7, context)
	wantError(t, "another central's key of the same number", ErrRejected, err)
}

func TestSetKeysRefuses(t *testing.T) {
	k := newKey(t, 7)
	for name, keys := range map[string][]PrivateKey{
		"twice":         {k, k},
		"no key":        {{ID: 7, State: Sealing}},
		"unknown state": {{ID: 7, State: "tired", Key: k.Key}},
		"no state":      {{ID: 7, Key: k.Key}},
	} {
		if _, err := New(keys, 1); err == nil || !strings.Contains(err.Error(), "key 7") {
			t.Errorf("%s: error is %v, want one that names key 7", name, err)
		}
	}
	// A refusal leaves what was there.
	o := newOpener(t, 1, k)
	_, long := sealOne(t, k, lane7)
	if err := o.SetKeys([]PrivateKey{{ID: 9}}); err == nil {
		t.Fatal("accepted")
	}
	if _, err := o.Open(long, lane7, context); err != nil {
		t.Errorf("after a refused SetKeys: %v", err)
	}
}

func TestEpochsAreCappedPerLane(t *testing.T) {
	k := newKey(t, 7)
	o := newOpener(t, 2, k)
	var short, long [4][]byte
	for i := range short {
		short[i], long[i] = sealOne(t, k, lane7)
	}
	lane8 := enctid.Binding{Tenant: "acme", Lane: "s12/lane-8"}
	short8, long8 := sealOne(t, k, lane8)
	open := func(wire []byte, b enctid.Binding) error { _, err := o.Open(wire, b, context); return err }

	wantError(t, "other lane", nil, open(long8, lane8))
	wantError(t, "epoch 0", nil, open(long[0], lane7))
	wantError(t, "epoch 1", nil, open(long[1], lane7))
	wantError(t, "epoch 0 used again", nil, open(short[0], lane7))
	wantError(t, "epoch 2 drives out 1, used longest ago", nil, open(long[2], lane7))
	wantError(t, "epoch 0", nil, open(short[0], lane7))
	wantError(t, "epoch 1", ErrUnknownEpoch, open(short[1], lane7))
	wantError(t, "epoch 2", nil, open(short[2], lane7))
	wantError(t, "epoch 2 again with enc", nil, open(long[2], lane7))
	wantError(t, "epoch 0 is still there", nil, open(short[0], lane7))
	wantError(t, "the other lane keeps its own", nil, open(short8, lane8))
	wantError(t, "a lane does not use another's epoch", ErrUnknownEpoch, open(short8, lane7))
}

func TestOpenConcurrently(t *testing.T) {
	k, next := newKey(t, 7), newKey(t, 8)
	o := newOpener(t, 2, k)
	type pair struct{ short, long []byte }
	pairs := make([]pair, 6)
	for i := range pairs {
		pairs[i].short, pairs[i].long = sealOne(t, k, lane7)
	}
	var wg sync.WaitGroup
	for _, p := range pairs {
		wg.Go(func() {
			for range 30 {
				c, err := o.Open(p.short, lane7, context)
				if err == ErrUnknownEpoch {
					c, err = o.Open(p.long, lane7, context)
				}
				if err != nil || digitsOf(c) != pan {
					t.Errorf("open: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 30 {
			if err := o.SetKeys([]PrivateKey{k, next}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if n := len(o.lanes[lane7].list); n > 2 {
		t.Errorf("%d epochs are remembered, want at most 2", n)
	}
}

// Opening by a known epoch allocates nothing beyond the TID it returns.
func TestOpenAllocatesTheTIDOnly(t *testing.T) {
	k := newKey(t, 7)
	o := newOpener(t, 2, k)
	short, long := sealOne(t, k, lane7)
	if _, err := o.Open(long, lane7, context); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(pan))
	theTID := testing.AllocsPerRun(100, func() {
		copy(buf, pan)
		if _, err := tid.FromCanonical(tid.Payment, buf); err != nil {
			t.Fatal(err)
		}
	})
	all := testing.AllocsPerRun(100, func() {
		if _, err := o.Open(short, lane7, context); err != nil {
			t.Fatal(err)
		}
	})
	if all != theTID {
		t.Errorf("opening makes %v allocations, the TID alone %v", all, theTID)
	}
}

func TestScratchIsWiped(t *testing.T) {
	k := newKey(t, 7)
	_, long := sealOne(t, k, lane7)
	o := newOpener(t, 2, k)
	s := new(scratch)
	o.scratch.New = func() any { return s } // every opening works in this one
	if _, err := o.Open(long, lane7, context); err != nil {
		t.Fatal(err)
	}
	if s.aad[1] == 0 {
		t.Fatal("the scratch was not used")
	}
	if s.plain != [enctid.PlaintextSize]byte{} {
		t.Error("the plaintext is still there")
	}
}

func TestKeyDoesNotShowItself(t *testing.T) {
	seed := bytes.Repeat([]byte{0x5a}, SeedSize)
	k, err := NewKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(seed, make([]byte, SeedSize)) {
		t.Error("NewKey did not wipe the seed")
	}
	got, err := k.Seed()
	if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{0x5a}, SeedSize)) {
		t.Errorf("Seed gives %d bytes, %v", len(got), err)
	}
	if got := fmt.Sprintf("%v %+v %s %x", k, PrivateKey{7, Sealing, k}, k, k); got != "Key(redacted) {ID:7 State:sealing Key:Key(redacted)} Key(redacted) Key(redacted)" {
		t.Errorf("a key prints as %s", got)
	}
	type hidden struct{ k PrivateKey }
	for _, v := range []any{k, &k, PrivateKey{1, Sealing, k}, hidden{PrivateKey{1, Sealing, k}}, []Key{k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o"} {
			checkHidden(t, verb, fmt.Sprintf(verb, v))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", v)
		checkHidden(t, "slog", log.String())
		text, _ := json.Marshal(v)
		checkHidden(t, "JSON", string(text))
	}
}

func checkHidden(t *testing.T, how, text string) {
	t.Helper()
	for _, leak := range []string{"5a5a", "5A5A", "90 90", "ZZ", "132132", "132 132", "1011010"} {
		if strings.Contains(text, leak) {
			t.Errorf("%s shows the key: %s", how, text)
		}
	}
}

func TestZeroKey(t *testing.T) {
	var k Key
	if _, err := k.Seed(); err == nil || k.Public() != nil || !k.IsZero() {
		t.Error("a zero key gives something")
	}
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := NewKey(make([]byte, n)); err == nil {
			t.Errorf("NewKey takes %d bytes", n)
		}
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
