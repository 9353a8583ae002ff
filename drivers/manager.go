// Package drivers reads the devices of a lane: scanners, card readers and
// keypads.
//
// A driver (package driver) is data and pure functions, one row of one ordered
// table (Table). Transports (packages tty, hidraw, evdev, usbfs) move bytes and
// know no driver. Package hotplug tells which device nodes come and go. A
// Manager finds the devices that the configuration names, and those that are
// certainly scanners, readers or keypads; gives each a goroutine that owns its
// node; opens it again after an unplug; and never waits for a consumer.
package drivers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/drivers/node"
	"posd/tid"
)

// Sink takes readings. It must not block; false means that the reading was not
// taken, which the device counts and signals as a bad read.
type Sink func(driver.Reading) bool

// Config is what a manager works with.
type Config struct {
	Devices  []DeviceConfig
	Discover bool // read also what is certainly a scanner, reader or keypad and is not configured
	Rules    tid.Rules
	Sink     Sink
	Log      *slog.Logger // nil: nothing is logged
	// Statistics is the file that keeps what the devices have done; "": nothing
	// is kept.
	Statistics string
	Sysfs      string // where sysfs is mounted; /sys if empty
	// USBReader is the command that reads a USB device past its kernel driver
	// (package usbfs); this program's usb-read if empty.
	USBReader []string
	// Watch tells which nodes there are, as hotplug.Watch does, which is what
	// nil stands for.
	Watch func(ctx context.Context, sysfs string, change func(hotplug.Change)) error
}

// maxAdopted is how many devices are read that nobody configured. A lane has a
// handful; a faulty or hostile one could come back under ever new numbers.
const maxAdopted = 16

// Manager reads the devices of a lane.
type Manager struct {
	env     *environment
	settled chan struct{} // closed when it is known how each device is

	ctx     context.Context // of Run
	running sync.WaitGroup  // the devices' goroutines

	mu      sync.Mutex
	devices []*device
	nodes   map[string]hotplug.Node // that are plugged in, by subsystem and name
	scanned bool                    // all that were there at the start are known
	seen    map[string]bool         // nodes that were told since watching began anew; nil when all were
	changed chan struct{}           // closed when something is plugged in or out, and made anew
	listens *listening              // who listens to all devices; nil: nobody
	idle    []Status                // devices that are there and not read
	stats   map[string]Statistics   // as they were at the start
}

// New makes a manager. The configuration is checked, the devices are not looked
// at before Run: one that is not there is a state and no error.
func New(c Config) (*Manager, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Sysfs == "" {
		c.Sysfs = "/sys"
	}
	if c.USBReader == nil {
		c.USBReader = []string{"/proc/self/exe", "usb-read"}
	}
	if c.Watch == nil {
		c.Watch = hotplug.Watch
	}
	m := &Manager{
		env: &environment{Config: c, open: opener(c.Sysfs, c.USBReader)}, settled: make(chan struct{}),
		nodes: map[string]hotplug.Node{}, changed: make(chan struct{}), stats: loadStatistics(c.Statistics, c.Log),
	}
	return m, m.configure()
}

func (m *Manager) configure() error {
	names, places := map[string]bool{}, map[string]string{}
	var errs []error
	for _, c := range m.env.Devices {
		r, err := c.resolve(m.env.Rules)
		place := c.Port + " is the port"
		if c.Port == "" {
			place = fmt.Sprintf("%s %s is the id", r.Role, c.ID)
		}
		switch other, twice := places[place]; {
		case err != nil:
			errs = append(errs, err)
		case names[c.Name]:
			errs = append(errs, fmt.Errorf("device %q: another device has this name", c.Name))
		case twice:
			errs = append(errs, fmt.Errorf("device %q: %s of device %q", c.Name, place, other))
		}
		names[c.Name], places[place] = true, c.Name
		m.devices = append(m.devices, newDevice(r, m.env, m.statistics(c.Name)))
	}
	return errors.Join(errs...)
}

// Run reads every device until ctx ends, each in a goroutine of its own. A
// device that is missing is read as soon as it is there; one that is in use is
// tried again, ever less often. Run returns when every node is released, but for
// those of devices that hang.
func (m *Manager) Run(ctx context.Context) error {
	m.mu.Lock()
	m.ctx = ctx
	for _, d := range m.devices {
		if d.cfg.Port != "" {
			m.start(d)
		}
	}
	m.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { m.watch(ctx) })
	wg.Go(func() { m.keep(ctx) })
	wg.Wait()
	m.running.Wait()
	return m.save()
}

// How long to wait before watching anew, when it has failed.
const (
	watchAgain     = time.Second
	watchAgainSlow = time.Minute
)

// watch follows what is plugged in and out until ctx ends. If that fails, as it
// does while the system has no more descriptors, it begins anew.
func (m *Manager) watch(ctx context.Context) {
	said := ""
	for wait := watchAgain; ; wait = min(2*wait, watchAgainSlow) {
		began := time.Now()
		err := m.env.Watch(ctx, m.env.Sysfs, m.change)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > watchAgainSlow {
			wait = watchAgain
		}
		if why := fmt.Sprint(err); why != said {
			m.env.Log.Warn("what is plugged in is noticed late: posd looks again, ever less often", "err", err)
			said = why
		}
		m.see(nil)
		m.change(hotplug.Change{Action: hotplug.Scanned}) // what waits must not wait for ever
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		m.see(map[string]bool{})
	}
}

// see has the nodes noted that are told until all were.
func (m *Manager) see(seen map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = seen
}

