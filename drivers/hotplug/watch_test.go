package hotplug

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// follower follows a tree. Its source gives what the test says, and the test waits
// until that was acted on.
type follower struct {
	testing.TB
	ask, end chan struct{}
	give     chan said
	err      error // of Follow, after end

	told map[key]Node
	log  []string
}

type said struct {
	event Event
	err   error
}

func follow(t testing.TB, ctx context.Context, tr *tree) *follower {
	f := &follower{TB: t, ask: make(chan struct{}), end: make(chan struct{}), give: make(chan said), told: map[key]Node{}}
	go func() {
		defer close(f.end)
		f.err = Follow(ctx, tr.root, f, f.change)
	}()
	f.settle()
	return f
}

// Next is of the source.
func (f *follower) Next(ctx context.Context) (Event, error) {
	select {
	case f.ask <- struct{}{}:
	case <-ctx.Done():
		return Event{}, ctx.Err()
	}
	s := <-f.give
	return s.event, s.err
}

// settle waits until all was acted on.
func (f *follower) settle() {
	select {
	case <-f.ask:
	case <-f.end:
	}
}

func (f *follower) say(events ...Event) {
	for _, e := range events {
		f.give <- said{event: e}
		f.settle()
	}
}

func (f *follower) fail(err error) {
	f.give <- said{err: err}
	f.settle()
}

// change notes what is told, and holds it against what was.
func (f *follower) change(c Change) {
	f.log = append(f.log, strings.TrimSpace(fmt.Sprintf("%s %s", c.Action, strings.TrimPrefix(c.Node.Path, "/dev/"))))
	if c.Action == Scanned {
		return
	}
	was, known := f.told[c.Node.key()]
	if known == (c.Action == Added) {
		f.Errorf("%s %s: known %t", c.Action, c.Node.Path, known)
	}
	if c.Action == Removed {
		if !reflect.DeepEqual(was, c.Node) {
			f.Errorf("removed %+v, was %+v", c.Node, was)
		}
		delete(f.told, c.Node.key())
		return
	}
	f.told[c.Node.key()] = c.Node
}

// expect holds what was told since the last time against lines with commas.
func (f *follower) expect(want string) {
	f.Helper()
	if got := strings.Join(f.log, ", "); got != want {
		f.Errorf("told %s\nwant %s", got, want)
	}
	f.log = nil
}

// agree holds what was told against what is there.
func (f *follower) agree(tr *tree) {
	f.Helper()
	there := map[key]Node{}
	for _, n := range tr.scan() {
		there[n.key()] = n
	}
	if !reflect.DeepEqual(f.told, there) {
		f.Errorf("told %v\nthere %v", maps.Keys(f.told), maps.Keys(there))
	}
}

func TestFollow(t *testing.T) {
	tr := newTree(t, scratch(t), bus, hub, acmAt(2, 0))
	f := follow(t, t.Context(), tr)
	f.expect("added ttyACM0, added bus/usb/001/010, scanned")

	f.say(tr.add(honeywell)...)
	// The interfaces were there when the first event came.
	f.expect("added bus/usb/001/003, added hidraw0, added hidraw1, added input/event5")
	f.say(tr.find(acmPath(2) + "/1-2:1.0/tty/ttyACM0").event("change"))
	f.expect("changed ttyACM0") // its permissions may be others
	f.say(Event{Action: "change", Subsystem: "net", DevPath: acmPath(2) + "/1-2:1.0/tty/ttyACM0"})
	f.say(Event{Action: "add", Subsystem: "tty", DevPath: "/devices/virtual/tty/tty7"})
	f.say(Event{Action: "bind", Subsystem: "usb", DevPath: acmPath(2)})
	f.expect("")
	f.say(tr.remove(pci + "/usb1/1-1")...)
	f.expect("removed input/event5, removed hidraw1, removed bus/usb/001/003, removed hidraw0")
	f.agree(tr)
}

