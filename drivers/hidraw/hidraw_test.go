package hidraw

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"posd/drivers/node"
)

func TestOpenByLink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "hidraw7"), filepath.Join(dir, "scanner")
	if err := errors.Join(unix.Mkfifo(path, 0o600), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	p, err := Open(link)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := Open(path); state(err) != node.Claimed {
		t.Errorf("a second opener: %v", err)
	}
	if err := p.SendFeature([]byte{1}); err == nil {
		t.Error("a pipe took a feature report")
	}
}

func state(err error) node.State {
	if e, ok := errors.AsType[*node.Error](err); ok {
		return e.State
	}
	return ""
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open("/dev/hidraw-none"); state(err) != node.Missing {
		t.Errorf("a node that is not there: %v", err)
	}
}

// The numbers of linux/hidraw.h, for reports of 2 and of 64 bytes.
func TestFeatureRequest(t *testing.T) {
	if got := hidiocsfeature(2); got != 0xc0024806 {
		t.Errorf("got %#x", got)
	}
	if got := hidiocsfeature(64); got != 0xc0404806 {
		t.Errorf("got %#x", got)
	}
}
