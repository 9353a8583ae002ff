package vm

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/drivers/recording"
	"posd/vm/emul"
)

// Labels that are scanned here, and what posd says of them.
const (
	upc    = "036000291452"
	ean    = "5901234123457"
	gotUPC = `scan "036000291452" UPCA gtin "00036000291452" add-on "" problem ""`
	gotEAN = `scan "5901234123457" EAN13 gtin "05901234123457" add-on "" problem ""`
)

// hidpos makes a HID POS scanner in the layout of recording hidpos.
func (g *guest) hidpos(serial string) *gear {
	d := hidGear(readRecordings(g.t, "hid-pos-scanner")["hidpos"], serial)
	d.scan = func(label string) { d.hid.Send(hidposReport(label)) }
	return d
}

// hidposReport is a label of UPC-A or EAN-13 in a report: id, count, AIM
// identifier, data.
func hidposReport(label string) []byte {
	report := make([]byte, 64)
	if len(label) == 12 {
		label = "0" + label // as ]E0 has it
	}
	report[0], report[1] = 2, byte(len(label))
	copy(report[2:], "]E0"+label)
	return report
}

// acm makes a scanner on a serial port of USB.
func (g *guest) acm(serial string) *gear {
	return serialScanner(serialGear(recording.Recording{Vendor: 0x0c2e, Product: 0x0b6a}, serial, false))
}

// ftdi makes a scanner behind a USB-serial converter.
func (g *guest) ftdi(serial string) *gear {
	return serialScanner(serialGear(recording.Recording{}, serial, true))
}

func serialScanner(d *gear) *gear {
	d.scan = func(label string) { d.serial.Send([]byte(label + "\r")) }
	return d
}

// wedge makes a scanner that plays a keyboard.
func (g *guest) wedge(serial string) *gear {
	d := keyboardGear(recording.Recording{Vendor: 0x0c2e, Product: 0x0b41}, serial)
	d.scan = func(label string) { d.typeIn(g.t, label+"\r") }
	return d
}

// typeIn types digits and Enter.
func (d *gear) typeIn(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		code := uint16(28) // Enter
		if r != '\r' {
			code = uint16(strings.IndexRune("1234567890", r) + 2)
		}
		for _, down := range []bool{true, false} {
			if err := d.keys.Key(code, down); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// table is a device in the configuration, by its id.
func table(name, role, id string) string {
	return fmt.Sprintf("[[device]]\nname = %q\nrole = %q\nid = %q\n", name, role, id)
}

// reads scans a label and waits for it; it is the device's nth reading.
func (d *gear) reads(t *testing.T, p *posd, device, label, want string, n int) {
	t.Helper()
	d.scan(label)
	if got := p.await(t, device, n); len(got) != n || got[n-1] != want {
		t.Fatalf("%s read\n\t%s\nwant %d readings, the last being\n\t%s", device, strings.Join(got, "\n\t"), n, want)
	}
}

func pull(t *testing.T, p *emul.Plug) {
	t.Helper()
	if err := p.Pull(); err != nil {
		t.Fatal(err)
	}
}

// TestAdopted: what is certainly a scanner is read without a word in the
// configuration.
func TestAdopted(t *testing.T) {
	inGuest(t, func(g *guest) {
		p := g.posd("")
		d := g.hidpos("S1")
		plug := d.plug(t, 0)
		name := "scanner-" + d.id()
		dev := p.state(t, name, "reading")
		if dev.Role != "scanner" || dev.Driver != "hid-pos-scanner" || !dev.Adopted || !strings.HasPrefix(dev.ID, d.id()) {
			t.Errorf("the device is %+v", dev)
		}
		d.reads(t, p, name, upc, gotUPC, 1)
		d.reads(t, p, name, ean, gotEAN, 2)
		pull(t, plug)
		if gone := p.state(t, name, "missing"); gone.Good != 2 || gone.Remedy == "" {
			t.Errorf("the device is %+v", gone)
		}
	})
}

// TestFirstScanAfterStart: a device that posd calls read loses nothing, also not
// right after the start.
func TestFirstScanAfterStart(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.hidpos("S1")
		d.plug(t, 0)
		node := d.node(t)
		g.sh("udevadm settle")
		p := g.posd(fmt.Sprintf("[[device]]\nname = \"till\"\nrole = \"scanner\"\nport = %q\n", node))
		p.state(t, "till", "reading")
		d.reads(t, p, "till", upc, gotUPC, 1)
	})
}

