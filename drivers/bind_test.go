package drivers

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/drivers/node"
)

// posDescriptor is that of a scanner in HID POS mode.
var posDescriptor = []byte{
	0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x12, 0xa1, 0x02, 0x85, 0x02, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08,
	0x95, 0x38, 0x09, 0xfe, 0x81, 0x02, 0xc0, 0xc0,
}

// hidNode is the hidraw node of a scanner in HID POS mode.
func hidNode(name, serial, at string) hotplug.Node {
	return hotplug.Node{
		Subsystem: hotplug.HIDRaw, Kernel: name, Path: "/dev/" + name, Device: "/devices/" + at, Bus: hotplug.OnUSB,
		Vendor: 0x0c2e, Product: 0x0b61, Serial: serial, PortPath: at, Model: "Scanner 1900", Manufacturer: "Honeywell", Descriptor: posDescriptor,
	}
}

// comNode is the serial port of a Datalogic scanner, or of a converter.
func comNode(name string, vendor uint16, at string) hotplug.Node {
	return hotplug.Node{
		Subsystem: hotplug.TTY, Kernel: name, Path: "/dev/" + name, Device: "/devices/" + at, Bus: hotplug.OnUSB,
		Vendor: vendor, Product: 0x2214, PortPath: at,
	}
}

// keyNode is the keyboard of the scanner that hidNode is of.
func keyNode(name, serial, at string) hotplug.Node {
	n := hidNode(name, serial, at)
	n.Subsystem, n.Path, n.Descriptor, n.Keys = hotplug.Input, "/dev/input/"+name, nil, []uint64{0xfffffffffffffffe}
	return n
}

func slotFor(t testing.TB, c DeviceConfig) slot {
	t.Helper()
	r, err := c.resolve(rules())
	if err != nil {
		t.Fatal(err)
	}
	return slot{cfg: r, path: c.Port}
}

