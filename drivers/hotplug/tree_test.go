package hotplug

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is a sysfs of the test's own, made of text. A line that begins with / is a
// device: its path, subsystem, and the driver it is bound to if there is one. Those
// below it, with a tab, are of that device: NAME=value of its uevent, or the name
// of a file and its content.
type tree struct {
	testing.TB
	root    string
	devices []*device // parents first
	graves  int
}

type device struct {
	path, subsystem, driver string
	uevent                  []string
	files                   map[string]string
}

// newTree makes a sysfs in a folder, with the devices of texts.
func newTree(t testing.TB, dir string, texts ...string) *tree {
	t.Helper()
	tr := &tree{TB: t, root: filepath.Join(dir, "sys")}
	for _, d := range []string{"class/tty", "class/hidraw", "class/input", "bus/usb/devices", "devices"} {
		tr.must(os.MkdirAll(tr.at(d), 0o755))
	}
	tr.must(os.MkdirAll(filepath.Join(dir, "graves"), 0o755))
	for _, text := range texts {
		tr.add(text)
	}
	return tr
}

// inMemory makes a folder, where that can be in memory: disks make the tests slow.
func inMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hotplug")
	if err != nil {
		dir, err = os.MkdirTemp("", "hotplug")
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// scratch is a folder inMemory for one test.
func scratch(t testing.TB) string {
	t.Helper()
	dir := inMemory(t)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (tr *tree) must(err error) {
	tr.Helper()
	if err != nil {
		tr.Fatal(err)
	}
}

func (tr *tree) at(parts ...string) string { return filepath.Join(tr.root, filepath.Join(parts...)) }

// add makes devices, and gives the kernel's events of that.
func (tr *tree) add(text string) (events []Event) {
	tr.Helper()
	for _, d := range tr.parse(text) {
		tr.make(d)
		tr.devices = append(tr.devices, d)
		events = append(events, d.event("add"))
	}
	return events
}

func (d *device) event(action string) Event {
	return Event{Action: action, Subsystem: d.subsystem, DevPath: d.path}
}

func (tr *tree) parse(text string) (devices []*device) {
	tr.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		last := len(devices) - 1
		name, value, isFile := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case line == "":
		case line[0] == '/':
			words := append(strings.Fields(line), "")
			devices = append(devices, &device{path: words[0], subsystem: words[1], driver: words[2], files: map[string]string{}})
		case isFile:
			value, err := strconv.Unquote(`"` + value + `"`)
			tr.must(err)
			if name != "report_descriptor" {
				value += "\n"
			}
			devices[last].files[name] = value
		default:
			devices[last].uevent = append(devices[last].uevent, strings.TrimSpace(line)+"\n")
		}
	}
	return devices
}

// make makes a device as the kernel does: what lists it comes last.
func (tr *tree) make(d *device) {
	tr.Helper()
	tr.must(os.MkdirAll(tr.at(d.path), 0o755))
	for name, content := range d.files {
		tr.must(os.MkdirAll(filepath.Dir(tr.at(d.path, name)), 0o755))
		tr.must(os.WriteFile(tr.at(d.path, name), []byte(content), 0o644))
	}
	tr.must(os.WriteFile(tr.at(d.path, "uevent"), []byte(strings.Join(d.uevent, "")), 0o644))
	tr.links(d)
}

// links makes the links of and to a device.
func (tr *tree) links(d *device) {
	tr.Helper()
	tr.link(path.Join(d.path, "subsystem"), d.home())
	tr.bind(d, d.driver)
	if d.isClass() {
		tr.link(path.Join(d.path, "device"), path.Dir(path.Dir(d.path)))
	}
	tr.link(d.entry(), d.path)
}

func (d *device) isClass() bool {
	return slices.Contains([]string{TTY, HIDRaw, Input, "bluetooth"}, d.subsystem)
}

func (d *device) home() string {
	if d.isClass() {
		return "/class/" + d.subsystem
	}
	return "/bus/" + d.subsystem
}

func (d *device) entry() string {
	if d.isClass() {
		return path.Join(d.home(), path.Base(d.path))
	}
	return path.Join(d.home(), "devices", path.Base(d.path))
}

