package drivers

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/drivers/node"
	"posd/drivers/tty"
	"posd/scanner"
	"posd/sim"
	"posd/tid"
)

func rules() tid.Rules { return tid.Rules{Payment: true, Country: "US", Issuer: "0001"} }

// lane is a manager that runs, and what it reads.
type lane struct {
	*Manager
	t        *testing.T
	readings chan driver.Reading
	stop     func()
}

func run(t *testing.T, m *Manager, readings chan driver.Reading) *lane {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	l := &lane{m, t, readings, func() { cancel(); <-done }}
	t.Cleanup(l.stop)
	return l
}

// still is a world in which nothing is plugged in or out.
func still(ctx context.Context, _ string, change func(hotplug.Change)) error {
	change(hotplug.Change{Action: hotplug.Scanned})
	<-ctx.Done()
	return nil
}

// newManager makes a manager that knows no devices but its own.
func newManager(t testing.TB, sink Sink, devs ...DeviceConfig) *Manager {
	t.Helper()
	m, err := New(Config{Devices: devs, Rules: rules(), Sink: sink, Watch: still})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func start(t *testing.T, devs ...DeviceConfig) *lane {
	t.Helper()
	readings := make(chan driver.Reading, 1024)
	sink := func(r driver.Reading) bool {
		select {
		case readings <- r:
		case <-t.Context().Done(): // the test is over
		}
		return true
	}
	return run(t, newManager(t, sink, devs...), readings)
}

func (l *lane) next() driver.Reading {
	l.t.Helper()
	select {
	case r := <-l.readings:
		return r
	case <-time.After(10 * time.Second):
		l.t.Fatalf("nothing was read: %+v", l.Status())
		return driver.Reading{}
	}
}

func (l *lane) label() string {
	l.t.Helper()
	r := l.next()
	if r.Type != driver.Scan {
		l.t.Fatalf("no scan: %+v", r)
	}
	return r.Scan.Label
}

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (l *lane) reaches(s State) {
	l.t.Helper()
	eventually(l.t, "state "+string(s), func() bool { return l.Status()[0].State == s })
}

func play(t *testing.T, devices ...string) *sim.Sim {
	t.Helper()
	s, err := sim.Start(sim.Options{Dir: t.TempDir(), Devices: devices, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func do(t *testing.T, s *sim.Sim, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := s.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func scannerAt(s *sim.Sim) DeviceConfig {
	return DeviceConfig{Name: "front", Role: driver.Scanner, Port: s.Path(sim.Scanner)}
}

func TestReadsEveryDevice(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Devices()...)
	l := start(t, scannerAt(s),
		DeviceConfig{Name: "card", Driver: "serial-msr", Port: s.Path(sim.MSR), Line: "9600-8N1"},
		DeviceConfig{Name: "pad", Role: driver.Keypad, Port: s.Path(sim.Keypad)})
	began := time.Now()
	do(t, s, "scan 036000291452")
	if r := l.next(); r.Device != "front" || r.Type != driver.Scan || r.Scan.GTIN != "00036000291452" || r.At.Before(began) || r.At.After(time.Now()) || r.Ack != nil {
		t.Errorf("scan: %+v", r)
	}
	do(t, s, "swipe 5555555555554444")
	if r := l.next(); r.Device != "card" || r.Type != driver.Swipe || r.Swipe.Last4() != "4444" || r.Swipe.TID.Kind() != tid.Payment {
		t.Errorf("swipe: %+v", r)
	}
	do(t, s, "swipe-error")
	if r := l.next(); r.Type != driver.Swipe || !r.Swipe.TID.IsZero() || r.Swipe.Code == "" {
		t.Errorf("error track: %+v", r)
	}
	do(t, s, "key 2125550123", "key-close")
	if r := l.next(); r.Device != "pad" || r.Type != driver.Swipe || r.Swipe.Last4() != "0123" || r.Swipe.TID.Kind() != tid.Phone {
		t.Errorf("number: %+v", r)
	}
	if r := l.next(); r.Type != driver.Key || r.Key != "close" {
		t.Errorf("close: %+v", r)
	}
	for i, want := range []struct {
		name         string
		good, errors uint64
	}{{"front", 1, 0}, {"card", 1, 1}, {"pad", 2, 0}} {
		got := l.Status()[i]
		if got.Name != want.name || got.Statistics.Good() != want.good || got.Statistics.Errors() != want.errors || got.State != node.Reading || got.Reason != "" || got.Statistics.LastRead.Before(began) {
			t.Errorf("status: %+v", got)
		}
	}
	if err := l.Live(time.Now()); err != nil {
		t.Error(err)
	}
}

func TestUnplugAndPlug(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	l := start(t, scannerAt(s))
	for _, label := range []string{"036000291452", "5901234123457", "96385074"} {
		do(t, s, "scan "+label)
		if got := l.label(); got != label {
			t.Fatalf("got %s, want %s", got, label)
		}
		do(t, s, "unplug scanner")
		l.reaches(node.Missing)
		if st := l.Status()[0]; st.Remedy == "" || st.Reason == "" {
			t.Errorf("status: %+v", st)
		}
		do(t, s, "plug scanner")
		l.reaches(node.Reading)
	}
}

func TestUnplugInMidLabel(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	l := start(t, scannerAt(s))
	l.reaches(node.Reading)
	before := l.devices[0].due()
	do(t, s, "send scanner 30 33 36")
	for range 2 { // an unplug takes along what was not read; the first wait may be for the reader to begin
		eventually(t, "a read", func() bool { return l.devices[0].due() != before })
		before = l.devices[0].due()
	}
	do(t, s, "unplug scanner")
	if r := l.next(); r.Type != driver.Error || r.Err.Code != scanner.CodeIncomplete {
		t.Errorf("got %+v", r)
	}
	do(t, s, "plug scanner", "scan 036000291452")
	if got := l.label(); got != "036000291452" {
		t.Errorf("got %s", got)
	}
}

func TestPortThatComesLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, DeviceConfig{Name: "front", Role: driver.Scanner, Port: filepath.Join(dir, sim.Scanner)})
	eventually(t, "a try", func() bool { return strings.Contains(l.Status()[0].Reason, "is not there") })
	s, err := sim.Start(sim.Options{Dir: dir, Devices: []string{sim.Scanner}, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	do(t, s, "scan 036000291452")
	if got := l.label(); got != "036000291452" {
		t.Errorf("got %s", got)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	other, err := tty.Open(s.Path(sim.Scanner), tty.DefaultLine())
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, scannerAt(s))
	l.reaches(node.Claimed)
	if st := l.Status()[0]; !strings.Contains(st.Remedy, "sudo posd doctor") {
		t.Errorf("status: %+v", st)
	}
	other.Close()
	l.reaches(node.Reading)
}

func TestPortWithoutPermission(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may open everything")
	}
	s := play(t, sim.Scanner)
	if err := os.Chmod(s.Path(sim.Scanner), 0); err != nil {
		t.Fatal(err)
	}
	start(t, scannerAt(s)).reaches(node.NoPermission)
}

func TestPortThatIsNoDevice(t *testing.T) {
	t.Parallel()
	l := start(t, DeviceConfig{Name: "front", Role: driver.Scanner, Port: t.TempDir()})
	l.reaches(node.Failed)
	if st := l.Status()[0]; st.Reason == "" || st.Remedy == "" {
		t.Errorf("status: %+v", st)
	}
}

func TestAcknowledgement(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	c := scannerAt(s)
	c.Settings = driver.Settings{"ack": "06", "nak": "15 07"}
	l := start(t, c)
	do(t, s, "scan 036000291452")
	l.next().Ack(true)
	do(t, s, "scan 036000291452")
	r := l.next()
	r.Ack(false)
	want := []byte{0x06, 0x15, 0x07}
	eventually(t, "the signals", func() bool { return bytes.Equal(s.Received(sim.Scanner), want) })
	l.stop()
	r.Ack(true) // the port is gone
	if n := l.Status()[0].Statistics.Unsent; n != 1 {
		t.Errorf("%d signals are counted as not sent", n)
	}
}

func TestNobodyTakesReadings(t *testing.T) {
	t.Parallel()
	s := play(t, sim.MSR)
	refused := make(chan driver.Reading, 1)
	m := newManager(t, func(r driver.Reading) bool { refused <- r; return false },
		DeviceConfig{Name: "card", Role: driver.MSR, Port: s.Path(sim.MSR), Settings: driver.Settings{"nak": "15"}})
	l := run(t, m, nil)
	do(t, s, "swipe 4111111111111111")
	r := <-refused
	eventually(t, "a drop", func() bool { return l.Status()[0].Statistics.Dropped == 1 })
	eventually(t, "a bad-read signal", func() bool { return bytes.Equal(s.Received(sim.MSR), []byte{0x15}) })
	r.Swipe.TID.Use(func(digits []byte) {
		if len(digits) > 0 && !bytes.Equal(digits, make([]byte, len(digits))) {
			t.Error("the number of a swipe that nobody took is left in memory")
		}
	})
}

// Whatever comes, it is counted, and the next label is read.
func TestGarbage(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 64<<10)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	for name, garbage := range map[string][]byte{
		"1 MB without terminator": bytes.Repeat([]byte("A"), 1<<20),
		"NULs":                    make([]byte, 4096),
		"noise":                   noise,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := play(t, sim.Scanner, sim.MSR, sim.Keypad)
			l := start(t, scannerAt(s),
				DeviceConfig{Name: "card", Role: driver.MSR, Port: s.Path(sim.MSR)},
				DeviceConfig{Name: "pad", Role: driver.Keypad, Port: s.Path(sim.Keypad)})
			l.reaches(node.Reading)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for _, device := range sim.Devices() {
					if err := s.Send(t.Context(), device, append(bytes.Clone(garbage), '\r', 0x1b, '\r')); err != nil {
						t.Error(err)
					}
				}
				do(t, s, "swipe 4111111111111111", "key 2125550123", "scan 036000291452")
			}()
			good := map[string]bool{}
			for len(good) < 3 {
				r := l.next()
				if r.Type == driver.Scan && r.Scan.GTIN == "00036000291452" || r.Type == driver.Swipe && (r.Swipe.Last4() == "1111" || r.Swipe.Last4() == "0123") {
					good[r.Device] = true
				}
			}
			<-sent
			for _, st := range l.Status() {
				unnoticed := name == "1 MB without terminator" && st.Role == driver.Keypad // keys without a meaning
				if st.Statistics.Errors() == 0 && !unnoticed || st.Statistics.Dropped != 0 {
					t.Errorf("status: %+v", st)
				}
			}
		})
	}
}

