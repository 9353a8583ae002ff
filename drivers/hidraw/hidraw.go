// Package hidraw reads HID devices by the kernel's hidraw nodes: whole reports,
// with the report id first where the device has ids.
package hidraw

import (
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

// Open opens and locks a hidraw node.
func Open(path string) (*Port, error) {
	n, _, err := node.Open(path)
	if err != nil {
		return nil, err
	}
	return &Port{n}, nil
}
