package directory

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"

	"posd/tid"
)

// macs makes MACs of TIDs under one key. The hashes are kept keyed: that takes
// longer than all the rest.
type macs struct{ pool sync.Pool }

type keyed struct {
	hash hash.Hash
	head [2]byte
	sum  [sha256.Size]byte
}

func newMACs(key []byte) *macs {
	m := &macs{}
	m.pool.New = func() any {
		k := &keyed{hash: hmac.New(sha256.New, key)}
		k.hash.Reset() // from the second time on it wipes what was hashed, and is fast
		return k
	}
	return m
}

// of is the first half of HMAC-SHA-256 over kind, length and canonical digits.
func (m *macs) of(secret tid.TID) [16]byte {
	k := m.pool.Get().(*keyed)
	defer m.pool.Put(k)
	secret.Use(func(digits []byte) {
		k.head = [2]byte{byte(secret.Kind()), byte(len(digits))}
		k.hash.Write(k.head[:])
		k.hash.Write(digits)
	})
	k.hash.Sum(k.sum[:0])
	k.hash.Reset()
	return [16]byte(k.sum[:16])
}
