// Package card has the drivers of card readers.
//
// Of a card they give a swipe: its number, if a rule of the shop reads it, or
// what the reader encrypted. Whatever a reader shows masked is never taken for a
// number, and every buffer is cleared.
package card

import (
	"errors"
	"fmt"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/msr"
)

// The makers whose readers use page FF00.
const (
	magTek = 0x0801
	idTech = 0x0acd
)

// Codes of what cannot be read, beside those of tracks and frames.
const (
	codeReport    = "report"         // a report is not as its descriptor says
	codeRaw       = "raw"            // the reader sends bits, not characters
	codeNoKeys    = "no-keys"        // the reader encrypts, and holds no keys
	codeExhausted = "keys-exhausted" // the reader has used up its keys
)

const (
	noKeys    = "the reader says that it encrypts, and sends no key serial number: nobody could open its data. Have it loaded with keys"
	exhausted = "the reader has used up its keys and reads no card any more: have it loaded with new ones"
	rawBits   = "the reader is set to send the bits of the stripe: set it to send decoded tracks"
)

// swiped gives the reading of a swipe.
func swiped(at time.Time, s msr.Swipe) driver.Reading {
	if s.Encrypted != nil {
		return driver.Reading{Type: driver.Encrypted, At: at, Swipe: s}
	}
	return driver.Reading{Type: driver.Swipe, At: at, Swipe: s}
}

// unreadable is why a device cannot be read.
func unreadable(err error) error { return fmt.Errorf("read HID device: %w", err) }

// descriptorOf reads the report descriptor of a device.
func descriptorOf(a driver.Attributes) (hid.Descriptor, error) {
	if len(a.Descriptor) == 0 {
		return hid.Descriptor{}, errors.New("it has no HID report descriptor")
	}
	return hid.Parse(a.Descriptor)
}

// beginning gives a copy of the first n bytes of what was read.
func beginning(reads []driver.Read, n int) []byte {
	size := 0
	for _, r := range reads {
		size += len(r.Data)
	}
	b := make([]byte, 0, min(size, n)) // growing would leave copies behind
	for _, r := range reads {
		b = append(b, r.Data[:min(len(r.Data), n-len(b))]...)
	}
	return b
}

// number gives the value of a slot that may be absent: 0 then.
func number(s hid.Slot, data []byte) int {
	v, _ := s.Value(data, 0)
	return int(v)
}

// states gives the states of tracks 1 to 3 before anything is known of them.
func states() []msr.Track {
	tracks := make([]msr.Track, 3)
	for i := range tracks {
		tracks[i] = msr.Track{Number: i + 1, Status: msr.TrackNone}
	}
	return tracks
}
