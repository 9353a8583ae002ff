package vm

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"posd/drivers/recording"
	"posd/sim"
	"posd/vm/emul"
)

// ibm makes an IBM OEM scanner: silent until it is enabled, which it forgets when it
// loses its power. It tells how it is when it is asked.
func (g *guest) ibm(serial string) (d *gear, enabled *atomic.Bool) {
	rec := readRecordings(g.t, "ibm-scanner")["ibm-handheld"]
	d, enabled = hidGear(rec, serial), &atomic.Bool{}
	status := func() []byte {
		report := make([]byte, 64)
		report[0], report[2] = 4, 1 // of four bytes; alive
		if enabled.Load() {
			report[2] |= 2
		}
		return report
	}
	d.hid.On(func(_ bool, report []byte) {
		switch {
		case report[0] == 0x11:
			enabled.Store(true)
		case report[0] == 0x12:
			enabled.Store(false)
		case bytes.HasPrefix(report, []byte{0, 0x20}):
			d.hid.Send(status())
		}
	})
	d.scan = func(label string) {
		if !enabled.Load() {
			return
		}
		report := status()
		report[0] = byte(4 + copy(report[4:], label) + 1)
		report[report[0]-1] = map[int]byte{12: 0x0d, 13: 0x16}[len(label)] // UPC-A, EAN-13
		d.hid.Send(report)
	}
	return d, enabled
}

// TestIBMIsEnabled: a scanner that is silent until it is enabled is enabled each
// time that it is plugged in, and when it says that it has lost that.
func TestIBMIsEnabled(t *testing.T) {
	inGuest(t, func(g *guest) {
		d, enabled := g.ibm("S1")
		p := g.posd(table("till", "scanner", d.id()))
		for n := 1; n <= 3; n++ {
			plug := d.plug(t, n)
			g.wait("the scanner to be enabled", enabled.Load)
			d.reads(t, p, "till", upc, gotUPC, n)
			pull(t, plug)
			enabled.Store(false)
			p.state(t, "till", "missing")
		}
		d.plug(t, 0)
		g.wait("the scanner to be enabled", enabled.Load)
		enabled.Store(false) // it was reset
		g.wait("the scanner to be enabled again", enabled.Load)
		d.scan(ean)
		g.wait("the label", func() bool { return slices.Contains(p.read("till"), gotEAN) })
	})
}

// TestHoneywellComposite: a scanner that types on its keyboard until it is told to
// send reports is told, each time that it is plugged in.
func TestHoneywellComposite(t *testing.T) {
	inGuest(t, func(g *guest) {
		rec := readRecordings(t, "hid-pos-scanner")["hidpos-honeywell"]
		keys, pos := emul.NewKeyboard(1), emul.NewHID(2, emul.NoBoot, rec.Descriptor)
		d := &gear{usb: device(rec, "S1", &keys.Interface, &pos.Interface), hid: pos, keys: keys}
		var told atomic.Bool
		pos.On(func(feature bool, report []byte) {
			if feature && bytes.Equal(report, []byte{0xfe, 1}) {
				told.Store(true)
			}
		})
		d.scan = func(label string) {
			if told.Load() {
				pos.Send(hidposReport(label))
				return
			}
			d.typeIn(t, label+"\r")
		}
		p := g.posd(table("till", "scanner", d.id()))
		for n := 1; n <= 3; n++ {
			plug := d.plug(t, n)
			p.state(t, "till", "reading")
			g.wait("the scanner to be told", told.Load)
			d.reads(t, p, "till", upc, gotUPC, n)
			pull(t, plug)
			told.Store(false)
			p.state(t, "till", "missing")
		}
	})
}

// TestSecondInterface: the reader is found on whatever interface it is, beside a
// serial port and something of the maker's own.
func TestSecondInterface(t *testing.T) {
	inGuest(t, func(g *guest) {
		rec := readRecordings(t, "hid-pos-scanner")["hidpos"]
		port, serial := emul.ACM(0)
		own := emul.NewHID(4, emul.NoBoot, []byte{0x06, 0x00, 0xff, 0x09, 1, 0xa1, 1, 0x15, 0, 0x26, 0xff, 0, 0x75, 8, 0x95, 8, 9, 1, 0x81, 2, 0xc0})
		pos := emul.NewHID(5, emul.NoBoot, rec.Descriptor)
		d := &gear{usb: device(rec, "S1", port[0], port[1], &own.Interface, &pos.Interface), hid: pos, serial: serial}
		d.scan = func(label string) { pos.Send(hidposReport(label)) }
		p := g.posd(table("till", "scanner", d.id()))
		d.plug(t, 0)
		g.wait("the reader", func() bool { return p.device(t, "till").Driver == "hid-pos-scanner" }) // its port may come first
		p.state(t, "till", "reading")
		own.Send(make([]byte, 8))
		d.reads(t, p, "till", upc, gotUPC, 1)
	})
}

