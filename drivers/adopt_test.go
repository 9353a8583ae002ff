package drivers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hotplug"
	"posd/drivers/node"
	"posd/sim"
)

// world is what is plugged in, and plugged in and out by the test.
type world struct {
	at     []hotplug.Node // from the start
	events chan hotplug.Change
	errs   chan error // what watching fails with
}

func newWorld(at ...hotplug.Node) *world {
	return &world{at, make(chan hotplug.Change), make(chan error)}
}

func (w *world) watch(ctx context.Context, _ string, change func(hotplug.Change)) error {
	for _, n := range w.at {
		change(hotplug.Change{Action: hotplug.Added, Node: n})
	}
	change(hotplug.Change{Action: hotplug.Scanned})
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-w.events:
			change(c)
		case err := <-w.errs:
			return err
		}
	}
}

func (w *world) plug(n hotplug.Node)   { w.events <- hotplug.Change{Action: hotplug.Added, Node: n} }
func (w *world) unplug(n hotplug.Node) { w.events <- hotplug.Change{Action: hotplug.Removed, Node: n} }

// comAt is the serial port of a scanner that is played on a pty.
func comAt(path, serial, at string) hotplug.Node {
	n := comNode(filepath.Base(path), 0x05f9, at)
	n.Path, n.Serial, n.Model = path, serial, "QuickScan"
	return n
}

// inWorld runs a manager in a world.
func inWorld(t *testing.T, w *world, c Config) *lane {
	t.Helper()
	readings := make(chan driver.Reading, 1024)
	c.Rules, c.Watch = rules(), w.watch
	c.Sink = func(r driver.Reading) bool { readings <- r; return true }
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, m, readings)
	select {
	case <-m.Settled():
	case <-time.After(10 * time.Second):
		t.Fatalf("it never settles: %+v", m.Status())
	}
	return l
}

func scannerBy(t testing.TB, id string) DeviceConfig {
	return DeviceConfig{Name: "front", Role: driver.Scanner, ID: idOf(t, id)}
}

func (l *lane) expect(i int, name string, s State) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("%s %s", name, s), func() bool {
		all := l.Status()
		return len(all) > i && all[i].Name == name && all[i].State == s
	})
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	n := comAt(s.Path(sim.Scanner), "S100", "1-1")
	w := newWorld(n)
	l := inWorld(t, w, Config{Discover: true})
	l.expect(0, "scanner-05f9:2214:S100", node.Reading)
	do(t, s, "scan 036000291452")
	if r := l.next(); r.Device != "scanner-05f9:2214:S100" || r.Scan.Label != "036000291452" {
		t.Errorf("got %+v", r)
	}
	if st := l.Status()[0]; !st.Adopted || st.Driver != "serial-scanner" || st.Product == "" || st.ID != "05f9:2214:S100@1-1" || st.Port != n.Path {
		t.Errorf("status: %+v", st)
	}
	w.unplug(n)
	l.expect(0, "scanner-05f9:2214:S100", node.Missing)
	if st := l.Status()[0]; st.Port != "" || st.Statistics.Good() != 1 {
		t.Errorf("status: %+v", st)
	}
}

// A device is known by its serial number, wherever it is plugged in and whatever
// its node is called then.
func TestAnotherPort(t *testing.T) {
	t.Parallel()
	s, other := play(t, sim.Scanner), play(t, sim.Scanner)
	n, moved := comAt(s.Path(sim.Scanner), "S100", "1-1"), comAt(other.Path(sim.Scanner), "S100", "2-4")
	w := newWorld(n)
	l := inWorld(t, w, Config{Devices: []DeviceConfig{scannerBy(t, "05f9:2214:S100")}})
	l.expect(0, "front", node.Reading)
	w.unplug(n)
	w.plug(moved)
	do(t, other, "scan 5901234123457")
	if got := l.label(); got != "5901234123457" {
		t.Errorf("got %s", got)
	}
	if all := l.Status(); len(all) != 1 || all[0].ID != "05f9:2214:S100@2-4" {
		t.Errorf("status: %+v", all)
	}
}

// A device that is there again before its removal was told is read from its new
// node.
func TestTargetChangesUnderTheReader(t *testing.T) {
	t.Parallel()
	s, other := play(t, sim.Scanner), play(t, sim.Scanner)
	n, again := comAt(s.Path(sim.Scanner), "S100", "1-1"), comAt(other.Path(sim.Scanner), "S100", "1-1")
	again.Kernel = "ttyACM1"
	w := newWorld(n)
	l := inWorld(t, w, Config{Devices: []DeviceConfig{scannerBy(t, "05f9:2214:S100")}})
	w.plug(again)
	w.unplug(n)
	do(t, other, "scan 5901234123457")
	if got := l.label(); got != "5901234123457" {
		t.Errorf("got %s", got)
	}
}

