package evdev

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/drivers/keyboard"
	"posd/drivers/node"
	"posd/drivers/recording"
)

// device stands for the kernel: a FIFO is the node.
type device struct {
	t    *testing.T
	path string
	fifo *os.File

	down    []bool // what keysDown tells, one after the other; then that none is
	calls   []string
	err     map[string]error
	written [][]byte
}

func newDevice(t *testing.T) *device {
	t.Helper()
	d := &device{t: t, path: filepath.Join(t.TempDir(), "event7"), err: map[string]error{}}
	if err := unix.Mkfifo(d.path, 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// take opens the device as Open does; before are events that wait by then.
func (d *device) take(before ...recording.Event) (*Port, error) {
	d.t.Helper()
	n, _, err := node.Open(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { n.Close() })
	if d.fifo, err = os.OpenFile(d.path, os.O_WRONLY, 0); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { d.fifo.Close() })
	d.send(before...)
	return take(n, d.path, d)
}

func (d *device) port() *Port {
	d.t.Helper()
	p, err := d.take()
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

func (d *device) send(events ...recording.Event) {
	d.t.Helper()
	var raw []byte
	for _, e := range events {
		raw = appendRaw(raw, e)
	}
	if _, err := d.fifo.Write(raw); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) call(name string) error {
	d.calls = append(d.calls, name)
	return d.err[name]
}

func (d *device) mask() error { return d.call("mask") }

func (d *device) grab(on bool) error {
	if on {
		return d.call("grab")
	}
	return d.call("release")
}

func (d *device) keysDown() (bool, error) {
	err := d.call("keys")
	if len(d.down) == 0 {
		return false, err
	}
	down := d.down[0]
	d.down = d.down[1:]
	return down, err
}

func (d *device) write(raw []byte) error {
	d.written = append(d.written, bytes.Clone(raw))
	return d.err["write"]
}

// lights gives what was written, as the last state of the two lights.
func (d *device) lights() (caps, num int32) {
	for _, raw := range d.written {
		for ; len(raw) >= eventSize; raw = raw[eventSize:] {
			switch e := parse(raw[timeSize:]); e {
			case recording.Event{Type: keyboard.EvLED, Code: keyboard.LEDCapsLock, Value: e.Value}:
				caps = e.Value
			case recording.Event{Type: keyboard.EvLED, Code: keyboard.LEDNumLock, Value: e.Value}:
				num = e.Value
			}
		}
	}
	return caps, num
}

func key(code uint16, value int32) recording.Event {
	return recording.Event{Type: keyboard.EvKey, Code: code, Value: value}
}

var atHome = slices.Collect(recording.Events(home.append(nil)))

// read reads as long as something comes.
func read(t *testing.T, p *Port) []recording.Event {
	t.Helper()
	var all []recording.Event
	for buf := make([]byte, 4096); ; {
		if err := p.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := p.Read(buf)
		if err != nil || n%recording.EventSize != 0 {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		if n == 0 {
			return all
		}
		all = slices.AppendSeq(all, recording.Events(buf[:n]))
	}
}

func TestOpensFreeDevice(t *testing.T) {
	d := newDevice(t)
	p := d.port()
	if want := []string{"mask", "keys", "grab", "keys"}; !slices.Equal(d.calls, want) {
		t.Errorf("asked %v, want %v", d.calls, want)
	}
	if caps, num := d.lights(); caps != 0 || num != 1 || len(d.written) != 1 {
		t.Errorf("Caps Lock shows %d, Num Lock %d after %d writes", caps, num, len(d.written))
	}
	if got := read(t, p); !slices.Equal(got, atHome) {
		t.Errorf("got %v first", got)
	}
	events := []recording.Event{key(keyboard.KeyA, 1), report, key(keyboard.KeyA, 2), report, key(keyboard.KeyA, 0), report}
	d.send(events...)
	if got := read(t, p); !slices.Equal(got, events) {
		t.Errorf("got %v", got)
	}
}

func TestReadFitsTheBuffer(t *testing.T) {
	d := newDevice(t)
	p := d.port()
	d.send(key(keyboard.KeyA, 1), report)
	want := append(slices.Clone(atHome), key(keyboard.KeyA, 1), report)
	for buf := make([]byte, recording.EventSize+7); len(want) > 0; want = want[1:] {
		p.SetDeadline(time.Now().Add(10 * time.Second))
		n, err := p.Read(buf)
		if got := slices.Collect(recording.Events(buf[:n])); n != recording.EventSize || got[0] != want[0] || err != nil {
			t.Fatalf("got %v, %v, want %v", got, err, want[0])
		}
	}
	if n, err := p.Read(make([]byte, 7)); n != 0 || err == nil {
		t.Errorf("too small a buffer: %d, %v", n, err)
	}
}

// Card numbers are typed through the port's buffers.
func TestReadLeavesNothingBehind(t *testing.T) {
	d := newDevice(t)
	p := d.port()
	events, err := keyboard.US.Keys([]byte("4111111111111111"), keyboard.Typing{})
	if err != nil {
		t.Fatal(err)
	}
	d.send(events...)
	read(t, p)
	if p.raw != [len(p.raw)]byte{} || p.store != [len(p.store)]byte{} {
		t.Error("keys stay in the port")
	}
}

func TestOpenWaitsUntilNoKeyIsDown(t *testing.T) {
	for _, c := range []struct {
		say   string
		down  []bool
		calls []string
	}{
		{"one is held", []bool{true, false}, []string{"mask", "keys", "keys", "grab", "keys"}},
		{"one goes down just before the grab", []bool{false, true, false}, []string{"mask", "keys", "grab", "keys", "release", "keys", "grab", "keys"}},
	} {
		d := newDevice(t)
		d.down = c.down
		p, err := d.take(key(keyboard.KeyEnter, 0), report)
		if err != nil {
			t.Fatalf("%s: %v", c.say, err)
		}
		if !slices.Equal(d.calls, c.calls) {
			t.Errorf("%s: asked %v, want %v", c.say, d.calls, c.calls)
		}
		want := append([]recording.Event{dropped}, atHome...)
		if got := read(t, p); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, and not that keys are missing", c.say, got)
		}
		p.last = p.last.Add(-quiet)
		if got := read(t, p); !slices.Equal(got, atHome) {
			t.Errorf("%s: got %v when it was quiet", c.say, got)
		}
	}
}

func TestOpenRefusals(t *testing.T) {
	for _, c := range []struct {
		say   string
		call  string
		err   error
		want  node.State
		words string
	}{
		{"another grabbed it", "grab", syscall.EBUSY, node.Claimed, "another program"},
		{"it has gone", "keys", syscall.ENODEV, node.Missing, "not there"},
		{"it is no input device", "keys", syscall.ENOTTY, node.Failed, "inappropriate ioctl"},
	} {
		d := newDevice(t)
		d.err[c.call] = c.err
		p, err := d.take()
		var e *node.Error
		if p != nil || !errors.As(err, &e) || e.State != c.want || !strings.Contains(e.Reason, c.words) || !strings.Contains(e.Reason, d.path) {
			t.Errorf("%s: %v", c.say, err)
		}
	}
	d := newDevice(t)
	d.down = slices.Repeat([]bool{true}, 9)
	var e *node.Error
	if _, err := d.take(); !errors.As(err, &e) || e.State != node.Failed || !strings.Contains(e.Reason, "held down") || e.Remedy == "" {
		t.Errorf("a key that stays down: %v", err)
	}
	if slices.Contains(d.calls, "grab") {
		t.Error("grabbed with a key down")
	}
	d = newDevice(t)
	d.err["mask"], d.err["write"] = syscall.EINVAL, syscall.EINVAL
	if _, err := d.take(); err != nil {
		t.Errorf("an old kernel, and no lights: %v", err)
	}
}

func TestLightsFollowTheLocks(t *testing.T) {
	d := newDevice(t)
	p := d.port()
	d.send(key(keyboard.KeyCapsLock, 1), report, key(keyboard.KeyCapsLock, 2), report, key(keyboard.KeyCapsLock, 0), report)
	read(t, p)
	if caps, num := d.lights(); caps != 1 || num != 1 {
		t.Errorf("Caps Lock shows %d, Num Lock %d", caps, num)
	}
	d.send(key(keyboard.KeyCapsLock, 1), key(keyboard.KeyNumLock, 1), report)
	read(t, p)
	if caps, num := d.lights(); caps != 0 || num != 0 || len(d.written) != 3 {
		t.Errorf("Caps Lock shows %d, Num Lock %d after %d writes", caps, num, len(d.written))
	}
	d.send(key(keyboard.KeyA, 1), report)
	if read(t, p); len(d.written) != 3 {
		t.Error("lights are written that have not changed")
	}
}

// A scanner that presses Caps Lock around a capital presses it once more after
// the gap: the lock would stay on.
func TestLocksAreSetRightAfterAGap(t *testing.T) {
	d := newDevice(t)
	p := d.port()
	read(t, p)
	p.last = p.last.Add(-quiet) // nothing came for long
	d.send(dropped, key(keyboard.KeyA, 1), report, key(keyboard.KeyCapsLock, 1), report)
	got := read(t, p)
	if want := []recording.Event{dropped, key(keyboard.KeyCapsLock, 1), report}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if caps, _ := d.lights(); caps != 1 {
		t.Error("the light does not follow")
	}
	p.last = p.last.Add(-quiet) // a pause, without waiting for it
	if got := read(t, p); !slices.Equal(got, atHome) {
		t.Errorf("got %v when it was quiet", got)
	}
	if caps, num := d.lights(); caps != 0 || num != 1 {
		t.Errorf("Caps Lock shows %d, Num Lock %d", caps, num)
	}
	p.last = p.last.Add(-quiet)
	if got := read(t, p); got != nil {
		t.Errorf("got %v of locks that are right", got)
	}
}

func TestSend(t *testing.T) {
	d := newDevice(t)
	p := d.port()
	light := recording.Event{Type: keyboard.EvLED, Code: 2, Value: 1}
	if err := p.Send(report.Append(light.Append(nil))); err != nil {
		t.Fatal(err)
	}
	raw := d.written[len(d.written)-1]
	if len(raw) != 2*eventSize || parse(raw[timeSize:]) != light || parse(raw[eventSize+timeSize:]) != report {
		t.Errorf("sent % x", raw)
	}
	before := len(d.written)
	if err := p.Send(key(keyboard.KeyA, 1).Append(nil)); err == nil || len(d.written) != before {
		t.Errorf("keys can be sent: %v", err)
	}
	d.err["write"] = syscall.ENODEV
	if err := p.Send(light.Append(nil)); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("got %v", err)
	}
}

func TestOpenNames(t *testing.T) {
	if _, err := Open("/dev/input/event-none"); !isState(err, node.Missing) {
		t.Errorf("a node that is not there: %v", err)
	}
	d := newDevice(t)
	if _, err := Open(d.path); !isState(err, node.Failed) { // a FIFO knows no ioctl
		t.Errorf("got %v", err)
	}
	p, err := Overhear(d.path) // the first has let go
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := Open(d.path); !isState(err, node.Claimed) {
		t.Errorf("a second opener: %v", err)
	}
}

// Who overhears leaves the lights alone, and begins with locks as a reader does.
func TestOverhear(t *testing.T) {
	d := newDevice(t)
	p, err := Overhear(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	buf := make([]byte, 10*recording.EventSize)
	n, err := p.Read(buf)
	if err != nil || !slices.Equal(buf[:n], home.append(nil)) {
		t.Errorf("got % x, %v", buf[:n], err)
	}
	if err := p.Send(lamp(keyboard.LEDCapsLock, true).Append(nil)); err != nil { // a FIFO would take it as input
		t.Error(err)
	}
	if err := p.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Read(buf); n != 0 || err != nil {
		t.Errorf("the light was switched: % x, %v", buf[:n], err)
	}
}

func isState(err error, s node.State) bool {
	var e *node.Error
	return errors.As(err, &e) && e.State == s
}
