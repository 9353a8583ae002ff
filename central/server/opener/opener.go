// Package opener opens EncTIDs. It is the only code that does, and it belongs to
// the central computer system alone.
//
// An EncTID either brings its encapsulated key (enc), and then any replica of
// central can open it, or belongs to an epoch that this replica has opened
// before. ML-KEM rejects implicitly: decapsulating junk gives a wrong key and no
// error, and only the AEAD notices. So an epoch is remembered after its first
// successful opening, never before.
//
// There are three errors. Two tell the lane what to do: send enc along
// ([ErrUnknownEpoch]), give up ([ErrKeyRetired]). Everything else is the one
// [ErrRejected].
package opener

import (
	"crypto/cipher"
	"crypto/hpke"
	"errors"
	"fmt"
	"sync"

	"posd/enctid"
	"posd/tid"
)

// Errors of [Opener.Open].
var (
	// ErrRejected covers every reason but the two below: same value, same text.
	ErrRejected = enctid.ErrRejected
	// ErrUnknownEpoch asks for the long form of the EncTID, with enc.
	ErrUnknownEpoch = errors.New("epoch unknown: send enc along")
	// ErrKeyRetired says that the key was destroyed: this EncTID stays closed.
	ErrKeyRetired = errors.New("key retired")
)

// DefaultPerLane is a good number of epochs to remember for each lane: the
// present one, and what a short outage leaves. One takes about 1 KiB.
const DefaultPerLane = 4

// Opener opens EncTIDs of any number of lanes. It is safe for concurrent use.
type Opener struct {
	perLane int
	scratch sync.Pool // of *scratch

	mu    sync.RWMutex
	keys  map[enctid.KeyID]PrivateKey
	lanes map[enctid.Binding]*epochs
}

// scratch is the working memory of one opening, so that none is allocated on the
// way. It is wiped before it goes back.
type scratch struct {
	aad   [640]byte
	plain [enctid.PlaintextSize]byte
}

// New returns an opener with these keys, which remembers perLane epochs of each
// lane (at least one).
func New(keys []PrivateKey, perLane int) (*Opener, error) {
	o := &Opener{perLane: max(perLane, 1), lanes: map[enctid.Binding]*epochs{}}
	o.scratch.New = func() any { return new(scratch) }
	return o, o.SetKeys(keys)
}

// SetKeys replaces the keys. Epochs of a key that is gone or destroyed are
// forgotten. Destroyed keys stay in the list, so that lanes hear
// [ErrKeyRetired].
func (o *Opener) SetKeys(keys []PrivateKey) error {
	m := make(map[enctid.KeyID]PrivateKey, len(keys))
	for _, k := range keys {
		if _, twice := m[k.ID]; twice {
			return fmt.Errorf("set EncTID keys: key %d is there twice", k.ID)
		}
		if err := k.check(); err != nil {
			return fmt.Errorf("set EncTID keys: key %d: %v", k.ID, err)
		}
		m[k.ID] = k
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys = m
	for _, l := range o.lanes {
		l.keep(o.opens)
	}
	return nil
}

func (k PrivateKey) check() error {
	switch k.State {
	case Sealing, OpenOnly:
		if k.Key.IsZero() {
			return errors.New("its private key is missing")
		}
	case Destroyed:
	default:
		return fmt.Errorf("unknown state %q", k.State)
	}
	return nil
}

// opens reports whether key id opens EncTIDs. The caller holds o.mu.
func (o *Opener) opens(id enctid.KeyID) bool {
	k, ok := o.keys[id]
	return ok && k.State != Destroyed
}

// Open opens an EncTID in its wire form. Tenant and lane come from the
// certificate of whoever sent it, c from the request. The caller wipes the TID.
func (o *Opener) Open(wire []byte, b enctid.Binding, c enctid.Context) (tid.TID, error) {
	return o.OpenInto(tid.NewSlot(), wire, b, c)
}

// OpenInto is Open into the memory of slot. Of an epoch that is known it
// allocates nothing.
func (o *Opener) OpenInto(slot *tid.Slot, wire []byte, b enctid.Binding, c enctid.Context) (tid.TID, error) {
	m, err := enctid.Parse(wire)
	if err != nil || b.Check() != nil {
		return tid.TID{}, ErrRejected
	}
	aead, err := o.aead(m, b)
	if err != nil {
		return tid.TID{}, err
	}
	t, err := o.open(slot, aead, m, b, c)
	if err != nil {
		return tid.TID{}, ErrRejected
	}
	if m.Enc != nil {
		o.remember(m, b, aead)
	}
	return t, nil
}

// aead finds the epoch's AEAD. If enc is inline it is always decapsulated, so
// that an EncTID with a changed enc is rejected also where the epoch is known.
func (o *Opener) aead(m enctid.Message, b enctid.Binding) (cipher.AEAD, error) {
	o.mu.RLock()
	key, known := o.keys[m.Key]
	lane := o.lanes[b]
	o.mu.RUnlock()
	switch {
	case !known:
		return nil, ErrRejected
	case key.State == Destroyed:
		return nil, ErrKeyRetired
	case m.Enc != nil:
		return decapsulate(key.Key, m, b)
	}
	if aead := lane.find(epochKey{m.Key, m.Epoch}); aead != nil {
		return aead, nil
	}
	return nil, ErrUnknownEpoch
}

func decapsulate(k Key, m enctid.Message, b enctid.Binding) (cipher.AEAD, error) {
	_, kdf, suite := enctid.Suite()
	r, err := hpke.NewRecipient(m.Enc, k.private(), kdf, suite, enctid.Info(m.Key, m.Epoch, b))
	if err != nil {
		return nil, ErrRejected
	}
	aead, err := enctid.NewAEAD(r)
	if err != nil {
		return nil, ErrRejected
	}
	return aead, nil
}

func (o *Opener) open(slot *tid.Slot, aead cipher.AEAD, m enctid.Message, b enctid.Binding, c enctid.Context) (tid.TID, error) {
	s := o.scratch.Get().(*scratch)
	defer o.scratch.Put(s)
	defer clear(s.plain[:])
	aad := enctid.AppendAAD(s.aad[:0], m.Key, m.Epoch, b, c)
	plain, err := aead.Open(s.plain[:0], nil, m.Box, aad)
	if err != nil {
		return tid.TID{}, err
	}
	kind, digits, err := enctid.ParsePlaintext(plain)
	if err != nil {
		return tid.TID{}, err
	}
	return slot.FromCanonical(kind, digits)
}

// remember keeps the AEAD of an epoch that has just opened, unless its key was
// taken away meanwhile.
func (o *Opener) remember(m enctid.Message, b enctid.Binding, aead cipher.AEAD) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.opens(m.Key) {
		return
	}
	lane := o.lanes[b]
	if lane == nil {
		lane = &epochs{most: o.perLane}
		o.lanes[b] = lane
	}
	lane.put(epochKey{m.Key, m.Epoch}, aead)
}
