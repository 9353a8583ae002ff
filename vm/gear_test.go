package vm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"posd/drivers/recording"
	"posd/vm/emul"
)

// gear is an emulated device of USB that a recording was made of, or could have
// been.
type gear struct {
	usb    *emul.USB
	socket int // where it is plugged in
	send   func(recording.Entry) error
	scan   func(label string) // of a scanner
	heard  func() [][]byte    // what the host said since it was made, as reports or bytes
	hid    *emul.HID
	keys   *emul.Keyboard
	serial *emul.Serial
}

// The ids of devices whose recordings name none: of a maker of scanners and card
// readers, to whose hidraw nodes the shipped rules give access.
const (
	testVendor  = 0x0db5
	testProduct = 0xfff0
)

// recorded makes the device of a recording, with a serial number. Serial ports
// are CDC-ACM's, or those of a converter.
func recorded(rec recording.Recording, serial string, converter bool) (*gear, error) {
	switch rec.Transport {
	case recording.HIDRaw:
		return hidGear(rec, serial), nil
	case recording.Evdev:
		return keyboardGear(rec, serial), nil
	case recording.TTY:
		return serialGear(rec, serial, converter), nil
	}
	return nil, fmt.Errorf("no device is emulated for recordings of %s", rec.Transport)
}

func device(rec recording.Recording, serial string, interfaces ...*emul.Interface) *emul.USB {
	d := &emul.USB{Vendor: rec.Vendor, Product: rec.Product, Release: 0x100, Maker: "Emulated", Model: "Device", Serial: serial, Interfaces: interfaces}
	if d.Vendor == 0 {
		d.Vendor, d.Product = testVendor, testProduct
	}
	return d
}

func hidGear(rec recording.Recording, serial string) *gear {
	h := emul.NewHID(1, emul.NoBoot, rec.Descriptor)
	return &gear{
		usb: device(rec, serial, &h.Interface), hid: h,
		send:  func(e recording.Entry) error { h.Send(e.Data); return nil },
		heard: h.Heard,
	}
}

func keyboardGear(rec recording.Recording, serial string) *gear {
	k := emul.NewKeyboard(1)
	g := &gear{usb: device(rec, serial, &k.Interface), hid: k.HID, keys: k, heard: k.Heard}
	g.send = func(e recording.Entry) error {
		const repeat = 2 // the kernel makes repetitions by itself
		if e.Event.Type != evKey || e.Event.Value == repeat {
			return nil
		}
		return k.Key(e.Event.Code, e.Event.Value != 0)
	}
	return g
}

// The types of input events, and the code of the one that says that some were
// lost (linux/input-event-codes.h).
const (
	evSyn      = 0
	evKey      = 1
	evLED      = 17
	synDropped = 3
)

// plug plugs the device into a socket.
func (g *gear) plug(t *testing.T, socket int) *emul.Plug {
	t.Helper()
	g.socket = socket
	p, err := g.usb.Plug(socket)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func serialGear(rec recording.Recording, serial string, converter bool) *gear {
	g := &gear{}
	if converter {
		g.usb, g.serial = emul.FTDI(serial)
	} else {
		interfaces, s := emul.ACM(0)
		g.usb, g.serial = device(rec, serial, interfaces...), s
	}
	g.send = func(e recording.Entry) error { g.serial.Send(e.Data); return nil }
	g.heard = func() [][]byte { return [][]byte{g.serial.Received()} }
	return g
}

// id is how the configuration names the device.
func (g *gear) id() string {
	return fmt.Sprintf("%04x:%04x:%s", g.usb.Vendor, g.usb.Product, g.usb.Serial)
}

// play sends what the device sent in the recording, at its pace, and waits where
// the host spoke there. The host may say more than it did then.
func (g *gear) play(t *testing.T, rec recording.Recording) {
	t.Helper()
	start := time.Now()
	var said int
	for _, e := range rec.Entries {
		if e.ToDevice {
			if early := time.Until(start.Add(e.At - time.Second)); early > 0 {
				time.Sleep(early)
				said = g.said() // what it said meanwhile is not meant
			}
			said = g.await(t, rec, e, said)
			start = time.Now().Add(-e.At)
			continue
		}
		time.Sleep(time.Until(start.Add(e.At)))
		if err := g.send(e); err != nil {
			t.Fatal(err)
		}
	}
}

// said gives how often the host has spoken; of a stream, how many bytes.
func (g *gear) said() int {
	heard := g.heard()
	if g.serial != nil {
		return len(heard[0])
	}
	return len(heard)
}

// await waits until the host says what it did in a recording, behind the first n
// times that it spoke, and gives how often it has spoken then.
func (g *gear) await(t *testing.T, rec recording.Recording, e recording.Entry, n int) int {
	t.Helper()
	want := e.Data
	if rec.Transport == recording.HIDRaw && want[0] == 0 {
		want = want[1:] // hidraw wants an id also where the device has none
	}
	at := -1
	defer func() {
		if t.Failed() {
			t.Logf("the host said % X", g.heard())
		}
	}()
	waitFor(t, fmt.Sprintf("the host to say % X", want), func() bool {
		heard := g.heard()
		if rec.Transport == recording.TTY { // a stream
			at = bytes.Index(heard[0][n:], want) + len(want) - 1
			return at >= len(want)-1
		}
		at = slices.IndexFunc(heard[n:], func(b []byte) bool { return bytes.Equal(b, want) })
		return at >= 0
	})
	return n + at + 1
}

// readRecordings reads the recordings of a driver, by name.
func readRecordings(t *testing.T, driver string) map[string]recording.Recording {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordingsDir(), "*.rec"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s: %v", recordingsDir(), err)
	}
	all := map[string]recording.Recording{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := recording.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if driverOf(rec) == driver || driver == "" {
			all[strings.TrimSuffix(filepath.Base(file), ".rec")] = rec
		}
	}
	return all
}

// recordingsDir is where the recordings are: in the guest, or in the repository.
func recordingsDir() string {
	if os.Getenv(guestKey) != "" {
		return recordings
	}
	return "../drivers/testdata"
}

func driverOf(rec recording.Recording) string {
	for _, h := range rec.More {
		if h.Key == "driver" {
			return h.Value
		}
	}
	return ""
}
