package emul

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// vhci is the virtual host controller. Its driver takes the host's end of a
// stream, over which it talks USB/IP's messages about URBs (the kernel's
// Documentation/usb/usbip_protocol.rst).
const vhci = "/sys/devices/platform/vhci_hcd.0/"

// Ports is how many sockets for plugs a Debian kernel has: those of USB 2. (As many
// are for USB 3.)
const Ports = 15

// The messages of USB/IP that are used here; each begins with 48 bytes, numbers
// most significant byte first.
const (
	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4

	headerSize = 48
	dirIn      = 1
	fullSpeed  = 2
)

// request is a URB of the host's that waits for data.
type request struct {
	number, endpoint, length uint32
}

// link is a device that is plugged in.
type link struct {
	port   int
	file   *os.File
	device *USB
	ended  chan struct{}

	mu sync.Mutex // of writes
}

// Plug is a device's plug in a socket.
type Plug struct{ link *link }

// Plug plugs the device into a socket of the virtual hub (0 to Ports-1).
func (d *USB) Plug(port int) (*Plug, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("plug in: %v", err)
	}
	defer unix.Close(ends[1]) // the kernel has a reference of its own
	l := &link{port: port, file: os.NewFile(uintptr(ends[0]), "usb"), device: d, ended: make(chan struct{})}
	for _, e := range d.endpoints() {
		e.connect(l)
	}
	// The device id is bus and number where it comes from; any will do.
	attach := fmt.Sprintf("%d %d %d %d", port, ends[1], 1<<16|(port+1), fullSpeed)
	if err := os.WriteFile(vhci+"attach", []byte(attach), 0); err != nil {
		l.file.Close()
		return nil, fmt.Errorf("plug into socket %d: %v", port, err)
	}
	go l.serve()
	return &Plug{l}, nil
}

func (d *USB) endpoints() []*Endpoint {
	var all []*Endpoint
	for _, i := range d.Interfaces {
		all = append(all, i.Endpoints...)
	}
	return all
}

// Pull pulls the plug, and returns when the socket is free for another and the
// kernel has seen it: to a hub that has much to do, a plug that is soon back was
// never out.
func (p *Plug) Pull() error {
	l := p.link
	if err := os.WriteFile(vhci+"detach", []byte(strconv.Itoa(l.port)), 0); err != nil {
		return fmt.Errorf("pull from socket %d: %v", l.port, err)
	}
	<-l.ended
	for { // nothing tells when the hub has done with the socket
		free, err := isFree(l.port)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(fmt.Sprintf("/sys/bus/usb/devices/1-%d", l.port+1)); free && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// isFree reads vhci's list of sockets: hub, socket, state and more.
func isFree(port int) (bool, error) {
	const free = "004"
	b, err := os.ReadFile(vhci + "status")
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "hs" && f[1] == fmt.Sprintf("%04d", port) {
			return f[2] == free, nil
		}
	}
	return false, errors.Join(err, fmt.Errorf("socket %d is not in %sstatus", port, vhci))
}

// serve answers the host until the plug is pulled.
func (l *link) serve() {
	defer close(l.ended)
	defer l.file.Close()
	defer func() {
		for _, e := range l.device.endpoints() {
			e.connect(nil)
		}
	}()
	header := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(l.file, header); err != nil {
			return
		}
		if err := l.handle(header); err != nil {
			return
		}
	}
}

// handle does what one message asks for.
func (l *link) handle(h []byte) error {
	be := binary.BigEndian
	command, number, in, endpoint := be.Uint32(h), be.Uint32(h[4:]), be.Uint32(h[12:]) == dirIn, be.Uint32(h[16:])
	switch command {
	case cmdUnlink:
		l.unlink(number, be.Uint32(h[20:]))
		return nil
	case cmdSubmit:
	default:
		return errors.New("a message of USB/IP that is not known")
	}
	r := request{number, endpoint, be.Uint32(h[24:])}
	var data []byte
	if !in {
		data = make([]byte, r.length)
		if _, err := io.ReadFull(l.file, data); err != nil {
			return err
		}
	}
	switch {
	case endpoint == 0:
		l.control(r, h[40:48], data)
	case in:
		l.find(endpoint | In).ask(r)
	default:
		if e := l.find(endpoint); e.Out != nil {
			e.Out(data)
		}
		l.took(r, uint32(len(data)))
	}
	return nil
}

// find gives an endpoint, or one that does nothing in place of what is not there.
func (l *link) find(address uint32) *Endpoint {
	for _, e := range l.device.endpoints() {
		if uint32(e.Address) == address {
			return e
		}
	}
	return &Endpoint{link: l}
}

func (l *link) control(r request, b, data []byte) {
	le := binary.LittleEndian
	s := Setup{b[0], b[1], le.Uint16(b[2:]), le.Uint16(b[4:]), le.Uint16(b[6:])}
	answer, ok := l.device.control(s, data)
	switch {
	case !ok:
		l.answer(r, -int32(unix.EPIPE), nil) // a stall
	case s.Type&deviceToHost != 0:
		l.answer(r, 0, answer[:min(len(answer), int(s.Length))])
	default:
		l.took(r, uint32(len(data)))
	}
}

// unlink tells the host that a request of its was taken back, or that it is
// answered already.
func (l *link) unlink(number, which uint32) {
	status := int32(0)
	for _, e := range l.device.endpoints() {
		if e.Address&In != 0 && e.forget(which) {
			status = -int32(unix.ECONNRESET)
		}
	}
	b := message(retUnlink, number)
	binary.BigEndian.PutUint32(b[20:], uint32(status))
	l.send(b)
}

// answer ends a request to read, or one that failed.
func (l *link) answer(r request, status int32, data []byte) {
	b := message(retSubmit, r.number)
	binary.BigEndian.PutUint32(b[20:], uint32(status))
	binary.BigEndian.PutUint32(b[24:], uint32(len(data)))
	l.send(append(b, data...))
}

// took ends a request to write.
func (l *link) took(r request, n uint32) {
	b := message(retSubmit, r.number)
	binary.BigEndian.PutUint32(b[24:], n)
	l.send(b)
}

func message(command, number uint32) []byte {
	b := make([]byte, headerSize)
	binary.BigEndian.PutUint32(b, command)
	binary.BigEndian.PutUint32(b[4:], number)
	return b
}

// send writes a message. That the plug was pulled meanwhile is seen by serve.
func (l *link) send(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.Write(b)
}