// A driver takes an interface of a USB device, or lets it go.
func TestFollowBind(t *testing.T) {
	tr := newTree(t, scratch(t), bus, acmAt(2, 0))
	f := follow(t, t.Context(), tr)
	f.log = nil
	iface := tr.find(acmPath(2) + "/1-2:1.2")
	tr.bind(iface, "usbfs")
	f.say(iface.event("bind"))
	f.expect("changed bus/usb/001/010")
	if got := f.told[key{USB, "1-2"}].Free; len(got) != 0 {
		t.Errorf("free: %v", got)
	}
	f.say(iface.event("add")) // an old one
	f.expect("")
	tr.bind(iface, "")
	tr.bind(tr.find(acmPath(2)+"/1-2:1.1"), "")
	f.say(iface.event("unbind"))
	f.expect("changed bus/usb/001/010")
	if got := f.told[key{USB, "1-2"}].Free; !slices.Equal(got, []int{1, 2}) {
		t.Errorf("free: %v", got)
	}
}

// Events that tell what the scan has seen already, and of a device that has left
// and come back since, take nothing away.
func TestFollowLateEvents(t *testing.T) {
	tr := newTree(t, scratch(t), bus, acmAt(2, 0))
	events := tr.remove(acmPath(2))
	again := tr.add(acmAt(2, 0))
	f := follow(t, t.Context(), tr)
	f.expect("added ttyACM0, added bus/usb/001/010, scanned")
	f.say(events...)
	f.expect("")
	f.say(again...) // now its node has its permissions
	f.expect("changed bus/usb/001/010, changed ttyACM0")
	f.agree(tr)
}

// A device that comes back as another, while the events of both are still to be
// read, is another. It is told when its own event comes, not before.
func TestFollowExchange(t *testing.T) {
	tr := newTree(t, scratch(t), bus, acmAt(2, 0))
	f := follow(t, t.Context(), tr)
	f.log = nil
	gone := tr.remove(acmPath(2))
	came := tr.add(strings.Replace(acmAt(2, 0), "serial: 0000000000", "serial: NEW1", 1))
	f.say(gone...)
	f.expect("removed bus/usb/001/010, removed ttyACM0")
	f.say(came...)
	f.expect("added bus/usb/001/010, added ttyACM0")
	if got := f.told[key{TTY, "ttyACM0"}].Serial; got != "NEW1" {
		t.Errorf("got %q", got)
	}
	// The same, if the removal itself was never told.
	tr.remove(acmPath(2))
	came = tr.add(acmAt(2, 0))
	f.say(came...)
	f.expect("removed bus/usb/001/010, added bus/usb/001/010, removed ttyACM0, added ttyACM0")
	// And of one that left without a word, an event of its parent's interfaces.
	tr.remove(acmPath(2))
	f.say(Event{Action: "change", Subsystem: "tty", DevPath: acmPath(2) + "/1-2:1.0/tty/ttyACM0"}, Event{Action: "unbind", Subsystem: "usb", DevPath: acmPath(2) + "/1-2:1.2"})
	f.expect("removed ttyACM0, removed bus/usb/001/010")
	f.agree(tr)
}

// When a Bluetooth link drops the kernel moves the HID device away from it before
// it removes it, and says nothing of what is below.
func TestFollowMove(t *testing.T) {
	tr := newTree(t, scratch(t), bus, adapter, cordless, lowEnergy)
	f := follow(t, t.Context(), tr)
	f.log = nil
	const from = pci + "/usb1/1-8/1-8:1.0/bluetooth/hci0/hci0:256/0005:0C2E:0A01.0003"
	f.say(tr.move(from, "/devices/0005:0C2E:0A01.0003"))
	f.expect("changed hidraw7")
	if n := f.told[key{HIDRaw, "hidraw7"}]; n.SysPath != "/devices/0005:0C2E:0A01.0003/hidraw/hidraw7" || n.Serial != "aa:bb:cc:dd:ee:ff" {
		t.Errorf("%+v", n)
	}
	f.agree(tr)
	f.say(tr.remove("/devices/0005:0C2E:0A01.0003")...)
	f.expect("removed hidraw7")
	// A node that is renamed is another.
	e := tr.move("/devices/virtual/misc/uhid/0005:05E0:0A02.0005/hidraw/hidraw8", "/devices/virtual/misc/uhid/0005:05E0:0A02.0005/hidraw/hidraw3")
	f.say(e)
	f.expect("removed hidraw8, added hidraw8") // its uevent has the old node's name: the test does not write it anew
	f.agree(tr)
}

