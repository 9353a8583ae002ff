package hotplug

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
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

// world is the tree of a property, and what the kernel said of it that was not
// delivered yet.
type world struct {
	*tree
	pending []said
	plugged map[int]bool // by port
	numbers map[int]int
	next    int
	linked  string // where the Bluetooth scanner is
}

const btHome = pci + "/usb1/1-8/1-8:1.0/bluetooth/hci0/hci0:256"

func newWorld(t testing.TB, dir string) *world {
	return &world{tree: newTree(t, dir, bus, adapter), plugged: map[int]bool{}, numbers: map[int]int{}}
}

func (w *world) say(events ...Event) {
	for _, e := range events {
		w.pending = append(w.pending, said{event: e})
	}
}

// plug plugs a scanner in or out. Numbers of ttys come again, as the kernel's.
func (w *world) plug(port int) {
	if w.plugged[port] {
		w.say(w.remove(acmPath(port))...)
		delete(w.numbers, port)
	} else {
		n := 0
		for slices.Contains(slices.Collect(maps.Values(w.numbers)), n) {
			n++
		}
		w.numbers[port] = n
		w.say(w.add(acmAt(port, n))...)
	}
	w.plugged[port] = !w.plugged[port]
}

// link makes, moves and removes the Bluetooth scanner, in that order.
func (w *world) link() {
	const name = "/0005:0C2E:0A01.0003"
	switch w.linked {
	case "":
		w.linked = btHome
		w.say(w.add(cordless)...)
	case btHome:
		w.linked = "/devices" + name
		w.say(w.move(btHome+name, w.linked))
	default:
		w.say(w.remove(w.linked)...)
		w.say(w.remove(btHome)...)
		w.linked = ""
	}
}

// drive binds a driver to an interface, or unbinds it.
func (w *world) drive(port int) {
	if !w.plugged[port] {
		return
	}
	iface := w.find(fmt.Sprintf("%s/1-%d:1.2", acmPath(port), port))
	if iface.driver == "" {
		w.bind(iface, "usbfs")
		w.say(iface.event("bind"))
	} else {
		w.bind(iface, "")
		w.say(iface.event("unbind"))
	}
}

// expected is what must be told in the end, told from what was done.
func (w *world) expected() []string {
	nodes := []string{"1-8"}
	for port, n := range w.numbers {
		nodes = append(nodes, fmt.Sprintf("1-%d", port), fmt.Sprintf("ttyACM%d", n))
	}
	if w.linked != "" {
		nodes = append(nodes, "hidraw7")
	}
	slices.Sort(nodes)
	return nodes
}

// Whatever is plugged in and out, however late its events are, and whichever are
// lost: when all was said, what was told is what is there.
func TestFollowProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := inMemory(t)
		defer os.RemoveAll(dir)
		w := newWorld(t, dir)
		port := rapid.IntRange(1, 3)
		step := func() {
			switch rapid.SampledFrom([]string{"plug", "plug", "plug", "link", "drive", "replug"}).Draw(rt, "step") {
			case "plug":
				w.plug(port.Draw(rt, "port"))
			case "replug":
				p := port.Draw(rt, "port")
				w.plug(p)
				w.plug(p)
			case "link":
				w.link()
			case "drive":
				w.drive(port.Draw(rt, "port"))
			}
		}
		for range rapid.IntRange(0, 5).Draw(rt, "before listening") {
			step()
		}
		w.pending = nil
		for range rapid.IntRange(0, 5).Draw(rt, "before the scan") {
			step()
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		f := follow(t, ctx, w.tree)
		for range rapid.IntRange(0, 20).Draw(rt, "after") {
			step()
			if rapid.IntRange(0, 5).Draw(rt, "lose") == 0 {
				w.pending = []said{{err: ErrLost}}
			}
			for range rapid.IntRange(0, 8).Draw(rt, "deliver") {
				f.deliver(w)
			}
		}
		for len(w.pending) > 0 {
			f.deliver(w)
		}
		f.agree(w.tree)
		var told []string
		for k := range f.told {
			told = append(told, k.kernel)
		}
		slices.Sort(told)
		if want := w.expected(); !slices.Equal(told, want) || t.Failed() {
			rt.Fatalf("told %v\nwant %v\nlog %v", told, want, f.log)
		}
	})
}

func (f *follower) deliver(w *world) {
	if len(w.pending) == 0 {
		return
	}
	f.give <- w.pending[0]
	w.pending = w.pending[1:]
	f.settle()
}

// queue is a source that never makes the kernel wait.
type queue struct {
	mu      sync.Mutex
	pending []Event
	came    chan struct{}
	idle    chan struct{}
}

func (q *queue) push(events ...Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, events...)
	select {
	case q.came <- struct{}{}:
	default:
	}
}

func (q *queue) pop() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		return Event{}, false
	}
	e := q.pending[0]
	q.pending = q.pending[1:]
	return e, true
}

func (q *queue) Next(ctx context.Context) (Event, error) {
	for {
		if e, ok := q.pop(); ok {
			return e, nil
		}
		select {
		case <-q.came:
		case q.idle <- struct{}{}:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// While devices come and go, what looks at them sees them half made and half gone.
func TestFollowWhileItChanges(t *testing.T) {
	w := newWorld(t, scratch(t))
	q := &queue{came: make(chan struct{}, 1), idle: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{TB: t, told: map[key]Node{}}
	ended := make(chan error)
	go func() { ended <- Follow(ctx, w.root, q, f.change) }()
	for i := range 300 {
		w.plug(1 + i*i%3)
		for _, s := range w.pending {
			q.push(s.event)
		}
		w.pending = nil
	}
	for range 2 { // idle can be said before the last push is seen
		<-q.idle
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	f.agree(w.tree)
	if len(f.log) < 100 {
		t.Errorf("only %d changes were told", len(f.log))
	}
}

// A path that is too long for a link, a link to itself: sysfs has none, and they do
// no harm.
func TestScanOddLinks(t *testing.T) {
	tr := lane(t)
	all := len(tr.scan())
	for i, to := range []string{"hidraw50", "../../../../../../../../etc", "/etc", "../../devices", "../../class/hidraw/hidraw0"} {
		tr.must(os.Symlink(to, tr.at("class/hidraw", fmt.Sprintf("hidraw5%d", i))))
	}
	tr.must(os.WriteFile(tr.at("class/hidraw/version"), nil, 0o600))
	if got := tr.scan(); len(got) != all {
		t.Errorf("got %d nodes of %d: %s", len(got), all, path.Base(filepath.Dir(tr.root)))
	}
}