// TestReplugAtOnce: a device that is back after 0.2 s, in the same socket, is read
// again.
func TestReplugAtOnce(t *testing.T) {
	inGuest(t, func(g *guest) {
		devices := map[string]*gear{"hid": g.hidpos("S1"), "acm": g.acm("S2"), "ftdi": g.ftdi("S3"), "wedge": g.wedge("S4")}
		config := ""
		for name, d := range devices {
			config += table(name, "scanner", d.id())
		}
		p := g.posd(config)
		socket := 0
		for name, d := range devices {
			mine := socket
			socket++
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for n := 1; n <= 10; n++ {
					plug := d.plug(t, mine)
					waitFor(t, "posd to see that the cable was out", func() bool {
						return p.device(t, name).Statistics["CommunicationErrorCount"] == uint64(n-1)
					})
					p.state(t, name, "reading")
					d.reads(t, p, name, upc, gotUPC, n)
					pull(t, plug)
					time.Sleep(200 * time.Millisecond)
				}
			})
		}
	})
}

// TestReplugMany: nothing is lost by unplugging again and again: no descriptor,
// goroutine or device.
func TestReplugMany(t *testing.T) {
	const rounds = 50 // of four devices
	inGuest(t, func(g *guest) {
		devices := []*gear{g.hidpos("S1"), g.acm("S2"), g.ftdi("S3"), g.wedge("S4")}
		config := ""
		for n, d := range devices {
			config += table(fmt.Sprint("d", n), "scanner", d.id())
		}
		p := g.posd(config)
		replug(t, p, devices, 0, 2)
		few := g.goroutines()

		p = g.posd(config) // another one
		replug(t, p, devices, 0, 2)
		before := g.descriptors()
		replug(t, p, devices, 2, rounds)
		g.wait(fmt.Sprintf("posd to hold no more than %q", before), func() bool { return len(g.descriptors()) <= len(before) })
		if all, err := p.api.Devices(t.Context()); err != nil || len(all) != len(devices) {
			t.Errorf("posd knows %d devices, want %d: %v", len(all), len(devices), err)
		}
		if restarts := g.sh("systemctl show -p NRestarts --value posd"); restarts != "0" {
			t.Errorf("posd was started again %s times", restarts)
		}
		many := g.goroutines()
		t.Logf("%d descriptors, %d goroutines", len(before), many)
		if many > few {
			t.Errorf("posd has %d goroutines, and had %d after few replugs", many, few)
		}
	})
}

// replug plugs each device in, reads it and pulls it, some rounds; it was done
// before.
func replug(t *testing.T, p *posd, devices []*gear, before, rounds int) {
	t.Run("replug", func(t *testing.T) {
		for n, d := range devices {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				name := fmt.Sprint("d", n)
				for round := range rounds {
					plug := d.plug(t, n)
					p.state(t, name, "reading")
					d.reads(t, p, name, upc, gotUPC, before+round+1)
					pull(t, plug)
					p.state(t, name, "missing")
				}
			})
		}
	})
}

// descriptors gives what posd has open.
func (g *guest) descriptors() []string {
	g.t.Helper()
	dir := "/proc/" + g.pid() + "/fd"
	fds, err := os.ReadDir(dir)
	if err != nil {
		g.t.Fatal(err)
	}
	var open []string
	for _, fd := range fds {
		if to, err := os.Readlink(dir + "/" + fd.Name()); err == nil {
			open = append(open, to)
		}
	}
	return open
}

