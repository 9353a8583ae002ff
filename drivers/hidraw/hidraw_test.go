package hidraw

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"posd/drivers/node"
)

// device makes a node, and what sysfs would have of it.
func device(t *testing.T, files map[string]string) (path, sysfs string) {
	t.Helper()
	dir := t.TempDir()
	path, sysfs = filepath.Join(dir, "hidraw7"), filepath.Join(dir, "sys")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	about := filepath.Join(sysfs, "class", "hidraw", "hidraw7", "device")
	if err := os.MkdirAll(about, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(about, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, sysfs
}

const uevent = "DRIVER=hid-generic\nHID_ID=0003:00000C2E:00000B61\nHID_NAME=Honeywell Scanning 1900\nHID_PHYS=usb-1\n"

func TestOpenByLink(t *testing.T) {
	path, sysfs := device(t, map[string]string{"report_descriptor": "\x05\x8c", "uevent": uevent})
	link := filepath.Join(t.TempDir(), "scanner")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	p, info, err := Open(link, sysfs)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if info.Vendor != 0x0c2e || info.Product != 0x0b61 || info.Name != "Honeywell Scanning 1900" || !bytes.Equal(info.Descriptor, []byte{0x05, 0x8c}) {
		t.Errorf("%+v", info)
	}
	if _, _, err := Open(path, sysfs); state(err) != node.Claimed {
		t.Errorf("a second opener: %v", err)
	}
}

func state(err error) node.State {
	var e *node.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.State
}

func TestOpenErrors(t *testing.T) {
	for say, files := range map[string]map[string]string{
		"report descriptor": {"uevent": uevent},
		"uevent":            {"report_descriptor": "\x05\x8c"},
	} {
		path, sysfs := device(t, files)
		if _, _, err := Open(path, sysfs); state(err) != node.Failed || !strings.Contains(err.Error(), say) {
			t.Errorf("without %s: %v", say, err)
		}
		again, _, err := node.Open(path) // the first has let go
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	}
	if _, _, err := Open("/dev/hidraw-none", "/sys"); state(err) != node.Missing {
		t.Errorf("a node that is not there: %v", err)
	}
}

func TestUeventThatIsOdd(t *testing.T) {
	for _, text := range []string{"", "HID_ID", "HID_ID=1:2", "HID_ID=0005:XYZ:100000000000000000", "HID_ID=0003:12340C2E:00010000"} {
		var i Info
		if i.readUevent([]byte(text)); i.Vendor != 0 || i.Product != 0 {
			t.Errorf("%q: %+v", text, i)
		}
	}
}
