package technician

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"posd/drivers/hotplug"
	"posd/drivers/node"
)

// Severity says how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	Problem Severity = "problem" // a device cannot be read
	Warning Severity = "warning" // one may not be, some day
	Good    Severity = "good"
)

// Finding is one thing that a doctor looked at.
type Finding struct {
	Check    string   `json:"check"` // what was looked at: permission, holder, rules ...
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject,omitempty"` // the node, group or program that it is about
	Detail   string   `json:"detail"`
	Remedy   string   `json:"remedy,omitempty"` // the command that mends it
}

// Doctor looks for what keeps devices from being read. It changes nothing.
type Doctor struct {
	// Root is where the files of the machine are: "/", or a tree of a test's own.
	Root string
	// User is whom the devices are to be read by.
	User string
	// Rules are the udev rules that should be installed.
	Rules string
	// Nodes are the device nodes that are there.
	Nodes []hotplug.Node
	// Ports are the nodes that the configuration names.
	Ports []string
	// Relevant reports whether a node is of a device that is to be read.
	Relevant func(hotplug.Node) bool
}

// Examine looks at everything. The worst comes first.
func (d Doctor) Examine() []Finding {
	processes := d.processes()
	all := d.rules()
	all = append(all, d.groups()...)
	all = append(all, d.modules()...)
	all = append(all, d.daemons(processes)...)
	for _, n := range d.nodes() {
		all = append(all, d.permission(n))
		all = append(all, d.holders(n, processes)...)
		all = append(all, d.thieves(n, processes)...)
	}
	all = slices.DeleteFunc(all, func(f Finding) bool { return f.Check == "" })
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return all
}

func (s Severity) rank() int { return slices.Index([]Severity{Problem, Warning, Good}, s) }

// nodes gives those that matter: of devices that are to be read, and those that
// the configuration names.
func (d Doctor) nodes() []hotplug.Node {
	named := map[string]bool{}
	for _, p := range d.Ports {
		if real, err := filepath.EvalSymlinks(d.path(p)); err == nil {
			p = strings.TrimPrefix(real, strings.TrimSuffix(d.Root, "/"))
		}
		named[p] = true
	}
	var all []hotplug.Node
	for _, n := range d.Nodes {
		if named[n.Path] || d.Relevant(n) {
			all = append(all, n)
		}
	}
	return all
}

func (d Doctor) path(parts ...string) string {
	return filepath.Join(append([]string{d.Root}, parts...)...)
}

func (d Doctor) read(parts ...string) string {
	text, err := os.ReadFile(d.path(parts...))
	if err != nil {
		return ""
	}
	return string(text)
}

// rulesFile is the name of the udev rules, wherever they are installed.
const rulesFile = "70-posd.rules"

// writeRules is the command that writes the rules and has udev read them, and
// installRules has it go by them too: as if the devices were plugged in again, since
// with a mere change the nodes of serial ports stay as they are.
const (
	writeRules   = "posd doctor --rules | sudo tee /etc/udev/rules.d/" + rulesFile + " && sudo udevadm control --reload"
	installRules = writeRules + " && sudo udevadm trigger --action=add --subsystem-match=usb --subsystem-match=tty --subsystem-match=hidraw"
)

// rules looks for the udev rules where udev does, the first of them counts.
func (d Doctor) rules() []Finding {
	f := Finding{Check: "rules", Subject: rulesFile, Remedy: installRules}
	if info, err := os.Stat(d.path("run/udev/control")); err != nil || info.Mode().Type() != os.ModeSocket {
		return []Finding{{"rules", Warning, "udev", "udev does not run: nodes keep the owner and mode that the kernel gives them, which is root's", "start posd as a user who may read them"}}
	}
	for _, dir := range []string{"etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"} {
		text := d.read(dir, rulesFile)
		switch {
		case text == "":
			continue
		case text != d.Rules:
			f.Severity, f.Detail = Warning, "the udev rules in /"+dir+" are of another version of posd"
		default:
			f.Severity, f.Detail, f.Remedy = Good, "the udev rules are installed in /"+dir, ""
		}
		return []Finding{f}
	}
	f.Severity, f.Detail = Problem, "the udev rules are not installed: nodes of scanners and readers belong to root"
	return []Finding{f}
}

