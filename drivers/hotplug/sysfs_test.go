package hotplug

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// line shows a node.
func line(n Node) string {
	return fmt.Sprintf("%s %s %s if%d free%v %s dev=%s %q %q %q %x %d", strings.TrimPrefix(n.Path, "/dev/"), n.Bus, n.IDAtPort(),
		n.Interface, n.Free, n.Driver, path.Base(n.Device), n.Manufacturer, n.Model, n.Name, n.Descriptor, len(n.Keys))
}

func TestScan(t *testing.T) {
	tr := lane(t)
	tr.link("/class/hidraw/hidraw99", "/devices/gone")
	want := strings.TrimSpace(`
ttyS0 platform 0000:0000@pnp0/00:05/ttyS0 if-1 free[] serial dev=ttyS0 "" "" ""  0
ttyS4 platform 0000:0000@pci0000:00/0000:00:1e.0/ttyS4 if-1 free[] serial dev=ttyS4 "" "" ""  0
ttyS10 platform 0000:0000@pci0000:00/0000:00:1e.0/ttyS10 if-1 free[] serial dev=ttyS10 "" "" ""  0
rfcomm0 bluetooth 0000:0000:aa:bb:cc:00:11:22 if-1 free[]  dev=rfcomm0 "" "" ""  0
ttyACM2 usb 05f9:2214@1-2 if0 free[] cdc_acm dev=1-2 "Datalogic ADC" "" ""  0
ttyACM3 usb 05f9:2214@1-3 if0 free[] cdc_acm dev=1-3 "Datalogic ADC" "" ""  0
ttyUSB0 usb 0403:6001:A700@1-4 if0 free[] ftdi_sio dev=1-4 "FTDI" "FT232R USB UART" ""  0
hidraw0 usb 0c2e:0b61:S1234@1-1.2 if0 free[] usbhid dev=1-1.2 "Honeywell" "1900[2J GHD" "Honeywell 1900" 058c0902 0
hidraw1 usb 0c2e:0b61:S1234@1-1.2 if1 free[] usbhid dev=1-1.2 "Honeywell" "1900[2J GHD" "Honeywell 1900" 05010906 0
hidraw7 bluetooth 0c2e:0a01:aa:bb:cc:dd:ee:ff@00:11:22:33:44:55 if-1 free[] hid-generic dev=0005:0C2E:0A01.0003 "" "" "Cordless" 058c 0
hidraw8 bluetooth 05e0:0a02:aa:bb:cc:dd:ee:00@00:11:22:33:44:55 if-1 free[] hid-generic dev=0005:05E0:0A02.0005 "" "" "LE" 058c 0
hidraw9 virtual 0c2e:0b61 if-1 free[] hid-generic dev=0003:0C2E:0B61.0004 "" "" "Emulated" 058c 0
input/event3 platform 0001:0001@isa0060/serio0/input0 if-1 free[] atkbd dev=event3 "" "" "AT Translated Set 2 keyboard"  4
input/event5 usb 0c2e:0b61:S1234@1-1.2 if1 free[] usbhid dev=1-1.2 "Honeywell" "1900[2J GHD" "Honeywell 1900 Keyboard" 05010906 4
input/event12 virtual 1234:abcd if-1 free[]  dev=event12 "" "" "Emulated keypad"  1
bus/usb/001/012 usb 05f9:2214@1-2 if-1 free[2]  dev=1-2 "Datalogic ADC" "" ""  0
bus/usb/001/013 usb 05f9:2214@1-3 if-1 free[2]  dev=1-3 "Datalogic ADC" "" ""  0
bus/usb/001/009 usb 0403:6001:A700@1-4 if-1 free[]  dev=1-4 "FTDI" "FT232R USB UART" ""  0
bus/usb/001/008 usb 8087:0a2b:ADAPTER@1-8 if-1 free[]  dev=1-8 "" "" ""  0
bus/usb/001/003 usb 0c2e:0b61:S1234@1-1.2 if-1 free[]  dev=1-1.2 "Honeywell" "1900[2J GHD" ""  0`)
	var got []string
	for _, n := range tr.scan() {
		got = append(got, line(n))
	}
	for i, w := range strings.Split(want, "\n") {
		if i >= len(got) || got[i] != w {
			t.Fatalf("line %d: got\n%s\nwant\n%s", i, strings.Join(got[min(i, len(got)):], "\n"), w)
		}
	}
	if len(got) != strings.Count(want, "\n")+1 {
		t.Errorf("too many:\n%s", strings.Join(got, "\n"))
	}
}

