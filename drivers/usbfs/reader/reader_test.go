package reader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPlace(t *testing.T) {
	if bus, address, err := place("/dev/bus/usb/001/014"); bus != 1 || address != 14 || err != nil {
		t.Errorf("%d, %d, %v", bus, address, err)
	}
	for _, path := range []string{"/dev/hidraw0", "", "/dev/bus/usb/001/x"} {
		if _, _, err := place(path); err == nil {
			t.Errorf("%q is a USB device", path)
		}
	}
}

func TestIdentity(t *testing.T) {
	sysfs := t.TempDir()
	dir := filepath.Join(sysfs, "bus/usb/devices/1-2.3")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"busnum": "1\n", "devnum": "14\n", "idVendor": "05f9\n", "idProduct": "2214\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if v, p, port, err := identity(sysfs, "/dev/bus/usb/001/014"); v != 0x05f9 || p != 0x2214 || port != 3 || err != nil {
		t.Errorf("%x, %x, %d, %v", v, p, port, err)
	}
	if _, _, _, err := identity(sysfs, "/dev/bus/usb/001/015"); err == nil || !strings.HasPrefix(err.Error(), "missing: ") {
		t.Errorf("got %v", err)
	}
}

// What cannot be read is said on the socket.
func TestRunSaysWhy(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := os.NewFile(uintptr(fds[0]), "mine"), os.NewFile(uintptr(fds[1]), "theirs")
	defer mine.Close()
	defer theirs.Close()
	if err := Run("/dev/bus/usb/999/099", 0, theirs); err == nil {
		t.Fatal("a device that is not there was read")
	}
	buf := make([]byte, 1000)
	if n, err := mine.Read(buf); err != nil || n == 0 || string(buf[:n]) == "ready" {
		t.Errorf("said %q, %v", buf[:n], err)
	}
}