// bluetooth is a rule of an administrator for devices that have no cable: the
// shipped rules are about USB.
const bluetooth = `SUBSYSTEM=="hidraw", KERNELS=="0005:0C2E:0B61.*|0003:0C2E:0B61.*", GROUP="posdev", MODE="0660"` + "\n"

// TestBluetooth: a device without a USB cable is known by its address.
func TestBluetooth(t *testing.T) {
	inGuest(t, func(g *guest) {
		g.write("/run/udev/rules.d/71-bluetooth.rules", bluetooth)
		g.sh("udevadm control --reload")
		rec := readRecordings(t, "hid-pos-scanner")["hidpos"]
		p := g.posd(table("till", "scanner", "0c2e:0b61:00:11:22:33:44:55"))
		for n := 1; n <= 2; n++ {
			d, err := sim.NewUHID(sim.HID{
				Bus: sim.BusBluetooth, Vendor: 0x0c2e, Product: 0x0b61,
				Name: "Cordless Scanner", Unique: "00:11:22:33:44:55", Descriptor: rec.Descriptor,
			})
			if err != nil {
				t.Fatal(err)
			}
			p.state(t, "till", "reading")
			<-d.Opened()
			if err := d.Send(hidposReport(upc)); err != nil {
				t.Fatal(err)
			}
			if got := p.await(t, "till", n); got[n-1] != gotUPC {
				t.Errorf("read %q", got)
			}
			d.Close()
			p.state(t, "till", "missing")
		}
	})
}

// TestReplayed: what "posd replay" plays on devices of the kernel, a running posd
// reads.
func TestReplayed(t *testing.T) {
	inGuest(t, func(g *guest) {
		g.write("/run/udev/rules.d/71-replay.rules", bluetooth)
		g.sh("udevadm control --reload")
		p := g.posd(table("hid", "scanner", "0c2e:0b61") + table("card", "msr", "0801:0001"))
		for name, file := range map[string]string{"hid": "hidpos", "card": "keyboard-msr"} {
			through := map[string]string{"hid": "uhid", "card": "uinput"}[name]
			g.sh(fmt.Sprintf("posd replay --through %s %s/%s.rec", through, recordings, file))
			want := expected(t, file, readRecordings(t, "")[file])
			if got := p.await(t, name, len(want)); !slices.Equal(got, want) {
				t.Errorf("%s read\n\t%s\nwant\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		}
	})
}

// TestRecorded: what "posd record" takes down of a live device is what it sent.
func TestRecorded(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.hidpos("S1")
		p := g.posd(table("till", "scanner", d.id()))
		d.plug(t, 0)
		p.state(t, "till", "reading")
		done := make(chan string, 1)
		go func() { done <- g.run("posd record till /tmp/till.rec --seconds 5") }()
		scans := 0
		out := ""
		for out == "" {
			d.scan(upc)
			scans++
			p.await(t, "till", scans)
			select {
			case out = <-done:
				out += "."
			default:
			}
		}
		text, err := os.ReadFile("/tmp/till.rec")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		rec, err := recording.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Transport != recording.HIDRaw || rec.Vendor != 0x0c2e || rec.Product != 0x0b61 || len(rec.Descriptor) == 0 {
			t.Errorf("the recording begins\n%s", text[:min(len(text), 500)])
		}
		for _, e := range rec.Entries {
			if !bytes.Equal(e.Data, hidposReport(upc)) {
				t.Fatalf("it holds % X, which was not sent", e.Data)
			}
		}
	})
}

// TestDoctor: the doctor finds what is wrong with a machine, and nothing where
// nothing is.
func TestDoctor(t *testing.T) {
	inGuest(t, func(g *guest) {
		d, port := g.hidpos("S1"), g.acm("S2")
		p := g.posd(table("till", "scanner", d.id()) + table("port", "scanner", port.id()))
		d.plug(t, 0)
		port.plug(t, 1)
		p.state(t, "till", "reading")
		p.state(t, "port", "reading")
		t.Logf("a sound machine:\n%s", g.run("posd doctor"))
		if out := g.run("posd doctor; echo $?"); !strings.HasSuffix(strings.TrimSpace(out), "0") {
			t.Errorf("a sound machine has problems:\n%s", out)
		}
		g.sh("systemctl stop posd.socket posd.service; rm /usr/lib/udev/rules.d/70-posd.rules; udevadm control --reload; chmod 600 " + d.node(t))
		out := g.run("posd doctor; echo $?")
		for _, word := range []string{"70-posd.rules", d.node(t)} {
			if !strings.Contains(out, word) {
				t.Errorf("the doctor does not name %s:\n%s", word, out)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(out), "1") {
			t.Errorf("the doctor ends well:\n%s", out)
		}
	})
}
