// Package index is the data structure in memory that holds TIDs and households
// in association with one another (element 8 of claim 1 of US 2009/0076923
// A1): from 64 keyed bits of a TID's fingerprint to the 64 bits of a household id.
//
// The table knows nothing of either: it maps uint64 to uint64. Its keys must be
// evenly spread, as the output of a keyed hash is; they are not hashed again.
//
// Most of it, the base, is in sorted segments, which a snapshot has, too: at 100
// million keys of 40 million values it takes 11.6 bytes a key. After a restart the
// snapshot is mapped, and answers at once; Load brings it into memory. What has
// changed since is in a hash table beside it, until Merge puts it into the base, one
// segment after the other, and writes a new snapshot. Nobody waits for that: reading
// takes no lock, and whatever it reads was there before it could be found.
package index

import (
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
	frozen []*flat // what is being merged, the newest first
	base   *base
}

// New makes an empty table, whose snapshots go to path. They are of an owner: those
// of another are refused. Without a path there are none.
func New(path string, owner [ownerBytes]byte) *Table {
	t := &Table{path: path, owner: owner}
	t.parts.Store(&parts{recent: &flat{}, base: &base{values: &values{}}})
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
	keys, _ := base.size()
	t.keys.Store(int64(keys))
	t.parts.Store(&parts{recent: &flat{}, base: base})
	return base.file.change, nil
}

// Apart gives the keys in the snapshot whose value is Apart.
func (t *Table) Apart() []uint64 { return slices.Clone(t.parts.Load().base.apart) }

// Load checks the whole snapshot, and has it in memory then. Until then a part is
// checked when it is first used, and one that is damaged has no keys. ErrSnapshot.
func (t *Table) Load(ctx context.Context) error {
	t.merging.Lock()
	defer t.merging.Unlock()
	return t.load(ctx)
}

func (t *Table) load(ctx context.Context) error {
	p := t.parts.Load()
	if p.base.file == nil {
		return nil
	}
	loaded, err := p.base.file.load(ctx)
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
	_, bytes := p.base.size()
	s.Bytes += bytes
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
	m := merge{ctx: ctx, base: p.base, frozen: p.frozen}
	if err := m.run(t.path, head{magic: magic, owner: t.owner, change: change}); err != nil {
		t.thaw(p.base, together(p.frozen)) // however often it fails, what is frozen is one
		return err
	}
	t.thaw(p.base)
	runtime.GC() // what is old takes memory until it is collected
	return nil
}

// thaw ends a merge.
func (t *Table) thaw(base *base, frozen ...*flat) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.parts.Store(&parts{recent: t.parts.Load().recent, frozen: frozen, base: base})
}

// together makes one of several, the newest of which is the first.
func together(all []*flat) *flat {
	f := all[len(all)-1]
	for _, newer := range slices.Backward(all[:len(all)-1]) {
		newer.each(0, shards, func(key, value uint64) { f.put(key, value) })
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
