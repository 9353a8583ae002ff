package node

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// process makes what procfs would have of a process that has files open.
func process(t *testing.T, procfs, pid, comm string, open ...string) {
	t.Helper()
	fd := filepath.Join(procfs, pid, "fd")
	if err := os.MkdirAll(fd, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(procfs, pid, "comm"), []byte(comm+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, target := range open {
		if err := os.Symlink(target, filepath.Join(fd, string(rune('0'+i)))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHolders(t *testing.T) {
	dir := t.TempDir()
	node, link, procfs := filepath.Join(dir, "event3"), filepath.Join(dir, "scanner"), filepath.Join(dir, "proc")
	if err := errors.Join(unix.Mkfifo(node, 0o600), os.Symlink(node, link)); err != nil {
		t.Fatal(err)
	}
	process(t, procfs, "17", "systemd-logind", "/dev/null", "socket:[4711]", node, node)
	process(t, procfs, "230", "bash", "/dev/null", dir)
	process(t, procfs, "231", "gone")
	process(t, procfs, "self", "no pid", node)
	os.RemoveAll(filepath.Join(procfs, "231", "fd"))
	process(t, procfs, "4", "Xorg", node)
	got, err := Holders(procfs, link)
	slices.SortFunc(got, func(a, b Holder) int { return a.PID - b.PID })
	if want := []Holder{{4, "Xorg"}, {17, "systemd-logind"}}; !slices.Equal(got, want) || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestHoldersByAnotherName(t *testing.T) {
	dir := t.TempDir()
	procfs := filepath.Join(dir, "proc")
	process(t, procfs, "5", "getty", "/dev/zero")
	process(t, procfs, "6", "other", "/dev/full")
	zero := filepath.Join(dir, "zero") // in a /dev of its own
	if err := unix.Mknod(zero, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))); err != nil {
		t.Skip("only root can make a device node: ", err)
	}
	if got, err := Holders(procfs, zero); !slices.Equal(got, []Holder{{5, "getty"}}) || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestHoldersOfRealProcesses(t *testing.T) {
	node := filepath.Join(t.TempDir(), "event3")
	if err := unix.Mkfifo(node, 0o600); err != nil {
		t.Fatal(err)
	}
	mine, _, err := Open(node)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	fifo, err := os.OpenFile(node, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	other := exec.Command("sleep", "1000")
	other.Stdin = fifo
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	got, err := Holders("/proc", node)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	find := func(pid int) int {
		return slices.IndexFunc(got, func(h Holder) bool { return h.PID == pid && h.Command != "" })
	}
	if len(got) != 2 || find(os.Getpid()) < 0 || find(other.Process.Pid) < 0 {
		t.Errorf("got %v, want %d and %d", got, os.Getpid(), other.Process.Pid)
	}
}

func TestHoldersErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Holders("/proc", filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no node: %v", err)
	}
	node := filepath.Join(dir, "event3")
	if err := unix.Mkfifo(node, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Holders(filepath.Join(dir, "proc"), node); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no procfs: %v", err)
	}
}

func TestHoldersThatAreHidden(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may look into every process")
	}
	dir := t.TempDir()
	node, procfs := filepath.Join(dir, "event3"), filepath.Join(dir, "proc")
	if err := unix.Mkfifo(node, 0o600); err != nil {
		t.Fatal(err)
	}
	process(t, procfs, "7", "secret", node)
	process(t, procfs, "8", "mine", node)
	fd := filepath.Join(procfs, "7", "fd")
	if err := os.Chmod(fd, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(fd, 0o700)
	got, err := Holders(procfs, node)
	if !slices.Equal(got, []Holder{{8, "mine"}}) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "1 process") {
		t.Errorf("got %v, %v", got, err)
	}
}
