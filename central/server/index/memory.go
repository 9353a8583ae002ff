package index

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// small is a region for which Go's heap will do.
const small = 64 << 10

// hugePage is what one entry of the processor's table of pages can cover.
const hugePage = 2 << 20

// region is memory outside of Go's heap. The garbage collector need not look at it,
// and it is in huge pages where there are such: otherwise most lookups would cost the
// processor a walk through its table of pages, too. It is given back when nobody has
// it any more: who reads the words keeps the region alive.
type region struct{ words []uint64 }

// allocate gives a region, all of whose memory is there. The kernel provides it
// within a call, which may take long and for which the garbage collector does not
// wait; it would wait for who touches memory that is not there.
func allocate(words int) (*region, error) {
	size := (8*words + pageBytes - 1) &^ (pageBytes - 1)
	if size < small { // not worth the kernel's while
		return &region{make([]uint64, size/8)[:words]}, nil
	}
	reserved, huge := size, size&^(hugePage-1)
	if huge > 0 {
		reserved += hugePage // of which nothing is taken that is not touched
	}
	all, err := unix.Mmap(-1, 0, reserved, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("take %d bytes of memory for the index: %w", size, err)
	}
	from := 0
	if huge > 0 {
		from = int(-uintptr(unsafe.Pointer(unsafe.SliceData(all))) & (hugePage - 1))
	}
	b := all[from : from+size]
	// Where the kernel cannot, it is slower.
	_ = unix.Madvise(b[:huge], unix.MADV_HUGEPAGE)
	_ = unix.Madvise(b[huge:], unix.MADV_NOHUGEPAGE)
	for at := 0; at < size; at += hugePage {
		_ = unix.Madvise(b[at:min(at+hugePage, size)], unix.MADV_POPULATE_WRITE)
	}
	r := &region{words: unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), words)}
	runtime.AddCleanup(r, func(all []byte) { _ = unix.Munmap(all) }, all)
	return r, nil
}

// pages gives the memory in whole pages.
func (r *region) pages() []byte {
	b := bytesOf(r.words)
	return unsafe.Slice(unsafe.SliceData(b), (len(b)+pageBytes-1)&^(pageBytes-1))
}

// copyOf gives words in a region of their own.
func copyOf(words []uint64) (*region, error) {
	r, err := allocate(len(words))
	if err == nil {
		copyWords(r.words, words)
	}
	return r, err
}

// piece is how many words are copied or cleared at once: in between, but not within,
// the garbage collector can stop who does it.
const piece = 8 << 10

func copyWords(to, from []uint64) {
	for len(from) > 0 {
		n := copy(to, from[:min(piece, len(from))])
		to, from = to[n:], from[n:]
	}
}

// bytesOf gives words as they are in memory.
func bytesOf(words []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))
}
