package keypad

import (
	"errors"
	"time"

	"posd/drivers/driver"
	"posd/tid"
)

// Serial reads keypads that send a byte a key, or what was keyed in as a frame.
func Serial() driver.Driver {
	return driver.Driver{
		Name: "serial-keypad", Role: driver.Keypad, Transports: []driver.Transport{driver.TTY},
		Doc: "keypads on a serial port, one ASCII character a key, and pin pads that send digits between STX and ETX",
		Mode: "as it comes: most send keys one by one. Pin pads such as HCC960 are told to by start = \"1B4D\" (ESC M; clear_key = 0x08 is their Clear), " +
			"or to send an entry between STX and ETX by start = \"1B49\" (ESC I) and frame = \"stx\"",
		Beep: "none",
		Settings: append(keySettings(),
			driver.Setting{Key: "enter_key", Values: "as close_key", Default: "CR or LF", Doc: "what Enter sends"},
			driver.Setting{Key: "clear_key", Values: "as close_key", Default: "ESC, CAN or C", Doc: "what Clear sends"},
			driver.Setting{Key: "frame", Values: "keys, stx, stx-lrc", Default: "keys", Doc: "an entry comes key by key, between STX and ETX, or so with the LRC behind it"},
			driver.Setting{Key: "start", Values: "bytes in hex", Doc: "sent when the keypad is opened, and after each framed entry, for those that are silent until they are told"},
		),
		Claim: func(a driver.Attributes) bool { return a.Transport == driver.TTY },
		Fits:  fits,
		Open:  openSerial,
	}
}

// fits reports whether keys came one by one, at the pace of a person, or digits
// between STX and ETX.
func fits(reads []driver.Read) bool {
	slow := 0
	for i, r := range reads {
		switch {
		case len(r.Data) > 0 && r.Data[0] == stx:
			return framesOfDigits(reads)
		case len(r.Data) > 1:
			return false
		case i > 0 && r.At.Sub(reads[i-1].At) >= keyPause:
			slow++
		}
	}
	return slow*2 >= len(reads)-1
}

func framesOfDigits(reads []driver.Read) bool {
	var f frame
	defer f.drop()
	for _, r := range reads {
		if r.At.Sub(f.last) >= frameExpiry {
			f.drop()
		}
		for _, c := range r.Data {
			if f.take(c, r.At) == framePart && c != stx && c != etx && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

func openSerial(_ driver.Attributes, s driver.Settings, rules tid.Rules) (driver.Decoder, error) {
	var d serialDecoder
	var err error
	if d.keyDecoder, err = newKeys(s, rules); err != nil {
		return nil, err
	}
	if d.enter, err = keySetting(s, "enter_key"); err != nil {
		return nil, err
	}
	if d.clear, err = keySetting(s, "clear_key"); err != nil {
		return nil, err
	}
	if d.start, err = s.Bytes("start"); err != nil {
		return nil, err
	}
	switch s.Get("frame") {
	case "", "keys":
	case "stx":
		d.framed = true
	case "stx-lrc":
		d.framed, d.frame.lrc = true, true
	default:
		return nil, driver.Bad("frame", errors.New("it is none of keys, stx, stx-lrc"))
	}
	d.again()
	return &d, nil
}

// serialDecoder decodes the keys of a serial keypad.
type serialDecoder struct {
	keyDecoder
	enter, clear byte // what these keys send, if that is not what others send
	start        []byte
	due          bool // start is to be sent
	framed       bool
	frame        frame
	beside       time.Time // when digits came that are in no frame; zero if none did since the last
}

// Due is never: nothing is said but first, and when something was wrong.
func (d *serialDecoder) Due() time.Time { return time.Time{} }

// Commands gives what the keypad is to be told.
func (d *serialDecoder) Commands() []driver.Command {
	if !d.due {
		return nil
	}
	d.due = false
	return []driver.Command{{Data: d.start}}
}

func (d *serialDecoder) Decode(r driver.Read, emit driver.Emit) {
	for _, c := range r.Data {
		if d.framed {
			d.framing(c, r.At, emit)
		} else {
			d.press(d.key(c), r.At, emit)
		}
	}
}

// besideFrame takes a byte that is in no frame. Digits there are told of, once for
// those that come together.
func (d *serialDecoder) besideFrame(c byte, at time.Time, emit driver.Emit) {
	if c < '0' || c > '9' {
		d.beside = time.Time{}
		d.press(d.key(c), at, emit)
		return
	}
	told := !d.beside.IsZero() && at.Sub(d.beside) < frameExpiry
	if d.beside = at; !told {
		emit(driver.Failure(at, "frame", "digits came that stand in no frame: check the setting frame, and how the keypad is set; key it in again"))
	}
}

// framing takes a byte of a keypad that sends frames. Beside them, keys other
// than digits may come.
func (d *serialDecoder) framing(c byte, at time.Time, emit driver.Emit) {
	switch d.frame.take(c, at) {
	case frameBeside:
		d.besideFrame(c, at, emit)
	case frameWhole:
		d.beside = time.Time{}
		d.entry(at, emit)
	case frameBad:
		d.again()
		emit(driver.Failure(at, "frame", "what was keyed in came damaged: check frame, and parity and speed of the line; key it in again"))
	}
}

// again has the keypad told to take the next entry.
func (d *serialDecoder) again() { d.due = len(d.start) > 0 }

// key gives what a byte is to package msr.
func (d *serialDecoder) key(c byte) byte {
	switch {
	case c == d.enter && c != 0:
		return '\r'
	case c == d.clear && c != 0:
		return 0x1b
	}
	return c
}

// entry takes what a frame holds, as if it had been keyed in. Enter ends it, and
// before it what no frame has ended.
func (d *serialDecoder) entry(at time.Time, emit driver.Emit) {
	d.press('\r', at, emit)
	for _, c := range d.frame.buf[:d.frame.n] {
		d.press(d.key(c), at, emit)
	}
	d.press('\r', at, emit)
	d.frame.drop()
	d.again()
}

func (d *serialDecoder) Deadline() time.Time {
	if d.frame.state != frameOut {
		return d.frame.last.Add(frameExpiry)
	}
	return d.keyDecoder.Deadline()
}

func (d *serialDecoder) Expire(now time.Time, emit driver.Emit) {
	if d.frame.state != frameOut && !now.Before(d.Deadline()) {
		d.frame.drop()
		d.again()
		emit(driver.Failure(d.frame.last, "incomplete", "the rest of what was keyed in did not come: key it in again"))
	}
	d.keyDecoder.Expire(now, emit)
}
