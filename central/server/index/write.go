package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"unsafe"
)

// pair is a key with its value.
type pair struct{ key, value uint64 }

// errCrowded is a geometry in which a group has no room.
var errCrowded = errors.New("a group of buckets is too full")

// write makes a snapshot at path of what is in old, loaded or nil, and of pairs,
// sorted by key, which come before that. The file is there whole, or as it was.
func write(ctx context.Context, path string, owner [ownerBytes]byte, change uint64, old *snapshot, pairs []pair) (err error) {
	m := merge{ctx: ctx, old: old, pairs: pairs}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the snapshot of the index: %w", err)
		}
	}()
	if err := m.survey(); err != nil {
		return err
	}
	h := head{magic: magic, owner: owner, change: change, keys: uint64(m.keys), values: uint64(m.values()), apart: uint64(len(m.apart))}
	h.bucketBits, h.valueBits = geometry(m.keys, m.values())
	for range 3 { // once is enough, but for one table in a thousand
		if err := m.write(path, h); !errors.Is(err, errCrowded) {
			return err
		}
		h.bucketBits++
	}
	return errors.New("its keys are not evenly spread")
}

// merge puts an old snapshot and newer pairs together.
type merge struct {
	ctx   context.Context
	old   *snapshot
	pairs []pair

	keys  int
	apart []uint64
	used  []uint64 // bits: which of the old values are used still
	fresh []uint64 // the values of the pairs, sorted
}

// join gives f every key in order, each with its pair, or with the place of its old
// value.
func (m *merge) join(f func(key uint64, place uint32, p *pair)) error {
	i, n := 0, 0
	until := func(key uint64, last bool) {
		for ; i < len(m.pairs) && (last || m.pairs[i].key < key); i++ {
			f(m.pairs[i].key, 0, &m.pairs[i])
		}
	}
	if m.old != nil {
		m.old.each(func(key uint64, place uint32) bool {
			if until(key, false); i < len(m.pairs) && m.pairs[i].key == key {
				f(key, 0, &m.pairs[i])
				i++
			} else {
				f(key, place, nil)
			}
			n++
			return n&(1<<20-1) != 0 || m.ctx.Err() == nil
		})
	}
	until(0, true)
	return m.ctx.Err()
}

// survey counts the keys and finds the values.
func (m *merge) survey() error {
	var apartPlace = -1
	if m.old != nil {
		m.used = make([]uint64, (len(m.old.values)+63)/64)
		if at, ok := slices.BinarySearch(m.old.values, Apart); ok {
			apartPlace = at
		}
	}
	for _, p := range m.pairs {
		m.fresh = append(m.fresh, p.value)
	}
	slices.Sort(m.fresh)
	m.fresh = slices.Compact(m.fresh)
	return m.join(func(key uint64, place uint32, p *pair) {
		m.keys++
		switch {
		case p == nil:
			m.used[place/64] |= 1 << (place % 64)
			if int(place) == apartPlace {
				m.apart = append(m.apart, key)
			}
		case p.value == Apart:
			m.apart = append(m.apart, key)
		}
	})
}

// eachValue gives f all values in order, those of the pairs with their number, the
// old ones with their place; and -1 for what they do not have.
func (m *merge) eachValue(f func(value uint64, fresh, place int)) {
	next := 0
	until := func(value uint64, last bool) {
		for ; next < len(m.fresh) && (last || m.fresh[next] < value); next++ {
			f(m.fresh[next], next, -1)
		}
	}
	for i, w := range m.used {
		for ; w != 0; w &= w - 1 {
			place := i*64 + bits.TrailingZeros64(w)
			value := m.old.values[place]
			if until(value, false); next < len(m.fresh) && m.fresh[next] == value {
				f(value, next, place)
				next++
			} else {
				f(value, -1, place)
			}
		}
	}
	until(0, true)
}

func (m *merge) values() (n int) {
	m.eachValue(func(uint64, int, int) { n++ })
	return n
}

