package vm

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/lane/api"
)

// TestWrongPermission: a node that comes with the wrong permissions says so, and
// is read when they are right, however that comes about.
func TestWrongPermission(t *testing.T) {
	inGuest(t, func(g *guest) {
		const rules = "/run/udev/rules.d/71-wrong.rules"
		g.write(rules, `SUBSYSTEM=="hidraw|tty", ENV{ID_POS_DEVICE}=="1", GROUP="root", MODE="0600"`+"\n")
		g.sh("udevadm control --reload")
		hid, acm := g.hidpos("S1"), g.acm("S2")
		p := g.posd(table("hid", "scanner", hid.id()) + table("acm", "scanner", acm.id()))
		hid.plug(t, 0)
		acm.plug(t, 1)
		for _, name := range []string{"hid", "acm"} {
			if dev := p.state(t, name, "no-permission"); !strings.Contains(dev.Reason+dev.Remedy, dev.Port) || dev.Remedy == "" {
				t.Errorf("%s: %+v", name, dev)
			}
		}
		g.sh("chgrp posdev " + hid.node(t) + " && chmod 660 " + hid.node(t)) // which nothing tells
		p.state(t, "hid", "reading")
		hid.reads(t, p, "hid", upc, gotUPC, 1)
		g.sh("rm " + rules + " && udevadm control --reload && udevadm trigger --action=add " + acm.node(t))
		p.state(t, "acm", "reading")
		acm.reads(t, p, "acm", ean, gotEAN, 1)
	})
}

// stopped stops posd while f runs.
func (g *guest) stopped(f func()) {
	g.t.Helper()
	pid := g.pid()
	g.sh("kill -STOP " + pid)
	defer g.sh("kill -CONT " + pid)
	f()
}

// TestReportsLost: of a hundred reports that come while posd is stopped the kernel
// keeps the first 63. They are read, and so is what comes then.
func TestReportsLost(t *testing.T) {
	const sent, kept = 100, 63
	inGuest(t, func(g *guest) {
		d := g.hidpos("S1")
		p := g.posd(table("till", "scanner", d.id()))
		d.plug(t, 0)
		p.state(t, "till", "reading")
		label := func(n int) string { return withCheckDigit(fmt.Sprintf("5000000%05d", n)) }
		g.stopped(func() {
			for n := range sent {
				d.scan(label(n))
			}
			if !d.hid.Drain() {
				t.Fatal("the plug was pulled")
			}
		})
		p.await(t, "till", kept)
		d.reads(t, p, "till", ean, gotEAN, kept+1)
		for n, got := range p.read("till")[:kept] {
			if !strings.Contains(got, `"`+label(n)+`"`) {
				t.Fatalf("reading %d is %s, want label %s", n, got, label(n))
			}
		}
		if dev := p.device(t, "till"); dev.Good != kept+1 || dev.Errors+dev.Dropped != 0 {
			t.Errorf("the device is %+v", dev)
		}
	})
}

// withCheckDigit makes an EAN-13 of twelve digits.
func withCheckDigit(digits string) string {
	sum := 0
	for n, d := range digits {
		sum += int(d-'0') * (1 + 2*(n%2))
	}
	return digits + string(rune('0'+(10-sum%10)%10))
}

// TestKeysLost: when keys were lost, the label they belong to is given up and
// counted, and the next one is right.
func TestKeysLost(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.wedge("S1")
		p := g.posd(table("till", "scanner", d.id()))
		d.plug(t, 0)
		p.state(t, "till", "reading")
		d.reads(t, p, "till", upc, gotUPC, 1)
		g.stopped(func() {
			for range 60 { // of 14 keys, each pressed and released
				d.scan(ean)
			}
			d.hid.Drain()
		})
		g.wait("a fault", func() bool { return slices.Contains(p.read("till"), "fault keys-lost") })
		before := len(p.read("till"))
		time.Sleep(500 * time.Millisecond) // nobody scans faster
		d.scan(upc)
		g.wait("the next label", func() bool { return len(p.read("till")) > before })
		for _, got := range p.read("till") {
			if got != gotUPC && got != gotEAN && got != "fault keys-lost" {
				t.Errorf("read %s, which nobody scanned", got)
			}
		}
		if got := p.read("till"); got[len(got)-1] != gotUPC {
			t.Errorf("the last label is %s", got[len(got)-1])
		}
		if dev := p.device(t, "till"); dev.Errors == 0 {
			t.Errorf("nothing is counted: %+v", dev)
		}
	})
}