// pid gives the process id of posd.
func (g *guest) pid() string {
	g.t.Helper()
	return g.sh("systemctl show -p MainPID --value posd")
}

// goroutines ends posd with a list of its goroutines, and counts them.
func (g *guest) goroutines() (n int) {
	g.t.Helper()
	pid := g.pid()
	g.sh("kill -QUIT " + pid)
	g.wait("posd to end", func() bool { return g.pid() != pid })
	g.wait("its goroutines in the journal", func() bool {
		n = strings.Count(g.sh("journalctl --sync && journalctl -o cat _PID="+pid), "\ngoroutine ")
		return n > 0
	})
	return n
}

// TestOtherSocket: a device with a serial number is the same in another socket and
// under another node; one that is named by its socket is not.
func TestOtherSocket(t *testing.T) {
	inGuest(t, func(g *guest) {
		d, other := g.hidpos("S1"), g.hidpos("S2")
		bySocket := g.acm("")
		p := g.posd(table("moves", "scanner", d.id()) + table("other", "scanner", other.id()) + table("stays", "scanner", "0c2e:0b6a@1-5"))
		plug := d.plug(t, 0)
		first := p.state(t, "moves", "reading").Port
		d.reads(t, p, "moves", upc, gotUPC, 1)
		pull(t, plug)
		p.state(t, "moves", "missing")
		other.plug(t, 1) // which takes the node's name
		p.state(t, "other", "reading")
		d.plug(t, 2)
		if second := p.state(t, "moves", "reading").Port; second == first {
			t.Errorf("the node is %s again: the test shows nothing", second)
		}
		d.reads(t, p, "moves", ean, gotEAN, 2)
		other.reads(t, p, "other", upc, gotUPC, 1)

		plug = bySocket.plug(t, 3)
		bySocket.node(t)
		g.sh("udevadm settle")
		if s := p.device(t, "stays").State; s != "missing" {
			t.Errorf("the device of another socket is %s", s)
		}
		pull(t, plug)
		bySocket.plug(t, 4)
		p.state(t, "stays", "reading")
		bySocket.reads(t, p, "stays", upc, gotUPC, 1)
	})
}

// TestTwins: two scanners with nothing to tell them apart are not guessed at. The
// status says what to do, and that works.
func TestTwins(t *testing.T) {
	inGuest(t, func(g *guest) {
		one, two := g.hidpos(""), g.hidpos("")
		one.plug(t, 0)
		two.plug(t, 1)
		one.node(t)
		two.node(t)
		g.sh("udevadm settle")
		p := g.posd(table("till", "scanner", "0c2e:0b61"))
		dev := p.state(t, "till", "ambiguous")
		for _, id := range []string{"0c2e:0b61@1-1", "0c2e:0b61@1-2"} {
			if !strings.Contains(dev.Remedy, id) {
				t.Errorf("the remedy does not name %s: %s", id, dev.Remedy)
			}
		}
		p = g.posd(table("left", "scanner", "0c2e:0b61@1-1") + table("right", "scanner", "0c2e:0b61@1-2"))
		p.state(t, "left", "reading")
		p.state(t, "right", "reading")
		one.reads(t, p, "left", upc, gotUPC, 1)
		two.reads(t, p, "right", ean, gotEAN, 1)
	})
}

// TestPulledInLabel: a label that is cut off by the cable is an error, and not the
// begin of the next one.
func TestPulledInLabel(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.acm("S1")
		p := g.posd(table("till", "scanner", d.id()))
		plug := d.plug(t, 0)
		p.state(t, "till", "reading")
		d.serial.Send([]byte("59012"))
		d.serial.Drain()
		node := d.node(t)
		g.wait("posd to have it", func() bool { return unread(t, node) == 0 })
		pull(t, plug)
		p.state(t, "till", "missing")
		d.plug(t, 0)
		p.state(t, "till", "reading")
		d.scan(upc)
		if got := p.await(t, "till", 2); !slices.Equal(got, []string{"fault incomplete", gotUPC}) {
			t.Errorf("read %q", got)
		}
	})
}

