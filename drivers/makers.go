package drivers

import (
	"fmt"
	"path"

	"posd/drivers/driver"
)

// Maker is a maker of scanners, card readers and keypads, by the ids of USB.
// Makers of USB-serial converters for general use (FTDI, Prolific, WCH, Silicon
// Labs) are none: what hangs on a converter cannot be known.
type Maker struct {
	Name     string
	Vendor   uint16
	Products []string // patterns of product ids, such as 08??; nil: all
	Except   []string // product ids that are something else
	Note     string   // why Products and Except are as they are
	// Role is what a keyboard or serial port of this maker is for: these do not
	// tell themselves. Empty: the maker has devices for several roles.
	Role driver.Role
}

// Makers is every maker that is known, in the order of the udev rules.
func Makers() []Maker {
	return []Maker{
		{Name: "Honeywell, first Metrologic", Vendor: 0x0c2e, Note: "scanners only", Role: driver.Scanner},
		{Name: "Honeywell, first Hand Held Products", Vendor: 0x0536, Except: []string{"01a0"}, Note: "01a0 is a hand-held computer", Role: driver.Scanner},
		{Name: "Honeywell, first Intermec", Vendor: 0x067e, Products: []string{"08??"}, Note: "it made printers and computers too: 08xx are scanners", Role: driver.Scanner},
		{Name: "Datalogic, first PSC", Vendor: 0x05f9, Note: "scanners only", Role: driver.Scanner},
		{Name: "Datalogic, older hand-held scanners", Vendor: 0x080c, Role: driver.Scanner},
		{Name: "Zebra, first Symbol", Vendor: 0x05e0, Except: []string{"20??"}, Note: "20xx are hand-held computers", Role: driver.Scanner},
		{Name: "NCR scanners", Vendor: 0x0404, Products: []string{"0202", "0203"}, Note: "78xx, by themselves and built in; it makes printers and keyboards too", Role: driver.Scanner},
		{Name: "NCR card readers", Vendor: 0x0404, Products: []string{"0328", "0329"}, Note: "with three tracks, and with Japanese ones", Role: driver.MSR},
		{Name: "MagTek", Vendor: 0x0801, Note: "card readers only", Role: driver.MSR},
		{Name: "ID TECH", Vendor: 0x0acd, Except: []string{"0300"}, Note: "card readers; 0300 is a converter for general use", Role: driver.MSR},
		{Name: "Access-IS", Vendor: 0x0db5, Note: "readers of bar codes and of cards"},
		{Name: "Newland", Vendor: 0x1eab, Note: "scanners only", Role: driver.Scanner},
		{Name: "Opticon", Vendor: 0x065a, Note: "scanners only", Role: driver.Scanner},
	}
}

// makerOf gives the maker of a device.
func makerOf(vendor, product uint16) (Maker, bool) {
	for _, m := range Makers() {
		if m.Vendor == vendor && m.makes(fmt.Sprintf("%04x", product)) {
			return m, true
		}
	}
	return Maker{}, false
}

func (m Maker) makes(product string) bool {
	return (m.Products == nil || anyMatch(m.Products, product)) && !anyMatch(m.Except, product)
}

func anyMatch(patterns []string, s string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, s); ok {
			return true
		}
	}
	return false
}
