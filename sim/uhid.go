package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"posd/drivers/recording"
)

// The messages of linux/uhid.h. Each is a type of four bytes and a struct
// without gaps.
const (
	uhidDestroy        = 1
	uhidOpen           = 4
	uhidGetReport      = 9
	uhidGetReportReply = 10
	uhidCreate2        = 11
	uhidInput2         = 12
	uhidSetReport      = 13
	uhidSetReportReply = 14

	uhidEventSize = 4380 // struct uhid_event: that of UHID_CREATE2
	maxHIDData    = 4096
)

// Buses of HID devices (linux/input.h).
const (
	BusUSB       = 3
	BusBluetooth = 5
)

// HID is what a HID device of the kernel is to say of itself.
type HID struct {
	Bus             uint16
	Vendor, Product uint16
	Name            string
	Unique          string // its serial number or, of Bluetooth, its address
	Descriptor      []byte
}

// UHID is a HID device of the kernel, made by a program. It takes what the host
// sends, and has no feature reports.
type UHID struct {
	file   *os.File
	opened chan struct{} // closed when somebody reads the device
	once   sync.Once
	ended  chan struct{}
}

// NewUHID makes a device by /dev/uhid, which root may.
func NewUHID(h HID) (*UHID, error) {
	if len(h.Descriptor) == 0 || len(h.Descriptor) > maxHIDData {
		return nil, fmt.Errorf("there is no report descriptor of up to %d bytes", maxHIDData)
	}
	f, err := os.OpenFile("/dev/uhid", os.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: try as root, with the module uhid loaded (modprobe uhid)", err)
	}
	u := &UHID{file: f, opened: make(chan struct{}), ended: make(chan struct{})}
	if err := u.write(h.create2()); err != nil {
		f.Close()
		return nil, fmt.Errorf("make a HID device: %w", err)
	}
	go u.serve()
	return u, nil
}

// create2 is struct uhid_create2_req: name, phys, uniq, size of the descriptor,
// bus, vendor, product, version, country, descriptor.
func (h HID) create2() []byte {
	b := make([]byte, 0, uhidEventSize)
	b = binary.NativeEndian.AppendUint32(b, uhidCreate2)
	b = append(b, padded(h.Name, 128)...)
	b = append(b, padded("posd/replay", 64)...)
	b = append(b, padded(h.Unique, 64)...)
	b = binary.NativeEndian.AppendUint16(b, uint16(len(h.Descriptor)))
	b = binary.NativeEndian.AppendUint16(b, h.Bus)
	for _, v := range []uint32{uint32(h.Vendor), uint32(h.Product), 0, 0} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return append(b, h.Descriptor...)
}

func padded(s string, size int) []byte {
	b := make([]byte, size)
	copy(b[:size-1], s)
	return b
}

func (u *UHID) write(message []byte) error {
	_, err := u.file.Write(append(message, make([]byte, uhidEventSize-len(message))...))
	return err
}

// serve answers the kernel until the device is closed: reports are taken, and
// those that are asked for are refused.
func (u *UHID) serve() {
	defer close(u.ended)
	buf := make([]byte, uhidEventSize)
	for {
		n, err := u.file.Read(buf)
		if err != nil || n < 8 {
			return
		}
		reply := make([]byte, 0, 16)
		switch binary.NativeEndian.Uint32(buf) {
		case uhidOpen:
			u.once.Do(func() { close(u.opened) })
			continue
		case uhidSetReport:
			reply = binary.NativeEndian.AppendUint32(reply, uhidSetReportReply)
			reply = append(reply, buf[4:8]...)
			reply = append(reply, 0, 0)
		case uhidGetReport:
			reply = binary.NativeEndian.AppendUint32(reply, uhidGetReportReply)
			reply = append(reply, buf[4:8]...)
			reply = binary.NativeEndian.AppendUint16(reply, uint16(unix.EIO))
			reply = append(reply, 0, 0)
		default:
			continue
		}
		if u.write(reply) != nil {
			return
		}
	}
}

// Opened is closed when somebody has the device open: the kernel drops what is
// sent before.
func (u *UHID) Opened() <-chan struct{} { return u.opened }

// Send gives the kernel an input report: struct uhid_input2_req, size and data.
func (u *UHID) Send(report []byte) error {
	if len(report) > maxHIDData {
		return fmt.Errorf("a report of %d bytes is longer than the kernel takes", len(report))
	}
	b := binary.NativeEndian.AppendUint32(nil, uhidInput2)
	b = binary.NativeEndian.AppendUint16(b, uint16(len(report)))
	return u.write(append(b, report...))
}

// Close takes the device away.
func (u *UHID) Close() error {
	_ = u.write(binary.NativeEndian.AppendUint32(nil, uhidDestroy))
	err := u.file.Close()
	<-u.ended
	return err
}

// uhidStage plays on a UHID.
type uhidStage struct{ *UHID }

// open makes the device, and waits until somebody reads it.
func (s *uhidStage) open(ctx context.Context, rec recording.Recording) (string, error) {
	var err error
	if s.UHID, err = NewUHID(HID{BusUSB, rec.Vendor, rec.Product, rec.Name, "", rec.Descriptor}); err != nil {
		return "", err
	}
	select {
	case <-s.opened:
		return fmt.Sprintf("a HID device %04x:%04x", rec.Vendor, rec.Product), nil
	case <-ctx.Done():
		s.Close()
		return "", ctx.Err()
	}
}

func (s *uhidStage) send(_ context.Context, e recording.Entry) error { return s.Send(e.Data) }

func (s *uhidStage) close() error { return s.Close() }
