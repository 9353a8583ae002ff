package recording

import (
	"encoding/binary"
	"iter"
)

// Event is an input event (linux/input.h) without its time.
type Event struct {
	Type, Code uint16
	Value      int32
}

// EventSize is how many bytes an event has in its binary form: type and code
// of two bytes, a value of four, the least significant first. It is what a read
// of an input device gives, on every machine.
const EventSize = 8

// Append appends the binary form of an event.
func (e Event) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, e.Type)
	b = binary.LittleEndian.AppendUint16(b, e.Code)
	return binary.LittleEndian.AppendUint32(b, uint32(e.Value))
}

// Events gives the events that b holds in binary form. A rest of less than
// EventSize bytes is none.
func Events(b []byte) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for ; len(b) >= EventSize; b = b[EventSize:] {
			e := Event{
				Type:  binary.LittleEndian.Uint16(b),
				Code:  binary.LittleEndian.Uint16(b[2:]),
				Value: int32(binary.LittleEndian.Uint32(b[4:])),
			}
			if !yield(e) {
				return
			}
		}
	}
}
