// Package enctid seals a TID for the central computer system. The result is an
// EncTID: it differs at every swipe, so it is no join key, and only central's
// private key opens it (package central/server/opener).
//
// # Scheme, version 1
//
// HPKE (RFC 9180) in base mode with KEM MLKEM768X25519 (0x647a, "X-Wing": what
// is recorded today must not be readable when quantum computers exist),
// HKDF-SHA256 and the export-only AEAD. Its exported 32-byte secret keys
// AES-256-GCM with random nonces. HPKE's own nonces count messages and could
// be opened in order only, which stateless replicas cannot do.
//
// A lane encapsulates once per epoch and then drops all but the AEAD: see
// [Sealer]. Until the epoch ends, the lane's memory could open the EncTIDs of
// that epoch.
//
// # Wire form
//
// All integers are big-endian.
//
//	version 1 | key id 4 | epoch id 16 | flags 1 | [enc 1120] | nonce 12 | ciphertext 32 | tag 16
//
// Bit 0 of flags says that enc, the encapsulated key, is inline. Other bits
// are zero. So an EncTID has 82 bytes, or 1,202 with enc. The first byte is the
// scheme: a reader that encrypts by itself (DUKPT) gets another one.
//
// The HPKE info string binds a key to version, tenant, lane, key id and epoch;
// the additional data of a message binds it to all of those and to basket,
// swipe and seal time: see [Info] and [AppendAAD].
package enctid

import (
	"errors"
	"fmt"
)

// Version1 is the first byte of an EncTID of the scheme described above.
const Version1 byte = 1

// Sizes in bytes.
const (
	PublicKeySize = 1216 // MLKEM768X25519 public key
	EncSize       = 1120 // MLKEM768X25519 encapsulated key
	Size          = 82   // an EncTID without enc
	SizeWithEnc   = Size + EncSize
)

// ErrRejected is the one error for every EncTID that cannot be opened: a wrong
// length, a changed byte, another lane, a foreign key. It does not say which,
// so that it helps nobody who is trying.
var ErrRejected = errors.New("EncTID rejected")

// KeyID numbers central's sealing keys, within one central.
type KeyID uint32

// EpochID names an epoch: 16 random bytes.
type EpochID [16]byte

// PublicKey is a sealing key of central, as its manifest gives it.
type PublicKey struct {
	ID  KeyID
	Key []byte // 1,216 bytes, MLKEM768X25519
}

// Binding says whose an epoch is. Central takes both from the certificate,
// never from a request.
type Binding struct {
	Tenant string // the retailer, 1 to 255 bytes
	Lane   string // "shop/lane", 1 to 255 bytes
}

// Context says what one EncTID belongs to. It travels beside the EncTID.
type Context struct {
	Basket   [16]byte // the basket's UUID
	Swipe    uint32   // number of the swipe within the basket
	SealedAt int64    // Unix time in milliseconds, by the lane's clock: a claim
}

// Check says what is wrong with the names, if anything.
func (b Binding) Check() error {
	for _, part := range []struct{ name, value string }{{"tenant", b.Tenant}, {"lane", b.Lane}} {
		if len(part.value) == 0 || len(part.value) > 255 {
			return fmt.Errorf("%s name has %d bytes, want 1 to 255", part.name, len(part.value))
		}
	}
	return nil
}