func idOf(t testing.TB, s string) hotplug.ID {
	t.Helper()
	id, err := hotplug.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (b binding) String() string {
	var parts []string
	for _, t := range b.targets {
		if t.why != nil {
			parts = append(parts, string(t.why.State))
			continue
		}
		parts = append(parts, t.path)
	}
	for _, c := range b.adopt {
		parts = append(parts, "adopt "+c.Name)
	}
	for _, s := range b.idle {
		parts = append(parts, string(s.State)+" "+s.Name)
	}
	return strings.Join(parts, ", ")
}

func TestBind(t *testing.T) {
	scanner := func(id string) slot {
		return slotFor(t, DeviceConfig{Name: "front", Role: driver.Scanner, ID: idOf(t, id)})
	}
	port := func(path string, role driver.Role) slot {
		return slotFor(t, DeviceConfig{Name: path, Role: role, Port: path})
	}
	bound := func(s slot, device string) slot { s.home.physical = device; return s }
	twins := func(s slot) slot { s.home.twins = true; return s }
	named := func(s slot, name string) slot { s.cfg.Name = name; return s }
	adopted := func(s slot) slot { s.adopted = true; return s }
	gone := func(s slot) slot { s.path = ""; return s }
	off := func(s slot) slot { s.cfg.Disabled = true; return s }
	own := comNode("ttyACM0", 0x0c2e, "1-1")
	own.Product = 0x0b61
	one, twin := hidNode("hidraw0", "", "1-1"), hidNode("hidraw1", "", "1-2")
	for _, c := range []struct {
		name     string
		slots    []slot
		nodes    []hotplug.Node
		discover bool
		want     string
	}{
		{"absent", []slot{scanner("0c2e:0b61")}, nil, true, "missing"},
		{"by id", []slot{scanner("0c2e:0b61")}, []hotplug.Node{one}, true, "/dev/hidraw0"},
		{"a serial port beside the reader", []slot{scanner("0c2e:0b61")}, []hotplug.Node{own, one, keyNode("event0", "", "1-1")}, true, "/dev/hidraw0"},
		{"by serial", []slot{scanner("0c2e:0b61:S200")}, []hotplug.Node{hidNode("hidraw0", "S100", "1-1"), hidNode("hidraw1", "S200", "1-2")}, false,
			"/dev/hidraw1, disabled scanner-0c2e:0b61:S100@1-1"},
		{"by port path", []slot{scanner("0c2e:0b61@1-2")}, []hotplug.Node{one, twin}, true, "/dev/hidraw1, adopt scanner-0c2e:0b61"},
		{"twins", []slot{scanner("0c2e:0b61")}, []hotplug.Node{one, twin}, true, "ambiguous"},
		{"twin of one that is read", []slot{bound(scanner("0c2e:0b61"), "/devices/1-2")}, []hotplug.Node{one, twin}, true,
			"/dev/hidraw1, ambiguous scanner-0c2e:0b61@1-1"},
		{"away, and its twin is there", []slot{twins(bound(scanner("0c2e:0b61"), "/devices/1-2"))}, []hotplug.Node{one}, true,
			"missing, ambiguous scanner-0c2e:0b61@1-1"},
		{"back beside its twin", []slot{twins(bound(scanner("0c2e:0b61"), "/devices/1-2"))}, []hotplug.Node{one, twin}, true,
			"/dev/hidraw1, ambiguous scanner-0c2e:0b61@1-1"},
		{"moved to another port", []slot{bound(scanner("0c2e:0b61"), "/devices/1-2")}, []hotplug.Node{one}, true, "/dev/hidraw0"},
		{"named as one like it", []slot{named(scanner("0c2e:0b61@1-2"), "scanner-0c2e:0b61")}, []hotplug.Node{one, twin}, true,
			"/dev/hidraw1, adopt scanner-0c2e:0b61@1-1"},
		{"twins told apart", []slot{scanner("0c2e:0b61@1-2"), scanner("0c2e:0b61@1-1")}, []hotplug.Node{one, twin}, true, "/dev/hidraw1, /dev/hidraw0"},
		{"the exact comes first", []slot{scanner("0c2e:0b61"), scanner("0c2e:0b61@1-1")}, []hotplug.Node{one, twin}, true, "/dev/hidraw1, /dev/hidraw0"},
		{"composite: the better node", []slot{scanner("0c2e:0b61")}, []hotplug.Node{keyNode("event4", "", "1-1"), one}, true, "/dev/hidraw0"},
		{"composite, adopted", []slot{adopted(scanner("0c2e:0b61"))}, []hotplug.Node{keyNode("event4", "", "1-1"), one}, true, "/dev/hidraw0"},
		{"another role", []slot{slotFor(t, DeviceConfig{Name: "a", Role: driver.MSR, ID: idOf(t, "0c2e:0b61")})}, []hotplug.Node{one}, true,
			"missing, adopt scanner-0c2e:0b61"},
		{"disabled by id", []slot{off(scanner("0c2e:0b61"))}, []hotplug.Node{one}, true, "disabled"},
		{"disabled by port", []slot{off(port("/dev/hidraw0", driver.Scanner))}, []hotplug.Node{one}, true, "disabled"},
		{"a port is not adopted too", []slot{port("/dev/ttyACM0", driver.Scanner)}, []hotplug.Node{comNode("ttyACM0", 0x05f9, "1-3")}, true, "/dev/ttyACM0"},
		{"a node is not adopted for its maker's role too", []slot{port("/dev/ttyACM0", driver.Scanner)}, []hotplug.Node{comNode("ttyACM0", 0x0801, "1-3")}, true, "/dev/ttyACM0"},
		{"nor one by id", []slot{scanner("0801:2214")}, []hotplug.Node{comNode("ttyACM0", 0x0801, "1-3")}, true, "/dev/ttyACM0"},
		{"nor one that is disabled", []slot{off(scanner("0801:2214"))}, []hotplug.Node{comNode("ttyACM0", 0x0801, "1-3")}, true, "disabled"},
		{"one node for two", []slot{port("/dev/ttyACM0", driver.Scanner), slotFor(t, DeviceConfig{Name: "b", Role: driver.MSR, ID: idOf(t, "0801:2214")})},
			[]hotplug.Node{comNode("ttyACM0", 0x0801, "1-3")}, true, "/dev/ttyACM0, claimed-by-other"},
		{"one node for two, of which one is disabled", []slot{off(port("/dev/ttyACM0", driver.Scanner)), slotFor(t, DeviceConfig{Name: "b", Role: driver.MSR, ID: idOf(t, "0801:2214")})},
			[]hotplug.Node{comNode("ttyACM0", 0x0801, "1-3")}, true, "disabled, /dev/ttyACM0"},
		{"two ports that are not there", []slot{gone(port("/dev/x", driver.MSR)), gone(port("/dev/y", driver.MSR))}, nil, true, "/dev/x, /dev/y"},
		{"nothing configured", nil, []hotplug.Node{one, comNode("ttyACM0", 0x05f9, "1-3"), comNode("ttyUSB0", 0x0403, "1-4")}, true,
			"adopt scanner-0c2e:0b61, adopt scanner-05f9:2214"},
		{"nothing configured, nothing to be discovered", nil, []hotplug.Node{one}, false, "disabled scanner-0c2e:0b61@1-1"},
		{"twins that nobody configured", nil, []hotplug.Node{one, twin}, true, "adopt scanner-0c2e:0b61"},
		{"a keyboard of no known maker", nil, []hotplug.Node{{Subsystem: hotplug.Input, Kernel: "event1", Path: "/dev/input/event1", Device: "/k", Vendor: 0x046d, Product: 1, Keys: []uint64{^uint64(0)}}}, true, ""},
		{"a converter by id", []slot{scanner("0403:2214")}, []hotplug.Node{comNode("ttyUSB0", 0x0403, "1-4")}, true, "/dev/ttyUSB0"},
	} {
		got := bind(c.slots, c.nodes, c.discover)
		if got.String() != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
		for _, tg := range got.targets {
			if tg.why != nil && (tg.why.Reason == "" || tg.why.Remedy == "") {
				t.Errorf("%s: it is not said why, or what to do: %+v", c.name, tg.why)
			}
		}
	}
}

// What is said of twins can be put into the configuration as it stands.
func TestRemedyOfTwins(t *testing.T) {
	s := slotFor(t, DeviceConfig{Name: "front", Role: driver.Scanner, ID: idOf(t, "0c2e:0b61")})
	got := bind([]slot{s}, []hotplug.Node{hidNode("hidraw0", "", "1-1"), hidNode("hidraw1", "", "1-2")}, true).targets[0].why
	if !strings.Contains(got.Remedy, `id = "0c2e:0b61@1-1" and id = "0c2e:0b61@1-2"`) {
		t.Errorf("got %s", got.Remedy)
	}
}

// Whatever is plugged in: no device is read twice, none is read that the
// configuration does not mean, none is taken away from the one that reads it,
// and the order in which things are found does not matter.
func TestBindProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		serials := rapid.SampledFrom([]string{"", "", "S100", "S200"})
		var nodes []hotplug.Node
		for i, at := range []string{"1-1", "1-2", "1-3", "1-4"} {
			kind := rapid.SampledFrom([]string{"none", "hid", "hid", "com", "composite"}).Draw(rt, "kind at "+at)
			serial := serials.Draw(rt, "serial at "+at)
			if kind == "hid" || kind == "composite" {
				nodes = append(nodes, hidNode(fmt.Sprint("hidraw", i), serial, at))
			}
			if kind == "composite" {
				nodes = append(nodes, keyNode(fmt.Sprint("event", i), serial, at))
			}
			if kind == "com" {
				nodes = append(nodes, comNode(fmt.Sprint("ttyACM", i), 0x05f9, at))
			}
		}
		var slots []slot
		for i := range rapid.IntRange(0, 4).Draw(rt, "slots") {
			id := rapid.SampledFrom([]string{"0c2e:0b61", "0c2e:0b61:S100", "0c2e:0b61:S200", "0c2e:0b61@1-1", "0c2e:0b61@1-2", "05f9:2214", "05f9:2214@1-3"}).Draw(rt, "id")
			s := slotFor(t, DeviceConfig{Name: fmt.Sprint("d", i), Role: driver.Scanner, ID: idOf(t, id)})
			s.home.physical = rapid.SampledFrom([]string{"", "/devices/1-1", "/devices/1-2"}).Draw(rt, "bound")
			s.home.twins = rapid.Bool().Draw(rt, "twins")
			slots = append(slots, s)
		}
		discover := rapid.Bool().Draw(rt, "discover")
		got := bind(slots, nodes, discover)
		read := map[string]int{}
		for i, tg := range got.targets {
			if tg.why != nil {
				continue
			}
			if read[tg.node.Device]++; read[tg.node.Device] > 1 {
				rt.Fatalf("%s is read twice: %s", tg.node.Device, got)
			}
			if !slots[i].cfg.ID.Matches(tg.node) {
				rt.Fatalf("%s is not meant by %s", tg.node.Path, slots[i].cfg.ID)
			}
		}
		for _, s := range got.idle {
			for _, tg := range got.targets {
				if tg.why == nil && tg.node.Path == s.Port {
					rt.Fatalf("%s is read, and said to be %s", s.Port, s.State)
				}
			}
		}
		if len(got.adopt) > 0 && !discover {
			rt.Fatalf("adopted against the configuration: %s", got)
		}
		for i, s := range slots {
			alone := bind([]slot{s}, nodes, discover).targets[0]
			if s.home.physical != "" && alone.why != nil && alone.why.State == node.Ambiguous {
				for _, n := range nodes {
					if n.Device == s.home.physical && s.cfg.ID.Matches(n) {
						rt.Fatalf("slot %d lost %s", i, s.home.physical)
					}
				}
			}
		}
		shuffled := rapid.Permutation(nodes).Draw(rt, "order")
		again := bind(slots, shuffled, discover)
		slices.SortFunc(again.idle, func(a, b Status) int { return strings.Compare(a.Port, b.Port) })
		slices.SortFunc(got.idle, func(a, b Status) int { return strings.Compare(a.Port, b.Port) })
		if !reflect.DeepEqual(paths(again), paths(got)) || len(again.adopt) != len(got.adopt) || len(again.idle) != len(got.idle) {
			rt.Fatalf("the order matters:\n%s\n%s", got, again)
		}
	})
}

func paths(b binding) (all []string) {
	for _, t := range b.targets {
		all = append(all, t.path)
	}
	return all
}
