// Package hotplug finds the devices of a lane: it looks at sysfs, listens to the
// kernel and udevd, and tells which device nodes come, go and change. It opens no
// device and needs no permission on one; what is done with a node is for others.
//
// Nothing is asked for again and again: between events it sleeps. In a user
// namespace of its own it hears nothing of udevd, since there root is somebody else.
package hotplug

import "strings"

// The subsystems of the kernel that have nodes a lane could read.
const (
	TTY    = "tty"
	HIDRaw = "hidraw"
	Input  = "input" // event nodes only
	USB    = "usb"   // devices, by usbfs; not hubs
)

// Bus is how a device is attached.
type Bus string

// The buses. A device that a program emulates (uhid, uinput) is virtual, unless it
// says that it is a Bluetooth one: BlueZ brings those in that way.
const (
	OnUSB     Bus = "usb"
	Bluetooth Bus = "bluetooth"
	Platform  Bus = "platform" // on the board: a UART, a PS/2 socket
	Virtual   Bus = "virtual"
)

// Node is a device node, and what sysfs says of the device behind it. What a
// device does not say is empty.
type Node struct {
	Subsystem string // TTY, HIDRaw, Input or USB
	Kernel    string // the kernel's name, unique in its subsystem: hidraw0, or 1-1.2 of a USB device
	Path      string // the node: /dev/hidraw0
	SysPath   string // without the mount point: /devices/.../hidraw/hidraw0
	// Device is the SysPath of the physical device: the USB device, else the HID
	// device, else the node's own. Nodes that share it are of one device.
	Device string

	Bus             Bus
	Vendor, Product uint16
	Serial          string // as the device gives it, or its Bluetooth address; placeholders are left out
	// PortPath is where it is plugged in: the bus and ports of USB (1-1.2: bus 1,
	// port 1, port 2 of the hub there), else what HID or the input device calls
	// its physical path, or the place of a UART.
	PortPath     string
	Interface    int      // of USB; -1 if the node is not of one
	Free         []int    // of a USB device: its interfaces that no kernel driver has
	Driver       string   // the kernel's, of the USB interface (usbhid, cdc_acm, ftdi_sio), else of the nearest device
	Manufacturer string   // as USB says
	Model        string   // the product string of USB
	Name         string   // what the HID or input device calls itself
	Descriptor   []byte   // HID report descriptor
	Keys         []uint64 // of an input device: the keys it has, key k in bit k%64 of word k/64

	instance uint64 // inode in sysfs: never the same again when a name comes back
}

// ID gives what a device is known by wherever it is plugged in: its model, and its
// serial number if it has one. Without, others may have the same.
func (n Node) ID() ID { return ID{Vendor: n.Vendor, Product: n.Product, Serial: n.Serial} }

// IDAtPort is ID with where the device is plugged in.
func (n Node) IDAtPort() ID {
	id := n.ID()
	id.Port = n.PortPath
	return id
}

// HasKey reports whether an input device has the key of this code of
// linux/input-event-codes.h.
func (n Node) HasKey(code int) bool {
	return code >= 0 && code/64 < len(n.Keys) && n.Keys[code/64]>>(code%64)&1 == 1
}

// key is what a node is known by while it is there.
type key struct{ subsystem, kernel string }

func (n Node) key() key { return key{n.Subsystem, n.Kernel} }

// isUSBInterface tells the names of USB interfaces (1-1.2:1.0) from those of
// devices.
func isUSBInterface(name string) bool { return strings.Contains(name, ":") }
