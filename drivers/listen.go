package drivers

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"posd/drivers/driver"
	"posd/drivers/evdev"
	"posd/drivers/hidraw"
	"posd/drivers/hotplug"
	"posd/drivers/keyboard"
	"posd/drivers/node"
	"posd/drivers/tty"
)

// Source is where a technician hears something from: a device that is read, or
// a node that no device is read from.
type Source struct {
	Device     string // its name; empty for a node that is nobody's
	Role       driver.Role
	Driver     string // that reads it, or ""
	Path       string
	ID         string
	Product    string
	Line       string // of a serial port
	Attributes driver.Attributes
	Settings   driver.Settings
}

// Listener takes what sources send. It is called by many goroutines, must not
// block, and may keep nothing of a read.
type Listener func(Source, driver.Read)

// Listen has hear listen to every device that is read, and to every other node
// that could be a scanner's, reader's or keypad's, until ctx ends; also to those
// that are plugged in meanwhile. What is read goes into no basket. A name listens
// to that device alone. ready is called when all of them are listened to.
func (m *Manager) Listen(ctx context.Context, name string, ready func(), hear Listener) error {
	l := &listening{Manager: m, hear: hear, nodes: map[string]hotplug.Node{}}
	defer l.stop()
	changed, err := l.begin(name)
	if err != nil {
		return err
	}
	for begun := false; ; begun = true {
		if name == "" {
			l.overhearAll(ctx, begun)
		}
		if !begun {
			ready()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			changed = m.changes()
		}
	}
}

// listening is what one Listen listens to.
type listening struct {
	*Manager
	hear  Listener
	stops []func() // of its taps
	wg    sync.WaitGroup

	watching sync.Mutex
	nodes    map[string]hotplug.Node // that are overheard, by their paths
}

// begin taps the device of a name, or all of them, and those that will be adopted.
func (l *listening) begin(name string) (changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.devices {
		if name != "" && d.cfg.Name != name {
			continue
		}
		if err := l.tap(d); err != nil {
			return nil, err
		}
	}
	switch {
	case name != "" && l.stops == nil:
		return nil, l.unknown(name)
	case name != "":
	case l.listens != nil:
		return nil, ErrTapped
	default:
		l.listens = l
	}
	return l.changed, nil
}

// tap taps a device. The manager is locked.
func (l *listening) tap(d *device) error {
	stop, err := d.attach(&tap{Divert: true, Read: func(r driver.Read) { l.hear(d.source(), r) }})
	if err == nil {
		l.stops = append(l.stops, stop)
	}
	return err
}

func (l *listening) stop() {
	defer l.wg.Wait() // devices sell again first: what is overheard may hang
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listens == l {
		l.listens = nil
	}
	for _, stop := range l.stops {
		stop()
	}
}

// overhearAll overhears the nodes that it does not yet, and that no device reads.
// Those that were plugged in just now, no device must be about to read.
func (l *listening) overhearAll(ctx context.Context, late bool) {
	l.watching.Lock()
	defer l.watching.Unlock()
	for _, n := range l.idleNodes(l.busy(late)) {
		if reflect.DeepEqual(l.nodes[n.Path], n) {
			continue
		}
		l.nodes[n.Path] = n
		l.wg.Go(func() {
			l.overhear(ctx, n, l.hear)
			l.forget(n)
		})
	}
}

// forget has a node tried again when something changes: it could not be opened,
// or has gone.
func (l *listening) forget(n hotplug.Node) {
	l.watching.Lock()
	defer l.watching.Unlock()
	if reflect.DeepEqual(l.nodes[n.Path], n) {
		delete(l.nodes, n.Path)
	}
}

// busy gives the nodes that devices read, or are to read.
func (m *Manager) busy(all bool) map[string]bool {
	nodes := map[string]bool{}
	for _, d := range m.all() {
		if path := d.aim().path; all || d.reads() {
			real, _ := filepath.EvalSymlinks(path)
			nodes[path], nodes[real] = true, true
		}
	}
	return nodes
}

