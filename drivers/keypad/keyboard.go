package keypad

import (
	"time"

	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
	"posd/tid"
)

// Keyboard reads keypads that are keyboards.
func Keyboard() driver.Driver {
	return driver.Driver{
		Name: "keyboard-keypad", Role: driver.Keypad, Transports: []driver.Transport{driver.Evdev},
		Doc:  "numeric keypads of USB or PS/2 that are keyboards to the computer",
		Mode: "as it comes: the digits count whether Num Lock is on or off; Enter ends a number, Esc clears it, Backspace takes its last digit back",
		Beep: "none",
		Settings: append(keySettings(),
			driver.Setting{Key: "layout", Values: keyboard.LayoutNames(), Default: "us", Doc: "the keyboard layout of a keypad that has keys of other kinds"},
			driver.Setting{Key: "num_lock_clears", Values: "true, false", Default: "false", Doc: "Num Lock clears what was keyed in, as on keypads that call it Clear; many press it by themselves with every digit"},
		),
		Claim: func(a driver.Attributes) bool {
			return a.Transport == driver.Evdev && (a.Keys == nil || keyboard.IsNumericPad(a.Keys) || keyboard.IsKeyboard(a.Keys))
		},
		Fits: pressed,
		Open: openKeyboard,
	}
}

func openKeyboard(_ driver.Attributes, s driver.Settings, rules tid.Rules) (driver.Decoder, error) {
	layout, err := keyboard.ParseLayout(s.Get("layout"))
	if err != nil {
		return nil, driver.Bad("layout", err)
	}
	clears, err := s.Flag("num_lock_clears")
	if err != nil {
		return nil, err
	}
	keys, err := newKeys(s, rules)
	if err != nil {
		return nil, err
	}
	return &padDecoder{keyDecoder: keys, typist: keyboard.NewTypist(layout, nil), clears: clears}, nil
}

// padDecoder decodes the keys of a keypad that is a keyboard.
type padDecoder struct {
	keyDecoder
	typist *keyboard.Typist
	clears bool // Num Lock does
}

func (d *padDecoder) Decode(r driver.Read, emit driver.Emit) {
	for e := range recording.Events(r.Data) {
		c, lost := d.key(e)
		switch {
		case lost:
			d.lose(r.At, "keys-lost", "keys came faster than they were read, and some are lost: press Clear and begin again", emit)
		case c != 0:
			d.press(c, r.At, emit)
		}
	}
}

const esc = 0x1b

// key gives the character of a key that is pressed, 0 if it has no meaning on a
// keypad.
func (d *padDecoder) key(e recording.Event) (c byte, lost bool) {
	stroke, ok := d.typist.Type(e)
	if ok && stroke.Lost {
		return 0, true
	}
	if e.Type == keyboard.EvKey && e.Value == keyboard.Pressed {
		if digit, ok := padDigit(e.Code); ok {
			return '0' + digit, false
		}
		if e.Code == keyboard.KeyNumLock && d.clears {
			return esc, false
		}
	}
	var b [8]byte
	text := stroke.Append(b[:0])
	if !ok || len(text) != 1 || !meant(text[0]) {
		return 0, false
	}
	return text[0], false
}

// meant reports whether a character can be of a key of a keypad: printable, or
// one that ends, clears or corrects.
func meant(c byte) bool {
	return c >= ' ' && c <= '~' || c == '\r' || c == '\n' || c == '\b' || c == 0x7f || c == esc
}

// padDigit gives the digit of a key of the keypad, whether Num Lock is on or not.
func padDigit(code uint16) (byte, bool) {
	for digit, key := range [...]uint16{
		keyboard.KeyKP0, keyboard.KeyKP1, keyboard.KeyKP2, keyboard.KeyKP3, keyboard.KeyKP4,
		keyboard.KeyKP5, keyboard.KeyKP6, keyboard.KeyKP7, keyboard.KeyKP8, keyboard.KeyKP9,
	} {
		if key == code {
			return byte(digit), true
		}
	}
	return 0, false
}

// pressed reports whether keys were pressed one by one, at the pace of a person,
// and none was a letter.
func pressed(reads []driver.Read) bool {
	d := padDecoder{typist: keyboard.NewTypist(keyboard.US, nil)}
	keys, slow, last := 0, 0, time.Time{}
	for _, r := range reads {
		for e := range recording.Events(r.Data) {
			if e.Type != keyboard.EvKey || e.Value != keyboard.Pressed {
				continue
			}
			if c, _ := d.key(e); c|0x20 >= 'a' && c|0x20 <= 'z' {
				return false
			}
			if keys++; keys > 1 && r.At.Sub(last) >= keyPause {
				slow++
			}
			last = r.At
		}
	}
	return slow*2 >= keys-1
}
