package drivers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"posd/drivers/driver"
	"posd/drivers/node"
	"posd/drivers/recording"
)

// A recording of a HID scanner goes through the node, the sysfs reader and the
// manager: a FIFO in packet mode keeps reports apart as hidraw does.
func TestHIDRaw(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/hidpos-long.rec")
	if err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, sysfs := filepath.Join(dir, "hidraw3"), filepath.Join(dir, "sys")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	writeSysfs(t, sysfs, "hidraw3", rec.Descriptor)

	readings := make(chan driver.Reading, 16)
	m, err := New([]DeviceConfig{{Name: "front", Role: driver.Scanner, Port: path}}, rules(), func(r driver.Reading) bool { readings <- r; return true }, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.devices[0].open = opener(sysfs)
	l := run(t, m, readings)
	l.reaches(node.Reading)

	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETFL, unix.O_DIRECT); err != nil {
		t.Fatal(err)
	}
	for _, e := range rec.Entries {
		if _, err := w.Write(e.Data); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.label(); !strings.HasPrefix(got, "https://id.gs1.org/01/09506000134352") || len(got) != 127 {
		t.Errorf("got %d bytes: %s", len(got), got)
	}
}

func writeSysfs(t *testing.T, sysfs, name string, descriptor []byte) {
	t.Helper()
	dir := filepath.Join(sysfs, "class", "hidraw", name, "device")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	uevent := "DRIVER=hid-generic\nHID_ID=0003:00000C2E:00000B61\nHID_NAME=A scanner\n"
	for file, content := range map[string][]byte{"report_descriptor": descriptor, "uevent": []byte(uevent)} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHIDRawThatIsNoScanner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, sysfs := filepath.Join(dir, "hidraw4"), filepath.Join(dir, "sys")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := New([]DeviceConfig{{Name: "front", Role: driver.Scanner, Port: path}}, rules(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.devices[0].open = opener(sysfs)
	l := run(t, m, nil)
	eventually(t, "no descriptor", func() bool { return strings.Contains(l.Status()[0].Reason, "no hidraw node") })
	writeSysfs(t, sysfs, "hidraw4", []byte{0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0xc0})
	eventually(t, "no scanner", func() bool { return strings.Contains(l.Status()[0].Reason, "no bar code scanner") })
	if st := l.Status()[0]; st.State != node.Failed || st.Remedy == "" {
		t.Errorf("status: %+v", st)
	}
}