func TestScanWithoutSysfs(t *testing.T) {
	if _, err := Scan(t.TempDir() + "/none"); err == nil || !strings.Contains(err.Error(), "mount sysfs") {
		t.Errorf("got %v", err)
	}
	tr := newTree(t, scratch(t))
	tr.must(os.RemoveAll(tr.at("class/hidraw"))) // the module is not loaded
	tr.must(os.RemoveAll(tr.at("bus")))
	if got := tr.scan(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestLookAndClass(t *testing.T) {
	tr := lane(t)
	for _, want := range tr.scan() {
		for how, f := range map[string]func() (Node, bool, error){
			"look":  func() (Node, bool, error) { return Look(tr.root, want.SysPath) },
			"class": func() (Node, bool, error) { return Class(tr.root, want.Subsystem, want.Kernel) },
		} {
			if got, ok, err := f(); !ok || err != nil || line(got) != line(want) || got.SysPath != want.SysPath {
				t.Errorf("%s %s: got %s, %t, %v", how, want.SysPath, line(got), ok, err)
			}
		}
	}
	for _, p := range []string{
		"", "/", "/devices", "/devices/gone", "/devices/../../etc", pci, acmPath(2) + "/1-2:1.0", pci + "/usb1",
		"/devices/virtual/tty/tty1", "/devices/platform/serial8250/tty/ttyS1", "/devices/virtual/input/mice",
		"/devices/pnp0/00:05/tty/ttyS0", // where it was in another kernel
		acmPath(2) + "/1-2:1.0/tty/../tty/ttyACM2",
	} {
		if n, ok, err := Look(tr.root, p); ok || err != nil {
			t.Errorf("%q: %+v, %v", p, n, err)
		}
	}
	for _, k := range []key{{HIDRaw, "hidraw98"}, {HIDRaw, ""}, {"", "hidraw0"}, {"net", "lo"}, {HIDRaw, "../../devices"}, {HIDRaw, "../tty/ttyS0"}, {HIDRaw, "."}, {USB, "1-2:1.0"}} {
		if n, ok, err := Class(tr.root, k.subsystem, k.kernel); ok || err != nil {
			t.Errorf("%q: %+v, %v", k, n, err)
		}
	}
}

// What lacks some of its files, because it is going or because they are not for
// this user, is told with what is left.
func TestScanHalfGone(t *testing.T) {
	tr := lane(t)
	all := tr.scan()
	d := tr.find(pci + "/usb1/1-1/1-1.2")
	for _, name := range []string{"idVendor", "serial", "manufacturer"} {
		tr.must(os.Remove(tr.at(d.path, name)))
	}
	tr.must(os.Remove(tr.at(d.path, "1-1.2:1.0/bInterfaceNumber")))
	tr.must(os.Remove(tr.at(d.path, "1-1.2:1.0/0003:0C2E:0B61.0001/report_descriptor")))
	n, ok, err := Class(tr.root, HIDRaw, "hidraw0")
	if want := `hidraw0 usb 0000:0b61@1-1.2 if-1 free[] usbhid dev=1-1.2 "" "1900[2J GHD" "Honeywell 1900"  0`; !ok || err != nil || line(n) != want {
		t.Errorf("got %s, %v", line(n), err)
	}
	tr.must(os.Remove(tr.at(d.path, "1-1.2:1.0/0003:0C2E:0B61.0001/hidraw/hidraw0/uevent")))
	if got := tr.scan(); len(got) != len(all)-1 {
		t.Errorf("got %d of %d", len(got), len(all))
	}
}

// What goes away and comes back while it is looked at is not taken for one device.
func TestClassExchanged(t *testing.T) {
	tr := newTree(t, scratch(t), uinput)
	const dev = "/devices/virtual/input/input20"
	slow := tr.at(dev, "capabilities/key")
	tr.must(os.Remove(slow))
	tr.must(unix.Mkfifo(slow, 0o600))
	there := make(chan bool)
	go func() {
		_, ok, _ := Class(tr.root, Input, "event12")
		there <- ok
	}()
	w, err := os.OpenFile(slow, os.O_WRONLY, 0) // opens when it is being read
	tr.must(err)
	tr.remove(dev)
	tr.add(uinput)
	tr.must(w.Close())
	if <-there {
		t.Error("half of one, half of another")
	}
	if _, ok, err := Class(tr.root, Input, "event12"); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}

// Links that sysfs does not have do no harm.
func TestScanOddLinks(t *testing.T) {
	tr := lane(t)
	all := len(tr.scan())
	for i, to := range []string{"hidraw50", "../../../../../../../../etc", "/etc", "../../devices", "../../class/hidraw/hidraw0"} {
		tr.must(os.Symlink(to, tr.at("class/hidraw", fmt.Sprintf("hidraw5%d", i))))
	}
	tr.must(os.WriteFile(tr.at("class/hidraw/version"), nil, 0o600))
	if got := tr.scan(); len(got) != all {
		t.Errorf("got %d nodes of %d", len(got), all)
	}
}

// A process that has no file descriptor left must not take all for unplugged.
func TestScanWithoutDescriptors(t *testing.T) {
	tr := lane(t)
	var was unix.Rlimit
	tr.must(unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	tr.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: was.Max}))
	_, scanErr := Scan(tr.root)
	_, _, lookErr := Class(tr.root, HIDRaw, "hidraw0")
	tr.must(unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	for _, err := range []error{scanErr, lookErr} {
		if !errors.Is(err, syscall.EMFILE) {
			t.Errorf("got %v", err)
		}
	}
}

// The machine that runs the test has devices, or none; neither is an error.
func TestScanHere(t *testing.T) {
	nodes, err := Scan("/sys")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	for _, n := range nodes {
		if n.Path == "" || n.Device == "" || n.Bus == "" || !strings.HasPrefix(n.SysPath, "/devices/") {
			t.Errorf("%+v", n)
		}
		t.Log(line(n))
	}
}

func TestNodeKeys(t *testing.T) {
	tr := lane(t)
	n, _, _ := Class(tr.root, Input, "event5")
	for code, want := range map[int]bool{-1: false, 0: false, 1: true, 28: true, 30: true, 116: true, 195: false, 240: true, 241: false, 500: false, 100000: false} {
		if n.HasKey(code) != want {
			t.Errorf("key %d: %t", code, !want)
		}
	}
}

func TestParseBitmap(t *testing.T) {
	for s, want := range map[string][]uint64{
		"": {}, "0": {0}, "1 8000000000000002": {0x8000000000000002, 1},
		"x": nil, "1 x": nil, "-1": nil, "11111111111111111": nil, strings.Repeat("1 ", 65): nil,
	} {
		if got := parseBitmap(s); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%q: got %x", s, got)
		}
	}
}

