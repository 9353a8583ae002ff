package emul

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
)

// UHID is a HID device without a USB cable, as Bluetooth's are: it is made by
// /dev/uhid (linux/uhid.h).
type UHID struct {
	file *os.File

	mu      sync.Mutex
	open    bool
	outputs [][]byte
}

// The events of uhid that are used here.
const (
	uhidDestroy      = 1
	uhidOpen         = 4
	uhidClose        = 5
	uhidOutput       = 6
	uhidGetReport    = 9
	uhidGetAnswer    = 10
	uhidCreate2      = 11
	uhidInput2       = 12
	uhidSetReport    = 13
	uhidSetAnswer    = 14
	uhidEventSize    = 4 + 128 + 64 + 64 + 2 + 2 + 4*4 + 4096
	uhidMaxReport    = 4096
	busBluetooth     = 5
	uhidNotSupported = 95 // EOPNOTSUPP
)

// NewUHID makes a Bluetooth device with the report descriptor. Unique is its
// address.
func NewUHID(vendor, product uint16, name, unique string, descriptor []byte) (*UHID, error) {
	f, err := os.OpenFile("/dev/uhid", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	field := func(s string, size int) { b.WriteString(s + string(make([]byte, size-len(s)))) }
	field(name, 128)
	field("bluetooth", 64)
	field(unique, 64)
	binary.Write(&b, binary.NativeEndian, []uint16{uint16(len(descriptor)), busBluetooth})
	binary.Write(&b, binary.NativeEndian, []uint32{uint32(vendor), uint32(product), 0x100, 0})
	b.Write(descriptor)
	d := &UHID{file: f}
	if err := d.event(uhidCreate2, b.Bytes()); err != nil {
		f.Close()
		return nil, fmt.Errorf("make a device of uhid: %v", err)
	}
	go d.listen()
	return d, nil
}

func (d *UHID) event(kind uint32, body []byte) error {
	b := binary.NativeEndian.AppendUint32(nil, kind)
	_, err := d.file.Write(append(b, body...))
	return err
}

// Send sends an input report.
func (d *UHID) Send(report []byte) error {
	b := binary.NativeEndian.AppendUint16(nil, uint16(len(report)))
	return d.event(uhidInput2, append(b, report...))
}

// Close takes the device away.
func (d *UHID) Close() error { return d.file.Close() }

// Open tells whether somebody has the device open.
func (d *UHID) Open() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// Outputs gives the output reports that came.
func (d *UHID) Outputs() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([][]byte{}, d.outputs...)
}

// listen takes what the kernel says until the device is closed.
func (d *UHID) listen() {
	b := make([]byte, uhidEventSize)
	for {
		n, err := d.file.Read(b)
		if err != nil || n < 4 {
			return
		}
		d.heard(binary.NativeEndian.Uint32(b), b[4:n])
	}
}

func (d *UHID) heard(kind uint32, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch kind {
	case uhidOpen, uhidClose:
		d.open = kind == uhidOpen
	case uhidOutput:
		size := binary.NativeEndian.Uint16(body[uhidMaxReport:])
		d.outputs = append(d.outputs, bytes.Clone(body[:size]))
	case uhidGetReport, uhidSetReport: // the device has no feature reports
		answer := append(bytes.Clone(body[:4]), uhidNotSupported, 0, 0, 0)
		d.event(kind+1, answer)
	}
}
