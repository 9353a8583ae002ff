package drivers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/drivers/node"
	"posd/drivers/recording"
	"posd/drivers/usbfs"
)

// TestMain plays the reader of a USB device where a test has started this
// program as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "usb-reader" {
		os.Exit(playUSB(os.Args[2]))
	}
	os.Exit(m.Run())
}

// playUSB sends the reports of a recording, and goes when it is told anything.
func playUSB(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 1
	}
	rec, err := recording.Parse(text)
	if err != nil {
		return 1
	}
	socket := os.NewFile(3, "socket")
	socket.WriteString(usbfs.Ready)
	for _, e := range rec.Entries {
		if _, err := socket.Write(e.Data); err != nil {
			return 1
		}
	}
	socket.Read(make([]byte, 1))
	return 0
}

// A device that is taken from its kernel driver is read by another process, by
// the driver that its report descriptor fits.
func TestUSB(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := hotplug.Node{
		Subsystem: hotplug.USB, Kernel: "1-2", Path: filepath.Join(dir, "004"), SysPath: "/devices/usb1/1-2", Device: "/devices/usb1/1-2",
		Vendor: 0x0c2e, Product: 0x0b61, Serial: "S100", PortPath: "1-2", Model: "Scanner", Driver: "usbhid",
	}
	text, err := os.ReadFile("testdata/hidpos.rec")
	if err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	interfaces := filepath.Join(dir, "sys", n.SysPath)
	for path, content := range map[string][]byte{
		n.Path: nil, interfaces + "/1-2:1.0/0003:1.1/report_descriptor": {0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0xc0}, // a keyboard
		interfaces + "/1-2:1.1/0003:1.2/report_descriptor": rec.Descriptor,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(n)
	c := scannerBy(t, "0c2e:0b61:S100")
	c.Transport = driver.USBFS
	l := inWorld(t, w, Config{Devices: []DeviceConfig{c}, Sysfs: filepath.Join(dir, "sys"), USBReader: []string{os.Args[0], "usb-reader", "testdata/hidpos.rec"}})
	l.expect(0, "front", node.Reading)
	r := l.next()
	if r.Type != driver.Scan || r.Scan.GTIN == "" {
		t.Errorf("got %+v", r)
	}
	if st := l.Status()[0]; st.Driver != "hid-pos-scanner" || st.Port != n.Path {
		t.Errorf("status: %+v", st)
	}
	w.unplug(n)
	l.expect(0, "front", node.Missing)
	w.plug(n)
	l.expect(0, "front", node.Reading)
}

// A device that is not to be taken from its kernel driver is not.
func TestUSBOnlyWhereConfigured(t *testing.T) {
	n := hotplug.Node{Subsystem: hotplug.USB, Kernel: "1-2", Path: "/dev/bus/usb/001/004", Device: "/devices/1-2", Vendor: 0x0c2e, Product: 0x0b61, PortPath: "1-2"}
	got := bind([]slot{slotFor(t, DeviceConfig{Name: "front", Role: driver.Scanner, ID: idOf(t, "0c2e:0b61")})}, []hotplug.Node{n}, true)
	if got.String() != "missing" {
		t.Errorf("got %s", got)
	}
}
