// Package drivers reads the devices of a lane: scanners, card readers and
// keypads.
//
// A driver is data and pure functions, one row of one ordered table (Table):
// which nodes it claims, and how to make a Decoder, which turns reads into
// readings. Transports (packages tty and hidraw) move bytes and know no
// driver. A Manager gives each configured device a goroutine that owns the
// port, opens it again after an unplug, and never waits for a consumer.
//
// Everything that depends on time goes by the times at which bytes were read,
// never by a clock: a Recording replayed through a driver gives the readings
// that the live device gave.
package drivers

import (
	"time"

	"posd/msr"
	"posd/scanner"
	"posd/tid"
)

// Reading is one thing that a device read: one of Scan, Swipe, Key and Err is
// set. Whoever takes it takes over the Swipe, and wipes its TID.
type Reading struct {
	Device string    // the name of the device
	At     time.Time // when its last byte was read
	Scan   *scanner.Scan
	Swipe  *msr.Swipe
	Key    *msr.Entry // a key that is no number: close, clear, time-out
	Err    *ReadError
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

// Sink takes readings. It must not block; false means that the reading was not
// taken, which the device counts and signals as a bad read.
type Sink func(Reading) bool

// Read is what one read of a device node gave.
type Read struct {
	At   time.Time
	Data []byte // valid during the call only, and cleared after it
}

// Decoder makes readings of the reads of one device. It is used by one
// goroutine and goes by the times it is given alone.
type Decoder interface {
	Decode(r Read) []Reading
	// Deadline is when what was read so far expires; zero if nothing waits.
	Deadline() time.Time
	// Expire ends what has waited until now.
	Expire(now time.Time) []Reading
}

// The roles of devices.
const (
	RoleScanner = "scanner"
	RoleMSR     = "msr"
	RoleKeypad  = "keypad"
)

// The transports.
const (
	TransportTTY    = "tty"
	TransportHIDRaw = "hidraw"
)

// Attributes is what can be known of a device before it is read.
type Attributes struct {
	Transport  string
	Vendor     uint16 // of USB; 0 if there is none
	Product    uint16
	Name       string
	Descriptor []byte // the HID report descriptor
}

// Driver is a row of the table.
type Driver struct {
	Name      string
	Role      string
	Transport string
	Doc       string    // what it reads, in a line
	Settings  []Setting // what the configuration may say
	// Claim reports whether a device may be this driver's. Serial ports do not
	// tell what is behind them: every serial driver claims them all.
	Claim func(Attributes) bool
	// Fits reports whether reads look like those of this driver's device. It
	// is what "auto" goes by where Claim cannot tell; nil fits all.
	Fits func([]Read) bool
	// Open makes a decoder.
	Open func(Attributes, Settings, tid.Rules) (Decoder, error)
}
