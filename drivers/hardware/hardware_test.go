package hardware

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"posd/drivers"
)

// What is in the repository is what the table says.
func TestGenerated(t *testing.T) {
	page, err := Page("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"udev/70-posd.rules": Rules(), "udev/70-posd.hwdb": HWDB(), "docs/hardware.md": page} {
		got, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil || string(got) != want {
			t.Errorf("%s is not as the driver table says: run go generate ./drivers/hardware (%v)", file, err)
		}
	}
}

// Every driver says how its devices are set and who beeps, and has recordings.
func TestPage(t *testing.T) {
	recordings, err := provenance("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drivers.Table() {
		if d.Mode == "" || d.Beep == "" || len(recordings[d.Name]) == 0 {
			t.Errorf("%s: mode %q, beep %q, %d recordings", d.Name, d.Mode, d.Beep, len(recordings[d.Name]))
		}
	}
	for name := range recordings {
		if _, err := drivers.Find(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := Page(t.TempDir()); err == nil {
		t.Error("no recordings are no error")
	}
}

// systemd's own compiler takes the hardware database.
func TestHWDB(t *testing.T) {
	tool, err := exec.LookPath("systemd-hwdb")
	if err != nil {
		if os.Getenv("POSD_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: systemd-hwdb is not installed, so systemd itself did not look at the hardware database")
	}
	root := t.TempDir()
	dir := filepath.Join(root, "etc/udev/hwdb.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "70-posd.hwdb"), []byte(HWDB()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "update", "--strict", "--root", root).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("systemd-hwdb: %v\n%s", err, out)
	}
}
