// Package keypad has the drivers of keypads.
package keypad

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"posd/drivers/driver"
	"posd/msr"
	"posd/tid"
)

// Serial reads keypads that send a byte a key.
func Serial() driver.Driver {
	return driver.Driver{
		Name: "serial-keypad", Role: driver.Keypad, Transports: []driver.Transport{driver.TTY},
		Doc: "keypads on a serial port, one ASCII character a key",
		Settings: []driver.Setting{
			{Key: "close_key", Values: "a character, or a byte such as 0x23", Default: "*", Doc: "the key that closes the basket"},
			{Key: "timeout", Values: "time span", Default: "30s", Doc: "digits without Enter are dropped after it"},
		},
		Claim: func(a driver.Attributes) bool { return a.Transport == driver.TTY },
		Fits:  typed,
		Open:  openSerial,
	}
}

// keyPause is less than a person takes from one key to the next, and more than
// a slow line from one character to the next.
const keyPause = 30 * time.Millisecond

// typed reports whether keys came one by one, at the pace of a person.
func typed(reads []driver.Read) bool {
	slow := 0
	for i, r := range reads {
		if len(r.Data) > 1 {
			return false
		}
		if i > 0 && r.At.Sub(reads[i-1].At) >= keyPause {
			slow++
		}
	}
	return slow*2 >= len(reads)-1
}

func openSerial(_ driver.Attributes, s driver.Settings, rules tid.Rules) (driver.Decoder, error) {
	closing, err := closeKey(s)
	if err != nil {
		return nil, err
	}
	timeout, err := s.Span("timeout", 0)
	if err != nil {
		return nil, err
	}
	keypad, err := msr.NewKeypad(msr.KeypadOptions{Rules: rules, Close: closing, Timeout: timeout})
	if err != nil {
		return nil, err
	}
	return &keyDecoder{keypad: keypad}, nil
}

func closeKey(s driver.Settings) (byte, error) {
	v := s.Get("close_key")
	switch len(v) {
	case 0:
		return 0, nil // msr's default
	case 1:
		return v[0], nil
	}
	digits, ok := strings.CutPrefix(strings.ToLower(v), "0x")
	b, err := strconv.ParseUint(digits, 16, 8)
	if !ok || err != nil || b == 0 {
		return 0, driver.Bad("close_key", fmt.Errorf("%q is neither a character nor a byte such as 0x23", v))
	}
	return byte(b), nil
}

// keyDecoder decodes keys.
type keyDecoder struct {
	keypad *msr.Keypad
}

func (d *keyDecoder) Decode(r driver.Read, emit driver.Emit) {
	for _, c := range r.Data {
		if e, ok := d.keypad.Push(c, r.At); ok {
			emit(entry(e, r.At))
		}
	}
}

func (d *keyDecoder) Deadline() time.Time { return d.keypad.Deadline() }

func (d *keyDecoder) Expire(now time.Time, emit driver.Emit) {
	due := d.keypad.Deadline()
	if e, ok := d.keypad.Expire(now); ok {
		emit(entry(e, due))
	}
}

// entry makes a reading of what came of a key.
func entry(e msr.Entry, at time.Time) driver.Reading {
	switch e.Kind {
	case msr.EntryNumber:
		return driver.Reading{Type: driver.Swipe, At: at, Swipe: *e.Swipe}
	case msr.EntryOverflow:
		return driver.Failure(at, string(e.Kind), "more digits were keyed in than any number has: press Clear and begin again")
	case msr.EntryLineError:
		return driver.Failure(at, string(e.Kind), "the keypad sent a byte that no key sends: check the plug and the speed of the line")
	}
	return driver.Reading{Type: driver.Key, At: at, Key: e.Kind}
}
