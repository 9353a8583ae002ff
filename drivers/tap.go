package drivers

import (
	"errors"
	"fmt"

	"posd/drivers/driver"
)

// tap listens to a device while it is read.
type tap struct {
	Read   func(driver.Read) // takes what the device sent, in the device's goroutine; it must not block
	Divert bool              // its readings go nowhere: neither into a basket nor to central
}

// ErrTapped is a device that somebody listens to already.
var ErrTapped = errors.New("somebody listens to this device already: try again when they have ended")

// unknown says why no device of a name is read. The manager is locked.
func (m *Manager) unknown(name string) error {
	for _, s := range m.idle {
		if s.Name == name {
			return fmt.Errorf("device %q is not read: %s: %s", name, s.Reason, s.Remedy)
		}
	}
	return fmt.Errorf("there is no device %q: posd devices lists them", name)
}

func (d *device) attach(t *tap) (stop func(), err error) {
	if !d.tap.CompareAndSwap(nil, t) {
		return nil, ErrTapped
	}
	return func() { d.tap.CompareAndSwap(t, nil) }, nil
}
