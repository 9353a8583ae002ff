package opener

import (
	"crypto/cipher"
	"slices"
	"sync"

	"posd/enctid"
)

type epochKey struct {
	key   enctid.KeyID
	epoch enctid.EpochID
}

type remembered struct {
	epochKey
	aead cipher.AEAD
}

// epochs remembers the AEADs of one lane's latest epochs, the latest used first.
// There are few, so a slice is faster than a map and a list.
type epochs struct {
	most int

	mu   sync.Mutex
	list []remembered
}

// find returns the AEAD of an epoch, or nil. A nil receiver knows none.
func (e *epochs) find(k epochKey) cipher.AEAD {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.index(k)
	if i < 0 {
		return nil
	}
	r := e.list[i]
	copy(e.list[1:i+1], e.list[:i])
	e.list[0] = r
	return r.aead
}

// put adds an epoch, or replaces it, as the latest used. The one unused for
// longest goes if there are too many.
func (e *epochs) put(k epochKey, aead cipher.AEAD) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := e.index(k); i >= 0 {
		e.list = slices.Delete(e.list, i, i+1)
	}
	if len(e.list) == e.most {
		e.list = slices.Delete(e.list, e.most-1, e.most)
	}
	e.list = slices.Insert(e.list, 0, remembered{k, aead})
}

// keep forgets the epochs whose key does not satisfy good.
func (e *epochs) keep(good func(enctid.KeyID) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = slices.DeleteFunc(e.list, func(r remembered) bool { return !good(r.key) })
}

func (e *epochs) index(k epochKey) int {
	return slices.IndexFunc(e.list, func(r remembered) bool { return r.epochKey == k })
}