// changes gives a channel that is closed when something is plugged in or out.
func (m *Manager) changes() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// Record has hear listen to a device until ctx ends. What is read goes on as
// ever.
func (m *Manager) Record(ctx context.Context, name string, ready func(), hear Listener) error {
	d := m.device(name)
	if d == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.unknown(name)
	}
	stop, err := d.attach(&tap{Read: func(r driver.Read) { hear(d.source(), r) }})
	if err != nil {
		return err
	}
	defer stop()
	ready()
	<-ctx.Done()
	return nil
}

func (d *device) reads() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.State == node.Reading
}

// source tells of a device what a technician needs.
func (d *device) source() Source {
	st := d.status()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Source{
		Device: st.Name, Role: st.Role, Driver: st.Driver, Path: st.Port, ID: st.ID, Product: st.Product,
		Attributes: d.about, Settings: d.cfg.Settings,
	}
	if d.about.Transport == driver.TTY {
		s.Line = d.cfg.line.String()
	}
	return s
}

// idleNodes gives the nodes that could be read and are not.
func (m *Manager) idleNodes(busy map[string]bool) []hotplug.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	var nodes []hotplug.Node
	for _, n := range m.nodes {
		if !busy[n.Path] && readable(n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// readable reports whether a node could be that of a scanner, reader or keypad:
// no mouse, no HID device that no driver knows.
func readable(n hotplug.Node) bool {
	a := attributesAt(n)
	switch a.Transport {
	case driver.USBFS:
		return false
	case driver.Evdev:
		return keyboard.IsKeyboard(a.Keys) || keyboard.IsNumericPad(a.Keys)
	}
	for _, d := range Table() {
		if d.Reads(a.Transport) && d.Claim(a) {
			return true
		}
	}
	return false
}

// usualLines are how serial ports are set that nobody has configured, most usual
// first. One is gone on to when what came by the one before was garbled.
func usualLines() []string {
	return []string{"9600-8N1", "115200-8N1", "9600-7E1", "19200-8N1", "38400-8N1", "57600-8N1", "9600-7O1", "4800-8N1", "2400-8N1", "1200-8N1"}
}

// overhear reads a node that no device is read from, until ctx ends or it is
// gone.
func (m *Manager) overhear(ctx context.Context, n hotplug.Node, hear Listener) {
	s := Source{Path: n.Path, ID: n.IDAtPort().String(), Product: title(n), Attributes: attributesAt(n)}
	for _, line := range usualLines() {
		if s.Attributes.Transport == driver.TTY {
			s.Line = line
		}
		p, err := overhearing(s)
		if err != nil {
			m.env.Log.Info("a device is not listened to", "port", n.Path, "err", err)
			return
		}
		if !overhearPort(ctx, p, s, hear) {
			return
		}
	}
}

// overhearing opens a node. A keyboard is not grabbed: it may be the technician's
// own.
func overhearing(s Source) (port, error) {
	switch s.Attributes.Transport {
	case driver.Evdev:
		return evdev.Overhear(s.Path)
	case driver.HIDRaw:
		return hidraw.Open(s.Path)
	}
	line, err := tty.ParseLine(s.Line)
	if err != nil {
		return nil, err
	}
	return tty.Open(s.Path, line)
}

// overhearPort reads an open port, and closes it. It returns true if what came
// was garbled, so that another line is worth a try.
func overhearPort(ctx context.Context, p port, s Source, hear Listener) (garbled bool) {
	defer p.Close()
	stop := context.AfterFunc(ctx, p.Wake)
	defer stop()
	buf := make([]byte, hidraw.MaxReport)
	for {
		if p.SetDeadline(time.Now().Add(idle)) != nil || ctx.Err() != nil {
			return false
		}
		got, err := p.Read(buf)
		switch {
		case err != nil:
			return false
		case got > 0:
			garbled = garbled || s.Attributes.Transport == driver.TTY && garbage(buf[:got])
			hear(s, driver.Read{At: time.Now(), Data: buf[:got]})
			clear(buf[:got])
		case garbled && ctx.Err() == nil: // it has paused
			return true
		}
	}
}

// garbage reports whether bytes of a line are what another speed or parity
// gives.
func garbage(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c == 0 || c >= 0x80 || c < ' ' && !strings.ContainsRune("\x02\x03\x04\x06\t\r\n\x1b\x1d\x1e", rune(c)) {
			odd++
		}
	}
	return odd*4 > len(b)
}
