package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A snapshot is a file that is mapped and never changed. Behind a header of a page it
// has, each from a page on
//
//	segments  64 of them: see segment
//	values    8 bytes each, or 0 where no key has one any more
//	apart     keys whose value is Apart
//	sums      CRC-32C of each page of what is before
const (
	pageBytes     = 4096
	maxBucketBits = 31
	ownerBytes    = 32
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	// magic is read as a number: a machine of another byte order does not know it.
	magic = binary.NativeEndian.Uint64([]byte("hhidx 2\n"))
)

// Errors of snapshots.
var (
	// ErrSnapshot is a snapshot that cannot be used: it is damaged, of another key, of
	// another version or of another kind of machine. The table must be made anew.
	ErrSnapshot = errors.New("the snapshot of the index cannot be used")

	errTooMany = errors.New("there are too many values")
)

// head is what a snapshot says of itself.
type head struct {
	magic    uint64
	owner    [ownerBytes]byte // whose keys these are
	change   uint64           // the changes that it holds
	values   uint64
	apart    uint64
	segments [segments]struct {
		keys, words uint64
		geometry
	}
}

// section is a part of a snapshot.
type section struct{ at, bytes int }

func (s section) end() int { return (s.at + s.bytes + pageBytes - 1) &^ (pageBytes - 1) }

// layout is where the parts of a snapshot are.
type layout struct {
	segments            [segments]section
	values, apart, sums section
}

func (h *head) layout() (l layout) {
	at := pageBytes
	for i, s := range h.segments {
		l.segments[i] = section{at, int(8 * s.words)}
		at = l.segments[i].end()
	}
	l.values = section{at, int(8 * h.values)}
	l.apart = section{l.values.end(), int(8 * h.apart)}
	l.sums = section{l.apart.end(), l.apart.end() / pageBytes * 4}
	return l
}

// base is the part of a table that a snapshot has, too. Merge replaces its segments
// one after the other, so that there is never much more than one of each.
type base struct {
	segments [segments]atomic.Pointer[segment]
	values   *values // those of the segments, and more
	apart    []uint64
	file     *file // nil: all is in memory, and as it was written
}

func (b *base) get(key uint64) uint64 {
	if s := b.segments[key>>(64-segmentBits)].Load(); s != nil {
		return s.get(key)
	}
	return 0
}

// size gives the number of keys, and bytes.
func (b *base) size() (keys, bytes int) {
	for i := range b.segments {
		if s := b.segments[i].Load(); s != nil {
			keys, bytes = keys+s.keys, bytes+8*len(s.words)
		}
	}
	return keys, bytes + 8*b.values.n
}

// file is a mapped snapshot.
type file struct {
	head
	layout
	mapped []byte // unmapped when nobody has the file any more
	sums   []uint32
	seen   []atomic.Uint32 // of each page
}

// States of a page.
const (
	unseen = iota
	sound
	damaged
)

// open maps a snapshot of an owner. What is in it is checked when it is first used.
// The error is ErrSnapshot, or that of a file that cannot be opened.
func open(path string, owner [ownerBytes]byte) (*base, error) {
	from, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	f := &file{}
	size, err := f.readHead(from)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %v", ErrSnapshot, path, err)
	case f.owner != owner:
		return nil, fmt.Errorf("%w: %s is of another key", ErrSnapshot, path)
	}
	if f.mapped, err = unix.Mmap(int(from.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	runtime.AddCleanup(f, func(b []byte) { _ = unix.Munmap(b) }, f.mapped)
	f.sums = unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(f.mapped[f.layout.sums.at:]))), f.layout.sums.at/pageBytes)
	f.seen = make([]atomic.Uint32, len(f.sums))
	b := f.base()
	if b.apart, err = f.readApart(); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrSnapshot, path, err)
	}
	return b, nil
}

// readHead reads the header, whose last four bytes are its checksum, and holds it
// against the size of the file.
func (f *file) readHead(from *os.File) (size int, err error) {
	b := make([]byte, pageBytes)
	if _, err := from.ReadAt(b, 0); err != nil {
		return 0, fmt.Errorf("it has no header: %w", err)
	}
	if binary.NativeEndian.Uint64(b) != magic {
		return 0, errors.New("it is of another version of this program")
	}
	if crc32.Checksum(b[:pageBytes-4], castagnoli) != binary.NativeEndian.Uint32(b[pageBytes-4:]) {
		return 0, errors.New("its header is damaged")
	}
	f.head = *(*head)(unsafe.Pointer(unsafe.SliceData(b)))
	info, err := from.Stat()
	if err != nil {
		return 0, err
	}
	if !f.head.possible() {
		return 0, errors.New("its header is not one that this program writes")
	}
	f.layout = f.head.layout()
	if size = f.layout.sums.at + f.layout.sums.bytes; int(info.Size()) != size {
		return 0, fmt.Errorf("it has %d bytes, not %d", info.Size(), size)
	}
	return size, nil
}

