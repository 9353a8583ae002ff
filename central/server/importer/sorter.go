package importer

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

// sorter sorts records of one size by their first bytes. What is more than its memory
// is sorted in runs, in a file that has no name, and merged. Alike records stay in no
// order.
type sorter struct {
	dir    string
	size   int // of a record
	key    int // of its first bytes, which it is sorted by: 8 at least
	memory int // bytes

	chunks [][]byte // of records that are in no run yet; they do not move as more come
	count  int
	file   *os.File
	runs   []int64 // where each run ends
}

// chunkRecords is how many records a chunk holds.
const chunkRecords = 1 << 14

func newSorter(dir string, size, key, memory int) *sorter {
	return &sorter{dir: dir, size: size, key: key, memory: max(memory, 2*size)}
}

// add takes a copy of a record.
func (s *sorter) add(record []byte) error {
	if (s.count+1)*s.size > s.memory {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.count/chunkRecords == len(s.chunks) {
		s.chunks = append(s.chunks, make([]byte, chunkRecords*s.size))
	}
	copy(s.record(s.count), record)
	s.count++
	return nil
}

func (s *sorter) record(n int) []byte {
	at := n % chunkRecords * s.size
	return s.chunks[n/chunkRecords][at : at+s.size]
}

func (s *sorter) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// place is where a record is, with its first bytes: most are told apart by them.
type place struct {
	first uint64
	n     int
}

func (s *sorter) places() []place {
	all := make([]place, s.count)
	for n := range all {
		all[n] = place{binary.BigEndian.Uint64(s.record(n)), n}
	}
	slices.SortFunc(all, func(a, b place) int {
		if c := cmp.Compare(a.first, b.first); c != 0 {
			return c
		}
		return bytes.Compare(s.record(a.n)[:s.key], s.record(b.n)[:s.key])
	})
	return all
}

// spill writes a run.
func (s *sorter) spill() (err error) {
	if s.file == nil {
		if s.file, err = unnamed(s.dir); err != nil {
			return err
		}
	}
	out := bufio.NewWriterSize(s.file, 1<<20)
	for _, p := range s.places() {
		if _, err := out.Write(s.record(p.n)); err != nil {
			return fmt.Errorf("sort rows: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("sort rows: %w", err)
	}
	end := int64(s.count * s.size)
	if len(s.runs) > 0 {
		end += s.runs[len(s.runs)-1]
	}
	s.runs, s.count = append(s.runs, end), 0
	return nil
}

// unnamed makes a file that goes when it is closed, whatever becomes of the process.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".import-*")
	if err != nil {
		return nil, fmt.Errorf("sort rows: %w", err)
	}
	return f, os.Remove(f.Name())
}

// sorted gives all records in their order. A record is good until the next one.
func (s *sorter) sorted() iter.Seq2[[]byte, error] {
	if len(s.runs) == 0 {
		return s.inMemory
	}
	return s.merged
}

func (s *sorter) inMemory(yield func([]byte, error) bool) {
	for _, p := range s.places() {
		if !yield(s.record(p.n), nil) {
			return
		}
	}
}

func (s *sorter) merged(yield func([]byte, error) bool) {
	if s.count > 0 {
		if err := s.spill(); err != nil {
			yield(nil, err)
			return
		}
	}
	s.chunks = nil
	h := &runs{key: s.key}
	from := int64(0)
	for _, end := range s.runs {
		r := &sortedRun{in: bufio.NewReaderSize(io.NewSectionReader(s.file, from, end-from), 1<<18), record: make([]byte, s.size)}
		if h.read(r) {
			h.all = append(h.all, r)
		}
		from = end
	}
	heap.Init(h)
	for len(h.all) > 0 && h.err == nil {
		first := h.all[0]
		if !yield(first.record, nil) {
			return
		}
		if h.read(first) {
			heap.Fix(h, 0)
		} else {
			heap.Pop(h)
		}
	}
	if h.err != nil {
		yield(nil, fmt.Errorf("sort rows: %w", h.err))
	}
}

// sortedRun is a run that is read, with its first record that was not given yet.
type sortedRun struct {
	in     *bufio.Reader
	record []byte
}

// runs are a heap of runs, by their records.
type runs struct {
	key int
	all []*sortedRun
	err error
}

// read reads the next record of a run. It is false at the end.
func (h *runs) read(r *sortedRun) bool {
	_, err := io.ReadFull(r.in, r.record)
	if err != nil && !errors.Is(err, io.EOF) {
		h.err = err
	}
	return err == nil
}

func (h *runs) Len() int { return len(h.all) }
func (h *runs) Less(i, j int) bool {
	return bytes.Compare(h.all[i].record[:h.key], h.all[j].record[:h.key]) < 0
}
func (h *runs) Swap(i, j int) { h.all[i], h.all[j] = h.all[j], h.all[i] }
func (h *runs) Push(r any)    { h.all = append(h.all, r.(*sortedRun)) }
func (h *runs) Pop() any {
	last := h.all[len(h.all)-1]
	h.all = h.all[:len(h.all)-1]
	return last
}
