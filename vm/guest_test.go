package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take in the guest; it is waited out only when
// something is wrong.
const patience = 90 * time.Second

// guest is the guest, seen from inside by a test.
type guest struct {
	t *testing.T
}

func newGuest(t *testing.T) *guest { return &guest{t} }

// sh runs a command line, which must succeed, and gives what it prints.
func (g *guest) sh(line string) string {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), "sh", "-c", line)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatalf("%s: %v\n%s%s", line, err, out, complaint.Bytes())
	}
	return strings.TrimRight(string(out), "\n")
}

// run runs a command line, and gives all that it prints, whether it succeeds or
// not.
func (g *guest) run(line string) string {
	out, _ := exec.Command("sh", "-c", line).CombinedOutput()
	return string(out)
}

func (g *guest) write(path, content string) {
	g.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// wait waits until cond holds.
func (g *guest) wait(what string, cond func() bool) {
	g.t.Helper()
	waitFor(g.t, what, cond)
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("after %s: still waiting for %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