// unread gives how many bytes of a serial port wait in the kernel for a reader.
func unread(t *testing.T, node string) int {
	t.Helper()
	f, err := os.OpenFile(node, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// withoutUdevd ends udevd. Nobody loads modules then.
func (g *guest) withoutUdevd() {
	g.t.Helper()
	g.sh("modprobe -a usbhid hid_generic cdc_acm && systemctl stop systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket")
}

// TestUdevdRestarts: devices are found also while udevd starts anew.
func TestUdevdRestarts(t *testing.T) {
	inGuest(t, func(g *guest) {
		d, late := g.hidpos("S1"), g.acm("S2")
		p := g.posd(table("early", "scanner", d.id()) + table("late", "scanner", late.id()))
		g.withoutUdevd()
		d.plug(t, 0)
		d.node(t)
		g.sh("systemctl start systemd-udevd.service && udevadm trigger --action=add && udevadm settle")
		p.state(t, "early", "reading")
		late.plug(t, 1)
		p.state(t, "late", "reading")
		d.reads(t, p, "early", upc, gotUPC, 1)
		late.reads(t, p, "late", ean, gotEAN, 1)
	})
}

// TestWithoutUdevd: where no udevd runs, posd hears the kernel.
func TestWithoutUdevd(t *testing.T) {
	inGuest(t, func(g *guest) {
		d := g.hidpos("S1")
		g.withoutUdevd()
		g.sh("rm -r /run/udev")
		g.write(configFile, "state_dir = \"/var/lib/bare\"\n"+shop+table("till", "scanner", d.id()))
		g.sh("systemctl stop posd.socket posd.service; systemd-run --quiet --unit=bare /usr/bin/posd run")
		g.wait("posd's socket", func() bool { _, err := os.Stat(socket); return err == nil })
		p := connect(t)
		p.state(t, "till", "missing")
		plug := d.plug(t, 0)
		p.state(t, "till", "reading")
		d.reads(t, p, "till", upc, gotUPC, 1)
		pull(t, plug)
		p.state(t, "till", "missing")
		d.plug(t, 3)
		p.state(t, "till", "reading")
		d.reads(t, p, "till", ean, gotEAN, 2)
	})
}

// TestFloodOfEvents: what udevd says while posd does not listen is made good by
// looking again.
func TestFloodOfEvents(t *testing.T) {
	inGuest(t, func(g *guest) {
		d, gone := g.hidpos("S1"), g.acm("S2")
		p := g.posd(table("new", "scanner", d.id()) + table("gone", "scanner", gone.id()))
		plug := gone.plug(t, 1)
		p.state(t, "gone", "reading")
		pid := g.pid()
		g.sh("kill -STOP " + pid)
		g.wait("the queue of posd to be full", func() bool {
			g.sh("udevadm trigger && udevadm settle")
			return g.drops() > 0
		})
		pull(t, plug)
		d.plug(t, 0)
		d.node(t)
		g.sh("udevadm settle; kill -CONT " + pid)
		p.state(t, "new", "reading")
		p.state(t, "gone", "missing")
		d.reads(t, p, "new", upc, gotUPC, 1)
	})
}

// drops gives how many events of devices posd has lost: it alone listens to the
// kernel and to udevd at once.
func (g *guest) drops() (n int) {
	const protocol, groups, drops = 1, 3, 8 // columns
	for line := range strings.Lines(g.sh("cat /proc/net/netlink")) {
		if f := strings.Fields(line); len(f) > drops && f[protocol] == "15" && f[groups] == "00000003" {
			lost, _ := strconv.Atoi(f[drops])
			n += lost
		}
	}
	return n
}
