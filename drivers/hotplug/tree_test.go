package hotplug

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is a sysfs of the test's own, made of text. A line that begins with / is a
// device: its path, subsystem, and the driver it is bound to if there is one. Those
// below it, with a tab, are of that device: NAME=value of its uevent, or the name
// of a file and its content.
type tree struct {
	testing.TB
	root    string
	devices []*device // parents first
	graves  int
}

type device struct {
	path, subsystem, driver string
	uevent                  []string
	files                   map[string]string
}

// newTree makes a sysfs in a folder, with the devices of texts.
func newTree(t testing.TB, dir string, texts ...string) *tree {
	t.Helper()
	tr := &tree{TB: t, root: filepath.Join(dir, "sys")}
	for _, d := range []string{"class/tty", "class/hidraw", "class/input", "bus/usb/devices", "devices"} {
		tr.must(os.MkdirAll(tr.at(d), 0o755))
	}
	tr.must(os.MkdirAll(filepath.Join(dir, "graves"), 0o755))
	for _, text := range texts {
		tr.add(text)
	}
	return tr
}

// inMemory makes a folder, where that can be in memory: disks make the tests slow.
func inMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hotplug")
	if err != nil {
		dir, err = os.MkdirTemp("", "hotplug")
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// scratch is a folder inMemory for one test.
func scratch(t testing.TB) string {
	t.Helper()
	dir := inMemory(t)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (tr *tree) must(err error) {
	tr.Helper()
	if err != nil {
		tr.Fatal(err)
	}
}

func (tr *tree) at(parts ...string) string { return filepath.Join(tr.root, filepath.Join(parts...)) }

// add makes devices, and gives the kernel's events of that.
func (tr *tree) add(text string) (events []Event) {
	tr.Helper()
	for _, d := range tr.parse(text) {
		tr.make(d)
		tr.devices = append(tr.devices, d)
		events = append(events, d.event("add"))
	}
	return events
}

func (d *device) event(action string) Event {
	return Event{Action: action, Subsystem: d.subsystem, DevPath: d.path}
}

func (tr *tree) parse(text string) (devices []*device) {
	tr.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		last := len(devices) - 1
		name, value, isFile := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case line == "":
		case line[0] == '/':
			words := append(strings.Fields(line), "")
			devices = append(devices, &device{path: words[0], subsystem: words[1], driver: words[2], files: map[string]string{}})
		case isFile:
			value, err := strconv.Unquote(`"` + value + `"`)
			tr.must(err)
			if name != "report_descriptor" {
				value += "\n"
			}
			devices[last].files[name] = value
		default:
			devices[last].uevent = append(devices[last].uevent, strings.TrimSpace(line)+"\n")
		}
	}
	return devices
}

// make makes a device as the kernel does: what lists it comes last.
func (tr *tree) make(d *device) {
	tr.Helper()
	tr.must(os.MkdirAll(tr.at(d.path), 0o755))
	for name, content := range d.files {
		tr.must(os.MkdirAll(filepath.Dir(tr.at(d.path, name)), 0o755))
		tr.must(os.WriteFile(tr.at(d.path, name), []byte(content), 0o644))
	}
	tr.must(os.WriteFile(tr.at(d.path, "uevent"), []byte(strings.Join(d.uevent, "")), 0o644))
	tr.links(d)
}

// links makes the links of and to a device.
func (tr *tree) links(d *device) {
	tr.Helper()
	tr.link(path.Join(d.path, "subsystem"), d.home())
	tr.bind(d, d.driver)
	if d.isClass() {
		tr.link(path.Join(d.path, "device"), path.Dir(path.Dir(d.path)))
	}
	tr.link(d.entry(), d.path)
}

func (d *device) isClass() bool {
	return slices.Contains([]string{TTY, HIDRaw, Input, "bluetooth"}, d.subsystem)
}

func (d *device) home() string {
	if d.isClass() {
		return "/class/" + d.subsystem
	}
	return "/bus/" + d.subsystem
}

func (d *device) entry() string {
	if d.isClass() {
		return path.Join(d.home(), path.Base(d.path))
	}
	return path.Join(d.home(), "devices", path.Base(d.path))
}

// bind gives a device a driver, or takes it away.
func (tr *tree) bind(d *device, driver string) {
	tr.Helper()
	d.driver = driver
	if driver == "" {
		_ = os.Remove(tr.at(d.path, "driver"))
		return
	}
	tr.link(path.Join(d.path, "driver"), path.Join(d.home(), "drivers", driver))
}

// link makes a link as sysfs has them: relative, and straight to the device.
func (tr *tree) link(from, to string) {
	tr.Helper()
	rel, err := filepath.Rel(path.Dir(from), to)
	tr.must(err)
	tr.must(os.MkdirAll(filepath.Dir(tr.at(from)), 0o755))
	_ = os.Remove(tr.at(from))
	tr.must(os.Symlink(rel, tr.at(from)))
}

// remove takes away the device at a path and those below it, and gives the
// kernel's events of that.
func (tr *tree) remove(top string) (events []Event) {
	tr.Helper()
	for i := len(tr.devices) - 1; i >= 0; i-- {
		if d := tr.devices[i]; d.isAt(top) {
			tr.unmake(d)
			tr.devices = slices.Delete(tr.devices, i, i+1)
			events = append(events, d.event("remove"))
		}
	}
	return events
}

func (d *device) isAt(top string) bool {
	return d.path == top || strings.HasPrefix(d.path, top+"/")
}

// unmake takes a device away piece by piece. Its folder is kept elsewhere: its
// inode must not come back, as it does not in sysfs.
func (tr *tree) unmake(d *device) {
	tr.Helper()
	tr.must(os.Remove(tr.at(d.entry())))
	for _, name := range slices.Collect(maps.Keys(d.files)) {
		tr.must(os.Remove(tr.at(d.path, name)))
	}
	tr.must(os.Remove(tr.at(d.path, "uevent")))
	tr.graves++
	tr.must(os.Rename(tr.at(d.path), filepath.Join(filepath.Dir(tr.root), "graves", strconv.Itoa(tr.graves))))
}

// move moves a device and those below it. The kernel tells of the first only.
func (tr *tree) move(from, to string) Event {
	tr.Helper()
	var first *device
	for _, d := range tr.devices {
		if d.isAt(from) {
			tr.must(os.Remove(tr.at(d.entry())))
		}
	}
	tr.must(os.MkdirAll(filepath.Dir(tr.at(to)), 0o755))
	tr.must(os.Rename(tr.at(from), tr.at(to)))
	for _, d := range tr.devices {
		if !d.isAt(from) {
			continue
		}
		if d.path == from {
			first = d
		}
		d.path = to + strings.TrimPrefix(d.path, from)
		tr.links(d)
	}
	e := first.event("move")
	e.OldPath = from
	return e
}

func (tr *tree) find(top string) *device {
	tr.Helper()
	for _, d := range tr.devices {
		if d.path == top {
			return d
		}
	}
	tr.Fatalf("there is no %s", top)
	return nil
}

func (tr *tree) scan() []Node {
	tr.Helper()
	nodes, err := Scan(tr.root)
	tr.must(err)
	return nodes
}
