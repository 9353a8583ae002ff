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

// keySettings are the settings of all keypads.
func keySettings() []driver.Setting {
	return []driver.Setting{
		{Key: "close_key", Values: "a character, or a byte such as 0x23", Default: "*", Doc: "the key that closes the basket"},
		{Key: "timeout", Values: "time span", Default: "30s", Doc: "digits without Enter are dropped after it"},
	}
}

// keyPause is less than a person takes from one key to the next, and more than
// a slow line takes from one character to the next, or a scanner that plays a
// keyboard which is asked every 16 ms: 32 ms a key, press and release.
const keyPause = 50 * time.Millisecond

// keyDecoder makes readings of keys.
type keyDecoder struct {
	keypad *msr.Keypad
}

func newKeys(s driver.Settings, rules tid.Rules) (d keyDecoder, err error) {
	closing, err := keySetting(s, "close_key")
	if err != nil {
		return d, err
	}
	timeout, err := s.Span("timeout", 0)
	if err != nil {
		return d, err
	}
	d.keypad, err = msr.NewKeypad(msr.KeypadOptions{Rules: rules, Close: closing, Timeout: timeout})
	return d, err
}

// keySetting reads what a key sends; 0 if the setting is not given.
func keySetting(s driver.Settings, name string) (byte, error) {
	v := s.Get(name)
	switch len(v) {
	case 0:
		return 0, nil
	case 1:
		return v[0], nil
	}
	digits, ok := strings.CutPrefix(strings.ToLower(v), "0x")
	b, err := strconv.ParseUint(digits, 16, 8)
	if !ok || err != nil || b == 0 {
		return 0, driver.Bad(name, fmt.Errorf("%q is neither a character nor a byte such as 0x23", v))
	}
	return byte(b), nil
}

// press takes a key.
func (d *keyDecoder) press(c byte, at time.Time, emit driver.Emit) {
	if e, ok := d.keypad.Push(c, at); ok {
		emit(entry(e, at))
	}
}

// lose drops what was keyed in, and what comes up to Enter or Clear.
func (d *keyDecoder) lose(at time.Time, code, reason string, emit driver.Emit) {
	d.keypad.Push(0, at) // which no key sends
	emit(driver.Failure(at, code, reason))
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
