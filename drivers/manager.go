package drivers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hidraw"
	"posd/drivers/tty"
	"posd/tid"
)

// Sink takes readings. It must not block; false means that the reading was not
// taken, which the device counts and signals as a bad read.
type Sink func(driver.Reading) bool

// Manager reads the devices of a lane.
type Manager struct {
	devices []*device
}

// New makes a manager. The configuration is checked, the devices are not looked
// at before Run: one that is not there is a state and no error.
func New(devs []DeviceConfig, rules tid.Rules, sink Sink, log *slog.Logger) (*Manager, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{}
	names, ports := map[string]bool{}, map[string]string{}
	var errs []error
	for _, c := range devs {
		r, err := c.resolve(rules)
		switch other, twice := ports[c.Port]; {
		case err != nil:
			errs = append(errs, err)
		case names[c.Name]:
			errs = append(errs, fmt.Errorf("device %q: another device has this name", c.Name))
		case twice:
			errs = append(errs, fmt.Errorf("device %q: %s is the port of device %q", c.Name, c.Port, other))
		}
		names[c.Name], ports[c.Port] = true, c.Name
		m.devices = append(m.devices, newDevice(r, rules, sink, log))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// Run reads every device until ctx ends, each in a goroutine of its own. A
// device that is missing or in use is tried again, ever less often. Run returns
// when every port is released.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, d := range m.devices {
		wg.Go(func() { d.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Status tells of every device, in the order of the configuration.
func (m *Manager) Status() []Status {
	var all []Status
	for _, d := range m.devices {
		all = append(all, d.snapshot())
	}
	return all
}

// stuckAfter is how late a goroutine may be before it counts as stuck.
const stuckAfter = 5 * time.Second

// Live reports whether every device's goroutine works, whatever its device
// does. It is what a watchdog asks.
func (m *Manager) Live(now time.Time) error {
	for _, d := range m.devices {
		if late := now.Sub(d.due()); late > stuckAfter {
			return fmt.Errorf("the reader of device %q is stuck: it has not woken for %s", d.cfg.Name, late.Round(time.Second))
		}
	}
	return nil
}

// port is an open device node. One goroutine reads it; Wake and Send may be
// called by others, also after Close.
type port interface {
	SetDeadline(time.Time) error // undoes a Wake
	Wake()                       // makes Read return
	Read(p []byte) (int, error)  // 0 and nil at the deadline
	Send(p []byte) error         // never waits
	Close() error
}

// opener opens the ports of devices. sysfs is where the kernel tells of them.
func opener(sysfs string) func(resolved) (port, driver.Attributes, error) {
	return func(r resolved) (port, driver.Attributes, error) {
		if r.driver.Reads(driver.TTY) {
			p, err := tty.Open(r.Port, r.line)
			if err != nil {
				return nil, driver.Attributes{}, err
			}
			return p, driver.Attributes{Transport: driver.TTY}, nil
		}
		p, info, err := hidraw.Open(r.Port, sysfs)
		if err != nil {
			return nil, driver.Attributes{}, err
		}
		return p, driver.Attributes{
			Transport: driver.HIDRaw, Vendor: info.Vendor, Product: info.Product, Name: info.Name, Descriptor: info.Descriptor,
		}, nil
	}
}