// groups looks whether the user is in the groups that own devices.
func (d Doctor) groups() []Finding {
	if d.User == "root" {
		return nil
	}
	_, mine := d.ids()
	var all []Finding
	for name, why := range map[string]string{"posdev": "what the udev rules know", "dialout": "serial ports", "input": "keyboards"} {
		f := Finding{Check: "group", Subject: name, Severity: Warning}
		gid, exists := d.group(name)
		switch {
		case !exists && name == "posdev":
			f.Severity, f.Detail = Problem, "there is no group "+name+", which is to own "+why
			f.Remedy = "sudo groupadd --system " + name + " && sudo usermod -aG " + name + " " + d.User
		case !exists:
			continue
		case !slices.Contains(mine, gid):
			f.Detail = "user " + d.User + " is not in group " + name + ", which owns " + why
			f.Remedy = d.join(name)
		default:
			f.Severity, f.Detail = Good, "user "+d.User+" is in group "+name
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Finding) int { return cmp.Compare(a.Subject, b.Subject) })
	return all
}

// group gives the number of a group.
func (d Doctor) group(name string) (gid int, exists bool) {
	for line := range strings.Lines(d.read("etc/group")) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) == 4 && fields[0] == name {
			gid, err := strconv.Atoi(fields[2])
			return gid, err == nil
		}
	}
	return 0, false
}

// join gives the command by which the user comes into a group. A process has the
// groups that it was started with.
func (d Doctor) join(group string) string {
	return "sudo usermod -aG " + group + " " + d.User + " && sudo systemctl restart posd"
}

// holders says who has a node open, beside posd and its own reader of USB. Those
// that can be ended come as problems, each with its command. logind opens every
// keyboard, and grabs none; a desktop may.
func (d Doctor) holders(n hotplug.Node, processes []process) (all []Finding) {
	holders, err := node.Holders(d.path("proc"), d.path(n.Path))
	for _, h := range holders {
		f := Finding{"holder", Problem, n.Path, "it is open in " + h.Command + " (process " + itoa(h.PID) + ")", stopping(h.Command, n)}
		switch {
		case h.Command == "posd", n.Subsystem == hotplug.Input && h.Command == "systemd-logind", readsUSB(h.PID, processes):
			continue
		case n.Subsystem == hotplug.Input:
			f.Severity, f.Detail = Warning, f.Detail+" too, which keeps posd from it if that has grabbed it"
		}
		all = append(all, f)
	}
	if len(all) == 0 && err != nil && os.Geteuid() != 0 {
		return []Finding{{"holder", Warning, n.Path, "only root can see who else has it open", "sudo posd doctor"}}
	}
	return all
}

// readsUSB reports whether a process is the one in which posd reads USB devices.
func readsUSB(pid int, processes []process) bool {
	return slices.ContainsFunc(processes, func(p process) bool {
		return p.pid == pid && len(p.command) > 1 && p.command[1] == "usb-read"
	})
}

// stopping gives the command that ends the usual thieves.
func stopping(command string, n hotplug.Node) string {
	switch command {
	case "ModemManager":
		return "sudo systemctl disable --now ModemManager"
	case "brltty":
		return "sudo systemctl mask --now brltty.service brltty-udev.service"
	case "gpsd":
		return "sudo systemctl disable --now gpsd.socket gpsd.service"
	case "agetty", "getty":
		return "sudo systemctl mask --now serial-getty@" + n.Kernel + ".service"
	}
	return "end it, or keep it from opening the device"
}
