package sqlitedb

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"posd/sqldb"
)

// inChild runs the calling test again in a process of its own, with the path of
// a database in a folder that nobody may read; it reports whether this is the
// parent, and then has waited for the child.
func inChild(t *testing.T, setup func(path string), attr *syscall.SysProcAttr) (path string, parent bool) {
	t.Helper()
	if path := os.Getenv("SQLITEDB_CHILD"); path != "" {
		return path, false
	}
	dir, err := os.MkdirTemp("", "sqlitedb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "x.db")
	setup(path)
	exe := filepath.Join(dir, "test")
	copyFile(t, os.Args[0], exe)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$")
	child.Dir = "/"
	child.Env = append(os.Environ(), "SQLITEDB_CHILD="+path)
	child.SysProcAttr = attr
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("child: %v\n%s", err, out)
	}
	return path, true
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// nobody makes a child an ordinary user where the tests run as root.
func nobody() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	path, parent := inChild(t, func(path string) {
		db := mustOpen(t, path, oneTable)
		if err := db.Write(t.Context(), insert(1)); err != nil {
			t.Fatal(err)
		}
		db.Close()
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
	}, nobody())
	if parent {
		os.Chmod(filepath.Dir(path), 0o700)
		if n := count(t, mustOpen(t, path, oneTable)); n != 1 {
			t.Errorf("%d rows afterwards, want 1", n)
		}
		return
	}
	for _, file := range []string{path, filepath.Join(filepath.Dir(path), "new.db")} {
		_, err := Open(t.Context(), file, oneTable, Options{ApplicationID: testID, Sole: true})
		if !errors.Is(err, sqldb.ErrReadOnly) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
		_, err = Open(t.Context(), file, oneTable, Options{ApplicationID: testID})
		if !errors.Is(err, sqldb.ErrReadOnly) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestDiskFull(t *testing.T) {
	path, parent := inChild(t, func(path string) { mustOpen(t, path, oneTable).Close(); os.Chmod(filepath.Dir(path), 0o700) }, nil)
	if parent {
		return
	}
	os.Chmod(filepath.Dir(path), 0o700)
	signal.Ignore(syscall.SIGXFSZ)
	db := mustOpen(t, path, oneTable)
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, write := range []func(int) error{
		func(n int) error { return db.Write(t.Context(), insert(n)) },
		func(n int) error { return db.Batch(t.Context(), insert(n)) },
	} {
		setLimit(t, 8192, limit.Max)
		for range 3 {
			if err := write(2); !errors.Is(err, sqldb.ErrFull) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows while the disk is full, want 1", n)
		}
		setLimit(t, limit.Cur, limit.Max)
	}
	if err := db.Write(t.Context(), insert(3)); err != nil || count(t, db) != 2 {
		t.Errorf("with room again: %v, %d rows", err, count(t, db))
	}
}

func setLimit(t *testing.T, cur, max uint64) {
	t.Helper()
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: cur, Max: max}); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	other, err := Open(t.Context(), foreign, oneTable, Options{ApplicationID: testID + 1})
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	text := filepath.Join(dir, "text.db")
	os.WriteFile(text, []byte(strings.Repeat("no database ", 1000)), 0o600)
	torn := filepath.Join(dir, "torn.db")
	copyFile(t, foreign, torn)
	os.Truncate(torn, 5000)
	for name, test := range map[string]struct {
		path string
		want error
	}{
		"another program's": {foreign, sqldb.ErrForeign},
		"text":              {text, sqldb.ErrDamaged},
		"torn":              {torn, sqldb.ErrDamaged},
		"folder":            {dir, sqldb.ErrReadOnly},
	} {
		before, _ := os.ReadFile(test.path)
		_, err := Open(t.Context(), test.path, oneTable, Options{ApplicationID: testID})
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.path) {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(test.path); string(after) != string(before) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	_, err = Open(t.Context(), filepath.Join(dir, "no", "x.db"), oneTable, Options{ApplicationID: testID})
	if err == nil || !strings.Contains(err.Error(), "folder does not exist") {
		t.Errorf("no folder: %v", err)
	}
}

func TestSole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	opt := Options{ApplicationID: testID, Sole: true}
	first, err := Open(t.Context(), path, oneTable, opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, oneTable, opt); !errors.Is(err, sqldb.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("second: %v", err)
	}
	first.Close()
	second, err := Open(t.Context(), path, oneTable, opt)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestPowerCut(t *testing.T) {
	db := newTestDB(t)
	for n := range 10 {
		if err := db.Write(t.Context(), insert(n)); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(t.TempDir(), "x.db")
	for _, suffix := range []string{"", "-wal"} {
		copyFile(t, db.path+suffix, copied+suffix)
	}
	wal, err := os.OpenFile(copied+"-wal", os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = wal.WriteString(strings.Repeat("torn", 500))
		wal.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, mustOpen(t, copied, oneTable)); n != 10 {
		t.Errorf("%d rows after the power cut, want 10", n)
	}
}
