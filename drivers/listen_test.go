package drivers

import (
	"context"
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

// converterAt is a serial converter of anybody's, which is not adopted.
func converterAt(path, at string) hotplug.Node {
	n := comNode("ttyUSB"+at, 0x0403, at)
	n.Path = path
	return n
}

// What is plugged in while a technician listens is heard too, whether posd then
// reads it or not, and goes into no basket.
func TestListenToWhatIsPluggedIn(t *testing.T) {
	t.Parallel()
	first, adopted, foreign := play(t, sim.Scanner), play(t, sim.Scanner), play(t, sim.Scanner)
	one, two := comAt(first.Path(sim.Scanner), "S100", "1-1"), comAt(adopted.Path(sim.Scanner), "S200", "1-2")
	two.Kernel = "ttyACM1"
	w := newWorld(one)
	l := inWorld(t, w, Config{Discover: true})
	l.expect(0, "scanner-05f9:2214:S100", node.Reading)
	type heard struct{ device, data string }
	all := make(chan heard, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- l.Listen(ctx, "", func() { close(ready) }, func(s Source, r driver.Read) { all <- heard{s.Device, string(r.Data)} })
	}()
	<-ready
	label := func(s *sim.Sim, device, text string) {
		t.Helper()
		do(t, s, "scan "+text)
		for got := ""; got != text+"\r"; {
			select {
			case h := <-all:
				if h.device != device {
					t.Errorf("%s came from %q, not %q", text, h.device, device)
				}
				got += h.data
			case r := <-l.readings:
				t.Fatalf("it went on: %+v", r)
			case <-time.After(10 * time.Second):
				t.Fatalf("%s is not heard: %q", text, got)
			}
		}
	}
	label(first, "scanner-05f9:2214:S100", "036000291452")
	for range 2 {
		w.plug(two)
		label(adopted, "scanner-05f9:2214:S200", "5901234123457")
		w.unplug(two)
	}
	w.plug(converterAt(foreign.Path(sim.Scanner), "1-3"))
	label(foreign, "", "4006381333931")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	do(t, first, "scan 036000291452")
	if got := l.label(); got != "036000291452" {
		t.Errorf("got %s", got)
	}
	eventually(t, "the port is let go", func() bool {
		_, _, err := node.Open(foreign.Path(sim.Scanner))
		return err == nil
	})
}

// Who listens to one device leaves the others alone, and no two listen at once.
func TestListenToOne(t *testing.T) {
	t.Parallel()
	s, other := play(t, sim.Scanner), play(t, sim.Scanner)
	l := start(t, scannerAt(s), DeviceConfig{Name: "back", Role: driver.Scanner, Port: other.Path(sim.Scanner)})
	l.reaches(node.Reading)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- l.Listen(ctx, "front", func() { close(ready) }, func(Source, driver.Read) {}) }()
	<-ready
	for _, name := range []string{"", "front"} {
		if err := l.Listen(ctx, name, func() { t.Error("it is ready") }, nil); err != ErrTapped {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := l.Listen(ctx, "none", nil, nil); err == nil {
		t.Error("there is no such device")
	}
	if stop, err := l.tap("back", tap{}); err != nil {
		t.Error("one that failed has left its taps")
	} else {
		stop()
	}
	do(t, other, "scan 036000291452")
	if r := l.next(); r.Device != "back" {
		t.Errorf("got %+v", r)
	}
	cancel()
	<-ended
	if stop, err := l.tap("front", tap{}); err != nil {
		t.Error(err)
	} else {
		stop()
	}
}

// A node that could not be opened is tried again when it changes: its permissions
// may be right now.
func TestListenTriesAgain(t *testing.T) {
	t.Parallel()
	foreign := play(t, sim.Scanner)
	path := filepath.Join(t.TempDir(), "ttyUSB0")
	w := newWorld()
	l := inWorld(t, w, Config{Discover: true})
	heard := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- l.Listen(ctx, "", func() { close(ready) }, func(_ Source, r driver.Read) { heard <- string(r.Data) })
	}()
	<-ready
	n := converterAt(path, "0")
	w.plug(n)
	if err := os.Symlink(foreign.Path(sim.Scanner), path); err != nil {
		t.Fatal(err)
	}
	for got := ""; !strings.Contains(got, "036000291452\r"); {
		w.plug(n) // as hotplug tells that it changed
		do(t, foreign, "scan 036000291452")
		select {
		case text := <-heard:
			got += text
		case <-time.After(100 * time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
