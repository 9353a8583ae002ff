// Package hidraw reads HID devices by the kernel's hidraw nodes: whole reports,
// with the report id first where the device has ids.
package hidraw

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"posd/drivers/node"
)

// MaxReport is how long a report can be: a shorter buffer loses the rest.
const MaxReport = 16384

// Port is an open hidraw node.
type Port struct{ *node.Node }

// SendFeature sends a feature report. Its first byte is the report id, 0 if the
// device has none. A device that answers nothing holds it up for seconds.
func (p *Port) SendFeature(report []byte) error {
	return p.Control(func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), hidiocsfeature(len(report)), uintptr(unsafe.Pointer(&report[0])))
		if errno != 0 {
			return errno
		}
		return nil
	})
}

// hidiocsfeature is HIDIOCSFEATURE of linux/hidraw.h: _IOWR('H', 6, length).
func hidiocsfeature(length int) uintptr {
	const readWrite = 3 << 30
	return readWrite | uintptr(length)<<16 | 'H'<<8 | 6
}

// Info is what the kernel says of a HID device.
type Info struct {
	Vendor, Product uint16
	Name            string
	Descriptor      []byte
}

// Open opens and locks a hidraw node. sysfs is where sysfs is mounted: /sys.
func Open(path, sysfs string) (*Port, Info, error) {
	n, real, err := node.Open(path)
	if err != nil {
		return nil, Info{}, err
	}
	info, err := Look(sysfs, filepath.Base(real))
	if err != nil {
		n.Close()
		return nil, Info{}, &node.Error{State: node.Failed, Reason: fmt.Sprintf("%s is no hidraw node: %v", path, err), Remedy: "name a hidraw node as port, or another driver"}
	}
	return &Port{n}, info, nil
}

// Look reads what sysfs has of the hidraw node of this name. It needs no
// permission on the node.
func Look(sysfs, name string) (Info, error) {
	dir := filepath.Join(sysfs, "class", "hidraw", name, "device")
	descriptor, err := os.ReadFile(filepath.Join(dir, "report_descriptor"))
	if err != nil {
		return Info{}, fmt.Errorf("read report descriptor: %w", err)
	}
	info := Info{Descriptor: descriptor}
	uevent, err := os.ReadFile(filepath.Join(dir, "uevent"))
	if err != nil {
		return Info{}, fmt.Errorf("read uevent: %w", err)
	}
	info.readUevent(uevent)
	return info, nil
}

// readUevent takes HID_ID=0003:00000C2E:00000B61 (bus, vendor, product) and
// HID_NAME from a uevent file.
func (i *Info) readUevent(b []byte) {
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch key {
		case "HID_NAME":
			i.Name = value
		case "HID_ID":
			if parts := strings.Split(value, ":"); len(parts) == 3 {
				i.Vendor, i.Product = id16(parts[1]), id16(parts[2])
			}
		}
	}
}

// id16 gives a number of USB, or 0 for what is none.
func id16(s string) uint16 {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || n > 0xffff {
		return 0
	}
	return uint16(n)
}
