package hotplug

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

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
	// A scanner with a HID POS interface and, as a keyboard, another.
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
	// Its name has a line in it that would make it another.
	uhid = `
/devices/virtual/misc/uhid/0003:0C2E:0B61.0004 hid hid-generic
	HID_ID=0003:00000C2E:00000B61
	HID_NAME=Emulated
	HID_ID=0005:00000801:00000002
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
