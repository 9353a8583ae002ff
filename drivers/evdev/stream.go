package evdev

import (
	"encoding/binary"
	"math/bits"

	"posd/drivers/keyboard"
	"posd/drivers/recording"
)

// The kernel's struct input_event begins with a time of two longs; behind it it
// is what recording.Event is, in the machine's byte order.
const (
	timeSize  = 2 * bits.UintSize / 8
	eventSize = timeSize + 8
)

var (
	report  = recording.Event{Type: keyboard.EvSyn, Code: keyboard.SynReport}
	dropped = recording.Event{Type: keyboard.EvSyn, Code: keyboard.SynDropped}
)

// locks are what Caps Lock and Num Lock are at the host.
type locks struct{ caps, num bool }

// home is how a host's locks are at first: as scanners and keypads take them to
// be that cannot ask.
var home = locks{num: true}

// press takes a key that is pressed.
func (l *locks) press(code uint16) {
	switch code {
	case keyboard.KeyCapsLock:
		l.caps = !l.caps
	case keyboard.KeyNumLock:
		l.num = !l.num
	}
}

// append appends the locks as events of lights.
func (l locks) append(b []byte) []byte {
	b = lamp(keyboard.LEDNumLock, l.num).Append(b)
	b = lamp(keyboard.LEDCapsLock, l.caps).Append(b)
	return report.Append(b)
}

func lamp(code uint16, on bool) recording.Event {
	e := recording.Event{Type: keyboard.EvLED, Code: code}
	if on {
		e.Value = 1
	}
	return e
}

// stream makes events of what the kernel gives.
//
// Where events were lost, the keys that are down could be asked of the kernel
// (EVIOCGKEY), but that also throws away the keys which wait to be read, and with
// them whole labels behind the gap. So all keys count as let go: whoever types
// text has to discard the label with the gap, and between labels no key is down.
type stream struct {
	time     int  // bytes of an event's time
	dropping bool // until the next SYN_REPORT
	locks    locks
	// unsure says that keys of the locks may have been lost, or are yet to come
	// of a label that is not whole: the locks are set right when it is quiet.
	unsure bool
}

// take appends the events of raw to b. raw is cut after its last whole event.
func (s *stream) take(b, raw []byte) []byte {
	for size := s.time + 8; len(raw) >= size; raw = raw[size:] {
		e := parse(raw[s.time:])
		switch {
		case e == dropped:
			s.dropping, s.unsure, s.locks = true, true, home
			b = e.Append(b)
		case s.dropping:
			s.dropping = e != report
		case e.Type == keyboard.EvKey:
			if e.Value == keyboard.Pressed {
				s.locks.press(e.Code)
			}
			b = e.Append(b)
		case e == report:
			b = e.Append(b)
		}
	}
	return b
}

// settle sets the locks right.
func (s *stream) settle(b []byte) []byte {
	s.unsure, s.locks = false, home
	return home.append(b)
}

func parse(raw []byte) recording.Event {
	return recording.Event{
		Type:  binary.NativeEndian.Uint16(raw),
		Code:  binary.NativeEndian.Uint16(raw[2:]),
		Value: int32(binary.NativeEndian.Uint32(raw[4:])),
	}
}

// appendRaw appends an event as the kernel takes it.
func appendRaw(b []byte, e recording.Event) []byte {
	b = append(b, make([]byte, timeSize)...)
	b = binary.NativeEndian.AppendUint16(b, e.Type)
	b = binary.NativeEndian.AppendUint16(b, e.Code)
	return binary.NativeEndian.AppendUint32(b, uint32(e.Value))
}
