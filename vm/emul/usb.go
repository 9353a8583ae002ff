// Package emul makes devices of a checkout lane out of nothing, in a Linux that
// has the modules vhci_hcd, uhid and uinput: USB devices that the kernel, libusb
// and udev take for real ones, keyboards, and HID devices without a USB cable.
package emul

import (
	"encoding/binary"
	"unicode/utf16"
)

// USB is a USB device of full speed. Its fields say what it tells of itself; what
// it does is in its interfaces. It can be plugged in, pulled and plugged in again.
type USB struct {
	Vendor, Product uint16
	Release         uint16 // bcdDevice
	Maker, Model    string
	Serial          string // "": it has none
	Class           byte   // of the device; 0: its interfaces have classes of their own
	Interfaces      []*Interface
	// Control answers a request to the device, or to an interface that does not
	// answer it itself. It may be nil.
	Control Handler
}

// Interface is an interface of a USB device.
type Interface struct {
	Class, Subclass, Protocol byte
	Extra                     []byte // descriptors of its class
	Endpoints                 []*Endpoint
	Control                   Handler // of requests to it; may be nil
	// Joined is of the first of some interfaces that are one function: how many
	// they are (interface association).
	Joined byte
}

// Handler answers a control request. Data is what came with it; what it returns is
// what the host gets of a request to read. ok is false if the device has no such
// request, which stalls it.
type Handler func(s Setup, data []byte) (answer []byte, ok bool)

// Setup is what a control request asks for (USB 2.0, 9.3).
type Setup struct {
	Type, Request        byte
	Value, Index, Length uint16
}

// The requests of USB 2.0, 9.4, that a device must know and its host's kernel
// does not keep to itself.
const (
	getStatus        = 0
	clearFeature     = 1
	setFeature       = 3
	getDescriptor    = 6
	getConfiguration = 8
	setConfiguration = 9
	getInterface     = 10
	setInterface     = 11

	deviceDescriptor        = 1
	configurationDescriptor = 2
	stringDescriptor        = 3
	interfaceDescriptor     = 4
	endpointDescriptor      = 5
	associationDescriptor   = 11

	standard     = 0x00 // bits 5 and 6 of Setup.Type
	classType    = 0x20
	vendorType   = 0x40
	typeMask     = 0x60
	recipient    = 0x1f
	toInterface  = 1
	deviceToHost = 0x80
)

// Numbers of the strings.
const (
	noString = iota
	makerString
	modelString
	serialString
)

func (d *USB) stringOf(n byte) (string, bool) {
	switch n {
	case makerString:
		return d.Maker, true
	case modelString:
		return d.Model, true
	case serialString:
		return d.Serial, d.Serial != ""
	}
	return "", false
}

func stringNumber(n byte, s string) byte {
	if s == "" {
		return noString
	}
	return n
}

// control answers the requests that every device knows, and passes on others.
func (d *USB) control(s Setup, data []byte) ([]byte, bool) {
	if s.Type&typeMask == standard {
		switch s.Request {
		case getDescriptor:
			if s.Type&recipient != toInterface {
				return d.descriptor(byte(s.Value>>8), byte(s.Value))
			}
		case getStatus:
			return []byte{0, 0}, true
		case getConfiguration:
			return []byte{1}, true
		case getInterface:
			return []byte{0}, true
		case setConfiguration, setInterface, setFeature, clearFeature:
			return nil, true
		}
	}
	if n := int(s.Index & 0xff); s.Type&recipient == toInterface && n < len(d.Interfaces) && d.Interfaces[n].Control != nil {
		if answer, ok := d.Interfaces[n].Control(s, data); ok {
			return answer, true
		}
	}
	if d.Control != nil {
		return d.Control(s, data)
	}
	return nil, false
}

func (d *USB) descriptor(kind, n byte) ([]byte, bool) {
	switch kind {
	case deviceDescriptor:
		return d.device(), true
	case configurationDescriptor:
		return d.configuration(), n == 0
	case stringDescriptor:
		if n == 0 {
			return []byte{4, stringDescriptor, 0x09, 0x04}, true // English
		}
		s, ok := d.stringOf(n)
		b := []byte{0, stringDescriptor}
		for _, u := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		b[0] = byte(len(b))
		return b, ok
	}
	return nil, false // full speed: there is no device qualifier
}

// device is the device descriptor (USB 2.0, table 9-8).
func (d *USB) device() []byte {
	class, sub, protocol := d.Class, byte(0), byte(0)
	for _, i := range d.Interfaces {
		if i.Joined > 0 { // table 1-1 of the ECN on interface associations
			class, sub, protocol = 0xef, 2, 1
		}
	}
	b := []byte{18, deviceDescriptor, 0x00, 0x02, class, sub, protocol, 64}
	for _, v := range []uint16{d.Vendor, d.Product, d.Release} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return append(b, stringNumber(makerString, d.Maker), stringNumber(modelString, d.Model), stringNumber(serialString, d.Serial), 1)
}

// configuration is the only configuration with all that belongs to it (tables
// 9-10, 9-12 and 9-13).
func (d *USB) configuration() []byte {
	b := []byte{9, configurationDescriptor, 0, 0, byte(len(d.Interfaces)), 1, 0, 0x80, 100}
	for n, i := range d.Interfaces {
		if i.Joined > 0 {
			b = append(b, 8, associationDescriptor, byte(n), i.Joined, i.Class, i.Subclass, i.Protocol, 0)
		}
		b = append(b, 9, interfaceDescriptor, byte(n), 0, byte(len(i.Endpoints)), i.Class, i.Subclass, i.Protocol, 0)
		b = append(b, i.Extra...)
		for _, e := range i.Endpoints {
			b = append(b, 7, endpointDescriptor, e.Address, byte(e.Kind))
			b = binary.LittleEndian.AppendUint16(b, 64)
			b = append(b, e.interval())
		}
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}
