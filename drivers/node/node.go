// Package node opens device nodes and reads them in the way that every
// transport needs: without blocking a thread, with a deadline, to be woken by
// another goroutine, and locked against a second reader.
package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Node is an open device node. One goroutine reads it; Wake and Send may be
// called by others, also after Close.
type Node struct {
	path string // as the configuration gives it
	file *os.File
}

// Open opens and locks the node at path, which may be a link. The second value
// is the node itself.
func Open(path string) (*Node, string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, "", Fail(path, err)
	}
	// O_NONBLOCK gives the descriptor to Go's poller: deadlines work, and Close
	// cannot race with a read. It is also what keeps open from waiting for a
	// modem's carrier.
	file, err := os.OpenFile(real, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", Fail(path, err)
	}
	n := &Node{path, file}
	if err := n.lock(); err != nil {
		n.Close()
		return nil, "", err
	}
	return n, real, nil
}

// lock keeps a second program out, also one that runs as root, which TIOCEXCL
// does not.
func (n *Node) lock() error {
	info, err := n.file.Stat()
	if err != nil {
		return Fail(n.path, err)
	}
	if info.Mode().IsRegular() {
		return &Error{Failed, n.path + " is no device", "name a device node as port in the configuration"}
	}
	err = n.Control(func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return claimed(n.path)
	}
	if err != nil {
		return Fail(n.path, fmt.Errorf("lock: %v", err))
	}
	return nil
}

// Control runs f on the file descriptor, which is open until f returns.
func (n *Node) Control(f func(fd int) error) error {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// SetDeadline sets until when the next Read waits. It undoes a Wake: look for
// a reason to stop between it and Read.
func (n *Node) SetDeadline(t time.Time) error { return n.file.SetReadDeadline(t) }

// Wake makes a Read return as if its deadline had come.
func (n *Node) Wake() { _ = n.file.SetReadDeadline(time.Unix(1, 0)) }

// Read reads what is there, waiting for something until the deadline. It gives
// 0 and no error when the deadline has come, and an *Error when the device has
// gone.
func (n *Node) Read(p []byte) (int, error) {
	got, err := n.file.Read(p)
	switch {
	case err == nil:
		return got, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil
	case errors.Is(err, os.ErrClosed):
		return 0, err
	}
	// At the end of a tty or hidraw node the kernel gives 0 bytes, EIO, ENXIO or
	// ENODEV, as the driver behind it likes.
	return 0, Unplugged(n.path)
}

// Send writes p at once or not at all: it never waits for a line that takes
// nothing. A HID device that hangs can hold it up for 5 s, which is how long the
// kernel waits for it.
func (n *Node) Send(p []byte) error {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	var sent int
	var inner error
	if err := raw.Write(func(fd uintptr) bool {
		sent, inner = unix.Write(int(fd), p)
		return true
	}); err != nil {
		return err
	}
	if inner == nil && sent < len(p) {
		inner = syscall.EAGAIN
	}
	return inner
}

// Close releases the node. A Read that waits returns.
func (n *Node) Close() error { return n.file.Close() }
