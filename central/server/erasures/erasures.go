// Package erasures keeps the erasure ledger: a file outside of central's database
// that only grows, and says what was erased. A backup of the database that is restored
// would bring back who was erased since; the ledger is what is erased again then.
//
// Each line is a JSON object (store.ErasureLine). It holds fingerprints and
// pseudonyms, which say nothing to whoever has not central's keys.
package erasures

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"posd/central/server/store"
)

// maxLine is far above the longest line, in bytes: one of a card that has had a
// thousand pseudonyms.
const maxLine = 64 << 10

// Ledger is an erasure ledger. The empty one stands for none.
type Ledger struct {
	Path string
}

// ErrNone says that there is no ledger.
var ErrNone = errors.New("there is no erasure ledger: name a file with --erasure-ledger, where centrald serves, which no backup of the database overwrites")

// Append adds lines. When it returns nil they are durable.
func (l Ledger) Append(lines []store.ErasureLine) error {
	if err := l.append(lines); err != nil {
		return fmt.Errorf("write erasure ledger: %w", err)
	}
	return nil
}

func (l Ledger) append(lines []store.ErasureLine) (err error) {
	if l.Path == "" {
		return ErrNone
	}
	var text bytes.Buffer
	for _, one := range lines {
		if err := json.NewEncoder(&text).Encode(one); err != nil {
			return err
		}
	}
	_, statErr := os.Stat(l.Path)
	f, err := os.OpenFile(l.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	end, err := wholeLines(f)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(text.Bytes(), end); err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if statErr != nil { // it is new
		return syncFolder(filepath.Dir(l.Path))
	}
	return nil
}

// wholeLines cuts off a line that was not written to its end, whose erasure was never
// reported done, and gives where the next one begins.
func wholeLines(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	tail := make([]byte, min(size, maxLine))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, err
	}
	end := size - int64(len(tail)) + int64(bytes.LastIndexByte(tail, '\n')) + 1
	if end == size {
		return size, nil
	}
	if int64(len(tail)) < size && bytes.IndexByte(tail, '\n') < 0 {
		return 0, errors.New("it is no erasure ledger: its last line has no end")
	}
	return end, f.Truncate(end)
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Read reads the ledger; one that is not there has no lines.
func (l Ledger) Read() ([]store.ErasureLine, error) {
	f, err := os.Open(l.Path)
	if errors.Is(err, fs.ErrNotExist) || l.Path == "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read erasure ledger: %w", err)
	}
	defer f.Close()
	lines, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("read erasure ledger %s: %w", l.Path, err)
	}
	return lines, nil
}

// Parse reads lines. One at the end that was not written whole is left out.
func Parse(in io.Reader) ([]store.ErasureLine, error) {
	var all []store.ErasureLine
	text := bufio.NewReaderSize(in, maxLine)
	for number := 1; ; number++ {
		line, err := text.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		var one store.ErasureLine
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("line %d is damaged: it is not the JSON of an erasure", number)
		}
		if err := one.Check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, one)
	}
}
