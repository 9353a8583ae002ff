package drivers

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"posd/drivers/driver"
	"posd/drivers/evdev"
	"posd/drivers/hidraw"
	"posd/drivers/hotplug"
	"posd/drivers/node"
	"posd/drivers/tty"
	"posd/drivers/usbfs"
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

// opener opens what devices are read from. sysfs is where the kernel tells of
// nodes, usbReader the command that reads USB devices.
func opener(sysfs string, usbReader []string) func(target, resolved) (port, driver.Attributes, error) {
	return func(t target, c resolved) (port, driver.Attributes, error) {
		if c.Transport == driver.USBFS {
			return openUSB(sysfs, usbReader, t.node, c)
		}
		real, err := filepath.EvalSymlinks(t.path)
		if err != nil {
			return nil, driver.Attributes{}, node.Fail(t.path, err)
		}
		transport := transportOf(real)
		a, known := look(sysfs, transport, filepath.Base(real))
		var p port
		switch transport {
		case driver.HIDRaw:
			if !known {
				return nil, a, &node.Error{State: node.Failed, Reason: t.path + " is no hidraw node", Remedy: "name a hidraw node as port, or another driver"}
			}
			p, err = hidraw.Open(t.path)
		case driver.Evdev:
			p, err = evdev.Open(t.path)
		default:
			p, err = tty.Open(t.path, c.line)
		}
		return p, a, err
	}
}

// USBRule gives the command that has udev let posd read a USB device past its
// kernel driver. The shipped rules do not: few devices need it.
func USBRule(n hotplug.Node) string {
	return fmt.Sprintf(`echo 'SUBSYSTEM=="usb", ATTR{idVendor}=="%04x", ATTR{idProduct}=="%04x", GROUP="posdev", MODE="0660"' | sudo tee -a /etc/udev/rules.d/71-posd-usb.rules `+
		`&& sudo udevadm control --reload && sudo udevadm trigger --action=add /sys%s`, n.Vendor, n.Product, n.SysPath)
}

// openUSB opens the first interface of a USB device that a driver can read.
func openUSB(sysfs string, reader []string, n hotplug.Node, c resolved) (port, driver.Attributes, error) {
	a := attributesAt(n)
	for _, i := range usbfs.Interfaces(sysfs, n.SysPath) {
		a.Descriptor = i.Descriptor
		if _, err := c.choose(a); err != nil {
			continue
		}
		p, err := usbfs.Open(reader, n.Path, sysfs, n.SysPath, i.Number)
		if e, ok := errors.AsType[*node.Error](err); ok && e.State == node.NoPermission {
			e.Remedy = USBRule(n)
		}
		return p, a, err
	}
	return nil, a, &node.Error{
		State: node.Failed, Reason: fmt.Sprintf("no driver for role %s can read an interface of %s past its kernel driver", c.Role, n.Path),
		Remedy: "name a driver that reads usbfs (posd decode --list), or take transport out of its [[device]]",
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
