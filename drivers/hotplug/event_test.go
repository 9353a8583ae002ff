package hotplug

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// udevMessage makes a message of udevd, field by field of struct
// monitor_netlink_header.
func udevMessage(properties ...string) []byte {
	body := []byte(strings.Join(properties, "\x00") + "\x00")
	b := []byte("libudev\x00")                            // prefix
	b = append(b, 0xfe, 0xed, 0xca, 0xfe)                 // magic
	b = binary.NativeEndian.AppendUint32(b, 40)           // header_size
	b = binary.NativeEndian.AppendUint32(b, 40)           // properties_off
	b = binary.NativeEndian.AppendUint32(b, size32(body)) // properties_len
	b = append(b, 0xc3, 0x70, 0xb3, 0x02)                 // filter_subsystem_hash
	b = append(b, 0, 0, 0, 0)                             // filter_devtype_hash
	b = append(b, 0, 0, 0, 0)                             // filter_tag_bloom_hi
	b = append(b, 0, 0, 0, 0)                             // filter_tag_bloom_lo
	return append(b, body...)
}

func size32(b []byte) uint32 { return uint32(len(b)) }

const portPath = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/tty/ttyACM0"

// What udevd 252 and a kernel send of the same port.
var (
	udevAdd = udevMessage("ACTION=add", "DEVPATH="+portPath, "SUBSYSTEM=tty", "DEVNAME=/dev/ttyACM0", "MAJOR=166", "MINOR=0",
		"SEQNUM=4711", "USEC_INITIALIZED=1234567", "ID_SERIAL=Datalogic_ADC=x", "DEVLINKS=/dev/serial/by-id/a /dev/pos/b", "TAGS=:systemd:", "CURRENT_TAGS=:systemd:")
	kernelAdd = []byte("add@" + portPath + "\x00ACTION=add\x00DEVPATH=" + portPath + "\x00SUBSYSTEM=tty\x00MAJOR=166\x00MINOR=0\x00DEVNAME=ttyACM0\x00SEQNUM=4711\x00")
	// As a kernel 6.18 sent it.
	kernelChange = []byte("change@/devices/pnp0/00:00/00:00:0/00:00:0.0/tty/ttyS0\x00ACTION=change\x00DEVPATH=/devices/pnp0/00:00/00:00:0/00:00:0.0/tty/ttyS0\x00SUBSYSTEM=tty\x00SYNTH_UUID=0\x00MAJOR=4\x00MINOR=64\x00DEVNAME=ttyS0\x00SEQNUM=822\x00")
	kernelMove   = []byte("move@/devices/b\x00ACTION=move\x00DEVPATH=/devices/b\x00SUBSYSTEM=hid\x00DEVPATH_OLD=/devices/a\x00SEQNUM=9\x00")
)

func TestParse(t *testing.T) {
	add := Event{Action: "add", Subsystem: "tty", DevPath: portPath}
	for _, c := range []struct {
		parse func([]byte) (Event, error)
		b     []byte
		want  Event
	}{
		{parseUdev, udevAdd, add},
		{parseKernel, kernelAdd, add},
		{parseKernel, kernelChange, Event{Action: "change", Subsystem: "tty", DevPath: "/devices/pnp0/00:00/00:00:0/00:00:0.0/tty/ttyS0"}},
		{parseKernel, kernelMove, Event{Action: "move", Subsystem: "hid", DevPath: "/devices/b", OldPath: "/devices/a"}},
		{parseUdev, udevMessage("ACTION=add", "SUBSYSTEM=usb", "DEVPATH=/d", "DEVPATH=/e"), Event{Action: "add", Subsystem: "usb", DevPath: "/d"}},
	} {
		if got, err := c.parse(c.b); got != c.want || err != nil {
			t.Errorf("%q: got %+v, %v", c.b, got, err)
		}
	}
	for n := range udevAdd {
		if e, err := parseUdev(udevAdd[:n]); err == nil {
			t.Errorf("cut off after %d: %+v", n, e)
		}
	}
}

// with gives a message with four bytes in another way.
func with(b []byte, at int, value uint32) []byte {
	b = bytes.Clone(b)
	binary.NativeEndian.PutUint32(b[at:], value)
	return b
}

func TestParseUdevErrors(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte(strings.Repeat("hello ", 10)), "of the kernel": kernelAdd, "short": udevAdd[:23],
		"magic in the machine's order": append(append([]byte("libudev\x00"), 0xfe, 0xca, 0xed, 0xfe), udevAdd[12:]...),
		"length beyond":                with(udevAdd, 20, size32(udevAdd)-39), "length over": with(udevAdd, 20, 0xffffffff),
		"offset in header": with(with(udevAdd, 16, 8), 20, size32(udevAdd)-8), "offset beyond": with(udevAdd, 16, size32(udevAdd)+1), "offset over": with(udevAdd, 16, 0xffffffff),
		"length short":  with(udevAdd, 20, 9),
		"no path":       udevMessage("ACTION=add", "SUBSYSTEM=tty"),
		"no action":     udevMessage("DEVPATH=/d", "SUBSYSTEM=tty"),
		"no subsystem":  udevMessage("ACTION=add", "DEVPATH=/d"),
		"path up":       udevMessage("ACTION=add", "SUBSYSTEM=tty", "DEVPATH=/devices/../../etc"),
		"path relative": udevMessage("ACTION=add", "SUBSYSTEM=tty", "DEVPATH=devices/x"),
		"path root":     udevMessage("ACTION=add", "SUBSYSTEM=tty", "DEVPATH=/"),
		"old path up":   udevMessage("ACTION=move", "SUBSYSTEM=tty", "DEVPATH=/d", "DEVPATH_OLD=/../d"),
	} {
		if e, err := parseUdev(b); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestParseKernelErrors(t *testing.T) {
	for name, s := range map[string]string{
		"nothing": "", "no end": "add@/d", "no at": "add\x00ACTION=add\x00DEVPATH=/d\x00", "of udevd": string(udevAdd),
		"no properties": "add@/d\x00", "another action": "add@/d\x00ACTION=remove\x00SUBSYSTEM=tty\x00DEVPATH=/d\x00",
		"another path": "add@/d\x00ACTION=add\x00SUBSYSTEM=tty\x00DEVPATH=/e\x00", "path up": "add@/../d\x00ACTION=add\x00SUBSYSTEM=tty\x00DEVPATH=/../d\x00", "no end of a property": "add@/d\x00ACTION=add\x00SUBSYSTEM=tty\x00DEVPATH=/d",
	} {
		if e, err := parseKernel([]byte(s)); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{udevAdd, kernelAdd, kernelChange, kernelMove, with(udevAdd, 20, 9), []byte("a@b\x00")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Event, error){parseUdev, parseKernel} {
			e, err := parse(b)
			if err != nil {
				continue
			}
			for _, p := range []string{e.DevPath, e.OldPath} {
				if p != "" && (p[0] != '/' || slices.Contains(strings.Split(p, "/"), "..")) {
					t.Errorf("%+v", e)
				}
			}
			if e.Action == "" || e.DevPath == "" || strings.Contains(e.kernel(), "/") {
				t.Errorf("%+v", e)
			}
		}
	})
}
