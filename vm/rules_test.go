package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"posd/drivers/recording"
	"posd/vm/emul"
)

// access is who may use a node, and by which other names.
type access struct {
	owner, mode string // user:group, in octal
	links       []string
}

// TestRules looks at what the shipped rules make of devices: owner, mode and links
// of their nodes, and what ModemManager is told.
func TestRules(t *testing.T) {
	inGuest(t, func(g *guest) {
		hidpos := readRecordings(t, "hid-pos-scanner")["hidpos"].Descriptor
		mouse := []byte{0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x05, 0x09, 0x19, 1, 0x29, 8, 0x15, 0, 0x25, 1, 0x75, 1, 0x95, 8, 0x81, 2, 0xc0}
		mine := func(links ...string) access { return access{"root:posdev", "660", links} }
		for n, c := range []struct {
			name            string
			vendor, product uint16
			serial          string
			descriptor      []byte // nil: a serial port
			want            access
			ignored         bool // by ModemManager
		}{
			{"Honeywell", 0x0c2e, 0x0b61, "A1", hidpos, mine("pos/Emulated_Device_A1-if00"), true},
			{"Honeywell, port", 0x0c2e, 0x0b6a, "A2", nil, mine("pos/Emulated_Device_A2-if00", "serial/by-id/usb-Emulated_Device_A2-if00"), true},
			{"Hand Held Products", 0x0536, 0x02e1, "A3", hidpos, mine(), true},
			{"a hand-held computer", 0x0536, 0x01a0, "A4", mouse, access{"root:root", "600", nil}, false},
			{"Intermec", 0x067e, 0x0801, "A5", hidpos, mine(), true},
			{"Datalogic", 0x05f9, 0x120f, "", hidpos, mine("pos/Emulated_Device-if00"), true},
			{"Datalogic, older, port", 0x080c, 0x0300, "A7", nil, mine(), true},
			{"Zebra", 0x05e0, 0x1300, "A8", hidpos, mine(), true},
			{"NCR", 0x0404, 0x0202, "A9", hidpos, mine(), true},
			{"an NCR printer, port", 0x0404, 0x0312, "B1", nil, access{"root:dialout", "660", []string{"serial/by-id/usb-Emulated_Device_B1-if00"}}, false},
			{"MagTek", 0x0801, 0x0002, "B2", hidpos, mine(), true},
			{"ID TECH", 0x0acd, 0x2010, "B3", hidpos, mine(), true},
			{"Access-IS", 0x0db5, 0x0149, "B4", hidpos, mine(), true},
			{"Newland", 0x1eab, 0x0106, "B5", hidpos, mine(), true},
			{"Opticon, port", 0x065a, 0xa002, "B6", nil, mine(), true},
			{"an unknown maker's scanner", 0x1209, 0x0001, "B7", hidpos, mine("pos/Emulated_Device_B7-if00"), false},
			{"a mouse", 0x046d, 0xc077, "B8", mouse, access{"root:root", "600", nil}, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				socket := n % emul.Ports
				rec := recording.Recording{Vendor: c.vendor, Product: c.product, Transport: recording.TTY, Descriptor: c.descriptor}
				if c.descriptor != nil {
					rec.Transport = recording.HIDRaw
				}
				d, err := recorded(rec, c.serial, false)
				if err != nil {
					t.Fatal(err)
				}
				plug := d.plug(t, socket)
				defer plug.Pull()
				node := d.node(t)
				g.sh("udevadm settle")
				wanted := slices.Concat(c.want.links, byPath(c.want, socket))
				if got := g.accessOf(node); got.owner != c.want.owner || got.mode != c.want.mode || !contains(got.links, wanted) {
					t.Errorf("%s is %+v, want %+v", node, got, c.want)
				}
				told := strings.Contains(g.sh(fmt.Sprintf("udevadm info -q property /sys/bus/usb/devices/1-%d", socket+1)), "ID_MM_DEVICE_IGNORE=1")
				if told != c.ignored {
					t.Errorf("ModemManager is told to leave it alone: %v, want %v", told, c.ignored)
				}
			})
		}
	})
}

// byPath is the link that a device of the rules has by its socket.
func byPath(a access, socket int) []string {
	if a.owner != "root:posdev" {
		return nil
	}
	return []string{fmt.Sprintf("pos/by-path/platform-vhci_hcd.0-usb-0:%d:1.0", socket+1)}
}

func contains(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

// accessOf gives who may use a node.
func (g *guest) accessOf(node string) access {
	owner, mode, _ := strings.Cut(g.sh("stat -c '%U:%G %a' "+node), " ")
	links := strings.Fields(g.sh("udevadm info -q symlink " + node))
	return access{owner, mode, links}
}

// node waits for the device's node of its first interface, and gives its path: a
// hidraw, a keyboard's event or a serial port's.
func (d *gear) node(t *testing.T) string {
	t.Helper()
	patterns := []string{"*/hidraw/hidraw*", "tty/tty*", "ttyUSB*"}
	if d.keys != nil {
		patterns = []string{"*/input/input*/event*"}
	}
	var found string
	waitFor(t, "the node of "+d.id(), func() bool {
		for _, p := range patterns {
			nodes, _ := filepath.Glob(fmt.Sprintf("/sys/bus/usb/devices/1-%d:1.0/%s", d.socket+1, p))
			if len(nodes) > 0 {
				found = "/dev/" + filepath.Base(nodes[0])
				if d.keys != nil {
					found = "/dev/input/" + filepath.Base(nodes[0])
				}
				_, err := os.Stat(found)
				return err == nil
			}
		}
		return false
	})
	return found
}
