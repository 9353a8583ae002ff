package index

import (
	"math/bits"
	"slices"
)

// A chunk of values is a huge page.
const (
	chunkBits   = 18
	chunkValues = 1 << chunkBits
	maxValues   = 1 << 32
)

// values are the distinct values of a table. Each keeps its place: newer ones come
// behind, in ascending order as often as some are added. They never change; with
// more is another of them, which shares what is full. A place that no key has any
// more has 0 after a restart.
type values struct {
	n      int
	chunks [][]uint64 // all full but the last
	memory []any      // what keeps them alive
}

// at gives the value at a place.
func (v *values) at(place uint64) uint64 { return v.chunks[place>>chunkBits][place%chunkValues] }

// over adds a chunk of values that are in memory already, and kept alive by it.
func (v *values) over(words []uint64, memory any) {
	v.chunks = append(v.chunks, words)
	v.memory = append(v.memory, memory)
	v.n += len(words)
}

// with gives the values with fresh ones, which are sorted, and the places of these.
func (v *values) with(fresh []uint64) (*values, []uint32, error) {
	places := v.find(fresh)
	var more []uint64
	for i, value := range fresh {
		if places[i] == absent {
			places[i] = uint32(v.n + len(more))
			more = append(more, value)
		}
	}
	all, err := v.append(more)
	return all, places, err
}

// absent is the place of a value that is not there.
const absent = maxValues - 1

// find gives the places of values, which are sorted. It reads the values one after
// the other, beside those that it looks for, and begins anew with these where the
// order is broken.
func (v *values) find(sorted []uint64) []uint32 {
	places := make([]uint32, len(sorted))
	for i := range places {
		places[i] = absent
	}
	i, last := 0, uint64(0)
	for c, chunk := range v.chunks {
		for at, value := range chunk {
			if value < last {
				i = 0
			}
			last = value
			for i < len(sorted) && sorted[i] < value {
				i++
			}
			if i < len(sorted) && sorted[i] == value {
				places[i] = uint32(c*chunkValues + at)
			}
		}
	}
	return places
}

// append gives the values with more. A chunk that is not full is copied first.
func (v *values) append(more []uint64) (*values, error) {
	if len(more) == 0 {
		return v, nil
	}
	if v.n+len(more) >= absent {
		return nil, errTooMany
	}
	full := v.n / chunkValues
	all := &values{n: full * chunkValues, chunks: slices.Clone(v.chunks[:full]), memory: slices.Clone(v.memory[:full])}
	var rest []uint64
	if full < len(v.chunks) {
		rest = v.chunks[full]
	}
	for len(rest)+len(more) > 0 {
		n := min(chunkValues-len(rest), len(more))
		r, err := allocate(len(rest) + n)
		if err != nil {
			return nil, err
		}
		copyWords(r.words, rest)
		copyWords(r.words[len(rest):], more[:n])
		all.over(r.words, r)
		rest, more = nil, more[n:]
	}
	return all, nil
}

// ranks are places in ascending order.
type ranks struct {
	set    []uint64 // bits: the places
	before []uint32 // how many are before each word of these
	n      uint32
}

func newRanks(places int) *ranks {
	return &ranks{set: make([]uint64, places/64+1), before: make([]uint32, places/64+1)}
}

// add adds a place that is behind all others.
func (r *ranks) add(place int) {
	if r.set[place/64] == 0 {
		r.before[place/64] = r.n
	}
	r.set[place/64] |= 1 << (place % 64)
	r.n++
}

// rank gives how many places are before one.
func (r *ranks) rank(place uint64) uint64 {
	return uint64(r.before[place/64]) + uint64(bits.OnesCount64(r.set[place/64]&(1<<(place%64)-1)))
}
