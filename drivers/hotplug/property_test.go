package hotplug

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

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