// bind gives a device a driver, or takes it away.
func (tr *tree) bind(d *device, driver string) {
	tr.Helper()
	d.driver = driver
	if driver == "" {
		_ = os.Remove(tr.at(d.path, "driver"))
		return
	}
	tr.link(path.Join(d.path, "driver"), path.Join(d.home(), "drivers", driver))
}

// link makes a link as sysfs has them: relative, and straight to the device.
func (tr *tree) link(from, to string) {
	tr.Helper()
	rel, err := filepath.Rel(path.Dir(from), to)
	tr.must(err)
	tr.must(os.MkdirAll(filepath.Dir(tr.at(from)), 0o755))
	_ = os.Remove(tr.at(from))
	tr.must(os.Symlink(rel, tr.at(from)))
}

// remove takes away the device at a path and those below it, and gives the
// kernel's events of that.
func (tr *tree) remove(top string) (events []Event) {
	tr.Helper()
	for i := len(tr.devices) - 1; i >= 0; i-- {
		if d := tr.devices[i]; d.isAt(top) {
			tr.unmake(d)
			tr.devices = slices.Delete(tr.devices, i, i+1)
			events = append(events, d.event("remove"))
		}
	}
	return events
}

func (d *device) isAt(top string) bool {
	return d.path == top || strings.HasPrefix(d.path, top+"/")
}

// unmake takes a device away piece by piece. Its folder is kept elsewhere: its
// inode must not come back, as it does not in sysfs.
func (tr *tree) unmake(d *device) {
	tr.Helper()
	tr.must(os.Remove(tr.at(d.entry())))
	for _, name := range slices.Collect(maps.Keys(d.files)) {
		tr.must(os.Remove(tr.at(d.path, name)))
	}
	tr.must(os.Remove(tr.at(d.path, "uevent")))
	tr.graves++
	tr.must(os.Rename(tr.at(d.path), filepath.Join(filepath.Dir(tr.root), "graves", strconv.Itoa(tr.graves))))
}

// move moves a device and those below it. The kernel tells of the first only.
func (tr *tree) move(from, to string) Event {
	tr.Helper()
	var first *device
	for _, d := range tr.devices {
		if d.isAt(from) {
			tr.must(os.Remove(tr.at(d.entry())))
		}
	}
	tr.must(os.MkdirAll(filepath.Dir(tr.at(to)), 0o755))
	tr.must(os.Rename(tr.at(from), tr.at(to)))
	for _, d := range tr.devices {
		if !d.isAt(from) {
			continue
		}
		if d.path == from {
			first = d
		}
		d.path = to + strings.TrimPrefix(d.path, from)
		tr.links(d)
	}
	e := first.event("move")
	e.OldPath = from
	return e
}

func (tr *tree) find(top string) *device {
	tr.Helper()
	for _, d := range tr.devices {
		if d.path == top {
			return d
		}
	}
	tr.Fatalf("there is no %s", top)
	return nil
}

func (tr *tree) scan() []Node {
	tr.Helper()
	nodes, err := Scan(tr.root)
	tr.must(err)
	return nodes
}