// TestHeldByAnother: what another program holds is told, and read when that lets
// go. What posd holds no other program gets.
func TestHeldByAnother(t *testing.T) {
	inGuest(t, func(g *guest) {
		wedge, acm, hid := g.wedge("S1"), g.acm("S2"), g.hidpos("S3")
		g.sh("systemctl stop posd.socket posd.service")
		for n, d := range []*gear{wedge, acm, hid} {
			d.plug(t, n)
			d.node(t)
		}
		g.sh("udevadm settle")
		grabbed, locked := openNode(t, wedge.node(t)), openNode(t, acm.node(t))
		const eviocgrab = 0x40044590
		if err := unix.IoctlSetInt(int(grabbed.Fd()), eviocgrab, 1); err != nil {
			t.Fatal(err)
		}
		if err := unix.IoctlSetInt(int(locked.Fd()), unix.TIOCEXCL, 0); err != nil {
			t.Fatal(err)
		}
		flocked := openNode(t, hid.node(t))
		if err := unix.Flock(int(flocked.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		p := g.posd(table("wedge", "scanner", wedge.id()) + table("acm", "scanner", acm.id()) + table("hid", "scanner", hid.id()))
		for _, name := range []string{"wedge", "acm", "hid"} {
			if dev := p.state(t, name, "claimed-by-other"); dev.Remedy == "" {
				t.Errorf("%s: %+v", name, dev)
			}
		}
		if found := g.run("posd doctor"); strings.Count(found, "cases") < 3 {
			t.Errorf("the doctor does not name the program cases, which holds all three:\n%s", found)
		}
		for _, f := range []*os.File{grabbed, locked, flocked} {
			f.Close()
		}
		for _, c := range []struct {
			name string
			d    *gear
		}{{"wedge", wedge}, {"acm", acm}, {"hid", hid}} {
			p.state(t, c.name, "reading")
			c.d.reads(t, p, c.name, upc, gotUPC, 1)
		}
		if err := unix.IoctlSetInt(int(openNode(t, wedge.node(t)).Fd()), eviocgrab, 1); err != unix.EBUSY {
			t.Errorf("a second program grabs the keyboard: %v", err)
		}
		if out := g.run("setpriv --reuid=65534 --regid=65534 --groups=$(getent group posdev | cut -d: -f3) cat " + acm.node(t)); !strings.Contains(out, "busy") {
			t.Errorf("a second program opens the port: %s", out)
		}
	})
}

func openNode(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestLights: once a keyboard is grabbed its lights are posd's: Num Lock is on, and
// Caps Lock goes by its key.
func TestLights(t *testing.T) {
	const numLock, capsLock, capsKey = 1, 2, 58
	inGuest(t, func(g *guest) {
		d := g.wedge("S1")
		p := g.posd(table("till", "scanner", d.id()))
		d.plug(t, 0)
		p.state(t, "till", "reading")
		press := func() {
			for _, down := range []bool{true, false} {
				if err := d.keys.Key(capsKey, down); err != nil {
					t.Fatal(err)
				}
			}
		}
		waitFor(t, "Num Lock", func() bool { return d.keys.Lamps() == numLock })
		press()
		waitFor(t, "Caps Lock", func() bool { return d.keys.Lamps() == numLock|capsLock })
		press()
		waitFor(t, "Caps Lock to go out", func() bool { return d.keys.Lamps() == numLock })
		d.reads(t, p, "till", upc, gotUPC, 1)
	})
}

// TestKeyboardIsNoScanner: a keyboard that nobody configured is not touched.
func TestKeyboardIsNoScanner(t *testing.T) {
	inGuest(t, func(g *guest) {
		p := g.posd("")
		d := g.wedge("S1")
		d.usb.Vendor, d.usb.Product = 0x046d, 0xc31c
		d.plug(t, 0)
		f := openNode(t, d.node(t))
		g.sh("udevadm settle")
		marker := g.hidpos("S2") // once this is read, the keyboard was looked at
		marker.plug(t, 1)
		p.state(t, "scanner-"+marker.id(), "reading")
		all, err := p.api.Devices(t.Context())
		if err != nil || len(all) != 1 {
			t.Errorf("posd knows %+v, %v", all, err)
		}
		d.scan("12")
		d.hid.Drain()
		b := make([]byte, 24*64)
		waitFor(t, "the keys", func() bool { n, _ := f.Read(b); return n > 0 })
		const eviocgrab = 0x40044590
		if err := unix.IoctlSetInt(int(f.Fd()), eviocgrab, 1); err != nil {
			t.Errorf("somebody else has grabbed the keyboard: %v", err)
		}
	})
}

// TestParity: a byte that came with bad parity over a converter makes its label an
// error, and the next one is right.
func TestParity(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.ftdi("S1")
		p := g.posd(table("till", "scanner", d.id()) + "line = \"9600-7E1\"\n")
		d.plug(t, 0)
		p.state(t, "till", "reading")
		d.reads(t, p, "till", upc, gotUPC, 1)
		d.serial.Send([]byte("03600"))
		d.serial.BadParity(true)
		d.serial.Send([]byte("0"))
		d.serial.BadParity(false)
		d.serial.Send([]byte("291452\r"))
		d.scan(ean)
		if got := p.await(t, "till", 3); !slices.Equal(got, []string{gotUPC, "fault line-error", gotEAN}) {
			t.Errorf("read %q", got)
		}
	})
}

// TestDTR: a scanner that sends only to a host which raises DTR is read.
func TestDTR(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.acm("S1")
		p := g.posd(table("till", "scanner", d.id()))
		plug := d.plug(t, 0)
		d.node(t)
		for n := 1; n <= 2; n++ {
			p.state(t, "till", "reading")
			waitFor(t, "DTR", func() bool { up, _ := d.serial.DTR(); return up })
			d.reads(t, p, "till", upc, gotUPC, n)
			pull(t, plug)
			p.state(t, "till", "missing")
			d.serial.Reset()
			plug = d.plug(t, 0)
		}
		p.state(t, "till", "reading")
		if up, raised := d.serial.DTR(); !up || raised < 3 {
			t.Errorf("DTR is up: %v; it went up %d times, want 3", up, raised)
		}
		if baud := d.serial.Baud(); baud != 9600 {
			t.Errorf("the speed is %d", baud)
		}
	})
}

