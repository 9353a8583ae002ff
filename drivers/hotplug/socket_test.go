package hotplug

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socket listens. What the machine's own devices send meanwhile is passed over by
// the tests.
func socket(t *testing.T, size int, udev func() bool) *Socket {
	t.Helper()
	s, err := listen(size, udev)
	if err != nil {
		t.Skipf("SKIPPED: no uevents here: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func never() bool  { return false }
func always() bool { return true }

// sender sends messages as udevd does.
type sender struct {
	*testing.T
	fd int
}

func newSender(t *testing.T) sender {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Skipf("SKIPPED: no uevents here: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return sender{t, fd}
}

// send sends as a user to a group, or to one socket.
func (s sender) send(uid uint32, to *unix.SockaddrNetlink, message []byte) {
	s.Helper()
	to.Family = unix.AF_NETLINK
	credentials := unix.UnixCredentials(&unix.Ucred{Pid: int32(os.Getpid()), Uid: uid})
	switch err := unix.Sendmsg(s.fd, message, credentials, to, 0); {
	case errors.Is(err, unix.EPERM):
		s.Skip("SKIPPED: only root may send uevents")
	case err != nil && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOBUFS):
		s.Fatal(err)
	}
}

// tell sends an event of a tty as udevd.
func (s sender) tell(name string) {
	s.Helper()
	s.send(0, &unix.SockaddrNetlink{Groups: groupUdev}, udevEvent(name))
}

const nowhere = "/devices/posd-test/tty/"

func udevEvent(name string) []byte {
	return udevMessage("ACTION=change", "DEVPATH="+nowhere+name, "SUBSYSTEM=tty")
}

// patience is how long a test waits for what should come at once.
const patience = time.Minute

// next gives the next event that want takes.
func next(t *testing.T, s *Socket, want func(Event) bool) (Event, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e, err := s.Next(ctx)
		if err != nil || want(e) {
			return e, err
		}
	}
}

// ours takes the events of the test.
func ours(e Event) bool { return strings.HasPrefix(e.DevPath, nowhere) }

func expect(t *testing.T, s *Socket, name string) {
	t.Helper()
	if e, err := next(t, s, ours); err != nil || e.kernel() != name {
		t.Fatalf("got %+v, %v", e, err)
	}
}

func TestSocketTrustsRootAlone(t *testing.T) {
	s, from := socket(t, receiveBuffer, never), newSender(t)
	var pid uint32
	if err := s.raw.Control(func(fd uintptr) {
		if me, err := unix.Getsockname(int(fd)); err == nil {
			pid = me.(*unix.SockaddrNetlink).Pid
		}
	}); err != nil || pid == 0 {
		t.Fatal(pid, err)
	}
	from.send(65534, &unix.SockaddrNetlink{Groups: groupUdev}, udevEvent("of-nobody"))
	from.send(0, &unix.SockaddrNetlink{Pid: pid}, udevEvent("to-this-socket"))
	from.send(0, &unix.SockaddrNetlink{Groups: groupKernel}, []byte("add@"+nowhere+"x\x00ACTION=add\x00DEVPATH="+nowhere+"x\x00SUBSYSTEM=tty\x00"))
	from.send(0, &unix.SockaddrNetlink{Groups: groupUdev}, []byte("hello, I am udevd and this is more than 24 bytes"))
	from.send(0, &unix.SockaddrNetlink{Groups: groupUdev}, udevMessage("ACTION=add", "DEVPATH="+nowhere+"net", "SUBSYSTEM=net"))
	from.send(0, &unix.SockaddrNetlink{Groups: groupUdev}, udevMessage("ACTION=move", "DEVPATH="+nowhere+"hid", "SUBSYSTEM=hid", "DEVPATH_OLD=/devices/x"))
	expect(t, s, "hid") // what is below it may be a node
	from.tell("good")
	expect(t, s, "good")
	if c := s.Counts(); c.Untrusted < 3 || c.Malformed < 1 || c.Lost != 0 {
		t.Errorf("%+v", c)
	}
}

func TestTrusted(t *testing.T) {
	credentials := func(pid int32, uid uint32) []byte {
		return unix.UnixCredentials(&unix.Ucred{Pid: pid, Uid: uid})
	}
	for _, c := range []struct {
		from    unix.Sockaddr
		control []byte
		want    uint32
	}{
		{&unix.SockaddrNetlink{Pid: 7, Groups: groupUdev}, credentials(7, 0), groupUdev},
		{&unix.SockaddrNetlink{Groups: groupKernel}, credentials(0, 0), groupKernel},
		{&unix.SockaddrNetlink{Pid: 7, Groups: groupUdev}, credentials(7, 1000), 0},
		{&unix.SockaddrNetlink{Pid: 7, Groups: groupUdev}, nil, 0},
		{&unix.SockaddrNetlink{Pid: 7, Groups: groupUdev}, unix.UnixRights(0), 0},
		{&unix.SockaddrNetlink{Pid: 7, Groups: groupUdev}, []byte{1, 2, 3}, 0},
		{&unix.SockaddrNetlink{Pid: 7}, credentials(7, 0), 0},
		{&unix.SockaddrNetlink{Pid: 7, Groups: groupKernel}, credentials(7, 0), 0},
		{&unix.SockaddrNetlink{Groups: groupKernel}, credentials(7, 0), 0},
		{&unix.SockaddrNetlink{Pid: 7, Groups: groupKernel | groupUdev}, credentials(7, 0), 0},
		{&unix.SockaddrUnix{}, credentials(7, 0), 0},
		{nil, credentials(7, 0), 0},
	} {
		if group, ok := trusted(c.from, c.control); ok != (c.want != 0) || ok && group != c.want {
			t.Errorf("%+v: %d, %t", c.from, group, ok)
		}
	}
}

// provoke makes the kernel tell of a tty that is there, and gives the event.
func provoke(t *testing.T) Event {
	t.Helper()
	all, _ := filepath.Glob("/sys/class/tty/*/uevent")
	for _, file := range all {
		if os.WriteFile(file, []byte("change"), 0) == nil {
			real, err := filepath.EvalSymlinks(filepath.Dir(file))
			if err != nil {
				t.Fatal(err)
			}
			return Event{Action: "change", Subsystem: "tty", DevPath: strings.TrimPrefix(real, "/sys")}
		}
	}
	t.Skip("SKIPPED: only root can make the kernel tell of a device")
	return Event{}
}

// The kernel is listened to as long as there is no udevd, whenever that comes or
// goes.
func TestSocketKernelUnlessUdev(t *testing.T) {
	var udev atomic.Bool
	s, from := socket(t, receiveBuffer, udev.Load), newSender(t)
	want := provoke(t)
	either := func(e Event) bool { return ours(e) || e == want }
	if got, err := next(t, s, either); err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	udev.Store(true)
	provoke(t)
	from.tell("udevd")
	if !UdevRuns() { // else it tells the same
		if got, err := next(t, s, either); err != nil || got.kernel() != "udevd" {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	udev.Store(false)
	provoke(t)
	if got, err := next(t, s, func(e Event) bool { return e == want }); err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// After a loss the socket hears again at once, also of what comes before anything
// else is read.
func TestSocketOverflow(t *testing.T) {
	s, from := socket(t, 1, never), newSender(t)
	for range 3 {
		for range 1000 {
			from.tell("flood")
		}
		if e, err := next(t, s, noEvent); !errors.Is(err, ErrLost) {
			t.Fatalf("got %+v, %v", e, err)
		}
		from.tell("after")
		expect(t, s, "after")
	}
	if got := s.Counts().Lost; got != 3 {
		t.Errorf("lost %d times", got)
	}
}

func noEvent(Event) bool { return false }

func TestSocketLongMessage(t *testing.T) {
	s, from := socket(t, receiveBuffer, never), newSender(t)
	from.send(0, &unix.SockaddrNetlink{Groups: groupUdev}, udevMessage("ACTION=add", "DEVPATH="+nowhere+"long", "SUBSYSTEM=tty", strings.Repeat("X", maxMessage)))
	if e, err := next(t, s, noEvent); !errors.Is(err, ErrLost) {
		t.Fatalf("got %+v, %v", e, err)
	}
	from.tell("after")
	expect(t, s, "after")
}

func TestSocketContext(t *testing.T) {
	s := socket(t, receiveBuffer, always)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := untilEnd(ctx, s)
			ended <- err
		}()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	from := newSender(t)
	from.tell("later")
	expect(t, s, "later") // the socket is good for another ctx
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Next(t.Context()); err == nil || errors.Is(err, ErrLost) {
		t.Errorf("after Close: %v", err)
	}
}

// untilEnd waits until ctx ends.
func untilEnd(ctx context.Context, s *Socket) (Event, error) {
	for {
		if e, err := s.Next(ctx); err != nil {
			return e, err
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return len(open)
}

// settle waits until there are no more goroutines than before.
func settle(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
		}
	}
}

func TestWatchLeaksNothing(t *testing.T) {
	socket(t, receiveBuffer, always).Close() // what Go opens once is open now
	sysfs := lane(t).root
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		err := Watch(ctx, sysfs, func(c Change) {
			if c.Action == Scanned {
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	settle(t, goroutines)
	if got := descriptors(t); got != files {
		t.Errorf("%d files are open, %d were", got, files)
	}
}

func TestOverflowLeaksNothing(t *testing.T) {
	s, from := socket(t, 1, never), newSender(t)
	files := descriptors(t)
	for range 20 {
		for range 1000 {
			from.tell("flood")
		}
		if _, err := next(t, s, noEvent); !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
	}
	if got := descriptors(t); got != files {
		t.Errorf("%d files are open, %d were", got, files)
	}
}
