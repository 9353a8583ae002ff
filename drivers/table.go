package drivers

import (
	"fmt"
	"slices"
	"strings"

	"posd/drivers/barcode"
	"posd/drivers/card"
	"posd/drivers/driver"
	"posd/drivers/keypad"
)

// Table is every driver, in the order in which "auto" tries them: those that
// can tell their device first, the one that takes any text last of its
// transport.
func Table() []driver.Driver {
	return []driver.Driver{
		card.Serial(),
		card.IDTECH(),
		keypad.Serial(),
		barcode.Serial(),
		barcode.HIDPOS(),
		barcode.IBM(),
		card.HIDMSR(),
		card.MagTek(),
		card.Keyboard(),
		keypad.Keyboard(),
		barcode.Keyboard(),
	}
}

// Find gives the driver of a name.
func Find(name string) (driver.Driver, error) {
	table := Table()
	at := slices.IndexFunc(table, func(d driver.Driver) bool { return d.Name == name })
	if at < 0 {
		var names []string
		for _, d := range table {
			names = append(names, d.Name)
		}
		return driver.Driver{}, fmt.Errorf("no driver is called %q: there are %s", name, strings.Join(names, ", "))
	}
	return table[at], nil
}
