package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unwritten is how much of a file may wait to be written to the disk, twice: a disk
// that gets all at once in the end makes everybody else wait.
const unwritten = 4 << 20

// writer writes a snapshot from its second page on.
type writer struct {
	f     *os.File
	sums  []uint32 // of each page
	begun int      // up to where the kernel has begun to write to the disk
	err   error
}

func newWriter(f *os.File) *writer { return &writer{f: f, sums: make([]uint32, 1)} }

// section writes words, and fills up the page.
func (w *writer) section(words []uint64) {
	for b := bytesOf(words); len(b) > 0; {
		if len(b) < pageBytes {
			b = append(make([]byte, 0, pageBytes), b...)[:pageBytes]
		}
		n := min(len(b)&^(pageBytes-1), 1<<20)
		w.pages(b[:n])
		b = b[n:]
	}
}

// pages writes whole pages.
func (w *writer) pages(b []byte) {
	w.write(b, len(w.sums)*pageBytes)
	for ; len(b) > 0; b = b[pageBytes:] {
		w.sums = append(w.sums, crc32.Checksum(b[:pageBytes], castagnoli))
	}
	if at := len(w.sums) * pageBytes; at-w.begun >= unwritten {
		w.flush(w.begun-unwritten, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
		w.flush(w.begun, unix.SYNC_FILE_RANGE_WRITE)
		w.begun = at
	}
}

func (w *writer) write(b []byte, at int) {
	if w.err == nil {
		_, w.err = w.f.WriteAt(b, int64(at))
	}
}

// flush has the kernel write to the disk. Where it does not know how, Sync does all
// in the end.
func (w *writer) flush(at int, flags int) {
	_ = unix.SyncFileRange(int(w.f.Fd()), int64(max(at, 0)), unwritten, flags)
}

// finish writes the sums, and the header.
func (w *writer) finish(h *head) error {
	sums := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w.sums))), 4*len(w.sums))
	w.write(sums, len(w.sums)*pageBytes)
	b := make([]byte, pageBytes)
	*(*head)(unsafe.Pointer(unsafe.SliceData(b))) = *h
	binary.NativeEndian.PutUint32(b[pageBytes-4:], crc32.Checksum(b[:pageBytes-4], castagnoli))
	w.write(b, 0)
	return w.err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