func TestParseID16(t *testing.T) {
	for s, want := range map[string]uint16{"": 0, "0c2e": 0x0c2e, "00000C2E": 0x0c2e, "12340C2E": 0, "00010000": 0, "XYZ": 0, "100000000000000000": 0, "-1": 0} {
		if got := parseID16(s); got != want {
			t.Errorf("%q: got %x", s, got)
		}
	}
}

// Whatever a device says of itself, looking at it ends, and what people will read
// has nothing in it that moves a cursor.
func FuzzNode(f *testing.F) {
	f.Add("S1234", "HID_ID=0005:00000C2E:00000A01\nHID_NAME=x\n", "ff 1", "1900 \x1b[2J")
	f.Add("", "HID_NAME=\x1b[2J\nHID_PHYS=\x1b\u202e\n", "1", "")
	f.Add("\xff\x00", "HID_ID=:::\n=\nHID_UNIQ=00\nHID_ID=1", "", "\u202e\u0085")
	f.Fuzz(func(t *testing.T, serial, uevent, keys, name string) {
		tr := newTree(t, scratch(t), uhid, uinput)
		tr.must(os.WriteFile(tr.at("/devices/virtual/misc/uhid/0003:0C2E:0B61.0004/uevent"), []byte("HID_UNIQ="+serial+"\n"+uevent), 0o600))
		tr.must(os.WriteFile(tr.at("/devices/virtual/input/input20/capabilities/key"), []byte(keys), 0o600))
		tr.must(os.WriteFile(tr.at("/devices/virtual/input/input20/name"), []byte(name), 0o600))
		nodes := tr.scan()
		if len(nodes) != 2 {
			t.Fatalf("got %v", nodes)
		}
		for _, n := range nodes {
			if text := n.Name + n.Serial + n.PortPath; cleanText(n.Name) != n.Name || strings.ContainsAny(text, "\x00\x1b\n\u202e\u0085") {
				t.Errorf("%q", text)
			}
			if id, err := ParseID(n.IDAtPort().String()); n.PortPath == "" && (err != nil || id != n.IDAtPort()) {
				t.Errorf("%s: %v", n.IDAtPort(), err)
			}
		}
	})
}
