package index

import (
	"errors"
	"math/bits"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"
)

// A table has 64 segments, by the first bits of the keys. The next bits are a key's
// bucket in its segment; 128 buckets are a group. A segment has
//
//	groups  all of the same size: a header of 64 bytes, and room for as many keys as
//	        a group has on average, 8 bytes each
//	spill   the keys for which their group has no room: about three in a hundred
//
// 448 bits of the header are, for each bucket, a 0, and a 1 for each of its keys; then
// zeros. The other 64 say where in the segment the group's spill is. The entry of a
// key holds the bits that are left of it, and the place of its value: the table has at
// least as many buckets as values, so both fit into 64 bits. With 40 million values
// that is 38 and 26 bits.
//
// So a lookup goes to one group, whose place needs no looking up, and to one value.
const (
	segmentBits = 6
	segments    = 1 << segmentBits
	groupBits   = 7
	headerWords = 8
	unaryWords  = 7
	unaryBits   = 64 * unaryWords

	groupBuckets = 1 << groupBits
)

// geometry is how bits are shared out in a segment, and how many keys a group has
// room for.
type geometry struct {
	bucketBits, valueBits uint8
	room                  uint16
}

// geometryFor gives no more than seven keys for four buckets, and no more values than
// all segments have buckets.
func geometryFor(keys, values int) geometry {
	g := geometry{valueBits: uint8(bits.Len(uint(max(values, 1) - 1)))}
	g.bucketBits = uint8(max(bits.Len(uint(keys*4/7)), int(g.valueBits)-segmentBits, groupBits))
	g.room = uint16(max(keys/g.groups(), 1))
	return g
}

// groups gives the number of groups.
func (g geometry) groups() int { return 1 << (g.bucketBits - groupBits) }

// groupWords gives the size of a group in words.
func (g geometry) groupWords() int { return headerWords + int(g.room) }

// rest gives an entry with what the bucket does not tell of a key, and place 0.
func (g geometry) rest(key uint64) uint64 {
	bucket := segmentBits + g.bucketBits
	return key << bucket >> (bucket - g.valueBits)
}

// key gives the key of an entry in a bucket of a segment.
func (g geometry) key(segment int, bucket, entry uint64) uint64 {
	return uint64(segment)<<(64-segmentBits) | bucket<<(64-segmentBits-g.bucketBits) | entry>>g.valueBits
}

// place gives the place of an entry's value.
func (g geometry) place(entry uint64) uint64 { return entry & (1<<g.valueBits - 1) }

// segment is never changed.
type segment struct {
	geometry
	keys   int
	words  []uint64
	values *values
	memory *region // what keeps the words alive, if they are in memory
	file   *file   // or in a file still
}

// get gives the value of a key; 0 if there is none, or if what is there is damaged.
func (s *segment) get(key uint64) (value uint64) {
	bucket := key << segmentBits >> (64 - s.bucketBits)
	group, within := s.group(bucket>>groupBits), uint(bucket%groupBuckets)
	touch(group, within)
	if s.sound(group) {
		header, want := (*header)(group), s.rest(key)
		bit := header.begin(within)
		for i := bit - within - 1; header.isSet(bit); i, bit = i+1, bit+1 {
			e, ok := s.entry(group, i)
			if !ok {
				break
			}
			if (e^want)>>s.valueBits == 0 {
				value = s.value(s.place(e))
				break
			}
		}
	}
	runtime.KeepAlive(s)
	return value
}

// group gives a group.
func (s *segment) group(i uint64) []uint64 {
	n := uint64(s.groupWords())
	return s.words[i*n:][:n]
}

// touch reads about where the entries of a bucket are, as keys are evenly spread,
// and does nothing with it: the processor fetches them while it fetches the header,
// which says where they are exactly.
func touch(group []uint64, bucket uint) {
	const near = 8 // a line of the cache
	room := uint(len(group)) - headerWords
	at := headerWords + room*bucket>>groupBits
	atomic.LoadUint64(&group[at-near])
	atomic.LoadUint64(&group[min(at+near, uint(len(group))-1)])
}

// entry gives an entry of a group; not if it is damaged.
func (s *segment) entry(group []uint64, i uint) (e uint64, ok bool) {
	if i < uint(s.room) {
		return group[headerWords+i], true
	}
	at := group[unaryWords] + uint64(i) - uint64(s.room)
	if !s.sound(s.words[at : at+1]) {
		return 0, false
	}
	return s.words[at], true
}

// sound reports whether words are as they were written.
func (s *segment) sound(words []uint64) bool {
	return s.file == nil || s.file.sound(unsafe.Pointer(unsafe.SliceData(words)), 8*len(words))
}

// value gives the value at a place, or 0 if it is damaged.
func (s *segment) value(place uint64) uint64 {
	if s.file != nil && (place >= uint64(s.values.n) || !s.file.sound(unsafe.Pointer(&s.values.chunks[place>>chunkBits][place%chunkValues]), 8)) {
		return 0
	}
	return s.values.at(place)
}