// TestWatchdog: a posd that hangs is started again by systemd, and goes on.
func TestWatchdog(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.hidpos("S1")
		p := g.posd(table("till", "scanner", d.id()))
		d.plug(t, 0)
		p.state(t, "till", "reading")
		d.reads(t, p, "till", upc, gotUPC, 1)
		pid := g.pid()
		g.sh("kill -STOP " + pid)
		g.wait("systemd to start another", func() bool {
			now := g.pid()
			return now != pid && now != "0" && strings.TrimSpace(g.run("systemctl is-active posd")) == "active"
		})
		if n := g.sh("systemctl show -p NRestarts --value posd"); n != "1" {
			t.Errorf("posd was started again %s times", n)
		}
		p = connect(t)
		p.state(t, "till", "reading")
		d.reads(t, p, "till", ean, gotEAN, 1)
		b, open, err := p.api.Basket(t.Context())
		if err != nil || !open || len(b.Lines) != 2 {
			t.Errorf("the basket is %+v, %v, %v: the line of before must be in it", b, open, err)
		}
	})
}

// TestKilled: what was acknowledged is in the basket after a kill, and the devices
// are read again.
func TestKilled(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.acm("S1")
		p := g.posd(table("till", "scanner", d.id()))
		d.plug(t, 0)
		p.state(t, "till", "reading")
		for n := range 5 {
			d.reads(t, p, "till", upc, gotUPC, n+1)
		}
		pid := g.pid()
		g.sh("kill -KILL " + pid)
		g.wait("another posd", func() bool { return strings.TrimSpace(g.run("systemctl is-active posd")) == "active" && g.pid() != pid })
		p = connect(t)
		p.state(t, "till", api.Reading)
		d.reads(t, p, "till", ean, gotEAN, 1)
		b, open, err := p.api.Basket(t.Context())
		if err != nil || !open || len(b.Lines) != 6 {
			t.Errorf("the basket has %d lines, %v, %v: want 6", len(b.Lines), open, err)
		}
	})
}