// The devices of the tests, as kernels lay them out.
const (
	pci = "/devices/pci0000:00/0000:00:14.0"
	bus = `
` + pci + ` pci xhci_hcd
` + pci + `/usb1 usb usb
	DEVTYPE=usb_device
	DEVNAME=bus/usb/001/001
	idVendor: 1d6b
	bDeviceClass: 09
	serial: 0000:00:14.0
` + pci + `/usb1/1-0:1.0 usb hub
	DEVTYPE=usb_interface
	bInterfaceNumber: 00
`
	hub = `
` + pci + `/usb1/1-1 usb usb
	DEVTYPE=usb_device
	DEVNAME=bus/usb/001/002
	idVendor: 05e3
	bDeviceClass: 09
` + pci + `/usb1/1-1/1-1:1.0 usb hub
	DEVTYPE=usb_interface
	bInterfaceNumber: 00
`
	// A scanner with a HID POS interface and, as a keyboard, another: HID names come
	// after the ids, and this one tries to bring its own.
	honeywell = `
` + pci + `/usb1/1-1/1-1.2 usb usb
	MAJOR=189
	MINOR=2
	DEVNAME=bus/usb/001/003
	DEVTYPE=usb_device
	idVendor: 0c2e
	idProduct: 0b61
	bDeviceClass: 00
	serial: S1234
	manufacturer: Honeywell
	product:  1900\x1b[2J GHD
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.0 usb usbhid
	DEVTYPE=usb_interface
	bInterfaceNumber: 00
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.0/0003:0C2E:0B61.0001 hid hid-generic
	DRIVER=hid-generic
	HID_ID=0003:00000C2E:00000B61
	HID_NAME=Honeywell 1900
	HID_ID=0003:00000801:00000002
	HID_PHYS=usb-0000:00:14.0-1.2/input0
	HID_UNIQ=S1234
	report_descriptor: \x05\x8c\x09\x02
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.0/0003:0C2E:0B61.0001/hidraw/hidraw0 hidraw
	MAJOR=240
	MINOR=0
	DEVNAME=hidraw0
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.1 usb usbhid
	DEVTYPE=usb_interface
	bInterfaceNumber: 01
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.1/0003:0C2E:0B61.0002 hid hid-generic
	HID_ID=0003:00000C2E:00000B61
	HID_NAME=Honeywell 1900
	HID_PHYS=usb-0000:00:14.0-1.2/input1
	report_descriptor: \x05\x01\x09\x06
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.1/0003:0C2E:0B61.0002/hidraw/hidraw1 hidraw
	DEVNAME=hidraw1
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.1/0003:0C2E:0B61.0002/input/input5 input
	NAME="Honeywell 1900 Keyboard"
	name: Honeywell 1900 Keyboard
	phys: usb-0000:00:14.0-1.2/input1
	uniq: S1234
	id/bustype: 0003
	id/vendor: 0c2e
	id/product: 0b61
	capabilities/key: 1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe
` + pci + `/usb1/1-1/1-1.2/1-1.2:1.1/0003:0C2E:0B61.0002/input/input5/event5 input
	DEVNAME=input/event5
`
	// A serial port over two interfaces, and one interface that nothing drives. %P is
	// the port, %N the number of its tty.
	acm = `
` + pci + `/usb1/1-%P usb usb
	DEVTYPE=usb_device
	DEVNAME=bus/usb/001/01%N
	idVendor: 05f9
	idProduct: 2214
	bDeviceClass: ef
	serial: 0000000000
	manufacturer: Datalogic ADC
` + pci + `/usb1/1-%P/1-%P:1.0 usb cdc_acm
	DEVTYPE=usb_interface
	bInterfaceNumber: 00
` + pci + `/usb1/1-%P/1-%P:1.0/tty/ttyACM%N tty
	DEVNAME=ttyACM%N
` + pci + `/usb1/1-%P/1-%P:1.1 usb cdc_acm
	DEVTYPE=usb_interface
	bInterfaceNumber: 01
` + pci + `/usb1/1-%P/1-%P:1.2 usb
	DEVTYPE=usb_interface
	bInterfaceNumber: 02
`
	ftdi = `
` + pci + `/usb1/1-4 usb usb
	DEVTYPE=usb_device
	DEVNAME=bus/usb/001/009
	idVendor: 0403
	idProduct: 6001
	serial: A700
	manufacturer: FTDI
	product: FT232R USB UART
` + pci + `/usb1/1-4/1-4:1.0 usb ftdi_sio
	DEVTYPE=usb_interface
	bInterfaceNumber: 00
` + pci + `/usb1/1-4/1-4:1.0/ttyUSB0 usb-serial ftdi_sio
` + pci + `/usb1/1-4/1-4:1.0/ttyUSB0/tty/ttyUSB0 tty
	DEVNAME=ttyUSB0
`
	// Scanners on a Bluetooth adapter that is itself on USB: by hidp of the kernel, and
	// as a serial port.
	adapter = `
` + pci + `/usb1/1-8 usb usb
	DEVTYPE=usb_device
	DEVNAME=bus/usb/001/008
	idVendor: 8087
	idProduct: 0a2b
	bDeviceClass: e0
	serial: ADAPTER
` + pci + `/usb1/1-8/1-8:1.0 usb btusb
	DEVTYPE=usb_interface
	bInterfaceNumber: 00
` + pci + `/usb1/1-8/1-8:1.0/bluetooth/hci0 bluetooth
`
	cordless = `
` + pci + `/usb1/1-8/1-8:1.0/bluetooth/hci0/hci0:256 bluetooth
` + pci + `/usb1/1-8/1-8:1.0/bluetooth/hci0/hci0:256/0005:0C2E:0A01.0003 hid hid-generic
	HID_ID=0005:00000C2E:00000A01
	HID_NAME=Cordless
	HID_PHYS=00:11:22:33:44:55
	HID_UNIQ=aa:bb:cc:dd:ee:ff
	report_descriptor: \x05\x8c
` + pci + `/usb1/1-8/1-8:1.0/bluetooth/hci0/hci0:256/0005:0C2E:0A01.0003/hidraw/hidraw7 hidraw
	DEVNAME=hidraw7
`
	rfcomm = `
/devices/virtual/tty/rfcomm0 tty
	DEVNAME=rfcomm0
	address: aa:bb:cc:00:11:22
	channel: 1
`
	lowEnergy = `
/devices/virtual/misc/uhid/0005:05E0:0A02.0005 hid hid-generic
	HID_ID=0005:000005E0:00000A02
	HID_NAME=LE
	HID_PHYS=00:11:22:33:44:55
	HID_UNIQ=aa:bb:cc:dd:ee:00
	report_descriptor: \x05\x8c
/devices/virtual/misc/uhid/0005:05E0:0A02.0005/hidraw/hidraw8 hidraw
	DEVNAME=hidraw8
`
	uhid = `
/devices/virtual/misc/uhid/0003:0C2E:0B61.0004 hid hid-generic
	HID_ID=0003:00000C2E:00000B61
	HID_NAME=Emulated
	HID_PHYS=
	HID_UNIQ=
	report_descriptor: \x05\x8c
/devices/virtual/misc/uhid/0003:0C2E:0B61.0004/hidraw/hidraw9 hidraw
	DEVNAME=hidraw9
`
	uinput = `
/devices/virtual/input/input20 input
	name: Emulated keypad
	phys: 
	id/bustype: 0003
	id/vendor: 1234
	id/product: abcd
	capabilities/key: 1c00
/devices/virtual/input/input20/event12 input
	DEVNAME=input/event12
/devices/virtual/input/mice input
	DEVNAME=input/mice
`
	ps2 = `
/devices/platform/i8042 platform i8042
/devices/platform/i8042/serio0 serio atkbd
/devices/platform/i8042/serio0/input/input3 input
	name: AT Translated Set 2 keyboard
	phys: isa0060/serio0/input0
	id/bustype: 0011
	id/vendor: 0001
	id/product: 0001
	capabilities/key: 402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe
/devices/platform/i8042/serio0/input/input3/event3 input
	DEVNAME=input/event3
`
	// UARTs: of the board as since Linux 6.5, as before, of a card, and what is not there.
	uarts = `
/devices/pnp0/00:05 pnp serial
/devices/pnp0/00:05/00:05:0 serial-base ctrl
/devices/pnp0/00:05/00:05:0/00:05:0.0 serial-base port
/devices/pnp0/00:05/00:05:0/00:05:0.0/tty/ttyS0 tty
	DEVNAME=ttyS0
	type: 4
/devices/pci0000:00/0000:00:1e.0 pci serial
/devices/pci0000:00/0000:00:1e.0/tty/ttyS4 tty
	DEVNAME=ttyS4
	type: 4
/devices/pci0000:00/0000:00:1e.0/tty/ttyS10 tty
	DEVNAME=ttyS10
	type: 4
/devices/platform/serial8250 platform serial8250
/devices/platform/serial8250/tty/ttyS1 tty
	DEVNAME=ttyS1
	type: 0
/devices/virtual/tty/tty1 tty
	DEVNAME=tty1
/devices/virtual/tty/ttyp0 tty
	DEVNAME=ttyp0
/devices/virtual/tty/ptmx tty
	DEVNAME=ptmx
`
)

// acmAt is a serial scanner at a port.
func acmAt(port, number int) string {
	return strings.NewReplacer("%P", strconv.Itoa(port), "%N", strconv.Itoa(number)).Replace(acm)
}

func acmPath(port int) string { return fmt.Sprintf("%s/usb1/1-%d", pci, port) }

// lane is everything of the above.
func lane(t testing.TB) *tree {
	return newTree(t, scratch(t), bus, hub, honeywell, acmAt(2, 2), acmAt(3, 3), ftdi, adapter, cordless, rfcomm, lowEnergy, uhid, uinput, ps2, uarts)
}
