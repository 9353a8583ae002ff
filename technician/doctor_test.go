package technician

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"posd/drivers/hotplug"
)

// machine is a tree of files that stands for a machine.
type machine struct {
	*testing.T
	root string
}

func newMachine(t *testing.T) machine {
	m := machine{t, t.TempDir()}
	m.write("etc/passwd", "root:x:0:0::/:/bin/sh\nposd:x:990:990::/:/bin/false\n")
	m.write("etc/group", "root:x:0:\nposdev:x:991:posd\ndialout:x:20:posd\ninput:x:104:posd\n")
	m.write("usr/lib/udev/rules.d/70-posd.rules", "rules")
	m.mkdir("run/udev")
	l, err := net.Listen("unixpacket", filepath.Join(m.root, "run/udev/control"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return m
}

func (m machine) mkdir(dir string) {
	m.Helper()
	if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
		m.Fatal(err)
	}
}

func (m machine) write(path, text string) {
	m.Helper()
	m.mkdir(filepath.Dir(path))
	if err := os.WriteFile(filepath.Join(m.root, path), []byte(text), 0o644); err != nil {
		m.Fatal(err)
	}
}

// process makes a program run.
func (m machine) process(pid, name string, args ...string) {
	m.write("proc/"+pid+"/comm", name+"\n")
	m.write("proc/"+pid+"/cmdline", strings.Join(append([]string{name}, args...), "\x00")+"\x00")
}

// scanner is the serial port of a scanner, with its node.
func (m machine) scanner(mode os.FileMode) hotplug.Node {
	m.Helper()
	m.write("dev/ttyACM0", "")
	if err := os.Chmod(filepath.Join(m.root, "dev/ttyACM0"), mode); err != nil {
		m.Fatal(err)
	}
	return hotplug.Node{
		Subsystem: hotplug.TTY, Kernel: "ttyACM0", Path: "/dev/ttyACM0", SysPath: "/devices/usb1/1-2/1-2:1.0/tty/ttyACM0", Device: "/devices/usb1/1-2",
		Vendor: 0x05f9, Product: 0x2214, Model: "QuickScan", PortPath: "1-2",
	}
}

func (m machine) doctor(nodes ...hotplug.Node) Doctor {
	return Doctor{Root: m.root, User: "posd", Rules: "rules", Nodes: nodes, Relevant: func(n hotplug.Node) bool { return n.Vendor == 0x05f9 }}
}

// found gives the findings of a check.
func found(t *testing.T, d Doctor, check string) []Finding {
	t.Helper()
	var some []Finding
	for _, f := range d.Examine() {
		if f.Severity != Good && f.Remedy == "" {
			t.Errorf("it is not said what to do: %+v", f)
		}
		if f.Check == check {
			some = append(some, f)
		}
	}
	return some
}

// expect fails unless a check has one finding like this.
func expect(t *testing.T, d Doctor, check string, s Severity, detail, remedy string) {
	t.Helper()
	all := found(t, d, check)
	if len(all) != 1 || all[0].Severity != s || !strings.Contains(all[0].Detail, detail) || !strings.Contains(all[0].Remedy, remedy) {
		t.Errorf("%s: %+v", check, all)
	}
}

func TestDoctorOfAHealthyMachine(t *testing.T) {
	m := newMachine(t)
	d := m.doctor(m.scanner(0o666))
	for _, f := range d.Examine() {
		if f.Severity != Good && f.Check != "holder" { // only root sees who has a node open
			t.Errorf("%+v", f)
		}
	}
	if len(found(t, d, "permission")) != 1 || len(found(t, d, "group")) != 3 {
		t.Errorf("not everything was looked at: %+v", d.Examine())
	}
}

func TestDoctorRules(t *testing.T) {
	m := newMachine(t)
	d := m.doctor()
	expect(t, d, "rules", Good, "/usr/lib/udev/rules.d", "")
	m.write("etc/udev/rules.d/70-posd.rules", "old")
	expect(t, d, "rules", Warning, "another version", "udevadm trigger")
	if err := errors.Join(os.RemoveAll(filepath.Join(m.root, "etc/udev")), os.RemoveAll(filepath.Join(m.root, "usr"))); err != nil {
		t.Fatal(err)
	}
	expect(t, d, "rules", Problem, "not installed", "udevadm trigger --action=add")
	if err := os.RemoveAll(filepath.Join(m.root, "run")); err != nil {
		t.Fatal(err)
	}
	expect(t, d, "rules", Warning, "udev does not run", "")
}

func TestDoctorGroups(t *testing.T) {
	m := newMachine(t)
	m.write("etc/group", "dialout:x:20:anna\n")
	all := found(t, m.doctor(), "group")
	if len(all) != 2 || all[0].Severity != Problem || !strings.Contains(all[0].Remedy, "groupadd --system posdev") || !strings.Contains(all[1].Remedy, "usermod -aG dialout posd") {
		t.Errorf("%+v", all)
	}
}

// As it is installed, systemd gives posd its groups, and no file of users does.
func TestDoctorKnowsTheUnitsGroups(t *testing.T) {
	m := newMachine(t)
	m.write("etc/group", "root:x:0:\nposdev:x:991:\ndialout:x:20:\ninput:x:104:\nplugdev:x:46:\n")
	if all := found(t, m.doctor(), "group"); len(all) != 3 || all[0].Severity != Warning {
		t.Errorf("without the unit: %+v", all)
	}
	m.write("usr/lib/systemd/system/posd.service", "[Service]\nUser=posd\nSupplementaryGroups=dialout input\nSupplementaryGroups=posdev\n")
	for _, f := range found(t, m.doctor(), "group") {
		if f.Severity != Good {
			t.Errorf("%+v", f)
		}
	}
	if uid, gids := m.doctor().ids(); uid != 990 || !slices.Contains(gids, 991) || slices.Contains(gids, 46) {
		t.Errorf("user %d, groups %v", uid, gids)
	}
	d := m.doctor()
	d.User = "anna"
	if all := found(t, d, "group"); all[0].Severity != Warning {
		t.Errorf("the unit's groups are not Anna's: %+v", all)
	}
	// One that runs has what it was started with.
	m.process("300", "posd", "run")
	m.write("proc/300/status", "Name:\tposd\nUid:\t990\t990\t990\t990\nGid:\t990\t990\t990\t990\nGroups:\t20 990 \n")
	for _, f := range found(t, m.doctor(), "group") {
		if (f.Severity == Good) != (f.Subject == "dialout") || f.Severity != Good && !strings.Contains(f.Remedy, "systemctl restart posd") {
			t.Errorf("%+v", f)
		}
	}
	m.write("etc/systemd/system/posd.service.d/more.conf", "[Service]\nSupplementaryGroups=plugdev\n")
	if _, gids := m.doctor().ids(); slices.Contains(gids, 46) {
		t.Errorf("it was not started with %v", gids)
	}
	m.write("proc/300/status", "Uid:\t0\n")
	if _, gids := m.doctor().ids(); !slices.Contains(gids, 46) || !slices.Contains(gids, 991) {
		t.Errorf("groups %v", gids)
	}
}

func TestDoctorPermission(t *testing.T) {
	m := newMachine(t)
	n := m.scanner(0o600)
	d := m.doctor(n)
	expect(t, d, "permission", Problem, "mode 0600", "udevadm trigger --action=add /sys/devices/usb1")
	d.User = "root"
	expect(t, d, "permission", Good, "", "")
	d.User = "posd"
	if err := os.Chown(filepath.Join(m.root, "dev/ttyACM0"), 990, -1); err == nil { // as root
		expect(t, d, "permission", Good, "", "")
	}
	usb := hotplug.Node{Subsystem: hotplug.USB, Path: "/dev/bus/usb/001/004", SysPath: "/devices/usb1/1-1", Vendor: 0x05f9, Product: 0x4204}
	m.write("dev/bus/usb/001/004", "")
	if err := os.Chmod(filepath.Join(m.root, "dev/bus/usb/001/004"), 0o600); err != nil {
		t.Fatal(err)
	}
	rule := `echo 'SUBSYSTEM=="usb", ATTR{idVendor}=="05f9", ATTR{idProduct}=="4204", GROUP="posdev", MODE="0660"' | sudo tee -a /etc/udev/rules.d/71-posd-usb.rules ` +
		"&& sudo udevadm control --reload && sudo udevadm trigger --action=add /sys/devices/usb1/1-1"
	if f := found(t, m.doctor(usb), "permission"); len(f) != 1 || f[0].Remedy != rule {
		t.Errorf("%+v", f)
	}
	n.Path = "/dev/ttyACM9"
	expect(t, m.doctor(n), "permission", Problem, "not there", "udevadm trigger")
	if os.Geteuid() != 0 {
		t.Skip("only root can give a node to a group")
	}
	n = m.scanner(0o660)
	if err := os.Chown(filepath.Join(m.root, "dev/ttyACM0"), 0, 50); err != nil {
		t.Fatal(err)
	}
	expect(t, m.doctor(n), "permission", Problem, "group 50", "usermod -aG 50 posd")
	if err := os.Chown(filepath.Join(m.root, "dev/ttyACM0"), 0, 991); err != nil {
		t.Fatal(err)
	}
	expect(t, m.doctor(n), "permission", Good, "", "")
}

func TestDoctorThieves(t *testing.T) {
	m := newMachine(t)
	n := m.scanner(0o666)
	m.process("100", "ModemManager")
	expect(t, m.doctor(n), "ModemManager", Warning, "AT commands", "ModemManager")
	m.write("sys"+n.Device+"/dev", "189:3\n")
	m.write("run/udev/data/c189:3", "I:1\nE:ID_MM_DEVICE_IGNORE=1\n")
	if all := found(t, m.doctor(n), "ModemManager"); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	m.process("101", "agetty", "-o", "-p", "ttyACM0", "vt220")
	expect(t, m.doctor(n), "getty", Problem, "login prompt", "mask --now serial-getty@ttyACM0.service")
	m.write("sys/class/tty/console/active", "tty0 ttyACM0\n")
	expect(t, m.doctor(n), "console", Problem, "kernel", "console=ttyACM0")
	m.process("200", "posd", "run")
	if all := found(t, m.doctor(n), "posd"); len(all) != 0 {
		t.Errorf("one posd: %+v", all)
	}
	m.process("201", "posd", "run", "--config", "x")
	expect(t, m.doctor(n), "posd", Problem, "200, 201", "kill 201")
	m.write("proc/201/cgroup", "0::/system.slice/posd.service\n")
	expect(t, m.doctor(n), "posd", Problem, "201, 200", "kill 200")
}

func TestDoctorBrltty(t *testing.T) {
	m := newMachine(t)
	n := m.scanner(0o666)
	n.Vendor, n.Product = 0x1a86, 0x7523
	d := m.doctor(n)
	d.Ports = []string{"/dev/ttyACM0"}
	if all := found(t, d, "brltty"); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	m.write("usr/lib/udev/rules.d/85-brltty.rules", "# Device: 1A86/7523\n#ENV{PRODUCT}==\"1a86/7523/*\"\n")
	if all := found(t, d, "brltty"); len(all) != 0 {
		t.Errorf("a comment: %+v", all)
	}
	m.write("usr/lib/udev/rules.d/85-brltty.rules", `ENV{PRODUCT}=="1a86/7523/*", ENV{BRLTTY_BRAILLE_DRIVER}="bm"`+"\n")
	expect(t, d, "brltty", Warning, "1a86:7523", "systemctl mask --now brltty.service")
	m.mkdir("etc/systemd/system")
	for _, unit := range []string{"brltty.service", "brltty-udev.service"} { // what the remedy does
		if err := os.Symlink("/dev/null", filepath.Join(m.root, "etc/systemd/system", unit)); err != nil {
			t.Fatal(err)
		}
	}
	if all := found(t, d, "brltty"); len(all) != 0 {
		t.Errorf("after the remedy: %+v", all)
	}
}

func TestDoctorModules(t *testing.T) {
	m := newMachine(t)
	n := hotplug.Node{Subsystem: hotplug.USB, Kernel: "1-2", Path: "/dev/bus/usb/001/002", SysPath: "/devices/usb1/1-2", Vendor: 0x0403, Product: 0x6001, Free: []int{0, 1, 2}}
	for i, class := range []string{"ff", "02", "08"} {
		m.write("sys/devices/usb1/1-2/1-2:1."+itoa(i)+"/bInterfaceClass", class+"\n")
	}
	all := found(t, m.doctor(n), "module")
	if len(all) != 2 || !strings.Contains(all[0].Remedy, "modprobe ftdi_sio") || !strings.Contains(all[1].Remedy, "modprobe cdc_acm && echo cdc_acm | sudo tee -a /etc/modules-load.d") {
		t.Errorf("%+v", all)
	}
}

func TestDoctorHolder(t *testing.T) {
	m := newMachine(t)
	n := m.scanner(0o666)
	m.process("300", "ModemManager")
	m.mkdir("proc/300/fd")
	if err := os.Symlink(filepath.Join(m.root, "dev/ttyACM0"), filepath.Join(m.root, "proc/300/fd/7")); err != nil {
		t.Fatal(err)
	}
	expect(t, m.doctor(n), "holder", Problem, "ModemManager (process 300)", "disable --now ModemManager")
	n.Subsystem = hotplug.Input
	m.write("proc/300/comm", "Xorg\n")
	expect(t, m.doctor(n), "holder", Warning, "Xorg (process 300) too", "end it")
	m.process("1", "systemd-logind")
	m.mkdir("proc/1/fd")
	if err := os.Symlink(filepath.Join(m.root, "dev/ttyACM0"), filepath.Join(m.root, "proc/1/fd/7")); err != nil {
		t.Fatal(err)
	}
	expect(t, m.doctor(n), "holder", Warning, "Xorg (process 300) too", "end it")
	n.Subsystem = hotplug.TTY
	if all := found(t, m.doctor(n), "holder"); len(all) != 2 {
		t.Errorf("of two there are %+v", all)
	}
	n.Subsystem = hotplug.Input
	m.process("300", "exe", "usb-read", "/dev/bus/usb/001/004")
	if all := found(t, m.doctor(n), "holder"); len(all) != 0 {
		t.Errorf("posd's reader of USB: %+v", all)
	}
	m.process("300", "posd")
	if all := found(t, m.doctor(n), "holder"); len(all) != 0 {
		t.Errorf("posd itself: %+v", all)
	}
}