// header is that of a group.
type header [headerWords]uint64

// begin gives the bit at which a bucket begins: the one after as many zeros as there
// are buckets before it, and its own. It decides nothing by what it reads, or the
// processor would guess wrong more often than not.
func (h *header) begin(bucket uint) uint {
	nth, word, before, zeros := uint64(bucket)+1, uint64(0), uint64(0), uint64(0)
	for _, w := range h[:unaryWords-1] {
		zeros += uint64(bits.OnesCount64(^w))
		further := lessMask(zeros, nth)
		word -= further
		before += (zeros - before) & further
	}
	return uint(word*64 + nthBit(^h[word%headerWords], nth-before) + 1)
}

// nthBit gives the place of the nth bit that is set, the first being 1.
func nthBit(w, nth uint64) (place uint64) {
	for half := uint64(32); half > 0; half /= 2 {
		ones := uint64(bits.OnesCount64(w & (1<<half - 1)))
		above := lessMask(ones, nth)
		nth -= ones & above
		w >>= half & above
		place += half & above
	}
	return place
}

// lessMask has all bits set if a < b; both are small.
func lessMask(a, b uint64) uint64 { return uint64(int64(a-b) >> 63) }

// isSet reports whether a bit of the buckets is.
func (h *header) isSet(bit uint) bool { return bit < unaryBits && h[bit/64]>>(bit%64)&1 != 0 }

// each gives f all keys in order, with the places of their values. It is for what is
// in memory.
func (s *segment) each(number int, f func(key, place uint64)) {
	for i := range uint64(s.groups()) {
		group := s.group(i)
		header, n := (*header)(group), uint(0)
		for bucket, bit := i*groupBuckets, uint(1); bucket < (i+1)*groupBuckets; bit++ {
			if !header.isSet(bit) {
				bucket++
				continue
			}
			e, _ := s.entry(group, n)
			f(s.key(number, bucket, e), s.place(e))
			n++
		}
	}
	runtime.KeepAlive(s)
}

// move gives all values other places, before anybody looks them up.
func (s *segment) move(to func(place uint64) uint64) {
	for i := range uint64(s.groups()) {
		s.moveEntries(s.group(i)[headerWords:], to)
	}
	s.moveEntries(s.words[s.groups()*s.groupWords():], to)
}

func (s *segment) moveEntries(entries []uint64, to func(place uint64) uint64) {
	for i, e := range entries {
		place := s.place(e)
		entries[i] = e - place + to(place)
	}
}

// errCrowded is a geometry in which a group has no room.
var errCrowded = errors.New("a group of buckets is too full")

// builder makes the words of a segment of keys that come in order.
type builder struct {
	geometry
	words, spill []uint64
	bucket       uint64 // the one that is open
	group        []uint64
	in           int  // how many keys are in its group
	bit          uint // the next of its header
	keys         int
	crowded      bool
}

// begin begins a segment in the memory of the one before.
func (b *builder) begin(g geometry) {
	n := g.groups() * g.groupWords()
	words := slices.Grow(b.words[:0], n+n/8)[:n] // with room for the spill
	for part := range slices.Chunk(words, piece) {
		clear(part)
	}
	*b = builder{geometry: g, words: words, spill: b.spill[:0]}
	b.open(0)
}

// open opens the group of a bucket.
func (b *builder) open(bucket uint64) {
	at := int(bucket>>groupBits) * b.groupWords()
	b.group, b.in, b.bit = b.words[at:at+b.groupWords()], 0, 1
	b.group[unaryWords] = uint64(len(b.words) + len(b.spill))
}

// add adds a key, with the place of its value.
func (b *builder) add(key, place uint64) {
	b.advance(key << segmentBits >> (64 - b.bucketBits))
	if b.bit >= unaryBits {
		b.crowded = true
		return
	}
	b.group[b.bit/64] |= 1 << (b.bit % 64)
	if e := b.rest(key) | place; b.in < int(b.room) {
		b.group[headerWords+b.in] = e
	} else {
		b.spill = append(b.spill, e)
	}
	b.keys, b.in, b.bit = b.keys+1, b.in+1, b.bit+1
}

// advance ends buckets up to one.
func (b *builder) advance(bucket uint64) {
	for ; b.bucket < bucket; b.bucket++ {
		if b.bit++; (b.bucket+1)%groupBuckets == 0 {
			b.crowded = b.crowded || b.bit > unaryBits+1 // with the 0 of the next group
			b.open(b.bucket + 1)
		}
	}
}

// end gives all words, until begin.
func (b *builder) end() ([]uint64, error) {
	if b.advance(1<<b.bucketBits - 1); b.crowded || b.bit > unaryBits {
		return nil, errCrowded
	}
	b.words = append(b.words, b.spill...)
	return b.words, nil
}
