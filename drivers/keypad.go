package drivers

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"posd/msr"
	"posd/tid"
)

// serialKeypad reads keypads that send a byte a key.
func serialKeypad() Driver {
	return Driver{
		Name: "serial-keypad", Role: RoleKeypad, Transport: TransportTTY,
		Doc: "keypads on a serial port, one ASCII character a key",
		Settings: []Setting{
			{"close_key", "a character, or a byte such as 0x23", "*", "the key that closes the basket"},
			{"timeout", "time span", "30s", "digits without Enter are dropped after it"},
		},
		Claim: claims(TransportTTY),
		Fits:  typed,
		Open:  openKeypad,
	}
}

// keyPause is less than a person takes from one key to the next, and more than
// a slow line from one character to the next.
const keyPause = 30 * time.Millisecond

// typed reports whether keys came one by one, at the pace of a person.
func typed(reads []Read) bool {
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

func openKeypad(_ Attributes, s Settings, rules tid.Rules) (Decoder, error) {
	closeKey, err := s.closeKey()
	if err != nil {
		return nil, err
	}
	timeout, err := s.span("timeout", 0)
	if err != nil {
		return nil, err
	}
	keypad, err := msr.NewKeypad(msr.KeypadOptions{Rules: rules, Close: closeKey, Timeout: timeout})
	if err != nil {
		return nil, err
	}
	return &keyDecoder{keypad: keypad}, nil
}

func (s Settings) closeKey() (byte, error) {
	v := s.get("close_key")
	switch len(v) {
	case 0:
		return 0, nil // msr's default
	case 1:
		return v[0], nil
	}
	digits, ok := strings.CutPrefix(strings.ToLower(v), "0x")
	b, err := strconv.ParseUint(digits, 16, 8)
	if !ok || err != nil || b == 0 {
		return 0, bad("close_key", fmt.Errorf("%q is neither a character nor a byte such as 0x23", v))
	}
	return byte(b), nil
}

// keyDecoder decodes keys.
type keyDecoder struct {
	keypad *msr.Keypad
}

func (d *keyDecoder) Decode(r Read) []Reading {
	var readings []Reading
	for _, c := range r.Data {
		if e, ok := d.keypad.Push(c, r.At); ok {
			readings = append(readings, entry(e, r.At))
		}
	}
	return readings
}

func (d *keyDecoder) Deadline() time.Time { return d.keypad.Deadline() }

func (d *keyDecoder) Expire(now time.Time) []Reading {
	due := d.keypad.Deadline()
	if e, ok := d.keypad.Expire(now); ok {
		return []Reading{entry(e, due)}
	}
	return nil
}

// entry makes a reading of what came of a key.
func entry(e msr.Entry, at time.Time) Reading {
	r := Reading{At: at}
	switch e.Kind {
	case msr.EntryNumber:
		r.Swipe = e.Swipe
	case msr.EntryOverflow:
		r.Err = &ReadError{string(e.Kind), "more digits were keyed in than any number has: press Clear and begin again"}
	case msr.EntryLineError:
		r.Err = &ReadError{string(e.Kind), "the keypad sent a byte that no key sends: check the plug and the speed of the line"}
	default:
		r.Key = &e
	}
	return r
}
