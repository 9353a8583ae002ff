// Package index is the data structure in memory that holds TIDs and households
// in association with one another (element 8 of claim 1 of US 2009/0076923
// A1): from 64 keyed bits of a TID's fingerprint to the 64 bits of a household id.
//
// The table knows nothing of either: it maps uint64 to uint64. Its keys must be
// evenly spread, as the output of a keyed hash is; they are not hashed again.
//
// Most of it is a snapshot, a file that is mapped: at 100 million keys of 40
// million values it takes 11.6 bytes a key, and is there at once after a restart.
// What has changed since is in a hash table beside it, until Merge makes both a new
// snapshot. Nobody waits for that.
package index

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Apart is the value of keys that several things have: what they are must be known
// elsewhere. The table remembers which these are.
const Apart = ^uint64(0)

// Table maps keys to values other than 0. It may be used by several goroutines at
// once.
type Table struct {
	path  string
	owner [ownerBytes]byte

	parts   atomic.Pointer[parts]
	keys    atomic.Int64
	merging sync.Mutex   // one merge at a time
	writing sync.RWMutex // held for a moment to begin and end a merge, and shared by who writes
}

// parts are looked through in their order.
type parts struct {
	recent *flat
	frozen []*flat   // what is being merged, the newest first
	base   *snapshot // nil: there is none yet
}

// New makes an empty table, whose snapshots go to path. They are of an owner: those
// of another are refused. Without a path there are none.
func New(path string, owner [ownerBytes]byte) *Table {
	t := &Table{path: path, owner: owner}
	t.parts.Store(&parts{recent: &flat{}})
	return t
}

// Open begins with the snapshot that is at the table's path, and tells up to which
// change it goes. Without one the table stays empty, and the error is fs.ErrNotExist,
// or ErrSnapshot if it cannot be used.
func (t *Table) Open() (change uint64, err error) {
	if t.path == "" {
		return 0, fs.ErrNotExist
	}
	base, err := open(t.path, t.owner)
	if err != nil {
		return 0, err
	}
	t.keys.Store(int64(base.head.keys))
	t.parts.Store(&parts{recent: &flat{}, base: base})
	return base.change, nil
}

// Apart gives the keys in the snapshot whose value is Apart.
func (t *Table) Apart() []uint64 {
	if base := t.parts.Load().base; base != nil {
		return slices.Clone(base.side)
	}
	return nil
}

// Load checks the whole snapshot, and has it in memory then. Until then a part is
// checked when it is first used, and one that is damaged has no keys. ErrSnapshot.
func (t *Table) Load(ctx context.Context) error {
	t.merging.Lock()
	defer t.merging.Unlock()
	return t.load(ctx)
}

func (t *Table) load(ctx context.Context) error {
	p := t.parts.Load()
	if p.base == nil || p.base.seen == nil {
		return nil
	}
	loaded, err := p.base.load(ctx)
	if err != nil {
		return err
	}
	t.thaw(loaded, p.frozen...)
	runtime.GC() // what is mapped of the file is let go when it is collected
	return nil
}

// Get returns the value of key, or 0 if the table has none.
func (t *Table) Get(key uint64) uint64 {
	p := t.parts.Load()
	if v := p.recent.get(key); v != 0 {
		return v
	}
	return p.older(key)
}

// older returns the value that key had before anything recent.
func (p *parts) older(key uint64) uint64 {
	for _, f := range p.frozen {
		if v := f.get(key); v != 0 {
			return v
		}
	}
	if p.base == nil {
		return 0
	}
	return p.base.get(key)
}

// Put sets the value of key, which must not be 0.
func (t *Table) Put(key, value uint64) {
	t.writing.RLock()
	defer t.writing.RUnlock()
	p := t.parts.Load()
	if p.recent.put(key, value) && p.older(key) == 0 {
		t.keys.Add(1)
	}
}

// PutIfAbsent sets the value of key, which must not be 0, if the table has none,
// and returns the value that it has then.
func (t *Table) PutIfAbsent(key, value uint64) uint64 {
	t.writing.RLock()
	defer t.writing.RUnlock()
	p := t.parts.Load()
	if old := p.older(key); old != 0 {
		if newer := p.recent.get(key); newer != 0 {
			return newer
		}
		return old
	}
	if old := p.recent.putIfAbsent(key, value); old != 0 {
		return old
	}
	t.keys.Add(1)
	return value
}

// Size is what a table takes.
type Size struct {
	Keys   int
	Recent int // of the keys; the others are in the snapshot
	Bytes  int
}

// Size returns what the table takes.
func (t *Table) Size() Size {
	p := t.parts.Load()
	s := Size{Keys: int(t.keys.Load())}
	for _, f := range append([]*flat{p.recent}, p.frozen...) {
		keys, bytes := f.size()
		s.Recent, s.Bytes = s.Recent+keys, s.Bytes+bytes
	}
	if p.base != nil {
		s.Bytes += len(p.base.mapped)
	}
	return s
}

// Merge makes a new snapshot of the old one and what is recent, which holds all
// changes up to change. Reading and writing go on. If it fails all is as it was.
func (t *Table) Merge(ctx context.Context, change uint64) error {
	if t.path == "" {
		return errors.New("merge the index: it has no place for a snapshot")
	}
	t.merging.Lock()
	defer t.merging.Unlock()
	if err := t.load(ctx); err != nil { // what is damaged must not be copied
		return err
	}
	p := t.freeze()
	pairs := p.pairs()
	err := write(ctx, t.path, t.owner, change, p.base, pairs)
	var base *snapshot
	if err == nil {
		base, err = open(t.path, t.owner)
	}
	if err != nil {
		t.thaw(p.base, together(pairs)) // however often it fails, what is frozen is one
		return err
	}
	t.thaw(base)
	runtime.GC() // the old snapshot takes memory until it is collected
	return nil
}

// thaw ends a merge.
func (t *Table) thaw(base *snapshot, frozen ...*flat) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.parts.Store(&parts{recent: t.parts.Load().recent, frozen: frozen, base: base})
}

func together(pairs []pair) *flat {
	f := &flat{}
	for _, p := range pairs {
		f.put(p.key, p.value)
	}
	return f
}

// freeze begins a new recent part.
func (t *Table) freeze() *parts {
	t.writing.Lock()
	defer t.writing.Unlock()
	p := t.parts.Load()
	next := &parts{recent: &flat{}, frozen: append([]*flat{p.recent}, p.frozen...), base: p.base}
	t.parts.Store(next)
	return next
}

// pairs gives what is frozen, by key, the newest of each.
func (p *parts) pairs() (all []pair) {
	for _, f := range p.frozen {
		f.each(func(key, value uint64) { all = append(all, pair{key, value}) })
	}
	slices.SortStableFunc(all, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
	return slices.CompactFunc(all, func(a, b pair) bool { return a.key == b.key })
}
