package drivers

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"posd/drivers/driver"
	"posd/drivers/node"
	"posd/drivers/tty"
	"posd/tid"
)

// DeviceConfig is one device of the configuration.
type DeviceConfig struct {
	Name     string
	Role     driver.Role // scanner, msr or keypad; empty: the driver's
	Driver   string      // empty: the first of the table for this role and kind of port
	Port     string      // the device node, or a link to it
	Line     string      // of a serial port: 9600-8N1 if empty
	Settings driver.Settings
}

// State is how a device is.
type State = node.State

// Status tells of one device.
type Status struct {
	Name     string      `json:"name"`
	Role     driver.Role `json:"role"`
	Driver   string      `json:"driver"`
	Port     string      `json:"port"`
	State    State       `json:"state"`
	Reason   string      `json:"reason,omitempty"` // why it is not being read
	Remedy   string      `json:"remedy,omitempty"` // what a person can do about that
	Good     uint64      `json:"good"`             // readings that could be read
	Errors   uint64      `json:"errors"`           // input that could not be read
	Dropped  uint64      `json:"dropped"`          // readings that nobody took
	Unsent   uint64      `json:"unsent,omitempty"` // acknowledgements that the device did not take
	LastRead time.Time   `json:"last_read,omitzero"`
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
	driver  driver.Driver
	line    tty.Line
	kept    []driver.Command // what tells the device that a reading was kept
	refused []driver.Command
}

func (c DeviceConfig) resolve(rules tid.Rules) (resolved, error) {
	r := resolved{DeviceConfig: c}
	var err error
	switch {
	case c.Name == "":
		return r, errors.New("device: name is missing")
	case c.Port == "":
		return r, fmt.Errorf("device %q: port is missing", c.Name)
	}
	if r.driver, err = c.choose(); err != nil {
		return r, fmt.Errorf("device %q: %v", c.Name, err)
	}
	r.Role = r.driver.Role
	if r.driver.Reads(driver.TTY) {
		r.line, err = tty.ParseLine(c.Line)
	} else if c.Line != "" {
		err = fmt.Errorf("line is for serial ports; driver %s reads none", r.driver.Name)
	}
	if err == nil {
		err = r.parseSettings(rules)
	}
	if err != nil {
		return r, fmt.Errorf("device %q: %w", c.Name, err)
	}
	return r, nil
}

func (r *resolved) parseSettings(rules tid.Rules) (err error) {
	if err = r.Settings.Check(r.driver); err != nil {
		return err
	}
	if r.driver.Signals != nil {
		if r.kept, r.refused, err = r.driver.Signals(driver.Attributes{}, r.Settings); err != nil {
			return err
		}
	}
	if !r.driver.Reads(driver.TTY) {
		return nil // it needs attributes, and leaves the rest to Open
	}
	_, err = r.driver.Open(driver.Attributes{Transport: driver.TTY}, r.Settings, rules)
	return err
}

// choose gives the driver of a device.
func (c DeviceConfig) choose() (driver.Driver, error) {
	if c.Driver != "" {
		d, err := Find(c.Driver)
		if err == nil && c.Role != "" && c.Role != d.Role {
			err = fmt.Errorf("driver %s is for role %s, not %s", d.Name, d.Role, c.Role)
		}
		return d, err
	}
	transport := driver.TTY
	if strings.HasPrefix(filepath.Base(c.Port), "hidraw") {
		transport = driver.HIDRaw
	}
	if !slices.Contains(driver.Roles(), c.Role) {
		return driver.Driver{}, fmt.Errorf("role %q is none of %s", c.Role, roles())
	}
	for _, d := range Table() {
		if d.Role == c.Role && d.Reads(transport) {
			return d, nil
		}
	}
	return driver.Driver{}, fmt.Errorf("no driver for role %s on %s: name one as driver", c.Role, transport)
}

func roles() string {
	var names []string
	for _, r := range driver.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}
