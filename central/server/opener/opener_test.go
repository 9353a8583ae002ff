package opener

import (
	"bytes"
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
	for _, leak := range []string{"5a5a5a5a", "5A5A5A5A", "90 90", "ZZ", "132132", "132 132", "1011010 1011010"} {
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
