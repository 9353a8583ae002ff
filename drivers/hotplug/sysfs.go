package hotplug

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Scan gives the nodes that are there, by subsystem and name. sysfs is where sysfs
// is mounted. What goes away meanwhile is left out, and so are virtual consoles,
// pseudo terminals and serial ports that the board does not have. An error means
// that nothing is known: sysfs is not there, or the process has no more file
// descriptors.
func Scan(sysfs string) ([]Node, error) {
	if _, err := os.Stat(filepath.Join(sysfs, "class")); err != nil {
		return nil, fmt.Errorf("scan devices: %w; mount sysfs", err)
	}
	r := reader{root: filepath.Clean(sysfs)}
	var nodes []Node
	for _, subsystem := range []string{TTY, HIDRaw, Input, USB} {
		for _, kernel := range r.list(entry(subsystem, "")) {
			if n, ok := r.node(key{subsystem, kernel}); ok {
				nodes = append(nodes, n)
			}
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("scan devices: %w", r.err)
	}
	return nodes, nil
}

// Look gives the node of the device at a path below sysfs, /devices/.... It
// reports false if that has gone, or is no node that a lane could read.
func Look(sysfs, devpath string) (Node, bool, error) {
	r := reader{root: filepath.Clean(sysfs)}
	n, ok, err := r.look(key{r.link(devpath, "subsystem"), path.Base(devpath)})
	return n, ok && n.SysPath == devpath, err
}

// Class gives the node of a subsystem by the kernel's name: HIDRaw, hidraw0. It
// reports false as Look does.
func Class(sysfs, subsystem, kernel string) (Node, bool, error) {
	r := reader{root: filepath.Clean(sysfs)}
	return r.look(key{subsystem, kernel})
}

func (r *reader) look(k key) (Node, bool, error) {
	n, ok := r.node(k)
	if r.err != nil {
		return Node{}, false, fmt.Errorf("look at %s: %w", k.kernel, r.err)
	}
	return n, ok, nil
}

// entry is where sysfs lists a device by its name, or all of a subsystem.
func entry(subsystem, kernel string) string {
	if subsystem == USB {
		return path.Join("bus/usb/devices", kernel)
	}
	return path.Join("class", subsystem, kernel)
}

// reader reads sysfs. A file that is missing, went away or is not for this user
// reads as empty.
type reader struct {
	root string
	err  error // the first that says nothing of a device
}

// note keeps the errors that are the process's, not the device's: with them all
// would seem to be unplugged.
func (r *reader) note(err error) {
	if r.err == nil && (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)) {
		r.err = err
	}
}

func (r *reader) path(parts ...string) string { return filepath.Join(r.root, filepath.Join(parts...)) }

func (r *reader) bytes(parts ...string) []byte {
	b, err := os.ReadFile(r.path(parts...))
	r.note(err)
	return b
}

func (r *reader) text(parts ...string) string {
	return strings.TrimRight(string(r.bytes(parts...)), "\n")
}

// link gives the name of what a link leads to.
func (r *reader) link(parts ...string) string {
	to, err := os.Readlink(r.path(parts...))
	r.note(err)
	if err != nil {
		return ""
	}
	return path.Base(to)
}

// list gives the names in a folder: hidraw2 before hidraw10.
func (r *reader) list(parts ...string) []string {
	entries, err := os.ReadDir(r.path(parts...))
	r.note(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return names
}

// uevent gives the variables of a device. The first one of a name is taken: a HID
// device's name comes after its ids, and could bring lines of its own.
func (r *reader) uevent(devpath string) map[string]string {
	vars := map[string]string{}
	for line := range strings.Lines(string(r.bytes(devpath, "uevent"))) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if _, twice := vars[name]; ok && !twice {
			vars[name] = value
		}
	}
	return vars
}

// devpath gives the path below sysfs that the entry of a device leads to, or "".
func (r *reader) devpath(k key) string {
	at := r.path(entry(k.subsystem, k.kernel))
	to, err := os.Readlink(at)
	r.note(err)
	p, below := strings.CutPrefix(filepath.Join(filepath.Dir(at), to), r.root)
	if err != nil || !below || !strings.HasPrefix(p, "/devices/") {
		return ""
	}
	return p
}

// instance tells a device from another that had its name before, or 0 if there is
// none.
func (r *reader) instance(devpath string) uint64 {
	info, err := os.Lstat(r.path(devpath))
	r.note(err)
	if err != nil {
		return 0
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// node gives a node by its name. A parent outlives its children, so that what is
// still there at the end was there all the time.
func (r *reader) node(k key) (Node, bool) {
	p := r.devpath(k)
	if path.Base(p) != k.kernel || !r.wanted(k, p) {
		return Node{}, false
	}
	instance := r.instance(p)
	name := r.uevent(p)["DEVNAME"]
	if name == "" {
		return Node{}, false
	}
	n := Node{Subsystem: k.subsystem, Kernel: k.kernel, Path: path.Join("/dev", name), SysPath: p, Interface: -1, instance: instance}
	r.describe(&n)
	return n, r.instance(p) == instance
}

// wanted reports whether a lane could read such a node.
func (r *reader) wanted(k key, p string) bool {
	switch k.subsystem {
	case HIDRaw:
		return true
	case Input:
		return strings.HasPrefix(k.kernel, "event")
	case USB:
		return r.text(p, "bDeviceClass") != "09" // hubs
	case TTY:
		// Type 0 is PORT_UNKNOWN: a port that the driver keeps for a UART it did not
		// find. Old kernels let only root see that.
		return (isRFCOMM(k.kernel) || !isVirtual(p)) && r.text(p, "type") != "0"
	}
	return false
}

func isVirtual(devpath string) bool { return strings.HasPrefix(devpath, "/devices/virtual/") }

// isRFCOMM knows serial ports over Bluetooth. They are virtual until they connect.
func isRFCOMM(kernel string) bool { return strings.HasPrefix(kernel, "rfcomm") }
