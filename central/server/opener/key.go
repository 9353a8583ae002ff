package opener

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"posd/enctid"
)

// SeedSize is the size in bytes of a stored private key: the MLKEM768X25519
// seed.
const SeedSize = 32

// State says what a key is good for.
type State string

// States, in the order in which a key goes through them.
const (
	Sealing   State = "sealing"   // lanes seal to it
	OpenOnly  State = "open-only" // lanes have moved on; what is on its way still opens
	Destroyed State = "destroyed" // gone for good: what was sealed to it stays closed
)

// PrivateKey is one of central's keys. A destroyed key has a zero Key.
type PrivateKey struct {
	ID    enctid.KeyID
	State State
	Key   Key
}

// Key is a private key that does not show itself: it prints as "Key(redacted)".
type Key struct{ private func() hpke.PrivateKey }

// GenerateKey makes a new private key.
func GenerateKey() (Key, error) {
	kem, _, _ := enctid.Suite()
	k, err := kem.GenerateKey()
	if err != nil {
		return Key{}, fmt.Errorf("generate EncTID key: %v", err)
	}
	return Key{func() hpke.PrivateKey { return k }}, nil
}

// NewKey makes the private key of a seed of 32 bytes, which it wipes.
func NewKey(seed []byte) (Key, error) {
	defer clear(seed)
	kem, _, _ := enctid.Suite()
	k, err := kem.NewPrivateKey(seed)
	if err != nil {
		return Key{}, errors.New("EncTID key: want a seed of 32 bytes")
	}
	return Key{func() hpke.PrivateKey { return k }}, nil
}

// IsZero reports whether k holds no key.
func (k Key) IsZero() bool { return k.private == nil }

// Seed returns the 32 bytes to store, wrapped. The caller wipes them.
func (k Key) Seed() ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("EncTID key: there is none")
	}
	return k.private().Bytes()
}

// Public returns the public key for the manifest, 1,216 bytes, or nil if k is
// zero.
func (k Key) Public() []byte {
	if k.IsZero() {
		return nil
	}
	return k.private().PublicKey().Bytes()
}

const redacted = "Key(redacted)"

// Format tells nothing, under every verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue tells nothing.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses: a key is written out by Seed alone.
func (k Key) MarshalText() ([]byte, error) {
	return nil, errors.New("an EncTID private key is not to be written out")
}
