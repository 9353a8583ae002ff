// Package hardware writes down, from the driver table and the makers, what the
// rest of the system has to know of devices: udev's rules and hardware database,
// and the list for people. What it gives is in the repository as
// udev/70-posd.rules, udev/70-posd.hwdb and docs/hardware.md: go generate
// ./drivers/hardware writes them anew.
package hardware

//go:generate go run ./generate

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"posd/drivers"
)

//go:embed rules.tmpl
var rules string

// Rules gives the udev rules.
func Rules() string {
	var b strings.Builder
	for _, m := range merged() {
		fmt.Fprintf(&b, "# %s\n", m.comment)
		fmt.Fprintf(&b, "ENV{ID_VENDOR_ID}==\"%04x\"", m.vendor)
		if len(m.products) > 0 {
			fmt.Fprintf(&b, ", ENV{ID_MODEL_ID}==\"%s\"", strings.Join(m.products, "|"))
		}
		if len(m.except) > 0 {
			fmt.Fprintf(&b, ", ENV{ID_MODEL_ID}!=\"%s\"", strings.Join(m.except, "|"))
		}
		b.WriteString(", ENV{ID_POS_DEVICE}=\"1\"\n")
	}
	return strings.Replace(rules, "@MAKERS@\n", b.String(), 1)
}

// vendor is a maker's id, with what all its rows of the table say.
type vendor struct {
	vendor           uint16
	comment          string
	products, except []string
}

// merged puts together the makers that share an id.
func merged() []vendor {
	var all []vendor
	for _, m := range drivers.Makers() {
		comment := m.Name
		if m.Note != "" {
			comment += ": " + m.Note
		}
		at := slices.IndexFunc(all, func(v vendor) bool { return v.vendor == m.Vendor })
		if at < 0 {
			all = append(all, vendor{m.Vendor, comment + ".", slices.Clone(m.Products), slices.Clone(m.Except)})
			continue
		}
		all[at].comment = strings.TrimSuffix(all[at].comment, ".") + "; " + comment + "."
		all[at].products = append(all[at].products, m.Products...)
	}
	return all
}

const hwdbHead = `# Scanners and card readers of checkout lanes: /usr/lib/udev/hwdb.d/70-posd.hwdb
#
# Made from the driver table: go generate ./drivers/hardware. After a change run
# systemd-hwdb update. It tells "udevadm info" and other programs what a device is
# for; the rules in 70-posd.rules do without it.
`

// HWDB gives the hardware database of udev.
func HWDB() string {
	var b strings.Builder
	b.WriteString(hwdbHead)
	for _, m := range drivers.Makers() {
		fmt.Fprintf(&b, "\n# %s\n", m.Name)
		products := m.Products
		if products == nil {
			products = []string{""}
		}
		for _, p := range products {
			fmt.Fprintf(&b, "usb:v%04Xp%s*\n", m.Vendor, strings.ToUpper(p))
		}
		b.WriteString(" ID_POS_DEVICE=1\n")
		if m.Role != "" {
			fmt.Fprintf(&b, " ID_POS_ROLE=%s\n", m.Role)
		}
		for _, p := range m.Except {
			fmt.Fprintf(&b, "\nusb:v%04Xp%s*\n ID_POS_DEVICE=0\n ID_POS_ROLE=\n", m.Vendor, strings.ToUpper(p))
		}
	}
	return b.String()
}
