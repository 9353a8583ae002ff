package drivers

import (
	"errors"
	"fmt"

	"posd/drivers/driver"
)

// Tap listens to a device while it is read.
type Tap struct {
	Read   func(driver.Read) // takes what the device sent, in the device's goroutine; it must not block
	Divert bool              // its readings go nowhere: neither into a basket nor to central
}

// ErrTapped is a device that somebody listens to already.
var ErrTapped = errors.New("somebody listens to this device already: try again when they have ended")

// Tap has t listen to a device until stop is called.
func (m *Manager) Tap(name string, t Tap) (stop func(), err error) {
	d := m.device(name)
	if d == nil {
		return nil, fmt.Errorf("there is no device %q", name)
	}
	return d.attach(&t)
}

func (d *device) attach(t *Tap) (stop func(), err error) {
	if !d.tap.CompareAndSwap(nil, t) {
		return nil, ErrTapped
	}
	return func() { d.tap.CompareAndSwap(t, nil) }, nil
}
