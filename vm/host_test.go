package vm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"posd/vm/agent"
	"posd/vm/machine"
)

// How long things may take before they count as stuck. The guest is emulated, and
// the machine may have much else to do.
const (
	bootTime = 10 * time.Minute
	caseTime = 20 * time.Minute
)

// host boots one guest, and thaws a copy for each test.
type host struct {
	once   sync.Once
	dir    string
	frozen *machine.Frozen
	err    error
}

// say tells how the tests get on, also where they are not verbose.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "vm: "+format+"\n", args...) }

// stage does something and tells how long it took.
func stage(name string, do func() error) error {
	began := time.Now()
	err := do()
	say("%s: %.1f s", name, time.Since(began).Seconds())
	return err
}

func (h *host) boot() (*machine.Frozen, error) {
	h.once.Do(func() {
		if h.dir, h.err = os.MkdirTemp("", "posd-vm-"); h.err != nil {
			return
		}
		var payload string
		h.err = stage("build the programs and the payload", func() (err error) {
			payload, err = makePayload(h.dir)
			return err
		})
		for try := 1; h.err == nil && h.frozen == nil; try++ {
			h.err = stage("boot the guest and install the payload", func() (err error) {
				h.frozen, err = bootOnce(filepath.Join(h.dir, fmt.Sprint("boot", try)), payload)
				return err
			})
			if h.err != nil && try == 1 {
				say("the boot failed and is tried once more: %v", h.err)
				h.err = nil
			}
		}
	})
	return h.frozen, h.err
}

func bootOnce(dir, payload string) (*machine.Frozen, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), bootTime, fmt.Errorf("the guest did not boot in %s", bootTime))
	defer cancel()
	image, err := filepath.Abs(os.Getenv(imageKey))
	if err != nil {
		return nil, err
	}
	f, err := machine.Boot(ctx, image, dir, payload, install)
	if err != nil {
		console, _ := os.ReadFile(filepath.Join(dir, "console.log"))
		return nil, fmt.Errorf("%w\n%s", err, tail(console, 3000))
	}
	return f, nil
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// install does what a package does when its files are in place.
func install(m *machine.Machine) error {
	if out, err := m.Call("systemctl", "is-system-running", "--wait"); err != nil {
		failed, _ := m.Call("systemctl", "--failed", "--no-legend")
		return fmt.Errorf("the guest is not well after its boot: %s%s", out, failed)
	}
	for _, command := range []string{
		"systemd-sysusers",
		"[ -z \"$(ls /usr/lib/udev/hwdb.d/*posd* 2>/dev/null)\" ] || systemd-hwdb update",
		"udevadm control --reload",
		"udevadm trigger",
		"udevadm settle",
		"systemctl daemon-reload",
		"posd --help > /dev/null", // runs with this libc, and is in memory when the tests begin
		"sync",
	} {
		if err := stage("  "+command, func() error { _, err := m.Call("sh", "-c", command); return err }); err != nil {
			return err
		}
	}
	return nil
}

// run runs the test t in a guest.
func (h *host) run(t *testing.T) {
	f, err := h.boot()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), caseTime, fmt.Errorf("the guest did not end the test in %s", caseTime))
	if os.Getenv(keepKey) != "" {
		ctx, cancel = context.WithCancel(context.Background())
	}
	defer cancel()
	began := time.Now()
	m, err := f.Thaw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Kill()
	thawed := time.Since(began)
	passed, out, err := runCase(m, t)
	switch {
	case err != nil:
		console, _ := os.ReadFile(m.Console())
		t.Errorf("%v; %v\n%s", err, context.Cause(ctx), tail(console, 3000))
	case !passed:
		t.Errorf("failed in the guest:\n%s", out)
	default:
		t.Log("in the guest:\n" + results(out))
	}
	t.Logf("thawed in %.1f s, ran in %.1f s", thawed.Seconds(), (time.Since(began) - thawed).Seconds())
	if os.Getenv(keepKey) != "" {
		say("%s ends. The guest is kept; for a root's shell in it:\n    socat -,raw,echo=0,escape=0x1d UNIX-CONNECT:%s\nControl-] leaves it, and Control-C here ends the guest.", t.Name(), m.Shell())
		<-m.Exited()
	}
}

// runCase runs the test of t's name in the guest, and reports whether it did run
// and passed.
func runCase(m *machine.Machine, t *testing.T) (passed bool, output string, err error) {
	var parts []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	r, w := io.Pipe()
	lines := make(chan string)
	go func() {
		var all strings.Builder
		for scan := bufio.NewScanner(r); scan.Scan(); {
			all.WriteString(scan.Text() + "\n")
			if os.Getenv(keepKey) != "" {
				say("| %s", scan.Text())
			}
		}
		lines <- all.String()
	}()
	code, err := m.Run(agent.Request{
		Args: []string{casesFile, "-test.v", "-test.parallel", "15", "-test.timeout", (caseTime - time.Minute).String(), "-test.run", strings.Join(parts, "/")},
		Env:  []string{guestKey + "=1"},
	}, w)
	w.Close()
	output = <-lines
	return code == 0 && strings.Contains(output, "--- PASS: "+t.Name()+" "), output, err
}

// results gives the lines of a test's output that tell how each of its parts ended.
func results(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "--- ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// end removes what was booted.
func (h *host) end() {
	if h.dir != "" {
		os.RemoveAll(h.dir)
	}
}
