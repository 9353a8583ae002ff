package main

import (
	"testing"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/hotplug"
)

// The doctor looks at what is certainly a device, and at what is configured by its
// id: a converter is anybody's.
func TestRelevant(t *testing.T) {
	id, err := hotplug.ParseID("0403:6001:A100")
	if err != nil {
		t.Fatal(err)
	}
	by := drivers.DeviceConfig{Name: "front", Role: driver.Scanner, ID: id}
	off, past := by, by
	off.Disabled, past.Transport = true, driver.USBFS
	converter := hotplug.Node{Subsystem: hotplug.TTY, Path: "/dev/ttyUSB0", Vendor: 0x0403, Product: 0x6001, Serial: "A100"}
	other, usb, sure := converter, converter, converter
	other.Serial, usb.Subsystem, sure.Vendor = "A200", hotplug.USB, 0x05f9
	for _, c := range []struct {
		devices []drivers.DeviceConfig
		node    hotplug.Node
		want    bool
	}{
		{nil, sure, true}, {nil, converter, false},
		{[]drivers.DeviceConfig{by}, converter, true}, {[]drivers.DeviceConfig{by}, other, false}, {[]drivers.DeviceConfig{by}, usb, false},
		{[]drivers.DeviceConfig{off}, converter, false},
		{[]drivers.DeviceConfig{past}, converter, false}, {[]drivers.DeviceConfig{past}, usb, true},
	} {
		if got := relevant(c.devices)(c.node); got != c.want {
			t.Errorf("%+v of %+v: %t", c.node, c.devices, got)
		}
	}
}
