package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A snapshot is a file that is mapped and never changed. Behind a header it has
//
//	values   the distinct values, sorted, 8 bytes each
//	groups   64 bytes for each 128 buckets: see group
//	entries  8 bytes for each key, in the order of the keys
//	apart    keys whose value is Apart
//	sums     CRC-32C of each page of what is before
//
// A key's first bits are its bucket. An entry holds the other bits, and the
// place of its value among the values: there are at least as many buckets as
// values, so both fit into 64 bits. With 40 million values that is 26 and 38 bits.
const (
	pageBytes     = 1 << 16 // of a checksum; sections begin at a page
	groupBits     = 7       // 128 buckets
	groupWords    = 8
	groupRoom     = (groupWords-1)*64 - 1<<groupBits // how many entries a group can have
	headBytes     = pageBytes
	maxBucketBits = 40
	ownerBytes    = 32
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	// magic is read as a number: a machine of another byte order does not know it.
	magic = binary.NativeEndian.Uint64([]byte("hhidx 1\n"))
)

// ErrSnapshot is a snapshot that cannot be used: it is damaged, of another key or of
// another kind of machine. The table must be made anew.
var ErrSnapshot = errors.New("the snapshot of the index cannot be used")

// head is what a snapshot says of itself.
type head struct {
	magic      uint64
	owner      [ownerBytes]byte // whose keys these are
	change     uint64           // the changes that it holds
	keys       uint64
	values     uint64
	apart      uint64
	bucketBits uint32
	valueBits  uint32
}

// section is a part of a snapshot.
type section struct{ at, bytes int }

func (s section) end() int { return (s.at + s.bytes + pageBytes - 1) &^ (pageBytes - 1) }

// layout is where the parts of a snapshot are.
type layout struct{ values, groups, entries, apart, sums section }

func (h head) layout() (l layout) {
	l.values = section{headBytes, int(8 * h.values)}
	l.groups = section{l.values.end(), groupWords * 8 << (h.bucketBits - groupBits)}
	l.entries = section{l.groups.end(), int(8 * h.keys)}
	l.apart = section{l.entries.end(), int(8 * h.apart)}
	l.sums = section{l.apart.end(), l.apart.end() / pageBytes * 4}
	return l
}

// geometry gives bits for buckets and values: no more than three keys for two
// buckets, and no more values than buckets.
func geometry(keys, values int) (bucketBits, valueBits uint32) {
	valueBits = uint32(bits.Len(uint(max(values, 1) - 1)))
	bucketBits = max(valueBits, uint32(bits.Len(uint(keys/3*2))), groupBits)
	return bucketBits, valueBits
}

// snapshot is a mapped file. It is unmapped when nobody uses it any more.
type snapshot struct {
	head
	values, entries, groups, side []uint64

	mapped []byte
	sums   []uint32
	seen   []atomic.Uint32 // of each page: whether its sum was checked, and found wrong; nil: all are right
}

// States of a page.
const (
	unseen = iota
	sound
	damaged
)

// open maps a snapshot of an owner. What is in it is checked when it is first
// used. The error is ErrSnapshot, or that of a file that cannot be opened.
func open(path string, owner [ownerBytes]byte) (*snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, size, err := readHead(f)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %v", ErrSnapshot, path, err)
	case h.owner != owner:
		return nil, fmt.Errorf("%w: %s is of another key", ErrSnapshot, path)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	s := over(h, mapped)
	s.seen = make([]atomic.Uint32, len(s.sums))
	return s, nil
}

// over makes a snapshot of what is mapped.
func over(h head, mapped []byte) *snapshot {
	s, l := &snapshot{head: h, mapped: mapped}, h.layout()
	s.values, s.groups, s.entries, s.side = words(mapped, l.values), words(mapped, l.groups), words(mapped, l.entries), words(mapped, l.apart)
	s.sums = unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(mapped[l.sums.at:]))), l.sums.at/pageBytes)
	runtime.AddCleanup(s, func(b []byte) { _ = unix.Munmap(b) }, mapped)
	return s
}

// load checks a snapshot and gives it in memory of its own, in huge pages where
// there are such: a lookup goes to three places far apart, and each would cost the
// processor a walk through its page tables. What is copied of the file is let go.
func (s *snapshot) load(ctx context.Context) (*snapshot, error) {
	memory, err := unix.Mmap(-1, 0, len(s.mapped), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("load the snapshot of the index: %w", err)
	}
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE) // without, it is slower
	const chunk = 64 * pageBytes
	for at := 0; at < len(memory); at += chunk {
		end := min(at+chunk, len(memory))
		if err = ctx.Err(); err == nil && !s.copyPages(memory, at, end) {
			err = fmt.Errorf("%w: it is damaged", ErrSnapshot)
		}
		if err != nil {
			_ = unix.Munmap(memory)
			return nil, err
		}
		_ = unix.Madvise(s.mapped[at:end], unix.MADV_DONTNEED)
	}
	runtime.KeepAlive(s)
	return over(s.head, memory), nil
}

// copyPages copies pages, and reports whether all are as they were written.
func (s *snapshot) copyPages(memory []byte, from, to int) bool {
	copy(memory[from:to], s.mapped[from:to])
	for page := max(from, headBytes) / pageBytes; page < len(s.sums) && page*pageBytes < to; page++ {
		if crc32.Checksum(memory[page*pageBytes:(page+1)*pageBytes], castagnoli) != s.sums[page] {
			s.seen[page].Store(damaged)
			return false
		}
	}
	return true
}

