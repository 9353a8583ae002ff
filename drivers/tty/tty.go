// Package tty reads serial ports: 16550s, USB converters, CDC-ACM devices and
// ptys. go.bug.st/serial sets the line; the bytes are read by a node.
package tty

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"

	"posd/drivers/node"
)

// Line is how a serial line is set.
type Line struct {
	Baud     int
	DataBits int
	Parity   byte // N, E, O, M or S
	StopBits int
}

// DefaultLine is what most scanners and readers are delivered with.
func DefaultLine() Line { return Line{9600, 8, 'N', 1} }

// ParseLine reads a line as 9600-8N1: speed, data bits, parity, stop bits. The
// empty text is DefaultLine.
func ParseLine(s string) (Line, error) {
	if s == "" {
		return DefaultLine(), nil
	}
	bad := fmt.Errorf("line %q is not like 9600-8N1: speed, 7 or 8 data bits, parity N, E, O, M or S, 1 or 2 stop bits", s)
	speed, frame, ok := strings.Cut(strings.ToUpper(s), "-")
	baud, err := strconv.Atoi(speed)
	if !ok || err != nil || baud < 50 || baud > 4_000_000 || len(frame) != 3 {
		return Line{}, bad
	}
	l := Line{baud, int(frame[0] - '0'), frame[1], int(frame[2] - '0')}
	if l.DataBits != 7 && l.DataBits != 8 || !strings.ContainsRune("NEOMS", rune(l.Parity)) || l.StopBits != 1 && l.StopBits != 2 {
		return Line{}, bad
	}
	return l, nil
}

// String gives the line as 9600-8N1.
func (l Line) String() string {
	return fmt.Sprintf("%d-%d%c%d", l.Baud, l.DataBits, l.Parity, l.StopBits)
}

// ByteBits is how many bits a byte takes on the line.
func (l Line) ByteBits() int {
	bits := 1 + l.DataBits + l.StopBits
	if l.Parity != 'N' {
		bits++
	}
	return bits
}

func (l Line) mode() *serial.Mode {
	m := &serial.Mode{BaudRate: l.Baud, DataBits: l.DataBits}
	m.Parity = map[byte]serial.Parity{
		'N': serial.NoParity, 'E': serial.EvenParity, 'O': serial.OddParity, 'M': serial.MarkParity, 'S': serial.SpaceParity,
	}[l.Parity]
	if l.StopBits == 2 {
		m.StopBits = serial.TwoStopBits
	}
	return m
}

// Port is an open serial port. Reads go by the node's own descriptor and not
// by the serial package's, whose Close lets a reader run into a descriptor
// number that is already somebody else's, and whose select cannot be woken.
type Port struct {
	*node.Node
	line serial.Port
}

// Open opens, locks and sets a port.
func Open(path string, l Line) (*Port, error) {
	n, real, err := node.Open(path)
	if err != nil {
		return nil, err
	}
	if err := n.Control(isTTY); err != nil {
		n.Close()
		return nil, &node.Error{State: node.Failed, Reason: path + " is no serial port", Remedy: "name a serial port as port, or another driver"}
	}
	line, err := serial.Open(real, l.mode())
	if err != nil {
		n.Close()
		return nil, openError(path, l, err)
	}
	p := &Port{n, line}
	p.raiseDTR()
	return p, nil
}

func isTTY(fd int) error {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err
}

// openError gives the serial package's codes back their cause.
func openError(path string, l Line, err error) error {
	var pe *serial.PortError
	if !errors.As(err, &pe) {
		return node.Fail(path, err)
	}
	switch pe.Code() {
	case serial.PortBusy:
		return node.Fail(path, unix.EBUSY)
	case serial.PermissionDenied:
		return node.Fail(path, unix.EACCES)
	case serial.InvalidSpeed, serial.InvalidDataBits, serial.InvalidParity, serial.InvalidStopBits:
		return &node.Error{State: node.Failed, Reason: fmt.Sprintf("%s cannot be set to %s", path, l), Remedy: "correct line in the configuration"}
	}
	return node.Fail(path, err)
}

// raiseDTR tells a CDC-ACM device that somebody listens: some send nothing
// before. A pty has no modem lines.
func (p *Port) raiseDTR() { _ = p.line.SetDTR(true) }

// Close releases the port.
func (p *Port) Close() error {
	return errors.Join(p.line.Close(), p.Node.Close())
}
