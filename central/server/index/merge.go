package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// pair is a key with its value.
type pair struct{ key, value uint64 }

// merge puts a base and what is frozen together, and writes a snapshot of that.
type merge struct {
	ctx    context.Context
	base   *base
	frozen []*flat // the newest first

	fresh  []uint64 // the values of what is frozen, sorted
	places []uint32 // of fresh
	values *values
	used   []uint64 // bits: which of the values a key has

	apart      []uint64 // keys whose value is Apart
	apartPlace uint64
	sorted     []pair  // of a segment
	build      builder // of a segment
	freed      int     // bytes that the garbage collector does not know of
}

// garbage is how many bytes of old segments there may be until the garbage collector
// is asked for them; or a share of all, if that is more.
const (
	garbage      = 8 << 20
	garbageShare = 32
)

// run merges segment by segment, and writes each to a file beside path, which takes
// its place in the end. If it fails, the base is right still: some segments may hold
// what is frozen already.
func (m *merge) run(path string, h head) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the snapshot of the index: %w", err)
		}
	}()
	runtime.GC() // as often as what is frozen has grown, it left memory behind
	if err := m.addValues(); err != nil {
		return err
	}
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(next) // which is not there any more if all went well
	defer f.Close()
	if err := m.write(newWriter(f), &h); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// addValues puts the values of what is frozen with the others. They stay there even
// if the merge fails: segments may use them.
func (m *merge) addValues() (err error) {
	keys := 0
	for _, f := range m.frozen {
		n, _ := f.size()
		keys += n
	}
	m.fresh = make([]uint64, 0, keys)
	for _, f := range m.frozen {
		f.each(0, shards, func(_, value uint64) { m.fresh = append(m.fresh, value) })
	}
	slices.Sort(m.fresh)
	m.fresh = slices.Compact(m.fresh)
	m.values, m.places, err = m.base.values.with(m.fresh)
	if err != nil {
		return err
	}
	m.base.values, m.used = m.values, make([]uint64, m.values.n/64+1)
	m.apartPlace = uint64(m.values.find([]uint64{Apart})[0])
	return nil
}

func (m *merge) write(w *writer, h *head) error {
	total := 0
	for i := range segments {
		s, err := m.segment(i)
		if err != nil {
			return err
		}
		at := &h.segments[i]
		at.keys, at.words, at.geometry = uint64(s.keys), uint64(len(s.words)), s.geometry
		if w.section(s.words); w.err != nil {
			return w.err
		}
		if old := m.base.segments[i].Swap(s); old != nil {
			m.freed += 8 * len(old.words)
		}
		if total += 8 * len(s.words); m.freed > max(garbage, total*segments/(i+1)/garbageShare) {
			runtime.GC()
			m.freed = 0
		}
	}
	for i := range m.values.chunks {
		w.section(m.inUse(i))
	}
	h.values, h.apart = uint64(m.values.n), uint64(len(m.apart))
	w.section(m.apart)
	return w.finish(h)
}

// segment merges a segment.
func (m *merge) segment(i int) (*segment, error) {
	if err := m.ctx.Err(); err != nil {
		return nil, err
	}
	old, pairs := m.base.segments[i].Load(), m.pairs(i)
	apart, g := len(m.apart), geometryFor(keysOf(old, pairs), m.values.n)
	for range 3 { // once is enough, but for one segment in thousands
		m.apart = m.apart[:apart]
		if words, err := m.words(g, i, old, pairs); err == nil {
			r, err := copyOf(words)
			if err != nil {
				return nil, err
			}
			return &segment{geometry: g, keys: m.build.keys, words: r.words, values: m.values, memory: r}, nil
		}
		g.bucketBits, g.room = g.bucketBits+1, g.room/2+1
	}
	return nil, errors.New("its keys are not evenly spread")
}

// keysOf gives how many keys a segment has with more pairs.
func keysOf(old *segment, pairs []pair) int {
	if old == nil {
		return len(pairs)
	}
	n := old.keys
	for _, p := range pairs {
		if old.get(p.key) == 0 {
			n++
		}
	}
	return n
}

// words builds the words of a segment.
func (m *merge) words(g geometry, i int, old *segment, pairs []pair) ([]uint64, error) {
	m.build.begin(g)
	until := func(key uint64, last bool) {
		for ; len(pairs) > 0 && (last || pairs[0].key < key); pairs = pairs[1:] {
			m.add(pairs[0].key, m.place(pairs[0].value))
		}
	}
	if old != nil {
		old.each(i, func(key, place uint64) {
			if until(key, false); len(pairs) == 0 || pairs[0].key != key {
				m.add(key, place)
			}
		})
	}
	until(0, true)
	return m.build.end()
}

// add adds a key to the segment that is built.
func (m *merge) add(key, place uint64) {
	m.used[place/64] |= 1 << (place % 64)
	if place == m.apartPlace {
		m.apart = append(m.apart, key)
	}
	m.build.add(key, place)
}

// place gives the place of a value of what is frozen.
func (m *merge) place(value uint64) uint64 {
	at, _ := slices.BinarySearch(m.fresh, value)
	return uint64(m.places[at])
}

// pairs gives what is frozen of a segment, by key, the newest of each.
func (m *merge) pairs(segment int) []pair {
	all := m.sorted[:0]
	for _, f := range m.frozen {
		f.each(segment*shards/segments, (segment+1)*shards/segments, func(key, value uint64) { all = append(all, pair{key, value}) })
	}
	m.sorted = all
	slices.SortStableFunc(all, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
	return slices.CompactFunc(all, func(a, b pair) bool { return a.key == b.key })
}

// inUse gives the values of a chunk that a key has, and 0 for the others.
func (m *merge) inUse(chunk int) []uint64 {
	values := make([]uint64, len(m.values.chunks[chunk]))
	for i, value := range m.values.chunks[chunk] {
		if at := chunk*chunkValues + i; m.used[at/64]>>(at%64)&1 != 0 {
			values[i] = value
		}
	}
	return values
}