func TestTwins(t *testing.T) {
	t.Parallel()
	s, other := play(t, sim.Scanner), play(t, sim.Scanner)
	one, two := comAt(s.Path(sim.Scanner), "", "1-1"), comAt(other.Path(sim.Scanner), "", "1-2")
	two.Kernel = "ttyACM1"
	w := newWorld(one, two)
	l := inWorld(t, w, Config{Discover: true})
	l.expect(0, "scanner-05f9:2214", node.Ambiguous)
	if st := l.Status(); len(st) != 1 || !strings.Contains(st[0].Remedy, "05f9:2214@1-1") || !strings.Contains(st[0].Remedy, "05f9:2214@1-2") {
		t.Errorf("status: %+v", st)
	}
	w.unplug(two)
	l.expect(0, "scanner-05f9:2214", node.Reading)
	w.plug(two) // the one that is read stays
	l.expect(1, "scanner-05f9:2214@1-2", node.Ambiguous)
	do(t, s, "scan 036000291452")
	if got := l.label(); got != "036000291452" {
		t.Errorf("got %s", got)
	}
}

func TestDisabledAndNotDiscovered(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	off := scannerBy(t, "05f9:2214:S200")
	off.Disabled = true
	w := newWorld(comAt(s.Path(sim.Scanner), "S100", "1-1"))
	l := inWorld(t, w, Config{Devices: []DeviceConfig{off}})
	l.expect(0, "front", node.Disabled)
	l.expect(1, "scanner-05f9:2214:S100@1-1", node.Disabled)
	if st := l.Status()[1]; !strings.Contains(st.Remedy, `id = "05f9:2214:S100", role = "scanner"`) {
		t.Errorf("status: %+v", st)
	}
}

// A device that comes back under ever new numbers does not fill the memory.
func TestEverNewDevices(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	w := newWorld()
	l := inWorld(t, w, Config{Discover: true})
	for i := range 3 * maxAdopted {
		n := comAt(s.Path(sim.Scanner), fmt.Sprintf("S%04d", i), "1-1")
		w.plug(n)
		w.unplug(n)
	}
	eventually(t, "no more than so many", func() bool { return len(l.Status()) <= maxAdopted })
	w.plug(comAt(s.Path(sim.Scanner), "S9999", "1-1"))
	do(t, s, "scan 036000291452")
	if r := l.next(); r.Device != "scanner-05f9:2214:S9999" {
		t.Errorf("read by %s", r.Device)
	}
}

// Of more devices than are adopted, all there from the start, the rest are told
// of, until they are unplugged or one that is adopted is.
func TestTooManyDevices(t *testing.T) {
	t.Parallel()
	var at []hotplug.Node
	for i := range maxAdopted + 2 {
		at = append(at, comAt(fmt.Sprintf("/dev/ttyNONE%02d", i), fmt.Sprintf("S%04d", i), fmt.Sprintf("1-%d", i)))
	}
	w := newWorld(at...)
	l := inWorld(t, w, Config{Discover: true})
	all := l.Status()
	if len(all) != len(at) {
		t.Fatalf("%d devices are told of", len(all))
	}
	for i, s := range all {
		if tooMany := strings.Contains(s.Reason, "no more"); tooMany != (i >= maxAdopted) || tooMany && (s.State != node.Failed || !strings.Contains(s.Remedy, "[[device]]")) {
			t.Errorf("%d: %+v", i, s)
		}
	}
	w.unplug(at[3])
	l.expect(maxAdopted-1, "scanner-05f9:2214:S0016", node.Missing) // its node is not there
	l.expect(maxAdopted, "scanner-05f9:2214:S0017@1-17", node.Failed)
}

func TestStatisticsAreKept(t *testing.T) {
	t.Parallel()
	s := play(t, sim.MSR)
	file := filepath.Join(t.TempDir(), "statistics.json")
	c := Config{Devices: []DeviceConfig{{Name: "card", Role: driver.MSR, Port: s.Path(sim.MSR)}}, Statistics: file}
	l := inWorld(t, newWorld(), c)
	do(t, s, "swipe 4111111111111111", "swipe-error")
	for range 2 {
		l.next()
	}
	before := l.Status()[0].Statistics
	l.stop()
	l = inWorld(t, newWorld(), c)
	after := l.Status()[0].Statistics
	l.stop()
	if before.Good() != 1 || before.Errors() != 1 || after.Good() != 1 || after.Errors() != before.Errors() || !after.Since.Equal(before.Since) || after.Refusals["unreadable"] != 1 {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	text, err := os.ReadFile(file)
	if err != nil || bytes.Contains(text, []byte("1111")) {
		t.Errorf("%v\n%s", err, text)
	}
	for _, bad := range []string{"{", `{"version": 2}`, `{"version": 1, "devices": {"card": {}}}`} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
		l := inWorld(t, newWorld(), c)
		do(t, s, "swipe 4111111111111111")
		if l.next(); l.Status()[0].Statistics.Good() != 1 {
			t.Errorf("%s: %+v", bad, l.Status()[0])
		}
		l.stop()
		if said := strings.Contains(log.String(), "begun anew"); said == strings.Contains(bad, "card") {
			t.Errorf("%s: said %t", bad, said)
		} else if old, err := os.ReadFile(file + ".old"); said && string(old) != bad {
			t.Errorf("%s: put aside is %q, %v", bad, old, err)
		}
	}
}

