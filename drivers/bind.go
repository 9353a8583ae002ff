package drivers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/drivers/node"
)

// slot is a device as the binding sees it.
type slot struct {
	cfg     resolved
	adopted bool
	path    string // of a device with a port: the node itself, "" if there is none
	home    home
}

// home is what a device is read from. It stays while that is unplugged if one like
// it is there, which would be taken for it.
type home struct {
	physical string // "" if none
	port     string // of USB
	twins    bool
}

// binding says which node each device is to be read from.
type binding struct {
	targets []target       // of the slots
	adopt   []DeviceConfig // devices that nobody has configured, to be read
	idle    []Status       // those that are not to be read, and why
}

// claim is a role of a physical device: a keyboard with a card reader has two.
type claim struct {
	physical string
	role     driver.Role
}

// binder binds nodes to slots.
type binder struct {
	nodes []hotplug.Node
	names map[string]bool // of the devices
	taken map[claim]bool
	bound map[string]string // who reads a node, by its path; "" for a device that is disabled
	out   binding
}

// bind decides which node each device is read from. A device with a port has
// that one. One with an id has the node that matches it; where several do, the
// one that it is read from already, or none: a guess would mix up two devices.
// Nodes that are left, and certainly those of a scanner, reader or keypad, are
// adopted.
func bind(slots []slot, nodes []hotplug.Node, discover bool) binding {
	b := binder{nodes: nodes, names: map[string]bool{}, taken: map[claim]bool{}, bound: map[string]string{}}
	b.out.targets = make([]target, len(slots))
	order := make([]int, len(slots))
	for i := range order {
		order[i] = i
		b.names[slots[i].cfg.Name] = true
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(slots[i].rank(), slots[j].rank()) })
	for _, i := range order {
		b.out.targets[i] = b.target(slots[i])
	}
	b.rest(discover)
	return b.out
}

// rank puts what is named more exactly first.
func (s slot) rank() int {
	switch {
	case s.cfg.Port != "":
		return 0
	case s.adopted:
		return 3
	case s.cfg.ID.Serial != "" || s.cfg.ID.Port != "":
		return 1
	}
	return 2
}

func (b *binder) target(s slot) target {
	if s.cfg.Port != "" {
		return b.byPort(s)
	}
	groups := b.matching(s)
	for _, g := range groups {
		b.taken[claim{g[0].Device, s.cfg.Role}] = true
	}
	at := slices.IndexFunc(groups, func(g []hotplug.Node) bool { return g[0].Device == s.home.physical })
	switch {
	case s.cfg.Disabled:
		for _, g := range groups {
			b.hold(s, g[0].Path)
		}
		return target{why: disabled()}
	case len(groups) == 0:
		return target{why: absent(s.cfg), home: s.home.kept()}
	case at < 0 && len(groups) > 1:
		return target{why: ambiguous(s, groups), home: s.home.kept()}
	case at < 0 && s.home.twins:
		return target{why: b.away(s, groups[0]), home: s.home}
	}
	at = max(at, 0)
	for i, g := range groups {
		if i != at {
			b.twin(s, groups[at], g)
		}
	}
	best := groups[at][0]
	return target{node: best, path: best.Path, why: b.hold(s, best.Path), home: home{best.Device, best.PortPath, len(groups) > 1}}
}

// kept gives the home of a device that is not there.
func (h home) kept() home {
	if !h.twins {
		return home{}
	}
	return h
}

// away says that a device is not there, but one like it.
func (b *binder) away(s slot, other []hotplug.Node) *node.Error {
	its := other[0].IDAtPort()
	here := s.cfg.ID
	here.Port = s.home.port
	remedy := fmt.Sprintf("plug it in there again, or give each a [[device]] of its own in the configuration: id = %q and id = %q", here, its)
	b.note(other[0], s.cfg.Role, node.Error{
		State: node.Ambiguous, Reason: fmt.Sprintf("device %q was read from one like it, at %s", s.cfg.Name, s.home.port), Remedy: remedy,
	})
	return &node.Error{
		State:  node.Missing,
		Reason: fmt.Sprintf("what it was read from, at %s, is not plugged in; one like it is, at %s", s.home.port, its.Port), Remedy: remedy,
	}
}

