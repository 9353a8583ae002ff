package index

import (
	"math/bits"
	"sync"
)

// shards bounds how long growth can stop anybody: one shard grows at a time,
// and only those who need that shard wait for it.
const (
	shardBits = 10
	shards    = 1 << shardBits
)

// A shard grows by a quarter when it is more than 85 % full.
const (
	loadNumerator, loadDenominator = 17, 20
	smallest                       = 8
)

// flat maps keys to values other than 0: a flat table without pointers, so that the
// garbage collector passes it by. The zero flat is empty and ready for use by
// several goroutines at once.
type flat struct {
	shards [shards]shard
}

// shard is an open-addressing table with linear probing. A key's first slot is
// its place in the shard's part of the key space, scaled to the number of
// slots, which may therefore be any number. A slot with value 0 is free.
type shard struct {
	mu   sync.RWMutex
	keys []uint64
	vals []uint64
	used int
}

// get returns the value of key, or 0 if the table has none.
func (t *flat) get(key uint64) uint64 {
	s := &t.shards[key>>(64-shardBits)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.used == 0 {
		return 0
	}
	return s.vals[s.slot(key)]
}

// put sets the value of key, which must not be 0, and reports whether key is new.
func (t *flat) put(key, value uint64) bool {
	s := &t.shards[key>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(key, value)
}

// putIfAbsent sets the value of key, which must not be 0, if the table has none,
// and returns the value that it had, or 0.
func (t *flat) putIfAbsent(key, value uint64) uint64 {
	s := &t.shards[key>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used > 0 {
		if old := s.vals[s.slot(key)]; old != 0 {
			return old
		}
	}
	s.put(key, value)
	return 0
}

// each gives f all keys with their values, in no order.
func (t *flat) each(f func(key, value uint64)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for j, v := range s.vals {
			if v != 0 {
				f(s.keys[j], v)
			}
		}
		s.mu.RUnlock()
	}
}

// size returns the number of keys and the bytes that the table takes for them.
func (t *flat) size() (keys, bytes int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		keys += s.used
		bytes += 16 * len(s.keys)
		s.mu.RUnlock()
	}
	return keys, bytes
}

func (s *shard) put(key, value uint64) (added bool) {
	if value == 0 {
		panic("index: value 0")
	}
	if (s.used+1)*loadDenominator > len(s.keys)*loadNumerator {
		s.grow()
	}
	i := s.slot(key)
	if added = s.vals[i] == 0; added {
		s.used++
	}
	s.keys[i], s.vals[i] = key, value
	return added
}

// slot is where key is, or the free slot where it belongs.
func (s *shard) slot(key uint64) int {
	first, _ := bits.Mul64(key<<shardBits, uint64(len(s.keys)))
	i := int(first)
	for s.vals[i] != 0 && s.keys[i] != key {
		if i++; i == len(s.keys) {
			i = 0
		}
	}
	return i
}

func (s *shard) grow() {
	size := max(smallest, len(s.keys)+len(s.keys)/4)
	old := shard{keys: s.keys, vals: s.vals}
	s.keys, s.vals = make([]uint64, size), make([]uint64, size)
	for i, v := range old.vals {
		if v != 0 {
			j := s.slot(old.keys[i])
			s.keys[j], s.vals[j] = old.keys[i], v
		}
	}
}
