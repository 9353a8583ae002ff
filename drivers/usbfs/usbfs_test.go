package usbfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"posd/drivers/node"
)

// TestMain plays a reader where a test has started this program as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "reader" {
		os.Exit(play(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// play is a reader that says back what it is told; its path says how it begins.
func play(path, number string) int {
	socket := os.NewFile(3, "socket")
	switch name := filepath.Base(path); {
	case name == "ends":
		return 1
	case name != "good":
		socket.WriteString(name + ": " + number)
		return 1
	}
	socket.WriteString(Ready)
	buf := make([]byte, 100)
	for {
		n, err := socket.Read(buf)
		if err != nil || n == 0 || buf[0] == 'q' {
			return 0
		}
		if _, err := socket.Write(buf[:n]); err != nil {
			return 1
		}
	}
}

// open opens a node whose name says how its reader behaves.
func open(t *testing.T, name string) (*Port, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return Open([]string{os.Args[0], "reader"}, path, "/sys", "/devices/none", 1)
}

func TestReports(t *testing.T) {
	p, err := open(t, "good")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	soon := func() {
		if err := p.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 100)
	for _, report := range [][]byte{{0, 1, 2, 3}, {2, 0xff}} { // packets stay apart
		if err := p.Send(report); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]byte{{0, 1, 2, 3}, {2, 0xff}} {
		soon()
		if n, err := p.Read(buf); err != nil || !bytes.Equal(buf[:n], want) {
			t.Errorf("got % x, %v", buf[:n], err)
		}
	}
	if err := p.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Read(buf); n != 0 || err != nil {
		t.Errorf("at the deadline: %d, %v", n, err)
	}
	soon()
	woken := make(chan error, 1)
	go func() {
		_, err := p.Read(buf)
		woken <- err
	}()
	p.Wake()
	if err := <-woken; err != nil {
		t.Error(err)
	}
	soon()
	if err := p.Send([]byte("q")); err != nil {
		t.Fatal(err)
	}
	var gone *node.Error
	if _, err := p.Read(buf); !errors.As(err, &gone) || gone.State != node.Missing {
		t.Errorf("when the reader has ended: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	for name, want := range map[string]struct {
		state node.State
		say   string
	}{
		"missing": {node.Missing, "not there"}, "unsupported": {node.Failed, "cgo"}, "ends": {node.Failed, "ended at once"}, "busy": {node.Failed, "busy: 1"},
	} {
		var e *node.Error
		if _, err := open(t, name); !errors.As(err, &e) || e.State != want.state || !strings.Contains(e.Reason+e.Remedy, want.say) || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e *node.Error
	if _, err := Open([]string{os.Args[0]}, "/dev/bus/usb/999/999", "/sys", "/x", 0); !errors.As(err, &e) || e.State != node.Missing {
		t.Errorf("a node that is not there: %v", err)
	}
	path := filepath.Join(t.TempDir(), "good")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open([]string{"/no/such/program"}, path, "/sys", "/x", 0); !errors.As(err, &e) || e.State != node.Failed {
		t.Errorf("a reader that is not there: %v", err)
	}
}

// A hundred readers leave nothing behind.
func TestNothingIsLeft(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	p, err := open(t, "good") // the first opens what Go's poller needs
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	files, routines := count(), runtime.NumGoroutine()
	for range 20 {
		p, err := open(t, "good")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if p.child.ProcessState == nil {
			t.Fatal("the reader lives on")
		}
	}
	if n := count(); n > files {
		t.Errorf("%d files are left open", n-files)
	}
	if n := runtime.NumGoroutine(); n > routines {
		t.Errorf("%d goroutines are left", n-routines)
	}
}

func TestInterfaces(t *testing.T) {
	sysfs := t.TempDir()
	for path, text := range map[string]string{
		"devices/usb1/1-2/1-2:1.0/0003:0C2E:0B61.0001/report_descriptor": "\x05\x8c", "devices/usb1/1-2/1-2:1.1/bInterfaceNumber": "01",
		"devices/usb1/1-2/ep_00/type": "Control",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(sysfs, path)), 0o755), os.WriteFile(filepath.Join(sysfs, path), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	got := Interfaces(sysfs, "/devices/usb1/1-2")
	if len(got) != 2 || got[0].Number != 0 || string(got[0].Descriptor) != "\x05\x8c" || got[1].Number != 1 || got[1].Descriptor != nil {
		t.Errorf("%+v", got)
	}
}

// The number of linux/usbdevice_fs.h, on a machine of 64 bits.
func TestRequests(t *testing.T) {
	if usbdevfsIoctlNr != 0xc0105512 && ^uint(0)>>63 == 1 || usbdevfsConnect != 0x5517 {
		t.Errorf("got %#x, %#x", usbdevfsIoctlNr, usbdevfsConnect)
	}
}
