package drivers

import (
	"path/filepath"
	"time"

	"posd/drivers/driver"
	"posd/drivers/evdev"
	"posd/drivers/hidraw"
	"posd/drivers/hotplug"
	"posd/drivers/node"
	"posd/drivers/tty"
)

// port is an open device node. One goroutine reads it; Wake may be called by
// others, also after Close.
type port interface {
	SetDeadline(time.Time) error // undoes a Wake
	Wake()                       // makes Read return
	Read(p []byte) (int, error)  // 0 and nil at the deadline
	Send(p []byte) error         // bytes for a line, an output report
	Close() error
}

// featurer is a port that takes feature reports.
type featurer interface{ SendFeature(p []byte) error }

// opener opens nodes. sysfs is where the kernel tells of them.
func opener(sysfs string) func(string, resolved) (port, driver.Attributes, error) {
	return func(path string, c resolved) (port, driver.Attributes, error) {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, driver.Attributes{}, node.Fail(path, err)
		}
		t := transportOf(real)
		a, known := look(sysfs, t, filepath.Base(real))
		var p port
		switch t {
		case driver.HIDRaw:
			if !known {
				return nil, a, &node.Error{State: node.Failed, Reason: path + " is no hidraw node", Remedy: "name a hidraw node as port, or another driver"}
			}
			p, err = hidraw.Open(path)
		case driver.Evdev:
			p, err = evdev.Open(path)
		default:
			p, err = tty.Open(path, c.line)
		}
		return p, a, err
	}
}

// look gives what sysfs has of a node. It has nothing of ptys.
func look(sysfs string, t driver.Transport, name string) (driver.Attributes, bool) {
	subsystem := map[driver.Transport]string{driver.HIDRaw: hotplug.HIDRaw, driver.Evdev: hotplug.Input, driver.TTY: hotplug.TTY}[t]
	n, ok, err := hotplug.Class(sysfs, subsystem, name)
	if err != nil || !ok {
		return driver.Attributes{Transport: t}, false
	}
	return attributesAt(n), true
}
