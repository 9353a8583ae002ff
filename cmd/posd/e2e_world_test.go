package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"posd/basket"
	"posd/lane"
	"posd/lane/api"
	"posd/sim"
)

// testContext is for helpers that have no test.
var testContext = context.Background()

// patience is how long anything may take; it is waited out only when something
// is wrong.
const patience = 30 * time.Second

// programs are the three programs, built once for all tests that run them.
type programs struct {
	once sync.Once
	dir  string
	err  error
}

var binaries programs

var errNotBuilt = errors.New("not built")

// built gives the folder of the programs.
func (p *programs) built() (string, error) {
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "posd-e2e-"); p.err != nil {
			return
		}
		args := []string{"build", "-buildvcs=false"}
		if raceEnabled {
			args = append(args, "-race")
		}
		out, err := exec.Command("go", append(args, "-o", p.dir, "posd/cmd/posd", "posd/cmd/centrald", "posd/cmd/posmaind")...).CombinedOutput()
		if err != nil {
			p.err = fmt.Errorf("build the programs: %v\n%s", err, out)
		}
	})
	return p.dir, p.err
}

// made gives the folder if the programs were built.
func (p *programs) made() (string, error) {
	p.once.Do(func() { p.err = errNotBuilt })
	if p.dir == "" {
		return "", p.err
	}
	return p.dir, nil
}

// shop is a whole installation in a folder: central, the POS main computer, and
// lanes.
type shop struct {
	t        *testing.T
	bin, dir string

	lookups, operations, main string // addresses
	central, posmain          *process
}

// process is a program that runs on.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{}
	err    error
	out    *text
	log    *text
}

// text is what a program writes, to be looked at meanwhile.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(b)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func newShop(t *testing.T) *shop {
	t.Helper()
	bin, err := binaries.built()
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, bin: bin, dir: t.TempDir(), lookups: freePort(t), operations: freePort(t), main: freePort(t)}
	s.call("", "centrald", "init", "--database", s.path("central", "central.db"), "--host", "localhost,127.0.0.1", "--tenant", "acme")
	s.startCentral()
	s.enroll([]string{"--role", "posmain"}, "posmaind", "--state-dir", s.path("posmain"))
	s.startMain()
	return s
}

func (s *shop) path(elem ...string) string { return filepath.Join(append([]string{s.dir}, elem...)...) }

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// call runs a program to its end and returns what it printed.
func (s *shop) call(stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(s.bin, args[0]), args[1:]...)
	cmd.Stdin, cmd.Env = strings.NewReader(stdin), environment()
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return string(out)
}

// environment is that of the programs. The race detector would keep each of them
// for a second at its end.
func environment() []string { return append(os.Environ(), "GORACE=atexit_sleep_ms=0") }

func (s *shop) start(args ...string) *process {
	s.t.Helper()
	p := &process{t: s.t, cmd: exec.Command(filepath.Join(s.bin, args[0]), args[1:]...), exited: make(chan struct{}), out: &text{}, log: &text{}}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = p.out, p.log, environment()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.exited) }()
	s.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", strings.Join(args, " "), p.log)
		}
		if said := p.log.String(); strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic:") {
			s.t.Errorf("%s:\n%s", strings.Join(args, " "), said)
		}
	})
	return p
}

// stop ends a process as systemd does, and tells how long that took.
func (p *process) stop() time.Duration {
	p.t.Helper()
	began := time.Now()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.cmd.Path)
	}
	if p.err != nil {
		p.t.Errorf("%s ended with %v\n%s", p.cmd.Path, p.err, p.log)
	}
	return time.Since(began)
}

// crash ends a process as a power cut does.
func (p *process) crash() {
	p.cmd.Process.Kill()
	<-p.exited
}

// until waits until ok.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func listening(address string) func() bool {
	return func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

func (s *shop) startCentral() {
	s.t.Helper()
	s.central = s.start("centrald", "serve", "--database", s.path("central", "central.db"), "--listen", s.lookups, "--ops-listen", s.operations, "--lookup-url", "https://"+s.lookups)
	until(s.t, "centrald listens", listening(s.operations))
}

func (s *shop) startMain() {
	s.t.Helper()
	s.posmain = s.start("posmaind", "serve", "--state-dir", s.path("posmain"), "--listen", s.main)
	until(s.t, "posmaind listens", listening(s.main))
}

// enroll has central make a token, and a program enroll with it.
func (s *shop) enroll(who []string, program string, where ...string) {
	s.t.Helper()
	token := s.call("", append([]string{"centrald", "tokens", "create", "--database", s.path("central", "central.db"), "--store", "12"}, who...)...)
	s.call(token, append([]string{program, "enroll", "--central", "https://" + s.operations}, where...)...)
}

// till is one lane with played devices.
type till struct {
	*shop
	config string
	client *api.Client
	sim    *sim.Sim
	posd   *process
	events chan lane.Event
}

