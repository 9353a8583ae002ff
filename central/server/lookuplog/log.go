// Package lookuplog keeps of each lookup who asked, when, for which basket and
// swipe, and what came of it, for a year: so that it can be said afterwards what a
// stolen lane has asked. It holds neither TID nor EncTID nor household.
//
// There is a file for each day (UTC), about 22 bytes a lookup. A lookup never waits
// for it: what cannot be kept is counted, and lookups go on.
package lookuplog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	queued     = 1 << 14          // entries that may wait for the writer
	perBlock   = 2048             // entries at which a block is written at once
	flushEvery = time.Second      // or else after this time
	syncEvery  = 10 * time.Second // what a power cut may take
)

// Options say where a log is, and for how long.
type Options struct {
	Dir  string
	Days int              // how many days' files are kept, the present one's included
	Now  func() time.Time // nil: time.Now
}

// Log is a log of lookups. Make one with Open, and let Run write it.
type Log struct {
	opt     Options
	folder  *os.File      // holds the lock
	wake    chan struct{} // a block waits
	flushes chan chan error
	dropped atomic.Uint64

	adding  sync.Mutex
	waiting []Entry

	mu     sync.Mutex
	failed error // of the last write; nil if it went well

	// Of the goroutine that writes.
	spare   []Entry // memory of waiting, by turns
	batch   []Entry
	buffer  []byte
	file    *os.File
	day     string
	size    int64 // of the file, up to the last whole block
	synced  time.Time
	written int // bytes since then
}

// Open makes the folder of a log if it is missing. One process writes there: for a
// second one it is an error. Run must be called, and closes the log.
func Open(opt Options) (*Log, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the log of lookups: %w", err)
	}
	folder, err := os.Open(opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the log of lookups: %w", err)
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		folder.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("open the log of lookups: another centrald writes to %s: give this one a folder of its own", opt.Dir)
		}
		return nil, fmt.Errorf("open the log of lookups: lock %s: %w", opt.Dir, err)
	}
	return &Log{opt: opt, folder: folder, wake: make(chan struct{}, 1), flushes: make(chan chan error)}, nil
}

// Add keeps an entry, and never waits: if too many wait already, it is counted as
// dropped. It wakes the writer for a whole block, not for each entry: that would cost a
// lookup more than all else.
func (l *Log) Add(e Entry) {
	l.adding.Lock()
	n := len(l.waiting)
	if n < queued {
		l.waiting = append(l.waiting, e)
	}
	l.adding.Unlock()
	switch n {
	case perBlock - 1:
		select {
		case l.wake <- struct{}{}:
		default:
		}
	case queued:
		l.dropped.Add(1)
	}
}

// Dropped is how many entries were not kept, and why the last write failed, if it
// did.
func (l *Log) Dropped() (n uint64, failing error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped.Load(), l.failed
}

// Flush writes what was added before; it needs Run to run.
func (l *Log) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case l.flushes <- done:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run writes until ctx ends, and then what was added before.
func (l *Log) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	defer l.folder.Close()
	defer l.close()
	for {
		select {
		case <-l.wake:
			l.drain()
		case <-tick.C:
			l.drain()
			l.write()
		case done := <-l.flushes:
			l.drain()
			done <- l.write()
		case <-ctx.Done():
			l.drain()
			l.write()
			return
		}
	}
}

func (l *Log) take(e Entry) {
	if l.batch = append(l.batch, e); len(l.batch) >= perBlock {
		l.write()
	}
}

// drain takes what waits.
func (l *Log) drain() {
	l.adding.Lock()
	taken := l.waiting
	l.waiting = l.spare[:0]
	l.adding.Unlock()
	for _, e := range taken {
		l.take(e)
	}
	l.spare = taken
}

// write writes the batch as a block; what cannot be written is dropped.
func (l *Log) write() error {
	if len(l.batch) == 0 {
		return l.sync(false)
	}
	err := l.append()
	if err != nil {
		l.dropped.Add(uint64(len(l.batch)))
		l.close()
	}
	l.batch = l.batch[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
	return err
}

func (l *Log) append() error {
	if err := l.open(l.opt.Now().UTC().Format(time.DateOnly)); err != nil {
		return fmt.Errorf("log lookups: %w", err)
	}
	l.buffer = appendBlock(l.buffer[:0], l.batch)
	n, err := l.file.WriteAt(l.buffer, l.size)
	if err != nil {
		l.file.Truncate(l.size) // of half a block nothing could be read
		return fmt.Errorf("log lookups: %w", err)
	}
	l.size += int64(n)
	l.written += n
	return l.sync(false)
}

// sync makes what was written durable, every few seconds or if now.
func (l *Log) sync(now bool) error {
	if l.written == 0 || !now && l.opt.Now().Sub(l.synced) < syncEvery {
		return nil
	}
	l.written, l.synced = 0, l.opt.Now()
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("log lookups: %w", err)
	}
	return nil
}

// open has the file of a day open. A new day's begins with a look for files that
// are too old.
func (l *Log) open(day string) error {
	if l.file != nil && l.day == day {
		return nil
	}
	l.close()
	f, err := os.OpenFile(filepath.Join(l.opt.Dir, day+suffix), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	// What a crash left of a block stays where it is: readers pass over it.
	l.file, l.day, l.size, l.written = f, day, info.Size(), 0
	return l.removeOld()
}

func (l *Log) removeOld() error {
	oldest := l.opt.Now().UTC().AddDate(0, 0, 1-l.opt.Days).Format(time.DateOnly)
	days, err := days(l.opt.Dir)
	for _, day := range days {
		if day < oldest {
			if e := os.Remove(filepath.Join(l.opt.Dir, day+suffix)); !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}
	return err
}

func (l *Log) close() {
	if l.file != nil {
		l.sync(true)
		l.file.Close()
		l.file = nil
	}
}
