package enctid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"

	"posd/tid"
)

// MaxUses is the number of EncTIDs that one epoch seals at most.
const MaxUses = 256

// ErrSpent says that an epoch was dropped or has sealed [MaxUses] times.
var ErrSpent = errors.New("epoch is spent")

// Epoch is one encapsulation to a key of central, and the AEAD that came of it.
// It is not safe for concurrent use.
type Epoch struct {
	id      EpochID
	key     KeyID
	binding Binding
	enc     []byte
	aead    cipher.AEAD // nil once dropped
	uses    int
}

// NewEpoch encapsulates to pub (about a quarter of a millisecond).
func NewEpoch(pub PublicKey, b Binding) (*Epoch, error) {
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("new epoch: %v", err)
	}
	kem, kdf, aead := Suite()
	pk, err := kem.NewPublicKey(pub.Key)
	if err != nil {
		return nil, fmt.Errorf("new epoch: key %d of central: %v", pub.ID, err)
	}
	e := &Epoch{key: pub.ID, binding: b}
	rand.Read(e.id[:])
	enc, sender, err := hpke.NewSender(pk, kdf, aead, Info(e.key, e.id, b))
	if err != nil {
		return nil, fmt.Errorf("new epoch: key %d of central: %v", pub.ID, err)
	}
	e.enc = enc
	e.aead, err = NewAEAD(sender)
	if err != nil {
		return nil, fmt.Errorf("new epoch: %v", err)
	}
	return e, nil
}

// ID is the epoch's random name.
func (e *Epoch) ID() EpochID { return e.id }

// Key is the key of central that the epoch seals to.
func (e *Epoch) Key() KeyID { return e.key }

// Enc is the encapsulated key, for [WithEnc]. It is no secret.
func (e *Epoch) Enc() []byte { return e.enc }

// Uses is the number of EncTIDs sealed so far.
func (e *Epoch) Uses() int { return e.uses }

// Drop forgets the AEAD: from here on this lane can neither seal nor open
// anything of the epoch.
func (e *Epoch) Drop() { e.aead = nil }

// Seal encrypts t for central and binds it to c. The result has 82 bytes. The
// error is [ErrSpent] if the epoch can seal no more.
func (e *Epoch) Seal(t tid.TID, c Context) ([]byte, error) {
	if e.aead == nil || e.uses >= MaxUses {
		return nil, ErrSpent
	}
	var out []byte
	err := errors.New("seal: TID is empty or was wiped")
	t.Use(func(digits []byte) { out, err = e.seal(t.Kind(), digits, c) })
	return out, err
}

func (e *Epoch) seal(k tid.Kind, digits []byte, c Context) ([]byte, error) {
	plain := make([]byte, 0, PlaintextSize)
	defer func() { clear(plain[:PlaintextSize]) }()
	plain, err := AppendPlaintext(plain, k, digits)
	if err != nil {
		return nil, fmt.Errorf("seal: %v", err)
	}
	e.uses++
	out := appendHeader(make([]byte, 0, Size), e.key, e.id)
	aad := AppendAAD(make([]byte, 0, 320), e.key, e.id, e.binding, c)
	return e.aead.Seal(out, nil, plain, aad), nil
}

// Suite is the HPKE suite of version 1.
func Suite() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.MLKEM768X25519(), hpke.HKDFSHA256(), hpke.ExportOnly()
}

// Exporter is an HPKE context: *hpke.Sender or *hpke.Recipient.
type Exporter interface {
	Export(exporterContext string, length int) ([]byte, error)
}

// NewAEAD exports the epoch's key from an HPKE context and makes the AEAD of it:
// AES-256-GCM that puts a random nonce before each ciphertext.
func NewAEAD(x Exporter) (cipher.AEAD, error) {
	key, err := x.Export(exportLabel, 32)
	if err != nil {
		return nil, fmt.Errorf("export key: %v", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("export key: %v", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