const tillConfig = `
state_dir = %[1]q
country = "US"
payment_cards = true
[api]
socket = %[2]q
[posmain]
url = "https://%[3]s"
[basket]
close_guard = "1ms"
[loyalty]
issuer = "0001"
patterns = ["2900[0-9]{9}"]
[[device]]
name = "scanner"
role = "scanner"
port = %[4]q
ack = "06"
nak = "15"
[[device]]
name = "reader"
role = "msr"
port = %[5]q
[[device]]
name = "keypad"
role = "keypad"
port = %[6]q
`

// openTill makes lane number n; enrolled or not.
func (s *shop) openTill(n int, enrolled bool) *till {
	s.t.Helper()
	name := fmt.Sprint("lane", n)
	l := &till{shop: s, config: s.path(name + ".toml"), client: api.NewClient(s.path(name + ".sock"))}
	var err error
	if l.sim, err = sim.Start(sim.Options{Dir: s.path(name + ".dev"), Fast: true}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.sim.Close() })
	text := fmt.Sprintf(tillConfig, s.path(name), s.path(name+".sock"), s.main, l.sim.Path(sim.Scanner), l.sim.Path(sim.MSR), l.sim.Path(sim.Keypad))
	if err := os.WriteFile(l.config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if enrolled {
		s.enroll([]string{"--lane", fmt.Sprint(n)}, "posd", "--config", l.config)
	}
	l.run()
	return l
}

// run starts posd and follows its events.
func (l *till) run() {
	l.t.Helper()
	l.posd = l.start("posd", "run", "--config", l.config)
	until(l.t, "posd reads its devices", func() bool {
		devices, err := l.client.Devices(l.t.Context())
		return err == nil && !slices.ContainsFunc(devices, func(d api.Device) bool { return d.State != api.Reading })
	})
	l.events = make(chan lane.Event, 1024)
	ready, events := make(chan struct{}), l.events
	go func() {
		defer close(events)
		l.client.Events(l.t.Context(), func() { close(ready) }, func(e lane.Event) error { events <- e; return nil })
	}()
	<-ready
}

// do has the devices do something.
func (l *till) do(commands ...string) {
	l.t.Helper()
	if err := l.sim.Run(l.t.Context(), "test", strings.NewReader(strings.Join(commands, "\n")), io.Discard); err != nil {
		l.t.Fatal(err)
	}
}

// await gives the next event of a type that ok takes.
func (l *till) await(typ string, ok func(lane.Event) bool) lane.Event {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e, open := <-l.events:
			if !open {
				l.t.Fatalf("the events end without %s", typ)
			}
			if e.Type == typ && (ok == nil || ok(e)) {
				return e
			}
		case <-deadline:
			l.t.Fatalf("no event %s", typ)
		}
	}
}

// scan scans labels and waits until each is a line.
func (l *till) scan(labels ...string) {
	l.t.Helper()
	for _, label := range labels {
		l.do("scan " + label)
		l.await(lane.EventScan, func(e lane.Event) bool { return e.Line != nil && e.Line.UPC == label })
	}
}

// resolved swipes a card and waits for its household.
func (l *till) resolved(command string) lane.Event {
	l.t.Helper()
	l.do(command)
	return l.await(lane.EventIdentity, func(e lane.Event) bool { return e.State == "resolved" })
}

// close closes the basket and waits until the POS main computer has it.
func (l *till) close() basket.Basket {
	l.t.Helper()
	b, err := l.client.Close(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

// logged waits until the POS main computer has logged a revision of b.
func (l *till) logged(b basket.Basket, revision int) {
	l.t.Helper()
	l.await(lane.EventDelivery, func(e lane.Event) bool {
		return *e.Basket == b.ID && e.Revision == revision && e.Code == "acknowledged"
	})
}

// exported is what the shop's log holds, by basket.
func (s *shop) exported() map[basket.ID]basket.Basket {
	s.t.Helper()
	all := map[basket.ID]basket.Basket{}
	for line := range strings.Lines(s.call("", "posmaind", "export", "--database", s.path("posmain", "posmaind.db"))) {
		var record struct{ Basket json.RawMessage }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			s.t.Fatal(err)
		}
		b, err := basket.Parse(record.Basket)
		if err != nil {
			s.t.Fatalf("%v in %s", err, line)
		}
		all[b.ID] = b
	}
	return all
}

// searchFor fails for every file of the shop that holds one of the numbers.
func (s *shop) searchFor(numbers ...string) {
	s.t.Helper()
	pattern := regexp.MustCompile(strings.Join(numbers, "|"))
	files := 0
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		if found := pattern.Find(text); found != nil {
			s.t.Errorf("%s holds a number that ends in %s", path, found[len(found)-4:])
		}
		return err
	})
	if err != nil || files < 10 {
		s.t.Errorf("searched %d files: %v", files, err)
	}
}
