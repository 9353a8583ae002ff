package central

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// KEMMLKEM768X25519 is the HPKE KEM of EncTID v1 (IANA: HPKE KEM identifiers).
const KEMMLKEM768X25519 = 0x647a

// KeyState says what a key may still be used for.
type KeyState string

// The states of a key. A destroyed key is not in the manifest any more.
const (
	Sealing  KeyState = "sealing"   // lanes seal with it
	OpenOnly KeyState = "open-only" // central opens what was sealed with it, lanes seal no more
)

// Manifest is the list of public keys that lanes may seal EncTIDs for. Its
// canonical form is the JSON that encoding/json makes of it.
type Manifest struct {
	Version   uint64        `json:"version"` // rises with every issue
	IssuedAt  time.Time     `json:"issued_at"`
	ExpiresAt time.Time     `json:"expires_at"`
	Keys      []ManifestKey `json:"keys"`
}

// ManifestKey is one public key.
type ManifestKey struct {
	ID        uint32    `json:"id"`
	KEM       uint16    `json:"kem"`
	PublicKey []byte    `json:"public_key"`
	State     KeyState  `json:"state"`
	NotBefore time.Time `json:"not_before"`
	SealUntil time.Time `json:"seal_until,omitzero"` // zero: as long as the manifest lists it as sealing
}

// Signed is a manifest as it travels: the bytes that were signed and an Ed25519
// signature of them.
type Signed struct {
	Manifest  []byte `json:"manifest"`
	Signature []byte `json:"signature"`
}

// Errors of Verify that a caller tells apart.
var (
	ErrManifestSignature = errors.New("the manifest is not signed by the key that was pinned at enrolment")
	ErrManifestVersion   = errors.New("the manifest is older than the one already held")
	ErrManifestExpired   = errors.New("the manifest has expired")
)

// signedContext keeps a signature of a manifest from being one of anything else.
const signedContext = "hhid/manifest/v1\x00"

// Sign makes the canonical form of m and signs it.
func (m Manifest) Sign(key ed25519.PrivateKey) (Signed, error) {
	if err := m.check(); err != nil {
		return Signed{}, fmt.Errorf("sign manifest: %w", err)
	}
	payload, err := json.Marshal(m)
	if err != nil {
		return Signed{}, fmt.Errorf("sign manifest: %w", err)
	}
	return Signed{Manifest: payload, Signature: ed25519.Sign(key, signed(payload))}, nil
}

// Verify returns the manifest in s if key signed it, it has not expired at now,
// and its version is not below minVersion. Nothing of an unsigned manifest is
// looked at. With ErrManifestExpired the manifest is returned beside the error:
// whoever has no better one may decide to go on with it.
func (s Signed) Verify(key ed25519.PublicKey, now time.Time, minVersion uint64) (Manifest, error) {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, signed(s.Manifest), s.Signature) {
		return Manifest{}, fmt.Errorf("verify manifest: %w", ErrManifestSignature)
	}
	var m Manifest
	if err := json.Unmarshal(s.Manifest, &m); err != nil {
		return Manifest{}, fmt.Errorf("verify manifest: it is signed, but not a manifest that this version can read: %v", err)
	}
	if m.Version < minVersion {
		return Manifest{}, fmt.Errorf("verify manifest: version %d after version %d: %w: was central restored from a backup?", m.Version, minVersion, ErrManifestVersion)
	}
	if err := m.check(); err != nil {
		return Manifest{}, fmt.Errorf("verify manifest: %w", err)
	}
	if !now.Before(m.ExpiresAt) {
		return m, fmt.Errorf("verify manifest: %w, on %s: check this machine's clock, and central's", ErrManifestExpired, m.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return m, nil
}

// SealingKey is the newest key that a lane may seal with at now.
func (m Manifest) SealingKey(now time.Time) (ManifestKey, error) {
	best := -1
	for i, k := range m.Keys {
		usable := k.State == Sealing && k.KEM == KEMMLKEM768X25519 && !now.Before(k.NotBefore) && (k.SealUntil.IsZero() || now.Before(k.SealUntil))
		if usable && (best < 0 || k.NotBefore.After(m.Keys[best].NotBefore)) {
			best = i
		}
	}
	if best < 0 {
		return ManifestKey{}, fmt.Errorf("manifest %d has no key to seal with at %s", m.Version, now.UTC().Format(time.RFC3339))
	}
	return m.Keys[best], nil
}

func (m Manifest) check() error {
	if m.Version == 0 || len(m.Keys) == 0 || !m.IssuedAt.Before(m.ExpiresAt) {
		return errors.New("the manifest lacks a version, a key, or a time to live")
	}
	ids := make([]uint32, len(m.Keys))
	for i, k := range m.Keys {
		if ids[i] = k.ID; len(k.PublicKey) == 0 {
			return fmt.Errorf("the manifest's key %d is empty", k.ID)
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(m.Keys) {
		return errors.New("the manifest names a key twice")
	}
	return nil
}

func signed(payload []byte) []byte { return append([]byte(signedContext), payload...) }
