package drivers

import (
	"fmt"
	"slices"
	"strings"

	"posd/tid"
)

// Table is every driver, in the order in which "auto" tries them: those that
// can tell their device first, the one that takes any text last of its
// transport.
func Table() []Driver {
	return []Driver{
		serialMSR(),
		serialKeypad(),
		serialScanner(),
		hidPOSScanner(),
	}
}

// Find gives the driver of a name.
func Find(name string) (Driver, error) {
	table := Table()
	at := slices.IndexFunc(table, func(d Driver) bool { return d.Name == name })
	if at < 0 {
		var names []string
		for _, d := range table {
			names = append(names, d.Name)
		}
		return Driver{}, fmt.Errorf("no driver is called %q: there are %s", name, strings.Join(names, ", "))
	}
	return table[at], nil
}

// claims makes a Claim that goes by the transport alone.
func claims(transport string) func(Attributes) bool {
	return func(a Attributes) bool { return a.Transport == transport }
}

// signals are the settings of devices that wait for the host's answer.
func signals() []Setting {
	return []Setting{
		{"ack", "bytes in hex", "", "sent when a reading was kept, for devices whose good-read signal the host gives: 06"},
		{"nak", "bytes in hex", "", "sent when it was not: 15"},
	}
}

// checkSettings reports what is wrong with the settings of a device that is not
// there: a driver that needs attributes leaves the rest to Open.
func (d Driver) checkSettings(s Settings, rules tid.Rules) error {
	if d.Transport != TransportTTY {
		return nil
	}
	_, err := d.Open(Attributes{Transport: d.Transport}, s, rules)
	return err
}
