package technician

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"posd/drivers"
	"posd/drivers/hotplug"
)

func itoa(n int) string { return strconv.Itoa(n) }

// process is a process of the machine.
type process struct {
	pid     int
	name    string
	command []string
}

// processes gives those that can be seen.
func (d Doctor) processes() []process {
	entries, err := os.ReadDir(d.path("proc"))
	if err != nil {
		return nil
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		all = append(all, process{pid, strings.TrimSpace(d.read("proc", e.Name(), "comm")), strings.Split(d.read("proc", e.Name(), "cmdline"), "\x00")})
	}
	return all
}

// daemons looks for a second posd. The one of the service is the one that stays.
func (d Doctor) daemons(processes []process) []Finding {
	var running []string
	for _, p := range processes {
		switch {
		case p.name != "posd" || !slices.Contains(p.command, "run"):
		case strings.Contains(d.read("proc", itoa(p.pid), "cgroup"), "/posd.service"):
			running = slices.Insert(running, 0, itoa(p.pid))
		default:
			running = append(running, itoa(p.pid))
		}
	}
	if len(running) < 2 {
		return nil
	}
	return []Finding{{"posd", Problem, "posd", "posd runs more than once (processes " + strings.Join(running, ", ") + "): each keeps devices from the others",
		"sudo kill " + strings.Join(running[1:], " ")}}
}

// thieves looks for programs that open serial ports which are not theirs.
func (d Doctor) thieves(n hotplug.Node, processes []process) []Finding {
	if n.Subsystem != hotplug.TTY {
		return nil
	}
	var all []Finding
	for _, p := range processes {
		switch {
		case p.name == "ModemManager" && !d.ignoredByModemManager(n):
			all = append(all, Finding{"ModemManager", Warning, n.Path, "ModemManager runs, and nothing tells it to leave this port alone: it sends AT commands, which a scanner may take for settings",
				stopping(p.name, n)})
		case strings.HasSuffix(p.name, "getty") && slices.Contains(p.command, n.Kernel):
			all = append(all, Finding{"getty", Problem, n.Path, "a login prompt (process " + itoa(p.pid) + ") waits on this port", stopping("agetty", n)})
		}
	}
	if slices.Contains(strings.Fields(d.read("sys/class/tty/console/active")), n.Kernel) {
		all = append(all, Finding{"console", Problem, n.Path, "the kernel writes its messages to this port", "take console=" + n.Kernel + " out of the kernel's command line, then restart the machine"})
	}
	return append(all, d.brltty(n)...)
}

// ignoredByModemManager reports whether udev has marked a port, or the USB
// device that it is on.
func (d Doctor) ignoredByModemManager(n hotplug.Node) bool {
	for _, dir := range []string{n.SysPath, n.Device} {
		number := strings.TrimSpace(d.read("sys", dir, "dev"))
		if number == "" {
			continue
		}
		for line := range strings.Lines(d.read("run/udev/data", "c"+number)) {
			switch strings.TrimSpace(line) {
			case "E:ID_MM_DEVICE_IGNORE=1", "E:ID_MM_PORT_IGNORE=1":
				return true
			}
		}
	}
	return false
}

// brltty looks for rules that take converters for Braille displays.
func (d Doctor) brltty(n hotplug.Node) []Finding {
	id := fmt.Sprintf("%04x/%04x", n.Vendor, n.Product)
	if !slices.Contains([]string{"10c4/ea60", "1a86/7523", "0403/6001"}, id) {
		return nil
	}
	if d.masked("brltty.service") && d.masked("brltty-udev.service") {
		return nil
	}
	files, _ := filepath.Glob(d.path("usr/lib/udev/rules.d/*brltty*.rules"))
	for _, file := range files {
		text, _ := os.ReadFile(file) // one that cannot be read says nothing
		for line := range strings.Lines(strings.ToLower(string(text))) {
			if !strings.HasPrefix(line, "#") && (strings.Contains(line, id) || strings.Contains(line, strings.ReplaceAll(id, "/", `", attrs{idproduct}=="`))) {
				return []Finding{{"brltty", Warning, n.Path, "brltty takes converters of this kind (" + strings.ReplaceAll(id, "/", ":") + ") for Braille displays", stopping("brltty", n)}}
			}
		}
	}
	return nil
}

// masked reports whether systemd never starts a unit.
func (d Doctor) masked(unit string) bool {
	to, err := os.Readlink(d.path("etc/systemd/system", unit))
	return err == nil && to == "/dev/null"
}

// modules looks for USB interfaces that no driver of the kernel has.
func (d Doctor) modules() []Finding {
	var all []Finding
	for _, n := range d.Nodes {
		if n.Subsystem != hotplug.USB {
			continue
		}
		for _, i := range n.Free {
			module := d.module(n, i)
			if module == "" {
				continue
			}
			all = append(all, Finding{"module", Problem, n.Path,
				fmt.Sprintf("the kernel has no driver for interface %d of %s (%s): the module %s is not loaded", i, n.Model, n.IDAtPort(), module),
				"sudo modprobe " + module + " && echo " + module + " | sudo tee -a /etc/modules-load.d/posd.conf"})
		}
	}
	return all
}