// words gives a section as numbers.
func words(mapped []byte, s section) []uint64 {
	if s.bytes == 0 {
		return nil
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(mapped[s.at:]))), s.bytes/8)
}

// readHead reads the header, whose last four bytes are its checksum, and holds it
// against the size of the file.
func readHead(f *os.File) (h head, size int, err error) {
	b := make([]byte, headBytes)
	if _, err := f.ReadAt(b, 0); err != nil {
		return h, 0, fmt.Errorf("it has no header: %w", err)
	}
	if crc32.Checksum(b[:headBytes-4], castagnoli) != binary.NativeEndian.Uint32(b[headBytes-4:]) {
		return h, 0, errors.New("its header is damaged")
	}
	h = *(*head)(unsafe.Pointer(unsafe.SliceData(b)))
	info, err := f.Stat()
	if err != nil {
		return h, 0, err
	}
	bucketBits, valueBits := h.bucketBits, h.valueBits
	if h.magic != magic || bucketBits < groupBits || bucketBits > maxBucketBits || valueBits > bucketBits || h.keys > 1<<40 || h.values > 1<<valueBits || h.apart > h.keys {
		return h, 0, errors.New("its header is not one that this program writes")
	}
	l := h.layout()
	if size = l.sums.at + l.sums.bytes; int(info.Size()) != size {
		return h, 0, fmt.Errorf("it has %d bytes, not %d", info.Size(), size)
	}
	return h, size, nil
}

// get gives the value of a key; 0 if there is none, or if what is there is
// damaged.
func (s *snapshot) get(key uint64) uint64 {
	first, n := s.bucket(key >> (64 - s.bucketBits))
	rest := key << s.bucketBits >> (s.bucketBits - s.valueBits) // without the bits of the bucket, above the value's
	for i := first; i < first+n; i++ {
		if i >= len(s.entries) || !s.intact(&s.entries[i]) {
			break
		}
		if e := s.entries[i]; e&^(1<<s.valueBits-1) == rest {
			at := e & (1<<s.valueBits - 1)
			if at >= uint64(len(s.values)) || !s.intact(&s.values[at]) {
				break
			}
			value := s.values[at]
			runtime.KeepAlive(s)
			return value
		}
	}
	runtime.KeepAlive(s)
	return 0
}

// bucket gives where a bucket's entries begin, and how many it has. A group has
// the number of entries before it, then 448 bits: for each bucket a 1 for each
// entry, and a 0.
func (s *snapshot) bucket(b uint64) (first, n int) {
	at := b >> groupBits * groupWords
	g := s.groups[at : at+groupWords]
	if !s.intact(&g[0]) {
		return 0, 0
	}
	i, from, ones := 1, 0, 0
	if before := int(b & (1<<groupBits - 1)); before > 0 { // zeros
		zeros := bits.OnesCount64(^g[i])
		for before > zeros && i+1 < groupWords {
			before, ones, i = before-zeros, ones+64-zeros, i+1
			zeros = bits.OnesCount64(^g[i])
		}
		from = nth(^g[i], before) + 1
		ones += from - before
	}
	return int(g[0]) + ones, run(g[i:], from)
}

// run gives how many bits are 1, from a bit of the first word on.
func run(words []uint64, from int) int {
	n := min(bits.TrailingZeros64(^(words[0] >> from)), 64-from)
	if n < 64-from {
		return n
	}
	for _, w := range words[1:] {
		more := bits.TrailingZeros64(^w)
		if n += more; more < 64 {
			break
		}
	}
	return n
}

// nth gives the place of the nth bit that is set, the first being 1.
func nth(word uint64, n int) int {
	for ; n > 1; n-- {
		word &= word - 1
	}
	return bits.TrailingZeros64(word)
}

// intact reports whether the page that a word is in is as it was written. It is
// looked at once.
func (s *snapshot) intact(word *uint64) bool {
	if s.seen == nil {
		return true
	}
	page := (uintptr(unsafe.Pointer(word)) - uintptr(unsafe.Pointer(unsafe.SliceData(s.mapped)))) / pageBytes
	switch s.seen[page].Load() {
	case sound:
		return true
	case damaged:
		return false
	}
	return s.check(int(page))
}

func (s *snapshot) check(page int) bool {
	if crc32.Checksum(s.mapped[page*pageBytes:min((page+1)*pageBytes, len(s.mapped))], castagnoli) == s.sums[page] {
		s.seen[page].Store(sound)
		return true
	}
	s.seen[page].Store(damaged)
	return false
}

// each gives f all entries in the order of their keys, with the places of their
// values, until f says that it is enough.
func (s *snapshot) each(f func(key uint64, place uint32) bool) {
	i := 0
	for g := 0; g < len(s.groups); g += groupWords {
		bucket, end := uint64(g/groupWords)<<groupBits, uint64(g/groupWords+1)<<groupBits
		for _, w := range s.groups[g+1 : g+groupWords] {
			for left := 64; left > 0 && bucket < end; left-- {
				if w&1 != 0 {
					e := s.entries[i]
					if !f(bucket<<(64-s.bucketBits)|e>>s.valueBits, uint32(e&(1<<s.valueBits-1))) {
						return
					}
					i++
				} else {
					bucket++
				}
				w >>= 1
			}
		}
	}
	runtime.KeepAlive(s)
}
