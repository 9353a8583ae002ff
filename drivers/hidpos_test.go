package drivers

import (
	"errors"
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
	m := newManager(t, func(r driver.Reading) bool { readings <- r; return true }, DeviceConfig{Name: "front", Role: driver.Scanner, Port: path})
	m.env.open = opener(sysfs, nil)
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
	dir := filepath.Join(sysfs, "devices", "virtual", "0003:0C2E:0B61.0001")
	node := filepath.Join(dir, "hidraw", name)
	for file, content := range map[string]string{
		dir + "/report_descriptor": string(descriptor), node + "/uevent": "DEVNAME=" + name + "\n",
		dir + "/uevent": "DRIVER=hid-generic\nHID_ID=0003:00000C2E:00000B61\nHID_NAME=A scanner\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	class := filepath.Join(sysfs, "class", "hidraw")
	for link, to := range map[string]string{class + "/" + name: node, node + "/subsystem": class, dir + "/subsystem": sysfs + "/bus/hid"} {
		to, err := filepath.Rel(filepath.Dir(link), to)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(link), 0o700), os.RemoveAll(link), os.Symlink(to, link)); err != nil {
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
	m := newManager(t, nil, DeviceConfig{Name: "front", Role: driver.Scanner, Port: path})
	m.env.open = opener(sysfs, nil)
	l := run(t, m, nil)
	eventually(t, "no descriptor", func() bool { return strings.Contains(l.Status()[0].Reason, "no hidraw node") })
	writeSysfs(t, sysfs, "hidraw4", []byte{0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0xc0})
	eventually(t, "no scanner", func() bool { return strings.Contains(l.Status()[0].Reason, "no bar code scanner") })
	if st := l.Status()[0]; st.State != node.Failed || st.Remedy == "" {
		t.Errorf("status: %+v", st)
	}
}
