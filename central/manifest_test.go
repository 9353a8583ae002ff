package central

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

var (
	issued  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	private = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	public  = private.Public().(ed25519.PublicKey)
)

func manifest(version uint64, keys ...ManifestKey) Manifest {
	if keys == nil {
		keys = []ManifestKey{{ID: 1, KEM: KEMMLKEM768X25519, PublicKey: []byte{1}, State: Sealing, NotBefore: issued}}
	}
	return Manifest{Version: version, IssuedAt: issued, ExpiresAt: issued.AddDate(0, 0, 30), Keys: keys}
}

func sign(t testing.TB, m Manifest) Signed {
	t.Helper()
	s, err := m.Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestManifestGolden(t *testing.T) {
	s := sign(t, manifest(7))
	const want = `{"version":7,"issued_at":"2026-01-02T03:04:05Z","expires_at":"2026-02-01T03:04:05Z","keys":[{"id":1,"kem":25722,"public_key":"AQ==","state":"sealing","not_before":"2026-01-02T03:04:05Z"}]}`
	if string(s.Manifest) != want {
		t.Errorf("canonical form %s, want %s", s.Manifest, want)
	}
	if !ed25519.Verify(public, append([]byte("hhid/manifest/v1\x00"), s.Manifest...), s.Signature) {
		t.Error("the signature is not of what the document says")
	}
}

func TestVerify(t *testing.T) {
	good := sign(t, manifest(7))
	m, err := good.Verify(public, issued, 7)
	if err != nil || m.Version != 7 || len(m.Keys) != 1 || m.Keys[0].ID != 1 {
		t.Fatalf("good: %+v, %v", m, err)
	}
	forged := func(payload string) Signed {
		return Signed{[]byte(payload), ed25519.Sign(private, signed([]byte(payload)))}
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)).Public().(ed25519.PublicKey)
	changed := Signed{bytes.Replace(good.Manifest, []byte(`"version":7`), []byte(`"version":8`), 1), good.Signature}
	bare := Signed{good.Manifest, ed25519.Sign(private, good.Manifest)}
	for _, tc := range []struct {
		name string
		s    Signed
		key  ed25519.PublicKey
		now  time.Time
		min  uint64
		want error  // nil: any
		text string // part of it
	}{
		{"other key", good, other, issued, 0, ErrManifestSignature, "pinned"},
		{"no key", good, nil, issued, 0, ErrManifestSignature, ""},
		{"changed", changed, public, issued, 0, ErrManifestSignature, ""},
		{"signed without context", bare, public, issued, 0, ErrManifestSignature, ""},
		{"empty", Signed{}, public, issued, 0, ErrManifestSignature, ""},
		{"lower version", good, public, issued, 8, ErrManifestVersion, "version 7 after version 8"},
		{"lower version, expired", good, public, issued.AddDate(1, 0, 0), 8, ErrManifestVersion, ""},
		{"expired", good, public, issued.AddDate(0, 0, 30), 0, ErrManifestExpired, "clock"},
		{"not JSON", forged("x"), public, issued, 0, nil, "not a manifest"},
		{"no keys", forged(`{"version":1,"issued_at":"2026-01-02T03:04:05Z","expires_at":"2027-01-02T03:04:05Z"}`), public, issued, 0, nil, "lacks"},
		{"version 0", forged(`{}`), public, issued, 0, nil, "lacks"},
	} {
		m, err := tc.s.Verify(tc.key, tc.now, tc.min)
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if expired := errors.Is(err, ErrManifestExpired); expired != (m.Version != 0) {
			t.Errorf("%s: returned %+v", tc.name, m)
		}
	}
}

func TestUnsignableManifests(t *testing.T) {
	key := manifest(1).Keys[0]
	noKey := key
	noKey.PublicKey = nil
	for name, m := range map[string]Manifest{
		"version": manifest(0), "no keys": {Version: 1, IssuedAt: issued, ExpiresAt: issued.Add(1)},
		"no life": {Version: 1, IssuedAt: issued, ExpiresAt: issued, Keys: []ManifestKey{key}},
		"twice":   manifest(1, key, key), "empty key": manifest(1, noKey),
	} {
		if _, err := m.Sign(private); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestSealingKey(t *testing.T) {
	at := func(id uint32, state KeyState, from int) ManifestKey {
		return ManifestKey{ID: id, KEM: KEMMLKEM768X25519, PublicKey: []byte{1}, State: state, NotBefore: issued.AddDate(0, 0, from)}
	}
	foreign, ended := at(5, Sealing, 0), at(6, Sealing, 0)
	foreign.KEM, ended.SealUntil = 0x20, issued.AddDate(0, 0, 1)
	for _, tc := range []struct {
		keys []ManifestKey
		want uint32
	}{
		{[]ManifestKey{at(1, Sealing, 0)}, 1},
		{[]ManifestKey{at(1, Sealing, 0), at(2, Sealing, 1)}, 2},
		{[]ManifestKey{at(2, Sealing, 1), at(1, Sealing, 0)}, 2},
		{[]ManifestKey{at(1, Sealing, 0), at(2, Sealing, 2)}, 1},
		{[]ManifestKey{at(1, Sealing, 0), at(2, OpenOnly, 1)}, 1},
		{[]ManifestKey{at(1, OpenOnly, 0)}, 0},
		{[]ManifestKey{foreign}, 0},
		{[]ManifestKey{ended}, 0},
	} {
		got, err := manifest(1, tc.keys...).SealingKey(issued.AddDate(0, 0, 1))
		if got.ID != tc.want || (err == nil) != (tc.want != 0) {
			t.Errorf("%+v: key %d, %v, want %d", tc.keys, got.ID, err, tc.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	payload, _ := json.Marshal(manifest(1))
	f.Add(payload)
	f.Add([]byte(`{"version":1,"keys":[{}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s := Signed{payload, ed25519.Sign(private, signed(payload))}
		m, err := s.Verify(public, issued, 1)
		if err == nil && (m.Version == 0 || len(m.Keys) == 0 || !issued.Before(m.ExpiresAt)) {
			t.Errorf("verified %+v", m)
		}
	})
}
