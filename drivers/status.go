package drivers

import (
	"path/filepath"
	"strings"
	"time"

	"posd/drivers/driver"
	"posd/drivers/node"
)

// State is how a device is.
type State = node.State

// Status tells of one device.
type Status struct {
	Name       string      `json:"name"`
	Role       driver.Role `json:"role"`
	Driver     string      `json:"driver"`            // the one that reads it, or is to
	ID         string      `json:"id,omitempty"`      // vendor:product:serial or vendor:product@port
	Port       string      `json:"port"`              // the device node; empty if it is not plugged in
	Product    string      `json:"product,omitempty"` // as the device calls itself
	Adopted    bool        `json:"adopted"`           // found, and not configured
	State      State       `json:"state"`
	Reason     string      `json:"reason,omitempty"` // why it is not being read
	Remedy     string      `json:"remedy,omitempty"` // what a person can do about that
	Statistics Statistics  `json:"statistics"`
}

// setReading notes that the device is being read.
func (d *device) setReading(name string, about driver.Attributes) {
	d.mu.Lock()
	d.driver, d.about = name, about
	d.mu.Unlock()
	d.setState(&node.Error{State: node.Reading})
}

// setState notes how the device is, and logs when that changes.
func (d *device) setState(e *node.Error) {
	d.mu.Lock()
	changed := d.state.State != e.State || d.state.Reason != e.Reason
	if changed {
		known := *e
		if known.State == node.Missing && d.cfg.Port != "" {
			known.Remedy += others(d.cfg.Port)
		}
		d.state = &known
	}
	now, name, path := *d.state, d.driver, d.target.path
	d.mu.Unlock()
	d.once.Do(func() { close(d.tried) })
	switch {
	case !changed:
	case now.State == node.Reading:
		d.log.Info("device is read", "driver", name, "port", path)
	default:
		d.log.Warn("device is not read", "port", path, "state", now.State, "reason", now.Reason, "remedy", now.Remedy)
	}
}

// others names the ports that are there, for the person who looks for the one
// that is not.
func others(missing string) string {
	var there []string
	for _, pattern := range []string{"/dev/serial/by-id/*", "/dev/pos/*", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/hidraw*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			if path != missing && len(there) < 8 {
				there = append(there, path)
			}
		}
	}
	if len(there) == 0 {
		return ""
	}
	return "; there are " + strings.Join(there, ", ")
}

func (d *device) willWake(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wakes = at
}

// due is when the goroutine wakes at the latest; zero if it waits for something
// to happen.
func (d *device) due() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wakes
}

func (d *device) count(r *driver.Reading) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.count(r)
}

func (d *device) dropped() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Dropped++
}

func (d *device) unsent() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Unsent++
}

// lost counts that the device went away while it was read.
func (d *device) lost() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Counts[statCommunication]++
}

func (d *device) status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{
		Name: d.cfg.Name, Role: d.cfg.Role, Driver: d.driver, Port: d.target.path, Adopted: d.adopted,
		State: d.state.State, Reason: d.state.Reason, Remedy: d.state.Remedy, Statistics: d.stats.clone(),
	}
	if s.Driver == "" && len(d.cfg.drivers) > 0 {
		s.Driver = d.cfg.drivers[0].Name
	}
	if n := d.target.node; n.Path != "" {
		s.ID, s.Product = n.IDAtPort().String(), title(n)
	} else if d.cfg.Port == "" {
		s.ID = d.cfg.ID.String()
	}
	return s
}