// TestWatchAnew: what came and went while nobody could watch is noticed when
// somebody can again, and what was read all the time is read on.
func TestWatchAnew(t *testing.T) {
	t.Parallel()
	stays, goes, comes := play(t, sim.Scanner), play(t, sim.Scanner), play(t, sim.Scanner)
	at := func(s *sim.Sim, number string) hotplug.Node {
		n := comAt(s.Path(sim.Scanner), "S"+number, "1-"+number)
		n.Kernel += number
		return n
	}
	w := newWorld(at(stays, "1"), at(goes, "2"))
	l := inWorld(t, w, Config{Devices: []DeviceConfig{
		{Name: "stays", Role: driver.Scanner, ID: idOf(t, "05f9:2214:S1")},
		{Name: "goes", Role: driver.Scanner, ID: idOf(t, "05f9:2214:S2")},
		{Name: "comes", Role: driver.Scanner, ID: idOf(t, "05f9:2214:S3")},
	}})
	l.expect(0, "stays", node.Reading)
	l.expect(1, "goes", node.Reading)
	w.at = []hotplug.Node{w.at[0], at(comes, "3")}
	w.errs <- errors.New("no more descriptors")
	l.expect(1, "goes", node.Missing)
	l.expect(2, "comes", node.Reading)
	l.expect(0, "stays", node.Reading)
	do(t, stays, "scan 036000291452")
	if got := l.label(); got != "036000291452" {
		t.Errorf("got %q", got)
	}
	w.at = nil
	w.errs <- errors.New("no more descriptors")
	l.expect(0, "stays", node.Missing)
}

// TestTwinIsNotTaken: when a device is unplugged, one like it that is read by
// nobody does not take its place; when it is back it is read again.
func TestTwinIsNotTaken(t *testing.T) {
	t.Parallel()
	s, other := play(t, sim.Scanner), play(t, sim.Scanner)
	a, b := comAt(s.Path(sim.Scanner), "", "1-1"), comAt(other.Path(sim.Scanner), "", "1-2")
	b.Kernel = "ttyACM1"
	w := newWorld(a)
	l := inWorld(t, w, Config{Devices: []DeviceConfig{scannerBy(t, "05f9:2214")}, Discover: true})
	l.expect(0, "front", node.Reading)
	w.plug(b)
	l.expect(1, "scanner-05f9:2214@1-2", node.Ambiguous)
	w.unplug(a)
	l.expect(0, "front", node.Missing)
	l.expect(1, "scanner-05f9:2214@1-2", node.Ambiguous)
	if st := l.Status(); !strings.Contains(st[0].Reason, "at 1-1") || !strings.Contains(st[0].Remedy, `id = "05f9:2214@1-1" and id = "05f9:2214@1-2"`) {
		t.Errorf("status: %+v", st[0])
	}
	if err := l.Listen(t.Context(), "scanner-05f9:2214@1-2", nil, nil); err == nil || !strings.Contains(err.Error(), "is not read") {
		t.Errorf("got %v", err)
	}
	w.plug(a)
	l.expect(0, "front", node.Reading)
	do(t, s, "scan 036000291452")
	if got := l.label(); got != "036000291452" {
		t.Errorf("got %q", got)
	}
}

func TestTrim(t *testing.T) {
	all := map[string]Statistics{}
	for i := range maxKept + 50 {
		all[fmt.Sprint(i)] = Statistics{LastRead: time.Unix(int64(i), 0)}
	}
	trim(all)
	if _, old := all["49"]; old || len(all) != maxKept || all["50"].LastRead.IsZero() {
		t.Errorf("%d are kept", len(all))
	}
}

func (l *lane) tap(name string, t tap) (stop func(), err error) { return l.device(name).attach(&t) }

func TestTap(t *testing.T) {
	t.Parallel()
	s := play(t, sim.Scanner)
	l := start(t, scannerAt(s))
	heard := make(chan string, 10)
	listen := func(r driver.Read) { heard <- string(r.Data) }
	stop, err := l.tap("front", tap{Read: listen, Divert: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.tap("front", tap{}); err != ErrTapped {
		t.Errorf("a second listener: %v", err)
	}
	if err := l.Record(t.Context(), "back", nil, nil); err == nil || !strings.Contains(err.Error(), "no device") {
		t.Errorf("got %v", err)
	}
	do(t, s, "scan 036000291452")
	for got := ""; got != "036000291452\r"; got += <-heard {
	}
	do(t, s, "send scanner 303336303030")
	for got := ""; got != "036000"; got += <-heard {
	}
	stop()
	stop()
	do(t, s, "send scanner 3239313435320D353930313233343132333435370D")
	if got := l.label(); got != "5901234123457" {
		t.Errorf("the diverted label went on: %s", got)
	}
	if len(heard) != 0 {
		t.Errorf("heard %q after the end", <-heard)
	}
	if st := l.Status()[0]; st.Statistics.Good() != 3 {
		t.Errorf("status: %+v", st)
	}
}
