package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/cli"
)

func TestSimulate(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "story")
	const commands = "# a story\nscan 036000291452\nkey 2125550123\nunplug scanner\nplug scanner\n"
	if err := os.WriteFile(script, []byte(commands), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "ready scanner " + dir + "/scanner\nready keypad " + dir + "/keypad\n" +
		"ok scan 036000291452\nok key ******0123\nok unplug scanner\nok plug scanner\n"
	for stdin, args := range map[string][]string{commands: nil, "": {"--script", script}} {
		args = append([]string{"simulate", "--dir", dir, "--fast", "--devices", "scanner,keypad"}, args...)
		if out, errs, status := invoke(t, stdin, args...); out != want || errs != "" || status != 0 {
			t.Errorf("%v: status %d\n%s%s", args, status, out, errs)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "scanner")); err == nil {
		t.Error("the link is left behind")
	}
}

func TestSimulateMisuse(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		stdin  string
		args   []string
		status int
		say    string
	}{
		{"key-clear\nswipe 4111-1111\n", []string{"--dir", dir}, 2, "standard input:2: swipe: a number"},
		{"fly\n", []string{"--dir", dir}, 2, "standard input:1: this is no command"},
		{"", nil, 2, "dir"},
		{"", []string{"--dir", dir, "--line", "fast"}, 2, "--line"},
		{"", []string{"--dir", dir, "--devices", "printer"}, 2, "printer"},
		{"", []string{"--dir", dir, "--script", "/nowhere/story"}, 1, "/nowhere/story"},
		{"unplug scanner\nscan 1\n", []string{"--dir", dir}, 1, "standard input:2: scan 1: it is not plugged in"},
	} {
		args := append([]string{"simulate", "--fast"}, c.args...)
		_, errs, status := invoke(t, c.stdin, args...)
		if status != c.status || !strings.Contains(errs, c.say) || strings.Contains(errs, "4111") {
			t.Errorf("%v: status %d\n%s", args, status, errs)
		}
	}
}

// SIGTERM ends it while it waits for a command.
func TestSimulateStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	ready, out := io.Pipe()
	status := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		status <- cli.Main(root, cli.Env{Args: []string{"simulate", "--dir", t.TempDir(), "--devices", "msr"}, Stdin: r, Stdout: out, Stderr: &errs, Context: ctx})
	}()
	if _, err := ready.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	cancel()
	if got := <-status; got != 0 || errs.String() != "" {
		t.Errorf("status %d: %s", got, errs.String())
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
