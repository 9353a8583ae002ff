package index

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// shards bounds how long growth can stop a writer: one shard grows at a time, and
// only those who write to that shard wait for it.
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
// several goroutines at once. Reading takes no lock, so that the processor may look
// elsewhere before it has the answer from here.
type flat struct {
	shards [shards]shard
}

// shard is a part of a flat, by the first bits of the keys.
type shard struct {
	slots atomic.Pointer[[]slot] // those that are read; replaced when the shard grows
	mu    sync.Mutex             // held by who writes
	used  atomic.Int64
}

// slot is of an open-addressing table with linear probing. A key's first slot is its
// place in the shard's part of the key space, scaled to the number of slots, which
// may therefore be any number. A slot with value 0 is free: the key is written
// before the value, and never again.
type slot struct{ key, value atomic.Uint64 }

func (t *flat) shard(key uint64) *shard { return &t.shards[key>>(64-shardBits)] }

// get returns the value of key, or 0 if the table has none.
func (t *flat) get(key uint64) uint64 {
	slots := t.shard(key).slots.Load()
	if slots == nil {
		return 0
	}
	_, value := slotOf(*slots, key)
	return value
}

// put sets the value of key, which must not be 0, and reports whether key is new.
func (t *flat) put(key, value uint64) bool {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(key, value)
}

// putIfAbsent sets the value of key, which must not be 0, if the table has none,
// and returns the value that it had, or 0.
func (t *flat) putIfAbsent(key, value uint64) uint64 {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := t.get(key); old != 0 {
		return old
	}
	s.put(key, value)
	return 0
}

// each gives f the keys of some shards with their values, in no order.
func (t *flat) each(from, to int, f func(key, value uint64)) {
	for i := from; i < to; i++ {
		slots := t.shards[i].slots.Load()
		if slots == nil {
			continue
		}
		for j := range *slots {
			if v := (*slots)[j].value.Load(); v != 0 {
				f((*slots)[j].key.Load(), v)
			}
		}
	}
}

// size returns the number of keys and the bytes that the table takes for them.
func (t *flat) size() (keys, bytes int) {
	for i := range t.shards {
		s := &t.shards[i]
		keys += int(s.used.Load())
		if slots := s.slots.Load(); slots != nil {
			bytes += 16 * len(*slots)
		}
	}
	return keys, bytes
}

func (s *shard) put(key, value uint64) (added bool) {
	if value == 0 {
		panic("index: value 0")
	}
	slots := s.room()
	i, old := slotOf(slots, key)
	if added = old == 0; added {
		s.used.Add(1)
		slots[i].key.Store(key)
	}
	slots[i].value.Store(value)
	return added
}

// slotOf gives where key is, with its value, or the free slot where it belongs.
func slotOf(slots []slot, key uint64) (i int, value uint64) {
	first, _ := bits.Mul64(key<<shardBits, uint64(len(slots)))
	for i = int(first); ; {
		if value = slots[i].value.Load(); value == 0 || slots[i].key.Load() == key {
			return i, value
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
}

// room gives slots that have room for one key more.
func (s *shard) room() []slot {
	var old []slot
	if slots := s.slots.Load(); slots != nil {
		old = *slots
	}
	if int(s.used.Load()+1)*loadDenominator <= len(old)*loadNumerator {
		return old
	}
	slots := make([]slot, max(smallest, len(old)+len(old)/4))
	for i := range old {
		if v := old[i].value.Load(); v != 0 {
			key := old[i].key.Load()
			j, _ := slotOf(slots, key)
			slots[j].key.Store(key)
			slots[j].value.Store(v)
		}
	}
	s.slots.Store(&slots)
	return slots
}