// module gives the module of the kernel that drives an interface.
func (d Doctor) module(n hotplug.Node, number int) string {
	dirs, _ := filepath.Glob(d.path("sys", n.SysPath, fmt.Sprintf("*:*.%d", number)))
	for _, dir := range dirs {
		class, err := os.ReadFile(filepath.Join(dir, "bInterfaceClass"))
		if err != nil {
			continue
		}
		switch strings.TrimSpace(string(class)) {
		case "02":
			return "cdc_acm"
		case "03":
			return "usbhid"
		case "ff":
			return map[uint16]string{0x0403: "ftdi_sio", 0x067b: "pl2303", 0x10c4: "cp210x", 0x1a86: "ch341"}[n.Vendor]
		}
	}
	return ""
}

// permission looks whether the user may read and write a node.
func (d Doctor) permission(n hotplug.Node) Finding {
	f := Finding{Check: "permission", Subject: n.Path, Severity: Good, Detail: "user " + d.User + " may read and write it"}
	info, err := os.Stat(d.path(n.Path))
	if err != nil {
		f.Severity, f.Detail, f.Remedy = Problem, "the node is not there, though the kernel has the device", "sudo udevadm trigger --action=add /sys"+n.SysPath
		return f
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || d.User == "root" || d.mayUse(info.Mode(), int(stat.Uid), int(stat.Gid)) {
		return f
	}
	group := d.groupName(int(stat.Gid))
	f.Severity = Problem
	f.Detail = fmt.Sprintf("user %s may not read and write it: it belongs to user %d and group %s, mode %04o", d.User, stat.Uid, group, info.Mode().Perm())
	f.Remedy = d.join(group)
	switch {
	case n.Subsystem == hotplug.USB:
		f.Remedy = drivers.USBRule(n)
	case info.Mode().Perm()&0o060 != 0o060 || stat.Gid == 0:
		f.Remedy = writeRules + " && sudo udevadm trigger --action=add /sys" + n.SysPath
	}
	return f
}

func (d Doctor) mayUse(mode os.FileMode, uid, gid int) bool {
	const both = 0o6
	perm := mode.Perm()
	me, mine := d.ids()
	switch {
	case uid == me:
		return perm>>6&both == both
	case slices.Contains(mine, gid):
		return perm>>3&both == both
	}
	return perm&both == both
}

// ids gives the user's number, and those of its groups: of a posd that runs those
// that it was started with, else those that it would be.
func (d Doctor) ids() (uid int, gids []int) {
	uid = -1
	for line := range strings.Lines(d.read("etc/passwd")) {
		f := strings.Split(line, ":")
		if len(f) > 3 && f[0] == d.User {
			uid, _ = strconv.Atoi(f[2])
			gid, _ := strconv.Atoi(f[3])
			gids = append(gids, gid)
		}
	}
	if running, ok := d.runningGroups(uid); ok {
		return uid, append(gids, running...)
	}
	for line := range strings.Lines(d.read("etc/group")) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 4 && slices.Contains(strings.Split(f[3], ","), d.User) {
			gid, _ := strconv.Atoi(f[2])
			gids = append(gids, gid)
		}
	}
	return uid, append(gids, d.unitGroups()...)
}

// runningGroups gives the groups of the posd that a user runs.
func (d Doctor) runningGroups(uid int) (gids []int, ok bool) {
	for _, p := range d.processes() {
		if p.name != "posd" || !slices.Contains(p.command, "run") {
			continue
		}
		its := map[string][]string{}
		for line := range strings.Lines(d.read("proc", itoa(p.pid), "status")) {
			key, values, _ := strings.Cut(line, ":")
			its[key] = strings.Fields(values)
		}
		if len(its["Uid"]) == 0 || its["Uid"][0] != itoa(uid) {
			continue
		}
		for _, s := range append(its["Groups"], its["Gid"]...) {
			if gid, err := strconv.Atoi(s); err == nil {
				gids = append(gids, gid)
			}
		}
		return gids, true
	}
	return nil, false
}

// unitGroups gives the groups that systemd starts posd with, where the user is the
// unit's.
func (d Doctor) unitGroups() (gids []int) {
	if d.User != "posd" {
		return nil
	}
	var names []string
	for _, dir := range []string{"etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		files, _ := filepath.Glob(d.path(dir, "posd.service.d", "*.conf"))
		for _, file := range append(files, d.path(dir, "posd.service")) {
			text, _ := os.ReadFile(file) // one that is not there has none
			for line := range strings.Lines(string(text)) {
				if groups, ok := strings.CutPrefix(strings.TrimSpace(line), "SupplementaryGroups="); ok {
					names = append(names, strings.Fields(groups)...)
				}
			}
		}
	}
	for _, name := range names {
		if gid, exists := d.group(name); exists {
			gids = append(gids, gid)
		}
	}
	return gids
}

func (d Doctor) groupName(gid int) string {
	for line := range strings.Lines(d.read("etc/group")) {
		if f := strings.Split(line, ":"); len(f) > 3 && f[2] == itoa(gid) {
			return f[0]
		}
	}
	return itoa(gid)
}