// Stopping is quick and leaves nothing behind. It counts what the process
// holds, so it runs by itself.
func TestStopLeavesNothing(t *testing.T) {
	s := play(t, sim.Devices()...)
	files, routines := openFiles(t), runtime.NumGoroutine()
	for range 20 {
		l := start(t, scannerAt(s),
			DeviceConfig{Name: "card", Role: driver.MSR, Port: s.Path(sim.MSR)},
			DeviceConfig{Name: "pad", Role: driver.Keypad, Port: s.Path(sim.Keypad)},
			DeviceConfig{Name: "none", Role: driver.Keypad, Port: s.Path("none")})
		l.reaches(node.Reading)
		began := time.Now()
		l.stop()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("stopping took %s", took)
		}
	}
	eventually(t, "no file is left", func() bool { return openFiles(t) <= files })
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= routines })
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// keeper is a decoder that keeps what it was given, as none may.
type keeper struct{ got chan []byte }

func (k keeper) Decode(r driver.Read, _ driver.Emit) { k.got <- r.Data }
func (k keeper) Deadline() time.Time                 { return time.Time{} }
func (k keeper) Expire(now time.Time, _ driver.Emit) {}

func TestBufferIsCleared(t *testing.T) {
	t.Parallel()
	s := play(t, sim.MSR)
	m := newManager(t, nil, DeviceConfig{Name: "card", Role: driver.MSR, Port: s.Path(sim.MSR)})
	k := keeper{make(chan []byte)}
	m.devices[0].cfg.drivers[0].Open = func(driver.Attributes, driver.Settings, tid.Rules) (driver.Decoder, error) { return k, nil }
	l := run(t, m, nil)
	do(t, s, "swipe 4111111111111111")
	kept := <-k.got
	l.stop() // the reader is done with its buffer
	if len(kept) == 0 || !bytes.Equal(kept, make([]byte, len(kept))) {
		t.Errorf("card data is left in the buffer: %d bytes", len(kept))
	}
}