// write writes a snapshot of a geometry beside the path, and puts it there.
func (m *merge) write(path string, h head) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(next) // which is not there any more if all went well
	defer f.Close()
	if err := m.fill(f, h); err != nil {
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

func (m *merge) fill(f *os.File, h head) error {
	l := h.layout()
	if err := f.Truncate(int64(l.sums.at + l.sums.bytes)); err != nil {
		return err
	}
	sums := make([]uint32, l.sums.bytes/4)
	values, groups, entries, apart := pagesFor(f, l.values, sums), pagesFor(f, l.groups, sums), pagesFor(f, l.entries, sums), pagesFor(f, l.apart, sums)
	var moved []uint32
	if m.old != nil {
		moved = make([]uint32, len(m.old.values))
	}
	places, place := make([]uint32, len(m.fresh)), uint32(0)
	m.eachValue(func(value uint64, fresh, old int) {
		if fresh >= 0 {
			places[fresh] = place
		}
		if old >= 0 {
			moved[old] = place
		}
		values.put(value)
		place++
	})
	g := grouper{bucketBits: h.bucketBits, out: groups}
	err := m.join(func(key uint64, place uint32, p *pair) {
		if p == nil {
			place = moved[place]
		} else {
			at, _ := slices.BinarySearch(m.fresh, p.value)
			place = places[at]
		}
		g.add(key >> (64 - h.bucketBits))
		entries.put(key<<h.bucketBits>>(h.bucketBits-h.valueBits) | uint64(place))
	})
	g.advance(1 << h.bucketBits)
	for _, key := range m.apart {
		apart.put(key)
	}
	switch err := errors.Join(err, values.end(), groups.end(), entries.end(), apart.end()); {
	case err != nil:
		return err
	case g.crowded:
		return errCrowded
	}
	if _, err := f.WriteAt(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(sums))), len(sums)*4), int64(l.sums.at)); err != nil {
		return err
	}
	return writeHead(f, h)
}

func writeHead(f *os.File, h head) error {
	b := make([]byte, headBytes)
	*(*head)(unsafe.Pointer(unsafe.SliceData(b))) = h
	binary.NativeEndian.PutUint32(b[headBytes-4:], crc32.Checksum(b[:headBytes-4], castagnoli))
	_, err := f.WriteAt(b, 0)
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// grouper writes groups of buckets.
type grouper struct {
	bucketBits uint32
	out        *pages

	bucket  uint64 // the one that is open
	keys    uint64 // so far
	group   [groupWords]uint64
	at      int // the next bit of the group
	crowded bool
}

// add adds an entry to a bucket, which is no lower than the one before.
func (g *grouper) add(bucket uint64) {
	g.advance(bucket)
	if g.keys++; g.at >= (groupWords-1)*64 {
		g.crowded = true
		return
	}
	g.group[1+g.at/64] |= 1 << (g.at % 64)
	g.at++
}

// advance ends buckets up to one.
func (g *grouper) advance(bucket uint64) {
	for ; g.bucket < bucket; g.bucket++ {
		g.at++
		if (g.bucket+1)&(1<<groupBits-1) != 0 {
			continue
		}
		g.crowded = g.crowded || g.at > (groupWords-1)*64
		for _, w := range g.group {
			g.out.put(w)
		}
		g.group, g.at = [groupWords]uint64{g.keys}, 0
	}
}

// pages writes a section page by page, and keeps their sums.
type pages struct {
	f     *os.File
	page  int
	sums  []uint32
	buf   []byte
	limit int // the page behind the section
	err   error
}

func pagesFor(f *os.File, s section, sums []uint32) *pages {
	return &pages{f: f, page: s.at / pageBytes, limit: s.end() / pageBytes, sums: sums, buf: make([]byte, 0, pageBytes)}
}

func (p *pages) put(word uint64) {
	p.buf = binary.NativeEndian.AppendUint64(p.buf, word)
	if len(p.buf) == pageBytes {
		p.flush()
	}
}

func (p *pages) flush() {
	if p.err != nil || len(p.buf) == 0 {
		p.buf = p.buf[:0]
		return
	}
	page := p.buf[:pageBytes]
	clear(page[len(p.buf):])
	p.sums[p.page] = crc32.Checksum(page, castagnoli)
	_, p.err = p.f.WriteAt(page, int64(p.page)*pageBytes)
	p.page, p.buf = p.page+1, p.buf[:0]
}

// end writes what is left.
func (p *pages) end() error {
	p.flush()
	if p.err == nil && p.page != p.limit {
		return fmt.Errorf("a section ends at page %d, not %d", p.page, p.limit)
	}
	return p.err
}