func TestFollowLoss(t *testing.T) {
	tr := newTree(t, scratch(t), bus, acmAt(2, 0), acmAt(3, 1))
	f := follow(t, t.Context(), tr)
	f.log = nil
	tr.remove(acmPath(2))
	tr.remove(acmPath(3))
	tr.add(acmAt(3, 1)) // another of the same name
	tr.add(ftdi)
	f.fail(fmt.Errorf("wrapped: %w", ErrLost))
	// What has gone comes first: a device that moved is never there twice.
	removed, rest := f.log[:4], f.log[4:]
	slices.Sort(removed)
	f.log = append(removed, rest...)
	f.expect("removed bus/usb/001/010, removed bus/usb/001/011, removed ttyACM0, removed ttyACM1, " +
		"added ttyACM1, added ttyUSB0, added bus/usb/001/011, added bus/usb/001/009")
	f.fail(ErrLost) // an event of permissions may be among what was lost
	f.expect("changed ttyACM1, changed ttyUSB0, changed bus/usb/001/011, changed bus/usb/001/009")
	f.agree(tr)
}

func TestFollowErrors(t *testing.T) {
	if err := Follow(t.Context(), t.TempDir()+"/none", nil, func(Change) { t.Error("told") }); err == nil {
		t.Error("without sysfs")
	}
	tr := newTree(t, scratch(t), bus, acmAt(2, 0))
	broken := errors.New("broken")
	f := follow(t, t.Context(), tr)
	if f.fail(broken); !errors.Is(f.err, broken) {
		t.Errorf("got %v", f.err)
	}
	f = follow(t, t.Context(), tr)
	tr.must(os.RemoveAll(tr.root))
	if f.fail(ErrLost); f.err == nil {
		t.Error("sysfs is gone")
	}
	ctx, cancel := context.WithCancel(t.Context())
	f = follow(t, ctx, newTree(t, scratch(t), bus))
	cancel()
	if f.fail(broken); f.err != nil {
		t.Errorf("ended: %v", f.err)
	}
}

// A process without file descriptors does not take a device for unplugged.
func TestFollowWithoutDescriptors(t *testing.T) {
	tr := newTree(t, scratch(t), bus, acmAt(2, 0))
	for _, action := range []string{"change", "remove"} {
		f := follow(t, t.Context(), tr)
		f.log = nil
		var was unix.Rlimit
		tr.must(unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
		tr.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: was.Max}))
		f.say(tr.find(acmPath(2) + "/1-2:1.0/tty/ttyACM0").event(action))
		tr.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
		f.expect("")
		if !errors.Is(f.err, syscall.EMFILE) {
			t.Errorf("%s: %v", action, f.err)
		}
	}
}

func TestWatchWithoutNetlink(t *testing.T) {
	tr := newTree(t, scratch(t), bus, acmAt(2, 0))
	none := errors.New("no netlink")
	var told []Action
	err := watch(t.Context(), tr.root, func() (*Socket, error) { return nil, none }, func(c Change) { told = append(told, c.Action) })
	if !errors.Is(err, none) || !slices.Equal(told, []Action{Added, Added, Scanned}) {
		t.Errorf("told %v, %v", told, err)
	}
	if err := watch(t.Context(), tr.root+"/none", func() (*Socket, error) { return nil, none }, nil); !errors.Is(err, none) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without sysfs: %v", err)
	}
}

// The whole, by netlink: what udevd says of a sysfs of the test's own.
func TestWatch(t *testing.T) {
	from := newSender(t)
	tr := newTree(t, scratch(t), bus, acmAt(2, 0))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var log []string
	err := Watch(ctx, tr.root, func(c Change) {
		log = append(log, string(c.Action)+" "+c.Node.Kernel)
		switch {
		case c.Action == Scanned:
			for _, e := range append(tr.remove(acmPath(2)), tr.add(ftdi)...) {
				from.send(0, &unix.SockaddrNetlink{Groups: groupUdev}, udevMessage("ACTION="+e.Action, "DEVPATH="+e.DevPath, "SUBSYSTEM="+e.Subsystem))
			}
		case c.Node.Kernel == "ttyUSB0":
			cancel()
		}
	})
	if got, want := strings.Join(log, ", "), "added ttyACM0, added 1-2, scanned , removed 1-2, removed ttyACM0, added 1-4, added ttyUSB0"; got != want || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}