func TestLiveFindsAStuckReader(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	release := make(chan struct{})
	stuck := make(chan struct{})
	m := newManager(t, func(driver.Reading) bool { close(stuck); <-release; return true }, scannerAt(s))
	l := run(t, m, nil)
	do(t, s, "scan 036000291452")
	<-stuck
	if err := l.Live(time.Now()); err != nil {
		t.Errorf("too early: %v", err)
	}
	if err := l.Live(time.Now().Add(time.Minute)); err == nil || !strings.Contains(err.Error(), "front") {
		t.Errorf("got %v", err)
	}
	close(release)
	eventually(t, "it goes on", func() bool { return l.Live(time.Now()) == nil })
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	ok := DeviceConfig{Name: "a", Role: driver.Scanner, Port: "/dev/ttyS0"}
	for _, c := range []struct {
		devs []DeviceConfig
		say  string
	}{
		{[]DeviceConfig{{Role: driver.Scanner, Port: "/dev/ttyS0"}}, "name is missing"},
		{[]DeviceConfig{{Name: "a", Role: driver.Scanner}}, "port is missing"},
		{[]DeviceConfig{{Name: "a", Port: "/dev/ttyS0"}}, `role ""`},
		{[]DeviceConfig{{Name: "a", Role: "printer", Port: "/dev/ttyS0"}}, "printer"},
		{[]DeviceConfig{{Name: "a", Role: driver.Keypad, Port: "/dev/hidraw0"}}, "no driver for role keypad"},
		{[]DeviceConfig{{Name: "a", Driver: "x", Port: "/dev/ttyS0"}}, "no driver is called"},
		{[]DeviceConfig{{Name: "a", Role: driver.MSR, Driver: "serial-scanner", Port: "/dev/ttyS0"}}, "for role scanner"},
		{[]DeviceConfig{{Name: "a", Role: driver.Scanner, Port: "/dev/ttyS0", Line: "fast"}}, "9600-8N1"},
		{[]DeviceConfig{{Name: "a", Role: driver.Scanner, Port: "/dev/hidraw0", Line: "9600-8N1"}}, "serial ports"},
		{[]DeviceConfig{{Name: "a", Role: driver.Scanner, Port: "/dev/ttyS0", Settings: driver.Settings{"lrc": "true"}}}, `"lrc"`},
		{[]DeviceConfig{{Name: "a", Role: driver.Scanner, Port: "/dev/ttyS0", Settings: driver.Settings{"ack": "6"}}}, "ack"},
		{[]DeviceConfig{{Name: "a", Role: driver.Scanner, Port: "/dev/ttyS0", Settings: driver.Settings{"nak": "xx"}}}, "nak"},
		{[]DeviceConfig{{Name: "a", Role: driver.Keypad, Port: "/dev/ttyS0", Settings: driver.Settings{"timeout": "x"}}}, "timeout"},
		{[]DeviceConfig{ok, {Name: "a", Role: driver.Scanner, Port: "/dev/ttyS1"}}, "another device"},
		{[]DeviceConfig{ok, {Name: "b", Role: driver.Scanner, Port: "/dev/ttyS0"}}, `port of device "a"`},
	} {
		if _, err := New(Config{Devices: c.devs, Rules: rules()}); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v: got %v, want %q", c.devs, err, c.say)
		}
	}
	if err := ok.Check(rules()); err != nil {
		t.Error(err)
	}
}

