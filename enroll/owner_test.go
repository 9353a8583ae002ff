package enroll

import (
	"os"
	"testing"
)

func TestRootDoesNotWriteForADaemonThatCouldNotRead(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		if err := checkOwn(dir, 0); err != nil {
			t.Errorf("root's own directory: %v", err)
		}
		if err := os.Chown(dir, 65534, -1); err != nil {
			t.Fatal(err)
		}
		if err := makePrivate(dir + "/credentials"); err == nil {
			t.Error("root made a directory in another user's")
		}
	}
	if err := checkOwn(dir, 0); err == nil {
		t.Error("another user's directory: root may write")
	}
	if err := checkOwn(dir, 65534); err != nil {
		t.Errorf("the owner: %v", err)
	}
	if err := checkOwn(dir+"/none", 0); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
}
