package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"posd/cli"
	"posd/cli/clitest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestCommandsKeepTheConventions(t *testing.T) { clitest.Tree(t, root) }

// build builds centrald.
func build(t *testing.T) (bin string) {
	t.Helper()
	bin = t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/centrald")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build centrald: %v\n%s", err, out)
	}
	return bin
}

// run runs the benchmark as a person does.
func run(t *testing.T, ctx context.Context, args ...string) (stdout string, status int) {
	t.Helper()
	var out, complaint bytes.Buffer
	status = cli.Main(root, cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaint, Context: ctx})
	if complaint.Len() > 0 {
		t.Logf("stderr: %s", complaint.String())
	}
	return out.String(), status
}

// TestEveryPart measures a little of everything, twice on one cache.
func TestEveryPart(t *testing.T) {
	bin, cache := build(t), t.TempDir()
	temporary(t)
	args := []string{"--json", "--bin", bin, "--cache", cache, "--keys", "2000", "--rounds", "1", "--slot", "200ms", "--connections", "16", "--reconnects", "50"}
	out, status := run(t, t.Context(), args...)
	if status != cli.ExitOK {
		t.Fatalf("status %d", status)
	}
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("POSD_TEST_ALL") != "" && len(r.Skipped) > 0 {
		t.Errorf("skipped: %v", r.Skipped)
	}
	for _, what := range r.Skipped {
		t.Logf("SKIPPED: %s", what)
	}
	if want := 4 - len(r.Skipped); len(r.Lookups) != want || r.Epochs == nil || len(r.Reconnects) < 2 || r.Unknown == nil || len(r.Goals) < 3 {
		t.Errorf("something is missing of %s", out)
	}
	for _, l := range r.Lookups {
		if l.Rate <= 0 || l.P50 <= 0 || l.P99 < l.P50 || l.ToFloor <= 0 {
			t.Errorf("measured %+v", l)
		}
	}
	before, err := filepath.Glob(filepath.Join(cache, "central-2000", "central.db"))
	if err != nil || len(before) != 1 {
		t.Fatalf("the cache holds %v, %v", before, err)
	}
	made, err := os.Stat(before[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, status := run(t, t.Context(), append(args, "epochs")...); status != cli.ExitOK {
		t.Errorf("with a filled cache: status %d", status)
	}
	if again, err := os.Stat(before[0]); err != nil || !os.SameFile(made, again) {
		t.Errorf("the database was made again: %v", err)
	}
	nothingLeft(t)
}

// TestInterrupted ends a run in the midst of a turn that would take an hour.
func TestInterrupted(t *testing.T) {
	bin := build(t)
	temporary(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := &bench{keys: 500, connections: 2, rounds: 1, reconnects: 1, cpus: 2, slot: time.Hour, bin: bin, cache: t.TempDir()}
	b.say = func(format string, _ ...any) {
		if strings.HasPrefix(format, "lookups, round") {
			time.AfterFunc(200*time.Millisecond, cancel)
		}
	}
	if err := b.run(ctx, []string{partLookups}); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	nothingLeft(t)
	if err := b.central.cmd.Process.Signal(syscall.Signal(0)); err == nil {
		t.Error("centrald still runs")
	}
}

// temporary gives this test a folder of its own for temporary files.
func temporary(t *testing.T) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	for _, dir := range []string{os.TempDir(), filepath.Dir(os.TempDir())} {
		if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL is another user's
			t.Fatal(err)
		}
	}
}

func nothingLeft(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLengths(t *testing.T) {
	shed := "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"
	for _, c := range []struct {
		name   string
		length func([]byte) (int, error)
		answer string
		want   int
		err    string
	}{
		{"http", lengthHTTP, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 40, ""},
		{"http without its end", lengthHTTP, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", 0, ""},
		{"http without its body", lengthHTTP, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 40, ""},
		{"http without a length", lengthHTTP, "HTTP/1.1 200 OK\r\n\r\n", 0, "no Content-Length"},
		{"http of a bad length", lengthHTTP, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0, "Content-Length"},
		{"http, shed", lengthHTTP, shed, len(shed), errShed.Error()},
		{"http, over quota", lengthHTTP, "HTTP/1.1 429 Too Many\r\nContent-Length: 4\r\n\r\nwait", 0, "429"},
		{"redis", lengthRESP, "$3\r\nabc\r\n", 9, ""},
		{"redis without its body", lengthRESP, "$3\r\n", 9, ""},
		{"redis without its end", lengthRESP, "$3", 0, ""},
		{"redis, unknown", lengthRESP, "$-1\r\n", 0, "does not know"},
		{"redis, error", lengthRESP, "-ERR\r\n", 0, "does not know"},
		{"bare", lengthBare, "\x00\x02ab", 4, ""},
		{"bare without its length", lengthBare, "\x00", 0, ""},
	} {
		n, err := c.length([]byte(c.answer))
		if n != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d, %v; want %d, %q", c.name, n, err, c.want, c.err)
		}
	}
}

func TestMedianAndQuantile(t *testing.T) {
	if got := median([]float64{9, 1, 2}); got != 2 {
		t.Errorf("median of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 9}); got != 3 {
		t.Errorf("median of four: %v", got)
	}
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration(i+1)*time.Millisecond)
	}
	if a, b, c := quantile(all, 0.5), quantile(all, 0.99), quantile(nil, 0.5); a != 51 || b != 100 || c != 0 {
		t.Errorf("quantiles %v, %v, %v", a, b, c)
	}
}

func TestGoals(t *testing.T) {
	row := func(rate int, latency, cpu time.Duration) *lookupRow {
		s := sample{elapsed: time.Second, cpu: cpu * time.Duration(rate)}
		for range rate {
			s.latencies = append(s.latencies, latency)
		}
		return &lookupRow{rounds: []sample{s}}
	}
	const ms, us = time.Millisecond, time.Microsecond
	floor, redis, pg := row(400, ms, 10*us), row(200, 2*ms, 12*us), row(50, 9*ms, 50*us)
	var r report
	r.setLookups([]*lookupRow{floor, redis, pg, row(300, 2*ms, 15*us)}, 0, 1, 2)
	for _, g := range r.Goals {
		if !g.Met {
			t.Errorf("missed: %+v", g)
		}
	}
	r.Goals = nil
	r.setLookups([]*lookupRow{floor, redis, pg, row(199, 3*ms, 16*us)}, 0, 1, 2)
	for _, g := range r.Goals {
		if g.Met {
			t.Errorf("met: %+v", g)
		}
	}
	r.Goals = nil
	if r.setLookups([]*lookupRow{floor, row(1, ms, ms)}, 0, -1, -1); len(r.Goals) != 1 {
		t.Errorf("without Redis and PostgreSQL: %+v", r.Goals)
	}
}

func TestReadsTheTimeOfAProcess(t *testing.T) {
	_, parent, err := stat("self")
	if err != nil || parent != os.Getppid() {
		t.Errorf("parent %d, %v; want %d", parent, err, os.Getppid())
	}
	if _, _, err := stat("none"); err == nil {
		t.Error("a process that is not there has a time")
	}
}