// A device that is configured by its port is opened once, though it is learned
// later what it is; and what is not to be read any more is not opened.
func TestTarget(t *testing.T) {
	s := play(t, sim.Scanner)
	n := comAt(s.Path(sim.Scanner), "S1", "1-1")
	begun, told := target{path: n.Path}, target{path: n.Path, node: n}
	other := told
	other.node.Device = "/devices/1-2"
	held := told
	held.why = &node.Error{State: node.Claimed}
	for _, c := range []struct {
		t, u target
		want bool
	}{{told, begun, true}, {begun, told, false}, {other, told, false}, {held, told, false}, {held, held, true}, {told, held, false}} {
		if got := c.t.is(c.u); got != c.want {
			t.Errorf("%+v is %+v: %t", c.t, c.u, got)
		}
	}
	m := newManager(t, func(driver.Reading) bool { return true }, DeviceConfig{Name: "front", Role: driver.Scanner, Port: n.Path})
	opened := false
	m.env.open = func(target, resolved) (port, driver.Attributes, error) {
		opened = true
		return nil, driver.Attributes{}, errors.New("it must not be opened")
	}
	d := m.devices[0]
	aimed := d.aim()
	d.retarget(held)
	if err := d.read(t.Context(), aimed); err != nil || opened {
		t.Errorf("opened %t, %v", opened, err)
	}
}
