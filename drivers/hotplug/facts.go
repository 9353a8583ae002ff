package hotplug

import (
	"math/bits"
	"path"
	"strconv"
	"strings"
)

// busBluetooth is BUS_BLUETOOTH of linux/input.h.
const busBluetooth = 5

// parents are those devices above a node that say something of it: SysPaths, or
// "". Above a Bluetooth device nothing is looked at: there comes the adapter.
type parents struct {
	usb    string // the USB device
	iface  string // the USB interface
	hid    string
	near   string // the nearest that is no part of the serial core or a class
	driver string // of the nearest that has one
}

func (r *reader) parents(devpath string) (p parents) {
	for at := path.Dir(devpath); len(at) > len("/devices/"); at = path.Dir(at) {
		subsystem := r.link(at, "subsystem")
		switch subsystem {
		case "bluetooth":
			return p
		case "usb":
			if isUSBInterface(path.Base(at)) {
				p.iface = at
				break
			}
			p.usb = at
			return p
		case "hid":
			setOnce(&p.hid, at)
		case "", TTY, "serial-base": // serial-base: since Linux 6.5, between a UART's device and its tty
			continue
		}
		setOnce(&p.near, at)
		setOnce(&p.driver, r.link(at, "driver"))
	}
	return p
}

func setOnce(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// describe fills in what sysfs says of the device behind a node.
func (r *reader) describe(n *Node) {
	p := r.parents(n.SysPath)
	if n.Subsystem == USB {
		p = parents{usb: n.SysPath}
		n.Free = r.free(n.SysPath)
	}
	n.Driver, n.Device = p.driver, n.SysPath
	switch {
	case p.hid != "":
		r.describeHID(n, p.hid)
	case n.Subsystem == Input:
		r.describeInput(n)
	case n.Subsystem == TTY:
		r.describeSerial(n, p)
	}
	if n.Subsystem == Input {
		n.Name = cleanText(r.text(path.Dir(n.SysPath), "name"))
		n.Keys = parseBitmap(r.text(path.Dir(n.SysPath), "capabilities", "key"))
	}
	if p.usb != "" {
		r.describeUSB(n, p)
	}
}

func (r *reader) describeUSB(n *Node, p parents) {
	n.Bus, n.Device, n.PortPath = OnUSB, p.usb, path.Base(p.usb)
	n.Vendor, n.Product = parseID16(r.text(p.usb, "idVendor")), parseID16(r.text(p.usb, "idProduct"))
	n.Serial = cleanSerial(r.text(p.usb, "serial"))
	n.Manufacturer, n.Model = cleanText(r.text(p.usb, "manufacturer")), cleanText(r.text(p.usb, "product"))
	if p.iface != "" {
		n.Interface = r.interfaceNumber(p.iface)
		n.Driver = r.link(p.iface, "driver")
	}
}

// describeHID takes HID_ID=0003:00000C2E:00000B61 (bus, vendor, product) and the
// rest of what a HID device says.
func (r *reader) describeHID(n *Node, hid string) {
	vars := r.uevent(hid)
	bus, rest, _ := strings.Cut(vars["HID_ID"], ":")
	vendor, product, _ := strings.Cut(rest, ":")
	n.Bus, n.Vendor, n.Product = busOf(parseID16(bus), hid), parseID16(vendor), parseID16(product)
	n.Device, n.Name = hid, cleanText(vars["HID_NAME"])
	n.Serial, n.PortPath = cleanSerial(vars["HID_UNIQ"]), cleanText(vars["HID_PHYS"])
	n.Descriptor = r.bytes(hid, "report_descriptor")
}

// describeInput is for input devices that are not behind HID: of PS/2, of a
// program.
func (r *reader) describeInput(n *Node) {
	dev := path.Dir(n.SysPath)
	n.Bus = busOf(parseID16(r.text(dev, "id/bustype")), dev)
	n.Vendor, n.Product = parseID16(r.text(dev, "id/vendor")), parseID16(r.text(dev, "id/product"))
	n.Serial, n.PortPath = cleanSerial(r.text(dev, "uniq")), cleanText(r.text(dev, "phys"))
}

// describeSerial is for serial ports that are not of USB. Several UARTs may be of
// one card, so that their place alone does not tell them apart.
func (r *reader) describeSerial(n *Node, p parents) {
	if isRFCOMM(n.Kernel) {
		n.Bus, n.Serial = Bluetooth, cleanSerial(r.text(n.SysPath, "address"))
		return
	}
	n.Bus = Platform
	n.PortPath = path.Join(strings.TrimPrefix(p.near, "/devices/"), n.Kernel)
}

func busOf(number uint16, devpath string) Bus {
	switch {
	case number == busBluetooth:
		return Bluetooth
	case isVirtual(devpath):
		return Virtual
	}
	return Platform
}

// free gives the interfaces of a USB device that no kernel driver has.
func (r *reader) free(usb string) []int {
	var free []int
	for _, name := range r.list(usb) {
		if !strings.HasPrefix(name, path.Base(usb)+":") || r.link(usb, name, "driver") != "" {
			continue
		}
		if number := r.interfaceNumber(path.Join(usb, name)); number >= 0 {
			free = append(free, number)
		}
	}
	return free
}

// interfaceNumber gives the number of a USB interface, or -1.
func (r *reader) interfaceNumber(iface string) int {
	n, err := strconv.ParseUint(r.text(iface, "bInterfaceNumber"), 16, 8)
	if err != nil {
		return -1
	}
	return int(n)
}

// parseID16 gives a number of USB in hex, or 0 for what is none.
func parseID16(s string) uint16 {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || n > 0xffff {
		return 0
	}
	return uint16(n)
}

// maxKeyWords is how many words KEY_MAX of the kernel needs, with room to grow.
const maxKeyWords = 64

// parseBitmap reads a bitmap of input devices: words in hex as long as those of
// the machine, the highest first, leading empty ones left out. What is none gives
// nil.
func parseBitmap(s string) []uint64 {
	words := strings.Fields(s)
	if len(words) > maxKeyWords {
		return nil
	}
	bitmap := make([]uint64, (len(words)*bits.UintSize+63)/64)
	for i, word := range words {
		n, err := strconv.ParseUint(word, 16, bits.UintSize)
		if err != nil {
			return nil
		}
		at := (len(words) - 1 - i) * bits.UintSize
		bitmap[at/64] |= n << (at % 64)
	}
	return bitmap
}
