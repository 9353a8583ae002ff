package drivers

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"posd/drivers/node"
	"posd/drivers/tty"
	"posd/tid"
)

// DeviceConfig is one device of the configuration.
type DeviceConfig struct {
	Name     string
	Role     string // scanner, msr or keypad; empty: the driver's
	Driver   string // empty: the first of the table for this role and kind of port
	Port     string // the device node, or a link to it
	Line     string // of a serial port: 9600-8N1 if empty
	Settings Settings
}

// State is how a device is.
type State = node.State

// Status tells of one device.
type Status struct {
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Driver   string    `json:"driver"`
	Port     string    `json:"port"`
	State    State     `json:"state"`
	Reason   string    `json:"reason,omitempty"` // why it is not being read
	Remedy   string    `json:"remedy,omitempty"` // what a person can do about that
	Good     uint64    `json:"good"`             // readings that could be read
	Errors   uint64    `json:"errors"`           // input that could not be read
	Dropped  uint64    `json:"dropped"`          // readings that nobody took
	Unsent   uint64    `json:"unsent,omitempty"` // acknowledgements that the device did not take
	LastRead time.Time `json:"last_read,omitzero"`
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
	driver Driver
	line   tty.Line
	ack    []byte
	nak    []byte
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
	if r.driver.Transport == TransportTTY {
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
	if err = r.Settings.check(r.driver); err != nil {
		return err
	}
	if r.ack, err = r.Settings.signal("ack"); err != nil {
		return err
	}
	if r.nak, err = r.Settings.signal("nak"); err != nil {
		return err
	}
	return r.driver.checkSettings(r.Settings, rules)
}

// choose gives the driver of a device.
func (c DeviceConfig) choose() (Driver, error) {
	if c.Driver != "" {
		d, err := Find(c.Driver)
		if err == nil && c.Role != "" && c.Role != d.Role {
			err = fmt.Errorf("driver %s is for role %s, not %s", d.Name, d.Role, c.Role)
		}
		return d, err
	}
	transport := TransportTTY
	if strings.HasPrefix(filepath.Base(c.Port), "hidraw") {
		transport = TransportHIDRaw
	}
	if !slices.Contains(roles(), c.Role) {
		return Driver{}, fmt.Errorf("role %q is none of %s", c.Role, strings.Join(roles(), ", "))
	}
	for _, d := range Table() {
		if d.Role == c.Role && d.Transport == transport {
			return d, nil
		}
	}
	return Driver{}, fmt.Errorf("no driver for role %s on %s: name one as driver", c.Role, transport)
}

func roles() []string { return []string{RoleScanner, RoleMSR, RoleKeypad} }
