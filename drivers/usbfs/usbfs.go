// Package usbfs reads USB devices past the kernel's drivers: those that have
// none, and those that the configuration wants taken from theirs.
//
// The device is read by a process of its own (package reader, "posd usb-read").
// The library for it (karalabe/usb, which is hidapi over libusb) blocks in reads
// that nothing can wake, frees memory that another thread still uses when it
// closes, and takes the device from its kernel driver without giving it back:
// ending a process mends all three. This package itself needs no C compiler.
package usbfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"posd/drivers/node"
)

// Port is a USB device that is being read by another process. Reads and sends
// are packets on a socket between the two: each a report.
type Port struct {
	path   string
	file   *os.File // the socket
	child  *exec.Cmd
	sysfs  string
	number int // of the interface
}

// Interface is a HID interface of a USB device.
type Interface struct {
	Number     int
	Descriptor []byte // the HID report descriptor; nil if the kernel's driver has let go of it
}

// Interfaces gives the interfaces of the USB device at a path in sysfs. The
// report descriptors are those that the kernel's HID driver has read.
func Interfaces(sysfs, device string) []Interface {
	dirs, _ := filepath.Glob(filepath.Join(sysfs, device, filepath.Base(device)+":*"))
	var all []Interface
	for _, dir := range dirs {
		_, number, ok := strings.Cut(filepath.Base(dir), ".")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			continue
		}
		i := Interface{Number: n}
		if found, _ := filepath.Glob(filepath.Join(dir, "*", "report_descriptor")); len(found) > 0 {
			i.Descriptor, _ = os.ReadFile(found[0])
		}
		all = append(all, i)
	}
	return all
}

// Ready is the first packet of a reader that reads. Any other says why it does
// not.
const Ready = "ready"

// The codes that a reader's complaint begins with, before a colon.
const (
	CodeMissing     = "missing"     // the device is not there
	CodeUnsupported = "unsupported" // posd was built without this transport
)

// started is how long a reader may take to open a device. libusb resets some.
const started = 10 * time.Second

// Open starts reading interface number of the USB device with a node such as
// /dev/bus/usb/001/004 and a path in sysfs. reader is the command that reads it:
// it gets the node and the interface as arguments, and the socket as file 3.
func Open(reader []string, path, sysfs, device string, number int) (*Port, error) {
	if err := unix.Access(path, unix.R_OK|unix.W_OK); err != nil {
		return nil, node.Fail(path, err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, node.Fail(path, err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "usb reader")
	p := &Port{path: path, file: os.NewFile(uintptr(fds[0]), path), sysfs: filepath.Join(sysfs, device), number: number}
	p.child = exec.Command(reader[0], append(reader[1:len(reader):len(reader)], path, strconv.Itoa(number))...)
	p.child.ExtraFiles = []*os.File{theirs}
	p.child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = p.child.Start()
	theirs.Close() // or its end would not be seen
	if err != nil {
		p.file.Close()
		return nil, &node.Error{State: node.Failed, Reason: fmt.Sprintf("start the reader of %s: %v", path, err), Remedy: "see that posd can run itself"}
	}
	if err := p.await(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// await waits until the reader says that it reads.
func (p *Port) await() error {
	if err := p.file.SetReadDeadline(time.Now().Add(started)); err != nil {
		return err
	}
	buf := make([]byte, 1024)
	n, err := p.file.Read(buf)
	said := string(buf[:n])
	code, why, _ := strings.Cut(said, ": ")
	switch {
	case said == Ready:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &node.Error{State: node.Failed, Reason: p.path + " does not answer", Remedy: "unplug the device and plug it in again"}
	case said == "":
		return &node.Error{State: node.Failed, Reason: "the reader of " + p.path + " ended at once", Remedy: "see posd's log"}
	case code == CodeMissing:
		return &node.Error{State: node.Missing, Reason: p.path + " is not there: " + why, Remedy: "plug the device in"}
	case code == CodeUnsupported:
		return &node.Error{State: node.Failed, Reason: "this posd was built without usbfs (cgo)", Remedy: "take transport out of its [[device]], or build posd with CGO_ENABLED=1"}
	}
	return &node.Error{State: node.Failed, Reason: fmt.Sprintf("%s cannot be read: %s", p.path, said), Remedy: "see that no other program holds it: posd doctor"}
}

// SetDeadline sets until when the next Read waits. It undoes a Wake.
func (p *Port) SetDeadline(t time.Time) error { return p.file.SetReadDeadline(t) }

// Wake makes a Read return as if its deadline had come.
func (p *Port) Wake() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) }

// Read gives a report, waiting for it until the deadline: 0 and no error when
// that has come, and an *node.Error when the device or its reader has gone.
func (p *Port) Read(b []byte) (int, error) {
	n, err := p.file.Read(b)
	switch {
	case err == nil && n > 0:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil
	case errors.Is(err, os.ErrClosed):
		return 0, err
	}
	return 0, node.Unplugged(p.path)
}

// Send sends an output report behind its id, which is 0 where the device has no
// ids. It does not wait.
func (p *Port) Send(report []byte) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Write(func(fd uintptr) bool {
		_, inner = unix.Write(int(fd), report)
		return true
	}); err != nil {
		return err
	}
	return inner
}

// Close ends the reader, and gives the device back to its kernel driver.
func (p *Port) Close() error {
	err := p.file.Close()
	_ = p.child.Process.Kill()
	_ = p.child.Wait() // it was killed
	return errors.Join(err, giveBack(p.path, p.number))
}

// usbdevfsIoctl is struct usbdevfs_ioctl of linux/usbdevice_fs.h.
type usbdevfsIoctl struct {
	number, request int32
	data            uintptr
}
