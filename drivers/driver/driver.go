// Package driver is the vocabulary of device drivers: what a driver is, what it
// is told of a device, and what it makes of what the device sends.
//
// A driver is data and pure functions, a [Driver] in the ordered table of
// package drivers: which devices it can read, and how to make a [Decoder], which
// turns reads into readings. Everything that depends on time goes by the times
// at which bytes were read, never by a clock: a recording replayed through a
// driver gives the readings that the live device gave. docs/writing-a-driver.md
// takes a newcomer through adding one.
package driver

import (
	"time"

	"posd/msr"
	"posd/scanner"
	"posd/tid"
)

// Type is the type of a reading.
type Type string

// The types of reading.
const (
	Scan      Type = "scan"
	Swipe     Type = "swipe"           // of a card, or a number that was keyed in
	Encrypted Type = "encrypted-swipe" // of a reader that encrypts: there is no number to be had
	Key       Type = "key-entry"       // a key that is no number
	Error     Type = "error"           // something that could not be read
)

// Reading is one thing that a device read. Type says which of Scan, Swipe, Key
// and Err is set. Whoever takes it takes over the Swipe, and wipes it.
type Reading struct {
	Type   Type
	Device string    // the name of the device
	At     time.Time // when its last byte was read
	Scan   scanner.Scan
	Swipe  msr.Swipe // of Swipe and Encrypted
	Key    msr.EntryKind
	Err    ReadError
	// Ack tells the device whether the reading was kept, where the host gives
	// the signal of a good or bad read; nil elsewhere. It does not block, and
	// may be called from any goroutine, also after the device is gone.
	Ack func(kept bool)
}

// ReadError says why input could not be read. It repeats nothing of the input.
type ReadError struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

func (e *ReadError) Error() string { return e.Code + ": " + e.Reason }

// Failure makes a reading of what could not be read.
func Failure(at time.Time, code, reason string) Reading {
	return Reading{Type: Error, At: at, Err: ReadError{code, reason}}
}

// Emit takes a reading.
type Emit func(Reading)

// Read is what one read of a device node gave: bytes of a line, one report of a
// HID device (with its id first where it has ids), or input events of eight
// bytes each (recording.Events).
type Read struct {
	At   time.Time
	Data []byte // valid during the call only, and cleared after it
}

// Decoder makes readings of the reads of one device. It is used by one
// goroutine and goes by the times it is given alone.
type Decoder interface {
	Decode(r Read, emit Emit)
	// Deadline is when what was read so far expires; zero if nothing was begun.
	Deadline() time.Time
	// Expire ends what has waited until now.
	Expire(now time.Time, emit Emit)
}

// Talker is a Decoder whose device has to be spoken to: it is silent until it
// is enabled, or tells its state when asked.
type Talker interface {
	Decoder
	// Due is when it wants to talk, whatever is read; zero if only of what is.
	// Expire comes then. A first Due of Start comes at once, with the time that it
	// is.
	Due() time.Time
	// Commands gives what is to be sent to the device now, in order, and
	// forgets it. It is asked after every Feed, the first of which is empty.
	Commands() []Command
}

// Command is something to be sent to a device.
type Command struct {
	// Feature says that it is a feature report of a HID device, and no output
	// report.
	Feature bool
	// Data is the bytes for a line, or a report of a HID device behind its id,
	// which is 0 where the device has no ids.
	Data []byte
}

// Start is when a Talker is due that wants to know when it begins: long ago.
func Start() time.Time { return time.Time{}.Add(1) }

// Due is when a decoder's Expire is worth a call: zero if only a read is.
func Due(dec Decoder) time.Time {
	due := dec.Deadline()
	if t, ok := dec.(Talker); ok {
		if talk := t.Due(); due.IsZero() || !talk.IsZero() && talk.Before(due) {
			return talk
		}
	}
	return due
}

// Feed gives a read, which may be empty, to a decoder: what had to expire
// before it expires first, however late the read came to be looked at.
func Feed(dec Decoder, r Read, emit Emit) {
	for due := Due(dec); !due.IsZero() && !due.After(r.At); {
		now := due
		if due.Equal(Start()) {
			now = r.At
		}
		dec.Expire(now, emit)
		next := Due(dec)
		if !next.After(due) { // the decoder waits for something else than time
			break
		}
		due = next
	}
	if len(r.Data) > 0 {
		dec.Decode(r, emit)
	}
}

// Role is what a device is for.
type Role string

// The roles of devices.
const (
	Scanner Role = "scanner"
	MSR     Role = "msr"
	Keypad  Role = "keypad"
)

// Roles gives all roles.
func Roles() []Role { return []Role{Scanner, MSR, Keypad} }

// Transport is the kind of node that a device is read through.
type Transport string

// The transports.
const (
	TTY    Transport = "tty"    // ttyS, ttyUSB, ttyACM, a pty
	HIDRaw Transport = "hidraw" // reports of a HID device
	Evdev  Transport = "evdev"  // /dev/input/event*: keys
	USBFS  Transport = "usbfs"  // reports of a USB device taken from its kernel driver, or that has none
)

// Attributes is what can be known of a device before it is read.
type Attributes struct {
	Transport  Transport
	Vendor     uint16 // of USB or Bluetooth; 0 if there is none
	Product    uint16
	Name       string
	Descriptor []byte   // the HID report descriptor
	Keys       []uint64 // of an input device: the bits of the keys that it has
}

// HasKey reports whether an input device has the key of a code.
func (a Attributes) HasKey(code uint16) bool {
	word := int(code / 64)
	return word < len(a.Keys) && a.Keys[word]>>(code%64)&1 != 0
}

// Driver is a row of the table.
type Driver struct {
	Name       string
	Role       Role
	Transports []Transport
	Doc        string // what it reads, in a line
	Mode       string // how a device is put into the mode that this driver reads
	Beep       string // who gives the good-read signal, the device or the host, and how that is chosen
	Settings   []Setting

	// Claim reports whether this driver can read a device. Serial ports and
	// keyboards do not tell what is behind them: every driver claims them all.
	Claim func(Attributes) bool
	// Adopt reports whether a device is certainly this driver's, so that it may
	// be read without being configured; nil: never.
	Adopt func(Attributes) bool
	// Fits reports whether reads look like those of this driver's device. It
	// is what "auto" goes by where Claim cannot tell; nil fits all.
	Fits func([]Read) bool
	// Open makes a decoder.
	Open func(Attributes, Settings, tid.Rules) (Decoder, error)
	// Signals gives what tells the device that a reading was kept, and that it
	// was not, where the host gives the signal; nil: the device does.
	Signals func(Attributes, Settings) (kept, refused []Command, err error)
}

// Reads reports whether the driver reads through a transport.
func (d Driver) Reads(t Transport) bool {
	for _, have := range d.Transports {
		if have == t {
			return true
		}
	}
	return false
}
