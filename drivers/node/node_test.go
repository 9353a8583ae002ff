package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFail(t *testing.T) {
	mine := &Error{State: Claimed, Reason: "mine"}
	for _, c := range []struct {
		err  error
		want State
	}{
		{mine, Claimed},
		{&fs.PathError{Op: "open", Path: "/dev/x", Err: syscall.ENOENT}, Missing},
		{syscall.ENXIO, Missing},
		{syscall.ENODEV, Missing},
		{&fs.PathError{Op: "open", Path: "/dev/x", Err: syscall.EACCES}, NoPermission},
		{syscall.EPERM, NoPermission},
		{syscall.EBUSY, Claimed},
		{syscall.EINVAL, Failed},
	} {
		got := Fail("/dev/x", c.err)
		if got.State != c.want || got.Reason == "" || got.Remedy == "" && got != mine {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
	if got := Fail("/dev/x", &fs.PathError{Op: "open", Path: "/dev/x", Err: syscall.EINVAL}).Reason; strings.Count(got, "/dev/x") != 1 {
		t.Errorf("the path comes twice: %s", got)
	}
}

func TestNoPermissionNamesTheGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ttyS0")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Fail(path, fs.ErrPermission); strings.Contains(got.Remedy, "group") || !strings.Contains(got.Remedy, path) {
		t.Errorf("a node without group: %s", got.Remedy)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another group")
	}
	const dialout = 20 // of Debian; another name elsewhere, or none
	if err := errors.Join(os.Chown(path, 0, dialout), os.Chmod(path, 0o660)); err != nil {
		t.Fatal(err)
	}
	got := Fail(path, fs.ErrPermission).Remedy
	if !strings.HasSuffix(got, "sudo usermod -aG "+groupOf(path)+" root") || !strings.Contains(got, "group "+groupOf(path)) || groupOf(path) == "" {
		t.Errorf("got %s", got)
	}
}