func disabled() *node.Error {
	return &node.Error{State: node.Disabled, Reason: "the configuration disables it", Remedy: "take enabled = false out of its [[device]]"}
}

func absent(c resolved) *node.Error {
	return &node.Error{State: node.Missing, Reason: "no device " + c.ID.String() + " is plugged in", Remedy: "plug it in, or correct id in the configuration"}
}

func (b *binder) byPort(s slot) target {
	t := target{path: s.cfg.Port}
	for _, n := range b.nodes {
		if n.Path == s.path {
			t.node = n
			b.taken[claim{n.Device, s.cfg.Role}] = true
		}
	}
	t.why = b.hold(s, s.path)
	return t
}

// hold notes who reads a node, and says why it cannot be this one.
func (b *binder) hold(s slot, path string) *node.Error {
	holder := b.bound[path]
	switch {
	case s.cfg.Disabled:
		b.bound[path] = holder
		return disabled()
	case holder != "" && path != "":
		return &node.Error{
			State: node.Claimed, Reason: fmt.Sprintf("device %q reads %s already", holder, path),
			Remedy: "take one of the two out of the configuration",
		}
	}
	b.bound[path] = s.cfg.Name
	return nil
}

func (b *binder) holds(path string) bool {
	_, held := b.bound[path]
	return held
}

// matching gives the nodes that a slot may be read from, by physical device,
// the best of each first.
func (b *binder) matching(s slot) [][]hotplug.Node {
	var groups [][]hotplug.Node
	for _, n := range b.nodes {
		if !s.cfg.ID.Matches(n) || b.taken[claim{n.Device, s.cfg.Role}] || s.preference(n) < 0 {
			continue
		}
		at := slices.IndexFunc(groups, func(g []hotplug.Node) bool { return g[0].Device == n.Device })
		if at < 0 {
			groups = append(groups, []hotplug.Node{n})
			continue
		}
		groups[at] = append(groups[at], n)
	}
	for _, g := range groups {
		slices.SortFunc(g, func(x, y hotplug.Node) int {
			return cmp.Or(cmp.Compare(s.preference(x), s.preference(y)), cmp.Compare(x.Interface, y.Interface), strings.Compare(x.Path, y.Path))
		})
	}
	return groups
}

// preferred orders the transports of a device that can be read over several: a
// HID descriptor says what the device is, a serial port may be there for its
// maintenance, and a keyboard is what it was before it was set up.
var preferred = [...]driver.Transport{driver.HIDRaw, driver.TTY, driver.Evdev, driver.USBFS}

// preference is how a node ranks among those of a device, the least first: by its
// transport, then by the place in the table of the driver that would read it. It
// is -1 if none can.
func (s slot) preference(n hotplug.Node) int {
	a := attributesAt(n)
	if (a.Transport == driver.USBFS) != (s.cfg.Transport == driver.USBFS) || s.adopted && RoleOf(n) != s.cfg.Role {
		return -1
	}
	at := slices.IndexFunc(s.cfg.drivers, func(d driver.Driver) bool {
		// What a USB device is, its interfaces tell when it is opened.
		return d.Reads(a.Transport) && (a.Transport == driver.USBFS || d.Claim(a))
	})
	if at < 0 {
		return -1
	}
	return slices.Index(preferred[:], a.Transport)*len(s.cfg.drivers) + at
}

// ambiguous says that several devices are what the configuration names.
func ambiguous(s slot, groups [][]hotplug.Node) *node.Error {
	var ids []string
	for _, g := range groups {
		ids = append(ids, g[0].IDAtPort().String())
	}
	return &node.Error{
		State:  node.Ambiguous,
		Reason: fmt.Sprintf("%d devices %s are plugged in, with nothing to tell them apart but their ports", len(groups), s.cfg.ID),
		Remedy: fmt.Sprintf("give each a [[device]] of its own in the configuration: id = \"%s\"", strings.Join(ids, `" and id = "`)),
	}
}

