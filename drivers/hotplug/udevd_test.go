package hotplug

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestUdevRuns(t *testing.T) {
	const proc = "/proc/net/unix"
	socket := filepath.Join(t.TempDir(), "control")
	if udevRuns(proc, []string{socket}) {
		t.Error("there is no socket")
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if !udevRuns(proc, []string{"/run/udev/none", socket}) {
		t.Error("the socket is listened on")
	}
	if udevRuns(proc, []string{socket[:len(socket)-1]}) || udevRuns(proc, []string{socket + "2"}) {
		t.Error("that is another")
	}
	l.Close()
	if udevRuns(proc, []string{socket}) {
		t.Error("nobody listens any more")
	}
	if none := filepath.Join(t.TempDir(), "none"); !udevRuns(none, []string{socket}) || udevRuns(none, []string{none}) {
		t.Error("without /proc it is the file that counts")
	}
}

func TestUdevRunsConnected(t *testing.T) {
	const line = "ffff8880: 00000002 00000000 00010000 0005 01 16385 /run/udev/control"
	for s, want := range map[string]bool{
		line: true, "": false, "Num       RefCount Protocol Flags    Type St Inode Path": false,
		"ffff8880: 00000003 00000000 00000000 0005 03 16385 /run/udev/control": false, // a connection
		"ffff8880: 00000002 00000000 0001000x 0005 01 16385 /run/udev/control": false,
		"ffff8880: 00000002 00000000 00010000 0005 01 16385":                   false,
	} {
		if got := isListener(s, "/run/udev/control"); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
	if _, err := os.Stat(udevdSockets[0]); os.IsNotExist(err) && UdevRuns() {
		t.Error("there is no udevd here")
	}
}
