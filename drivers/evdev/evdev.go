// Package evdev reads keyboards by the kernel's /dev/input/event nodes: scanners
// and card readers that play a keyboard, and keypads. A device is grabbed, so
// that nothing of it reaches a console, a desktop or another reader.
package evdev

import (
	"errors"
	"fmt"
	"time"

	"posd/drivers/keyboard"
	"posd/drivers/node"
	"posd/drivers/recording"
)

// Port is a grabbed input device. Its Read gives events in their binary form
// (recording.Events): of keys, each press and release with a SYN_REPORT behind
// it; SYN_DROPPED where the kernel lost events, which it does when 16 keys wait,
// pressed and let go; and the lights of Caps Lock and Num Lock.
//
// The port is the keyboard's host, so the locks are its own: Caps Lock is off
// and Num Lock on when it opens, whatever a session had, and their keys switch
// them, lights included. Events of lights tell the locks at first and where they
// are set right; what the device echoes of its lights is left out.
type Port struct {
	*node.Node
	kernel kernel
	stream stream
	raw    [burst * eventSize]byte
	store  [burst * recording.EventSize]byte
	queue  []byte    // of store: what Read has still to give
	shown  locks     // by the lights
	last   time.Time // when something came
}

const (
	burst = 64 // events in a read: as many as the kernel keeps of a keyboard

	// release is how long Open waits for a key to be let go: longer than the
	// Enter key is held that starts a program.
	release = 500 * time.Millisecond
	// quiet is longer than a scanner pauses within a label.
	quiet = 200 * time.Millisecond
)

// Open opens, locks and grabs an input device. It is not grabbed while one of
// its keys is down, since whoever saw it go down would never see it go up.
func Open(path string) (*Port, error) {
	n, _, err := node.Open(path)
	if err != nil {
		return nil, err
	}
	p, err := take(n, path, ioctls{n})
	if err != nil {
		n.Close()
		return nil, err
	}
	return p, nil
}

// take makes a port of an open node.
func take(n *node.Node, path string, k kernel) (*Port, error) {
	p := &Port{Node: n, kernel: k, stream: stream{time: timeSize, locks: home}, last: time.Now()}
	_ = k.mask() // kernels before 4.4 cannot: then fewer keys fit into the queue
	waited, err := p.grab(path)
	if err != nil {
		return nil, err
	}
	p.queue = p.store[:0]
	if waited { // it may have been in the middle of a label
		p.queue = dropped.Append(p.queue)
		p.stream.unsure = true
	}
	p.queue = home.append(p.queue)
	p.light(home)
	return p, nil
}

// grab grabs the device when no key is down, and reports whether it had to
// wait for that.
func (p *Port) grab(path string) (waited bool, err error) {
	if err := p.SetDeadline(time.Now().Add(release)); err != nil {
		return false, node.Fail(path, err)
	}
	for {
		free, err := p.grabbed()
		if free || err != nil {
			return waited, fail(path, err)
		}
		waited = true
		n, err := p.Node.Read(p.raw[:])
		clear(p.raw[:n])
		switch {
		case err != nil:
			return waited, err
		case n == 0:
			return waited, &node.Error{State: node.Failed, Reason: "a key of " + path + " is held down", Remedy: "let go of it; if none is held, unplug the device and plug it in again"}
		}
	}
}

// grabbed tries to grab the device. It looks once more behind that: a key may
// just have gone down.
func (p *Port) grabbed() (bool, error) {
	if down, err := p.kernel.keysDown(); down || err != nil {
		return false, err
	}
	if err := p.kernel.grab(true); err != nil {
		return false, err
	}
	down, err := p.kernel.keysDown()
	if down {
		err = p.kernel.grab(false)
	}
	return !down && err == nil, err
}

func fail(path string, err error) error {
	if err == nil {
		return nil
	}
	return node.Fail(path, err)
}

// Read fills b with whole events, as many as are there and fit. It waits for
// the first until the deadline, and gives 0 and no error when that has come;
// maybe also when there was nothing but events that are left out.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) < recording.EventSize {
		return 0, fmt.Errorf("read input events: %d bytes are too few for one", len(b))
	}
	if len(p.queue) == 0 {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b[:len(b)-len(b)%recording.EventSize], p.queue)
	clear(p.queue[:n])
	p.queue = p.queue[n:]
	return n, nil
}

// fill reads the node once.
func (p *Port) fill() error {
	n, err := p.Node.Read(p.raw[:])
	if err != nil {
		return err
	}
	now := time.Now()
	if n > 0 {
		p.last = now
	}
	p.queue = p.stream.take(p.store[:0], p.raw[:n])
	clear(p.raw[:n])
	if p.stream.unsure && now.Sub(p.last) >= quiet {
		p.queue = p.stream.settle(p.queue)
	}
	p.light(p.stream.locks)
	return nil
}

// light makes the lights show the locks. A device without lights takes no
// notice, and one that has gone is noticed by Read.
func (p *Port) light(l locks) {
	if l == p.shown {
		return
	}
	p.shown = l
	_ = p.Send(l.append(nil))
}

// Send switches lights: events of EV_LED, in their binary form.
func (p *Port) Send(b []byte) error {
	var raw []byte
	for e := range recording.Events(b) {
		if e.Type != keyboard.EvLED && e != report {
			return errors.New("send to an input device: it takes nothing but lights")
		}
		raw = appendRaw(raw, e)
	}
	return p.kernel.write(raw)
}
