package drivers

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/drivers/tty"
	"posd/tid"
)

// DeviceConfig is one device of the configuration. It is found by its port or
// by its id.
type DeviceConfig struct {
	Name      string
	Role      driver.Role      // empty: the driver's
	Driver    string           // empty: the first of the table for the role that claims the device
	Port      string           // the device node, or a link to it
	ID        hotplug.ID       // of USB or Bluetooth
	Transport driver.Transport // usbfs: taken from its kernel driver; empty: any other
	Disabled  bool
	Line      string // of a serial port: 9600-8N1 if empty
	Settings  driver.Settings
}

// Check reports what is wrong with the configuration of a device, without
// looking at the device.
func (c DeviceConfig) Check(rules tid.Rules) error {
	_, err := c.resolve(rules)
	return err
}

// resolved is a device's configuration, understood.
type resolved struct {
	DeviceConfig
	drivers []driver.Driver // those that it may be read by, in the order of the table
	line    tty.Line
}

func (c DeviceConfig) resolve(rules tid.Rules) (resolved, error) {
	r := resolved{DeviceConfig: c}
	switch {
	case c.Name == "":
		return r, errors.New("device: name is missing")
	case c.Port == "" && c.ID.IsZero():
		return r, fmt.Errorf("device %q: port is missing, or id", c.Name)
	case c.Port != "" && !c.ID.IsZero():
		return r, fmt.Errorf("device %q: it has a port and an id: one must tell which it is", c.Name)
	case c.Port != "" && c.Transport != "":
		return r, fmt.Errorf("device %q: transport is for devices that are found by their id", c.Name)
	}
	err := r.understand(rules)
	if err != nil {
		return r, fmt.Errorf("device %q: %w", c.Name, err)
	}
	return r, nil
}

func (r *resolved) understand(rules tid.Rules) (err error) {
	if r.drivers, err = r.possible(); err != nil {
		return err
	}
	r.Role = r.drivers[0].Role
	serial := slices.ContainsFunc(r.drivers, func(d driver.Driver) bool { return d.Reads(driver.TTY) })
	if r.line, err = tty.ParseLine(r.Line); err != nil {
		return err
	}
	if r.Line != "" && !serial {
		return fmt.Errorf("line is for serial ports; driver %s reads none", r.drivers[0].Name)
	}
	return r.checkSettings(rules)
}

// checkSettings drops the drivers that do not take the settings. It is an error
// if none does.
func (r *resolved) checkSettings(rules tid.Rules) error {
	var first error
	r.drivers = slices.DeleteFunc(r.drivers, func(d driver.Driver) bool {
		err := takes(d, r.Settings, rules)
		if first == nil {
			first = err
		}
		return err != nil
	})
	if len(r.drivers) == 0 {
		return first
	}
	return nil
}

// takes reports why a driver does not take settings. One that needs attributes
// leaves some of them to Open.
func takes(d driver.Driver, s driver.Settings, rules tid.Rules) error {
	if err := s.Check(d); err != nil {
		return err
	}
	if d.Signals != nil {
		if _, _, err := d.Signals(driver.Attributes{}, s); err != nil {
			return err
		}
	}
	if !d.Reads(driver.TTY) {
		return nil
	}
	_, err := d.Open(driver.Attributes{Transport: driver.TTY}, s, rules)
	return err
}

// possible gives the drivers that a device may be read by, as far as its
// configuration tells.
func (c DeviceConfig) possible() ([]driver.Driver, error) {
	if c.Driver != "" {
		d, err := Find(c.Driver)
		if err == nil && c.Role != "" && c.Role != d.Role {
			err = fmt.Errorf("driver %s is for role %s, not %s", d.Name, d.Role, c.Role)
		}
		return []driver.Driver{d}, err
	}
	if !slices.Contains(driver.Roles(), c.Role) {
		return nil, fmt.Errorf("role %q is none of %s", c.Role, roles())
	}
	var all []driver.Driver
	transports := c.transports()
	for _, d := range Table() {
		if d.Role == c.Role && slices.ContainsFunc(transports, d.Reads) {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no driver for role %s on %s: name one as driver", c.Role, transports[0])
	}
	return all, nil
}

// transports are those that the configuration leaves possible.
func (c DeviceConfig) transports() []driver.Transport {
	switch {
	case c.Transport != "":
		return []driver.Transport{c.Transport}
	case c.Port == "" || strings.HasPrefix(c.Port, "/dev/pos/"):
		return []driver.Transport{driver.HIDRaw, driver.Evdev, driver.TTY}
	}
	return []driver.Transport{transportOf(c.Port)}
}

// transportOf tells the transport of a node by its name.
func transportOf(path string) driver.Transport {
	switch base := filepath.Base(path); {
	case strings.HasPrefix(base, "hidraw"):
		return driver.HIDRaw
	case strings.HasPrefix(path, "/dev/input/"), strings.HasPrefix(base, "event"):
		return driver.Evdev
	}
	return driver.TTY
}

// choose gives the first of the possible drivers that can read a device.
func (r resolved) choose(a driver.Attributes) (driver.Driver, error) {
	for _, d := range r.drivers {
		if d.Reads(a.Transport) && d.Claim(a) {
			return d, nil
		}
	}
	// Where one driver alone was possible, it can say what is missing.
	if d := r.drivers[0]; d.Reads(a.Transport) {
		if _, err := d.Open(a, r.Settings, tid.Rules{}); err != nil {
			return d, err
		}
	}
	return driver.Driver{}, fmt.Errorf("no driver for role %s can read this device on %s", r.Role, a.Transport)
}

func roles() string {
	var names []string
	for _, r := range driver.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}
