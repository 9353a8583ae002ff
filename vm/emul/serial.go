package emul

import (
	"encoding/binary"
	"sync"
)

// Serial is the device at the far end of a serial port of USB.
type Serial struct {
	in *Endpoint

	mu       sync.Mutex
	dtr      bool
	raised   int    // how often DTR went up
	baud     uint32 // as it was set last
	received []byte
	on       func([]byte)
	head     []byte // goes before what is sent
	piece    int    // the most that is sent at once, with its head; 0: all
}

// Send sends bytes, as at once as the port does.
func (s *Serial) Send(b []byte) {
	s.mu.Lock()
	head, piece := s.head, s.piece
	s.mu.Unlock()
	for len(b) > 0 {
		n := len(b)
		if piece > 0 {
			n = min(n, piece-len(head))
		}
		s.in.Send(append(append([]byte{}, head...), b[:n]...))
		b = b[n:]
	}
}

// Drain waits until the host has taken all that was sent; it is false if the
// plug was pulled.
func (s *Serial) Drain() bool { return s.in.Drain() }

// On has f called with what the host sends.
func (s *Serial) On(f func([]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = f
}

// Received gives what the host has sent.
func (s *Serial) Received() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte{}, s.received...)
}

// DTR tells whether the host holds DTR up, and how often it went up.
func (s *Serial) DTR() (up bool, raised int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dtr, s.raised
}

// Reset forgets that DTR is up, as a device does that lost its power. How often it
// went up stays.
func (s *Serial) Reset() { s.setDTR(false) }

// Baud gives the speed that the host set.
func (s *Serial) Baud() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baud
}

func (s *Serial) out(b []byte) {
	s.mu.Lock()
	s.received = append(s.received, b...)
	on := s.on
	s.mu.Unlock()
	if on != nil {
		on(b)
	}
}

func (s *Serial) setDTR(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if up && !s.dtr {
		s.raised++
	}
	s.dtr = up
}

// The requests of CDC PSTN 1.2, 6.3.
const (
	setLineCoding       = 0x20
	getLineCoding       = 0x21
	setControlLineState = 0x22
)

// ACM makes the two interfaces of a modem (CDC-ACM), which is what scanners with
// USB-COM are to the host, the first being interface number first. They use the
// endpoints 1 and 2, counted from first.
func ACM(first byte) ([]*Interface, *Serial) {
	s := &Serial{in: &Endpoint{Address: In | first + 2, Kind: Bulk}}
	coding := []byte{0x80, 0x25, 0, 0, 0, 0, 8} // 9600-8N1
	control := &Interface{Class: 2, Subclass: 2, Protocol: 1, Joined: 2, Endpoints: []*Endpoint{{Address: In | first + 1, Kind: Interrupt}}}
	control.Extra = []byte{
		5, 0x24, 0, 0x10, 0x01, // header
		5, 0x24, 1, 0, first + 1, // call management: none
		4, 0x24, 2, 2, // line coding and line state
		5, 0x24, 6, first, first + 1, // union
	}
	control.Control = func(r Setup, data []byte) ([]byte, bool) {
		s.mu.Lock()
		c := coding
		s.mu.Unlock()
		switch {
		case r.Type&typeMask != classType:
			return nil, false
		case r.Request == getLineCoding:
			return c, true
		case r.Request == setLineCoding && len(data) == len(coding):
			s.mu.Lock()
			coding, s.baud = data, binary.LittleEndian.Uint32(data)
			s.mu.Unlock()
			return nil, true
		case r.Request == setControlLineState:
			s.setDTR(r.Value&1 != 0)
			return nil, true
		}
		return nil, false
	}
	data := &Interface{Class: 10, Endpoints: []*Endpoint{s.in, {Address: first + 2, Kind: Bulk, Out: s.out}}}
	return []*Interface{control, data}, s
}

// The requests of FTDI's converters (AN232B and the kernel's ftdi_sio.h).
const (
	ftdiReset            = 0
	ftdiModem            = 1
	ftdiFlow             = 2
	ftdiBaud             = 3
	ftdiData             = 4
	ftdiStatus           = 5
	ftdiSetLatency       = 9
	ftdiGetLatency       = 10
	ftdiParityError      = 0x04 // in the second byte of what it sends
	ftdiTransmitterEmpty = 0x60
)

// FTDI makes the converter FT232R (0403:6001) with something at its serial port.
func FTDI(serial string) (*USB, *Serial) {
	s := &Serial{in: &Endpoint{Address: In | 1, Kind: Bulk}, head: []byte{0x01, ftdiTransmitterEmpty}, piece: 64}
	port := &Interface{Class: 0xff, Subclass: 0xff, Protocol: 0xff, Endpoints: []*Endpoint{s.in, {Address: 2, Kind: Bulk, Out: s.out}}}
	d := &USB{Vendor: 0x0403, Product: 0x6001, Release: 0x0600, Maker: "FTDI", Model: "FT232R USB UART", Serial: serial, Interfaces: []*Interface{port}}
	d.Control = func(r Setup, _ []byte) ([]byte, bool) {
		switch {
		case r.Type&typeMask != vendorType:
			return nil, false
		case r.Request == ftdiModem && r.Value&0x100 != 0:
			s.setDTR(r.Value&1 != 0)
		case r.Request == ftdiGetLatency:
			return []byte{16}, true
		case r.Request == ftdiStatus:
			return s.head, true
		}
		return []byte{0}, true
	}
	return d, s
}

// BadParity has the converter mark what it sends from now on as received with bad
// parity, or not.
func (s *Serial) BadParity(bad bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = []byte{0x01, ftdiTransmitterEmpty}
	if bad {
		s.head[1] |= ftdiParityError
	}
}
