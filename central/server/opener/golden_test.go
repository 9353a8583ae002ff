package opener

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"posd/enctid"
	"posd/tid"
)

var update = flag.Bool("update", false, "make new golden messages, with the same test key")

// hexBytes is written as hexadecimal digits.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// vectors are known answers of version 1: whoever writes another opener checks
// it by them.
type vectors struct {
	Note     string         `json:"note"`
	Seed     hexBytes       `json:"test_key_seed"` // MLKEM768X25519
	Public   hexBytes       `json:"test_public_key"`
	KeyID    enctid.KeyID   `json:"key_id"`
	Tenant   string         `json:"tenant"`
	Lane     string         `json:"lane"`
	Epoch    hexBytes       `json:"epoch"`
	Info     hexBytes       `json:"info"`
	Messages []goldenEncTID `json:"messages"`
}

type goldenEncTID struct {
	Kind     string   `json:"kind"`
	Digits   string   `json:"digits"`
	Basket   hexBytes `json:"basket"`
	Swipe    uint32   `json:"swipe"`
	SealedAt int64    `json:"sealed_at"`
	AAD      hexBytes `json:"aad"`
	Wire     hexBytes `json:"wire"`
}

const goldenFile = "testdata/enctid-v1.json"

func TestGoldenMessagesOpen(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	key, err := NewKey(v.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(key.Public(), v.Public) {
		t.Error("the seed gives another public key")
	}
	binding, epoch := enctid.Binding{Tenant: v.Tenant, Lane: v.Lane}, enctid.EpochID(v.Epoch)
	if got := enctid.Info(v.KeyID, epoch, binding); !bytes.Equal(got, v.Info) {
		t.Errorf("info is %x, want %x", got, v.Info)
	}
	o := newOpener(t, 1, PrivateKey{v.KeyID, OpenOnly, key})
	if len(v.Messages) < 4 {
		t.Fatalf("only %d messages", len(v.Messages))
	}
	for i, m := range v.Messages {
		c := m.context()
		if got := enctid.AppendAAD(nil, v.KeyID, epoch, binding, c); !bytes.Equal(got, m.AAD) {
			t.Errorf("message %d: AAD is %x, want %x", i, got, m.AAD)
		}
		got, err := o.Open(m.Wire, binding, c)
		if err != nil {
			t.Errorf("message %d: %v", i, err)
			continue
		}
		if kind, digits := got.Kind().String(), digitsOf(got); kind != m.Kind || digits != m.Digits {
			t.Errorf("message %d opens to %s %s, want %s %s", i, kind, digits, m.Kind, m.Digits)
		}
	}
}

func (m goldenEncTID) context() enctid.Context {
	return enctid.Context{Basket: [16]byte(m.Basket), Swipe: m.Swipe, SealedAt: m.SealedAt}
}

func writeGolden(t *testing.T) {
	v := vectors{
		Note:  "EncTID version 1, known answers. TEST KEY: published here, protects nothing, never use it. The first message brings its enc, the others are of the same epoch.",
		Seed:  bytes.Repeat([]byte("hhid test key. "), 3)[:SeedSize],
		KeyID: 0x01020304, Tenant: "acme", Lane: "s12/lane-7",
		Messages: []goldenEncTID{
			{Kind: "payment", Digits: "4111111111111111"},
			{Kind: "payment", Digits: "378282246310005"},
			{Kind: "loyalty", Digits: "00012900123456789"},
			{Kind: "phone", Digits: "12025550123"},
		},
	}
	key, err := NewKey(bytes.Clone(v.Seed))
	if err != nil {
		t.Fatal(err)
	}
	v.Public = key.Public()
	b := enctid.Binding{Tenant: v.Tenant, Lane: v.Lane}
	e, err := enctid.NewEpoch(enctid.PublicKey{ID: v.KeyID, Key: v.Public}, b)
	if err != nil {
		t.Fatal(err)
	}
	id := e.ID()
	v.Epoch, v.Info = id[:], enctid.Info(v.KeyID, id, b)
	for i := range v.Messages {
		m := &v.Messages[i]
		m.Basket, m.Swipe, m.SealedAt = bytes.Repeat([]byte{byte(0xb0 + i)}, 16), uint32(i+1), 1_700_000_000_000+int64(i)
		m.AAD = enctid.AppendAAD(nil, v.KeyID, id, b, m.context())
		m.Wire = sealGolden(t, e, *m)
		if i == 0 {
			if m.Wire, err = enctid.WithEnc(m.Wire, e.Enc()); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sealGolden(t *testing.T, e *enctid.Epoch, m goldenEncTID) []byte {
	t.Helper()
	kind, err := tid.ParseKind(m.Kind)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tid.FromCanonical(kind, []byte(m.Digits))
	if err != nil {
		t.Fatal(err)
	}
	wire, err := e.Seal(c, m.context())
	if err != nil {
		t.Fatal(err)
	}
	return wire
}
