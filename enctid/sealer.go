package enctid

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"posd/tid"
)

// MaxAge is how long an epoch seals at most.
const MaxAge = 15 * time.Minute

// ErrNoKey says that no key of central is known yet: the lane was never in touch
// with central since it was enrolled.
var ErrNoKey = errors.New("no sealing key of central is known yet")

// Sealed is an EncTID with what is kept beside it until central has answered.
type Sealed struct {
	EncTID []byte // 82 bytes
	Epoch  EpochID
	Key    KeyID
	Enc    []byte // the epoch's encapsulated key: the same slice for each Sealed of an epoch
}

// Sealer seals with one epoch after the other: a new one at the first use, after
// [MaxAge], after [MaxUses], after [Sealer.Rotate] and when central's key
// changes. It is safe for concurrent use. [Sealer.Close] ends it.
type Sealer struct {
	binding Binding

	mu     sync.Mutex
	key    PublicKey // no Key until SetKey
	epoch  *Epoch    // nil until the next Seal
	expiry *time.Timer
}

// NewSealer returns a sealer for the lane b. It needs a key: see
// [Sealer.SetKey].
func NewSealer(b Binding) (*Sealer, error) {
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("new sealer: %v", err)
	}
	return &Sealer{binding: b}, nil
}

// SetKey changes the key of central to seal to. A key other than the present one
// ends the epoch.
func (s *Sealer) SetKey(pub PublicKey) error {
	kem, _, _ := Suite()
	if _, err := kem.NewPublicKey(pub.Key); err != nil {
		return fmt.Errorf("set sealing key: key %d of central: %v", pub.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key.ID == pub.ID && bytes.Equal(s.key.Key, pub.Key) {
		return nil
	}
	s.key = PublicKey{ID: pub.ID, Key: bytes.Clone(pub.Key)}
	s.drop()
	return nil
}

// Seal encrypts t for central and binds it to c. The error is [ErrNoKey] before
// the first SetKey.
func (s *Sealer) Seal(t tid.TID, c Context) (Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return Sealed{}, err
	}
	b, err := s.epoch.Seal(t, c)
	if err != nil {
		return Sealed{}, err
	}
	return Sealed{EncTID: b, Epoch: s.epoch.id, Key: s.epoch.key, Enc: s.epoch.enc}, nil
}

// Rotate ends the epoch: the next Seal begins a new one. A lane calls it as soon
// as an EncTID goes pending, so that its memory cannot open what waits on its
// disk.
func (s *Sealer) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// Close forgets the epoch and the key.
func (s *Sealer) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	s.key = PublicKey{}
}

func (s *Sealer) ready() error {
	if s.key.Key == nil {
		return fmt.Errorf("seal: %w", ErrNoKey)
	}
	if s.epoch != nil && s.epoch.uses < MaxUses {
		return nil
	}
	s.drop()
	e, err := NewEpoch(s.key, s.binding)
	if err != nil {
		return err
	}
	s.epoch = e
	s.expiry = time.AfterFunc(MaxAge, func() { s.expire(e) })
	return nil
}

// expire ends epoch e at its age, also if no further swipe comes.
func (s *Sealer) expire(e *Epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == e {
		s.drop()
	}
}

func (s *Sealer) drop() {
	if s.epoch == nil {
		return
	}
	s.expiry.Stop()
	s.epoch.Drop()
	s.epoch = nil
}