func (h *head) possible() bool {
	if h.values >= maxValues || h.apart > 1<<40 {
		return false
	}
	for _, s := range h.segments {
		if s.bucketBits < groupBits || s.bucketBits > maxBucketBits || s.valueBits > s.bucketBits+segmentBits ||
			s.keys > 1<<40 || s.words > 1<<40 || s.words < uint64(s.groups()*s.groupWords()) {
			return false
		}
	}
	return true
}

// words gives a part of the file as numbers.
func (f *file) words(at, bytes int) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(f.mapped[at:]))), bytes/8)
}

// base gives what is mapped as it is.
func (f *file) base() *base {
	b := &base{file: f, values: &values{}}
	for at, left := f.layout.values.at, f.layout.values.bytes; left > 0; at, left = at+hugePage, left-hugePage {
		b.values.over(f.words(at, min(hugePage, left)), f)
	}
	for i, s := range f.head.segments {
		l := f.layout.segments[i]
		b.segments[i].Store(&segment{geometry: s.geometry, keys: int(s.keys), words: f.words(l.at, l.bytes), values: b.values, file: f})
	}
	return b
}

func (f *file) readApart() ([]uint64, error) {
	if f.head.apart == 0 {
		return nil, nil
	}
	apart := f.words(f.layout.apart.at, f.layout.apart.bytes)
	if !f.sound(unsafe.Pointer(unsafe.SliceData(apart)), f.layout.apart.bytes) {
		return nil, errors.New("the keys of several things are damaged")
	}
	return slices.Clone(apart), nil
}

// sound reports whether the pages that something is in are as they were written.
// Each is looked at once.
func (f *file) sound(at unsafe.Pointer, bytes int) bool {
	from := int(uintptr(at) - uintptr(unsafe.Pointer(unsafe.SliceData(f.mapped))))
	for page := from / pageBytes; page <= (from+bytes-1)/pageBytes; page++ {
		if state := f.seen[page].Load(); state == damaged || state == unseen && !f.check(page, f.mapped[page*pageBytes:(page+1)*pageBytes]) {
			return false
		}
	}
	return true
}

// check holds what is in a page against its sum.
func (f *file) check(page int, b []byte) bool {
	if crc32.Checksum(b, castagnoli) != f.sums[page] {
		f.seen[page].Store(damaged)
		return false
	}
	f.seen[page].Store(sound)
	return true
}

// load checks a snapshot and gives it in memory.
func (f *file) load(ctx context.Context) (*base, error) {
	v, left, err := f.loadValues(ctx)
	if err != nil {
		return nil, err
	}
	b := &base{values: v}
	if b.apart, err = f.readApart(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err)
	}
	for i, h := range f.head.segments {
		r, err := allocate(int(h.words))
		if err == nil {
			err = f.read(ctx, f.layout.segments[i], r.pages())
		}
		if err != nil {
			return nil, err
		}
		s := &segment{geometry: h.geometry, keys: int(h.keys), words: r.words, values: v, memory: r}
		if v.n < int(f.head.values) {
			s.move(left.rank)
		}
		b.segments[i].Store(s)
	}
	return b, nil
}

// loadValues leaves out those that no key has any more, and gives the places of what
// is left.
func (f *file) loadValues(ctx context.Context) (v *values, left *ranks, err error) {
	v, left = &values{}, newRanks(f.layout.values.bytes/8)
	var kept []uint64
	chunk, err := allocate(chunkValues)
	for at := 0; at < f.layout.values.bytes && err == nil; at += hugePage {
		n := min(hugePage, f.layout.values.bytes-at)
		if err = f.read(ctx, section{f.layout.values.at + at, n}, chunk.pages()); err != nil {
			break
		}
		for i, value := range chunk.words[:n/8] {
			if value != 0 {
				left.add(at/8 + i)
				kept = append(kept, value)
			}
		}
		if len(kept) >= chunkValues {
			v, err = v.append(kept[:chunkValues])
			kept = slices.Delete(kept, 0, chunkValues)
		}
	}
	if err == nil {
		v, err = v.append(kept)
	}
	return v, left, err
}

// read reads a section to whole pages of memory, checks it, and lets it go from what is
// mapped. As with allocate, the pages of the file come within a call.
func (f *file) read(ctx context.Context, s section, to []byte) error {
	for at := s.at; at < s.end(); at += hugePage {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := f.mapped[at:min(at+hugePage, s.end())]
		_ = unix.Madvise(from, unix.MADV_POPULATE_READ)
		for i := 0; i < len(from); i += pageBytes {
			page := to[at-s.at+i:][:pageBytes]
			if copy(page, from[i:]); !f.check((at+i)/pageBytes, page) {
				return fmt.Errorf("%w: it is damaged", ErrSnapshot)
			}
		}
		_ = unix.Madvise(from, unix.MADV_DONTNEED)
	}
	runtime.KeepAlive(f)
	return nil
}
