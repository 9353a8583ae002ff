package lookuplog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// suffix is how the names of files end, behind their day.
const suffix = ".lookups"

// days gives the days of which a folder has files, the oldest first.
func days(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		day, ours := strings.CutSuffix(e.Name(), suffix)
		if _, err := time.Parse(time.DateOnly, day); ours && err == nil {
			all = append(all, day)
		}
	}
	return all, nil
}

// Read gives the entries of a log from since on and before until, about in their
// order, which it may be written to meanwhile. skipped is how many bytes could not be
// read: what a crash left, or damage.
func Read(dir string, since, until time.Time, each func(Entry) error) (skipped int, err error) {
	all, err := days(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read the log of lookups: %w", err)
	}
	for _, day := range all {
		// A block is in the file of the day on which it was written, a second later.
		if day < since.UTC().Format(time.DateOnly) || day > until.UTC().Add(time.Minute).Format(time.DateOnly) {
			continue
		}
		n, err := readFile(filepath.Join(dir, day+suffix), since, until, each)
		skipped += n
		if err != nil {
			return skipped, err
		}
	}
	return skipped, nil
}

// chunk is how much of a file is in memory: more than the longest block.
const chunk = 4 * maxPayload

func readFile(path string, since, until time.Time, each func(Entry) error) (skipped int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // it was too old just now
	}
	if err != nil {
		return 0, fmt.Errorf("read the log of lookups: %w", err)
	}
	defer f.Close()
	buffer, last := make([]byte, 0, chunk), false
	for !last {
		n, err := f.Read(buffer[len(buffer):cap(buffer)])
		if last = n == 0; last && err != nil && !errors.Is(err, io.EOF) {
			return skipped, fmt.Errorf("read the log of lookups: %w", err)
		}
		rest, n, err := blocks(buffer[:len(buffer)+n], last, since, until, each)
		skipped += n
		if err != nil {
			return skipped, err
		}
		buffer = buffer[:copy(buffer[:cap(buffer)], rest)]
	}
	return skipped, nil
}

// blocks gives the entries of the blocks in b, and what may be the beginning of one
// more; nothing is if this is the last of a file.
func blocks(b []byte, last bool, since, until time.Time, each func(Entry) error) (rest []byte, skipped int, err error) {
	for {
		entries, behind, n, ok := nextBlock(b)
		if !ok {
			keep := 0
			if !last {
				keep = min(len(b), headerSize+maxPayload)
			}
			return b[len(b)-keep:], skipped + len(b) - keep, nil
		}
		skipped += n
		for _, e := range entries {
			if e.At.Before(since) || !e.At.Before(until) {
				continue
			}
			if err := each(e); err != nil {
				return nil, skipped, err
			}
		}
		b = behind
	}
}
