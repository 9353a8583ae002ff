package sim

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// wire is a serial line: a pty whose slave is linked at a path that stays.
type wire struct {
	link     string
	byteTime time.Duration // how long a byte takes on the line; 0: none

	mu       sync.Mutex
	master   *os.File // nil while unplugged
	slave    *os.File // kept open, so that what is sent waits for a reader
	gone     chan struct{}
	received []byte // from the daemon
	helpers  sync.WaitGroup
}

// maxReceived is how much is kept of what the daemon sent.
const maxReceived = 4096

// plug makes the pty, and the link to it.
func (w *wire) plug() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.master != nil {
		return fmt.Errorf("it is plugged in already")
	}
	master, slave, err := pty.Open()
	if err != nil {
		return fmt.Errorf("open pty: %w", err)
	}
	pollable, err := own(master)
	if err == nil {
		err = raw(slave)
	}
	if err == nil {
		err = relink(slave.Name(), w.link)
	}
	if err != nil {
		slave.Close()
		if pollable != nil {
			pollable.Close()
		}
		return err
	}
	w.master, w.slave, w.gone = pollable, slave, make(chan struct{})
	w.helpers.Go(func() { w.receive(pollable) })
	w.helpers.Go(func() { w.share(slave, w.gone) })
	return nil
}

// shareEvery is how often share looks after the port.
const shareEvery = 100 * time.Millisecond

// share takes back TIOCEXCL, which a daemon sets. A serial port forgets it when
// the daemon is killed; this pty is kept open, and would refuse the next one.
func (w *wire) share(slave *os.File, gone <-chan struct{}) {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	for {
		select {
		case <-gone:
			return
		case <-tick.C:
			_ = unix.IoctlSetInt(int(slave.Fd()), unix.TIOCNXCL, 0)
		}
	}
}

// own gives a file for the same pty that Go's poller watches, and closes f.
func own(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open pty: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open pty: %w", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// raw keeps the pty from echoing and translating before the daemon sets it.
func raw(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("set pty: %w", err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t); err != nil {
		return fmt.Errorf("set pty: %w", err)
	}
	return nil
}

// relink points the link at the node in one step.
func relink(node, link string) error {
	if info, err := os.Lstat(link); err == nil && info.Mode().Type() != os.ModeSymlink {
		return fmt.Errorf("link pty: %s is there and is no link: name another folder", link)
	}
	next := link + ".new"
	_ = os.Remove(next)
	if err := os.Symlink(node, next); err != nil {
		return fmt.Errorf("link pty: %w", err)
	}
	if err := os.Rename(next, link); err != nil {
		return fmt.Errorf("link pty: %w", err)
	}
	return nil
}

// receive takes what the daemon sends, so that it can go on sending.
func (w *wire) receive(master *os.File) {
	buf := make([]byte, 256)
	for {
		n, err := master.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		w.received = append(w.received, buf[:n]...)
		w.received = w.received[max(0, len(w.received)-maxReceived):]
		w.mu.Unlock()
	}
}

// unplug takes the node and the link away, as soon as what was sent is read.
func (w *wire) unplug(ctx context.Context) error {
	w.drain(ctx)
	w.mu.Lock()
	if w.master == nil {
		w.mu.Unlock()
		return fmt.Errorf("it is not plugged in")
	}
	os.Remove(w.link)
	w.master.Close()
	close(w.gone)
	slave := w.slave
	w.master, w.slave = nil, nil
	w.mu.Unlock()
	w.helpers.Wait() // share uses the slave
	return slave.Close()
}

const (
	drainPoll = 2 * time.Millisecond
	drainSure = 5
	drainWait = 500 * time.Millisecond
	sendWait  = 5 * time.Second
	chunk     = 8 // bytes that a serial port's receiver hands over at once
)

// drain waits until the daemon has read what was sent, but not for long: there
// may be no daemon.
func (w *wire) drain(ctx context.Context) {
	empty := 0 // what was sent takes a moment to show as unread
	for end := time.Now().Add(drainWait); empty < drainSure && time.Now().Before(end); {
		if empty++; w.unread() > 0 {
			empty = 0
		}
		if !sleep(ctx, drainPoll) {
			return
		}
	}
}

func (w *wire) unread() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slave == nil {
		return 0
	}
	n, err := unix.IoctlGetInt(int(w.slave.Fd()), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// send writes bytes as fast as the line is, in the small chunks in which a
// receiver hands them over.
func (w *wire) send(ctx context.Context, b []byte) error {
	w.mu.Lock()
	master := w.master
	w.mu.Unlock()
	if master == nil {
		return fmt.Errorf("it is not plugged in")
	}
	for len(b) > 0 {
		n := len(b)
		if w.byteTime > 0 {
			n = min(n, chunk)
			if !sleep(ctx, time.Duration(n)*w.byteTime) {
				return ctx.Err()
			}
		}
		if err := master.SetWriteDeadline(time.Now().Add(sendWait)); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if _, err := master.Write(b[:n]); err != nil {
			return fmt.Errorf("send: nobody reads the line: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// sleep waits; false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