// twin notes a device that is not read, since one like it is.
func (b *binder) twin(s slot, read, other []hotplug.Node) {
	mine, its := read[0].IDAtPort().String(), other[0].IDAtPort().String()
	b.note(other[0], s.cfg.Role, node.Error{
		State:  node.Ambiguous,
		Reason: fmt.Sprintf("device %q is read from one like it, at %s", s.cfg.Name, read[0].PortPath),
		Remedy: fmt.Sprintf("give each a [[device]] of its own in the configuration: id = %q and id = %q", mine, its),
	})
}

func (b *binder) note(n hotplug.Node, role driver.Role, e node.Error) {
	b.out.idle = append(b.out.idle, Status{
		Name: nameOf(role, n.IDAtPort()), Role: role, ID: n.IDAtPort().String(), Port: n.Path, Product: title(n), Adopted: true,
		State: e.State, Reason: e.Reason, Remedy: e.Remedy, Statistics: newStatistics(time.Time{}),
	})
}

// rest looks at the nodes that nothing in the configuration names.
func (b *binder) rest(discover bool) {
	seen := map[string]bool{}
	for _, n := range b.nodes {
		role := RoleOf(n)
		if role == "" || b.taken[claim{n.Device, role}] || b.holds(n.Path) {
			continue
		}
		c := DeviceConfig{Name: nameOf(role, n.ID()), Role: role, ID: n.ID()}
		if b.names[c.Name] { // of the configuration, for one like it
			c.Name, c.ID = nameOf(role, n.IDAtPort()), n.IDAtPort()
		}
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		if discover {
			b.out.adopt = append(b.out.adopt, c)
			continue
		}
		b.note(n, role, node.Error{
			State: node.Disabled, Reason: "it is not in the configuration, which reads nothing else (discover = false)",
			Remedy: fmt.Sprintf("give it a [[device]] in the configuration: id = %q, role = %q", n.ID(), role),
		})
	}
}

// nameOf names a device that nobody has named.
func nameOf(role driver.Role, id hotplug.ID) string { return string(role) + "-" + id.String() }

// RoleOf gives the role of a device that is certainly a scanner, card reader or
// keypad; "" for any other. What a keyboard or a serial port is for is told by
// its maker alone.
func RoleOf(n hotplug.Node) driver.Role {
	a := attributesAt(n)
	if n.Vendor == 0 || a.Transport == driver.USBFS {
		return ""
	}
	for _, d := range Table() {
		if d.Adopt != nil && d.Reads(a.Transport) && d.Adopt(a) {
			return d.Role
		}
	}
	if a.Transport == driver.HIDRaw {
		return "" // it would have told
	}
	m, ok := makerOf(n.Vendor, n.Product)
	if !ok || m.Role == "" {
		return ""
	}
	for _, d := range Table() {
		if d.Role == m.Role && d.Reads(a.Transport) && d.Claim(a) {
			return m.Role
		}
	}
	return ""
}

// attributesAt gives what is known of a node.
func attributesAt(n hotplug.Node) driver.Attributes {
	a := driver.Attributes{Vendor: n.Vendor, Product: n.Product, Name: title(n), Descriptor: n.Descriptor, Keys: n.Keys}
	switch n.Subsystem {
	case hotplug.HIDRaw:
		a.Transport = driver.HIDRaw
	case hotplug.Input:
		a.Transport = driver.Evdev
	case hotplug.USB:
		a.Transport = driver.USBFS
	default:
		a.Transport = driver.TTY
	}
	return a
}

// title is what a device calls itself, for people.
func title(n hotplug.Node) string {
	if n.Model == "" {
		return n.Name
	}
	if strings.HasPrefix(n.Model, n.Manufacturer) {
		return n.Model
	}
	return n.Manufacturer + " " + n.Model
}
