package hotplug

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLost says that events were lost, because more came than were read. What is
// there has to be looked at anew.
var ErrLost = errors.New("events of devices were lost")

// Source gives the events of devices, one after another.
type Source interface {
	// Next waits for an event until ctx ends. The error is ErrLost if some were
	// lost before it; any other is final.
	Next(ctx context.Context) (Event, error)
}

// Counts says what was not told as an event.
type Counts struct {
	Lost      uint64 // times that events were lost
	Untrusted uint64 // messages that neither the kernel nor root sent
	Malformed uint64
}

// Socket is a source: the kernel's uevents, by netlink. It listens to the kernel
// and to udevd at once, and passes over the kernel's events while there is a udevd,
// because that tells the same after its rules: then a node has its owner, mode and
// links. When udevd comes or goes, nothing has to be done. What it was still to
// tell when it was killed is not told before it runs again.
type Socket struct {
	file *os.File
	raw  syscall.RawConn
	// Of one message. Those of the kernel have 2 KiB at most, those of udevd 8 KiB:
	// more than that its own library does not take.
	buf, control []byte

	size int         // receive buffer to ask for
	udev func() bool // UdevRuns

	lost, untrusted, malformed atomic.Uint64
}

// The groups that messages are sent to.
const (
	groupKernel = 1
	groupUdev   = 2
)

const (
	maxMessage = 16 << 10
	// receiveBuffer is for some thousand events. Beyond net.core.rmem_max
	// (208 KiB) only root gets so much; others lose events sooner and scan again.
	receiveBuffer = 4 << 20
)

// Listen begins to listen. Any user may.
func Listen() (*Socket, error) { return listen(receiveBuffer, UdevRuns) }

func listen(size int, udev func() bool) (*Socket, error) {
	s := &Socket{buf: make([]byte, maxMessage), control: make([]byte, 2*unix.CmsgSpace(unix.SizeofUcred)), size: size, udev: udev}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("listen to device events: %w", err)
	}
	return s, nil
}

func (s *Socket) open() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "uevents")
	if err := s.prepare(fd); err != nil {
		file.Close()
		return err
	}
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // fails if Go cannot wait for it
	}
	if err != nil {
		file.Close()
		return fmt.Errorf("wait for netlink socket: %w", err)
	}
	s.file, s.raw = file, raw
	return nil
}

func (s *Socket) prepare(fd int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, s.size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, s.size) // as much as may be
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("ask for the senders of messages: %w", err)
	}
	err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupKernel | groupUdev})
	if err != nil {
		return fmt.Errorf("join uevent groups: %w", err)
	}
	return nil
}

// Close releases the socket. It is for the goroutine that calls Next.
func (s *Socket) Close() error { return s.file.Close() }

// Counts says what was not told so far. Any goroutine may call it.
func (s *Socket) Counts() Counts {
	return Counts{s.lost.Load(), s.untrusted.Load(), s.malformed.Load()}
}

// Next gives the next event that may be of a node. One goroutine calls it.
func (s *Socket) Next(ctx context.Context) (Event, error) {
	stop := context.AfterFunc(ctx, s.wake(s.file))
	defer stop()
	for {
		m, err := s.receive()
		switch {
		case ctx.Err() != nil:
			return Event{}, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded): // of an earlier ctx
			err = s.file.SetReadDeadline(time.Time{})
		case errors.Is(err, ErrLost):
			return Event{}, s.renew()
		case err == nil:
			if e, ok := s.event(m); ok {
				return e, nil
			}
		}
		if err != nil {
			return Event{}, fmt.Errorf("listen to device events: %w", err)
		}
	}
}

func (s *Socket) wake(file *os.File) func() {
	return func() { _ = file.SetReadDeadline(time.Unix(1, 0)) }
}

// renew takes a new socket after a loss. On the old one the kernel would go on
// to drop events, without a word, until the last of those that wait was read
// (NETLINK_S_CONGESTED of af_netlink.c); and what they say is old.
func (s *Socket) renew() error {
	s.lost.Add(1)
	s.file.Close()
	if err := s.open(); err != nil {
		return fmt.Errorf("listen to device events again: %w", err)
	}
	return ErrLost
}

// message is what was received, and from whom.
type message struct {
	data, control []byte
	from          unix.Sockaddr
}

// receive waits for a message. It gives ErrLost if some were dropped, or this one
// was cut off.
func (s *Socket) receive() (message, error) {
	var n, controls, flags int
	var from unix.Sockaddr
	var err error
	waitErr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, controls, flags, from, err = unix.Recvmsg(int(fd), s.buf, s.control, 0)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	switch {
	case waitErr != nil:
		return message{}, s.waitError(waitErr)
	case errors.Is(err, unix.ENOBUFS), err == nil && flags&unix.MSG_TRUNC != 0:
		return message{}, ErrLost
	case err != nil:
		return message{}, err
	}
	return message{s.buf[:n], s.control[:controls], from}, nil
}

// waitError tells why a socket could not be waited for. If it is neither waking up
// nor Close, it is that the kernel reports a loss and nothing else: Go's poller
// does not read from what has an error only.
func (s *Socket) waitError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || s.raw.Control(func(uintptr) {}) != nil {
		return err
	}
	return ErrLost
}

// event makes an event of a message, or counts why not.
func (s *Socket) event(m message) (Event, bool) {
	group, ok := trusted(m.from, m.control)
	if !ok {
		s.untrusted.Add(1)
		return Event{}, false
	}
	parse := parseKernel
	if group == groupUdev {
		parse = parseUdev
	}
	e, err := parse(m.data)
	if err != nil {
		s.malformed.Add(1)
		return Event{}, false
	}
	return e, e.matters() && (group == groupUdev || !s.udev())
}

// trusted gives the group that a message was sent to, if it was the kernel that
// sent it to its group, or root to udevd's. Any process of root could be udevd;
// what is sent to this socket alone is of neither.
func trusted(from unix.Sockaddr, control []byte) (group uint32, ok bool) {
	sender, ok := from.(*unix.SockaddrNetlink)
	messages, err := unix.ParseSocketControlMessage(control)
	if !ok || err != nil || len(messages) == 0 {
		return 0, false
	}
	who, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil || who.Uid != 0 {
		return 0, false
	}
	switch sender.Groups {
	case groupKernel:
		return groupKernel, sender.Pid == 0 && who.Pid == 0
	case groupUdev:
		return groupUdev, true
	}
	return 0, false
}