// change notes that a node came, went or changed.
func (m *Manager) change(c hotplug.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch c.Action {
	case hotplug.Scanned:
		m.wasScanned()
		return
	case hotplug.Removed:
		delete(m.nodes, keyOf(c.Node))
	default:
		m.nodes[keyOf(c.Node)] = c.Node
		if m.seen != nil {
			m.seen[keyOf(c.Node)] = true
		}
	}
	if m.scanned { // before, half of what is there would be taken for all
		m.rebind()
	}
}

// wasScanned notes that all nodes are known.
func (m *Manager) wasScanned() {
	first := !m.scanned
	m.scanned = true
	if m.seen != nil {
		maps.DeleteFunc(m.nodes, func(k string, _ hotplug.Node) bool { return !m.seen[k] })
	}
	if first || m.seen != nil {
		m.rebind()
	}
	m.seen = nil
	if first {
		m.settle()
	}
}

// settle closes settled when it is known how each device is.
func (m *Manager) settle() {
	first := slices.Clone(m.devices)
	go func() {
		for _, d := range first {
			select {
			case <-d.tried:
			case <-m.ctx.Done():
				return
			}
		}
		close(m.settled)
	}()
}

// rebind says to each device what it is to be read from, and adopts what is
// left.
func (m *Manager) rebind() {
	nodes := slices.SortedFunc(maps.Values(m.nodes), func(a, b hotplug.Node) int { return strings.Compare(a.Path, b.Path) })
	out := bind(m.slots(), nodes, m.env.Discover)
	m.retarget(out)
	for _, c := range out.adopt {
		m.adopt(c)
	}
	if len(out.adopt) > 0 {
		out = bind(m.slots(), nodes, false)
		for i := range out.idle {
			tooMany(&out.idle[i])
		}
		m.retarget(out)
	}
	m.idle = out.idle
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Manager) retarget(b binding) {
	for i, d := range m.devices {
		d.retarget(b.targets[i])
		m.start(d)
	}
}

func (m *Manager) slots() []slot {
	slots := make([]slot, len(m.devices))
	for i, d := range m.devices {
		slots[i] = slot{cfg: d.cfg, adopted: d.adopted, home: d.aim().home}
		if d.cfg.Port != "" {
			slots[i].path, _ = filepath.EvalSymlinks(d.cfg.Port)
		}
	}
	return slots
}

// tooMany tells of a device that would be adopted if there were fewer.
func tooMany(s *Status) {
	if s.State == node.Disabled {
		s.State, s.Reason = node.Failed, fmt.Sprintf("%d devices that nobody has configured are read already, and no more are", maxAdopted)
	}
}

// adopt reads a device that nobody configured. Where there are too many, one
// that was unplugged makes room.
func (m *Manager) adopt(c DeviceConfig) {
	r, err := c.resolve(m.env.Rules)
	if err != nil {
		m.env.Log.Error("adopt a device", "err", err)
		return
	}
	adopted := 0
	gone := -1
	for i, d := range m.devices {
		if d.adopted {
			adopted++
			if gone < 0 && d.unplugged() {
				gone = i
			}
		}
	}
	if adopted >= maxAdopted {
		if gone < 0 {
			return
		}
		m.stats[m.devices[gone].cfg.Name] = m.devices[gone].status().Statistics
		m.devices[gone].cancel()
		m.devices = slices.Delete(m.devices, gone, gone+1)
	}
	d := newDevice(r, m.env, m.statistics(c.Name))
	d.adopted = true
	if m.listens != nil {
		_ = m.listens.tap(d) // it is new: nobody else does
	}
	m.devices = append(m.devices, d)
}

// unplugged reports whether a device was there and is not any more: one that is
// yet to be started has nothing to be read from either.
func (d *device) unplugged() bool {
	why := d.aim().why
	return d.cancel != nil && why != nil && why.State == node.Missing
}

// start starts a device's goroutine, if it does not run yet.
func (m *Manager) start(d *device) {
	if d.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(m.ctx)
	d.cancel = cancel
	m.running.Go(func() { defer cancel(); d.run(ctx) })
}

func (m *Manager) statistics(name string) Statistics {
	if s, ok := m.stats[name]; ok {
		return s.clone()
	}
	return newStatistics(time.Now())
}

func (m *Manager) device(name string) *device {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.devices, func(d *device) bool { return d.cfg.Name == name })
	if at < 0 {
		return nil
	}
	return m.devices[at]
}

func (m *Manager) all() []*device {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.devices)
}

// Settled is closed when it is known how each device is that was there, or
// configured, when Run began.
func (m *Manager) Settled() <-chan struct{} { return m.settled }

// Status tells of every device: those of the configuration in its order, then
// those that were found, then those that are not read.
func (m *Manager) Status() []Status {
	var all []Status
	for _, d := range m.all() {
		all = append(all, d.status())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return append(all, m.idle...)
}

// stuckAfter is how late a goroutine may be before it counts as stuck.
const stuckAfter = 5 * time.Second

// Live reports whether every device's goroutine works, whatever its device
// does. It is what a watchdog asks.
func (m *Manager) Live(now time.Time) error {
	for _, d := range m.all() {
		due := d.due()
		if late := now.Sub(due); !due.IsZero() && late > stuckAfter {
			return fmt.Errorf("the reader of device %q is stuck: it has not woken for %s", d.cfg.Name, late.Round(time.Second))
		}
	}
	return nil
}

func keyOf(n hotplug.Node) string { return n.Subsystem + "/" + n.Kernel }
