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
	busUSB        = 3
)

// uhid plays on a HID device of the kernel, made by a program.
type uhid struct {
	file   *os.File
	opened chan struct{} // closed when somebody reads the device
	once   sync.Once
	ended  chan struct{}
}

func newUHID() stage { return &uhid{opened: make(chan struct{}), ended: make(chan struct{})} }

// open makes the device, and waits until somebody reads it: the kernel drops
// what comes before.
func (u *uhid) open(ctx context.Context, rec recording.Recording) (string, error) {
	if len(rec.Descriptor) == 0 || len(rec.Descriptor) > maxHIDData {
		return "", fmt.Errorf("the recording has no report descriptor of up to %d bytes", maxHIDData)
	}
	var err error
	if u.file, err = os.OpenFile("/dev/uhid", os.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
		return "", fmt.Errorf("%w: try as root, with the module uhid loaded (modprobe uhid)", err)
	}
	if err := u.write(create2(rec)); err != nil {
		u.file.Close()
		return "", fmt.Errorf("make a HID device: %w", err)
	}
	go u.serve()
	select {
	case <-u.opened:
		return "a HID device " + fmt.Sprintf("%04x:%04x", rec.Vendor, rec.Product), nil
	case <-ctx.Done():
		u.close()
		return "", ctx.Err()
	}
}

// create2 is struct uhid_create2_req: name, phys, uniq, size of the descriptor,
// bus, vendor, product, version, country, descriptor.
func create2(rec recording.Recording) []byte {
	b := make([]byte, 0, uhidEventSize)
	b = binary.NativeEndian.AppendUint32(b, uhidCreate2)
	b = append(b, padded(rec.Name, 128)...)
	b = append(b, padded("posd/replay", 64)...)
	b = append(b, padded("", 64)...)
	b = binary.NativeEndian.AppendUint16(b, uint16(len(rec.Descriptor)))
	b = binary.NativeEndian.AppendUint16(b, busUSB)
	for _, v := range []uint32{uint32(rec.Vendor), uint32(rec.Product), 0, 0} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return append(b, rec.Descriptor...)
}

func padded(s string, size int) []byte {
	b := make([]byte, size)
	copy(b[:size-1], s)
	return b
}

func (u *uhid) write(message []byte) error {
	_, err := u.file.Write(append(message, make([]byte, uhidEventSize-len(message))...))
	return err
}

// serve answers the kernel until the device is closed: reports are taken, and
// those that are asked for are refused.
func (u *uhid) serve() {
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

// send gives a report: struct uhid_input2_req, size and data.
func (u *uhid) send(_ context.Context, e recording.Entry) error {
	if len(e.Data) > maxHIDData {
		return fmt.Errorf("a report of %d bytes is longer than the kernel takes", len(e.Data))
	}
	b := binary.NativeEndian.AppendUint32(nil, uhidInput2)
	b = binary.NativeEndian.AppendUint16(b, uint16(len(e.Data)))
	return u.write(append(b, e.Data...))
}

func (u *uhid) close() error {
	_ = u.write(binary.NativeEndian.AppendUint32(nil, uhidDestroy))
	err := u.file.Close()
	<-u.ended
	return err
}
