package technician

import (
	"strings"

	"posd/basket"
	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/hid"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
	"posd/tid"
)

// What stands in the place of what is masked. Nines are no card's number: their
// check digit is wrong at every length that cards have.
const (
	maskDigit  = '9'
	maskLetter = 'X'
	maskByte   = 0xaa
)

// mask takes the digits of cards and of persons' numbers out of a burst, and
// reports whether it did. Published test numbers may stay if testCards says so,
// where there is no other number beside them.
func mask(b *Burst, rules tid.Rules, testCards bool) bool {
	if !secret(b, rules) || testCards && onlyTestNumbers(text(b)) {
		return false
	}
	switch b.Source.Attributes.Transport {
	case driver.Evdev:
		maskKeys(b)
	case driver.HIDRaw, driver.USBFS:
		maskReports(b)
		maskText(b)
	default:
		maskText(b)
	}
	return true
}

// secret reports whether a burst may hold the number of a card or a person: all
// that a card reader or keypad sends may; a scanner's label only if a driver
// finds that it is one, or if its text looks like one.
func secret(b *Burst, rules tid.Rules) bool {
	if b.Source.Role != driver.Scanner || basket.HoldsCardNumber(text(b)) {
		return true
	}
	for _, o := range drivers.Analyse(b.Source, b.Reads, rules) {
		for _, e := range o.Events {
			if e.Code == "card-data" || e.Label != "" && personal(e) {
				return true
			}
		}
	}
	return false
}

// text gives what a burst says, of keys what they type.
func text(b *Burst) string {
	var s strings.Builder
	if b.Source.Attributes.Transport != driver.Evdev {
		for _, r := range b.Reads {
			s.Write(r.Data)
		}
		return s.String()
	}
	layout, err := keyboard.ParseLayout(b.Source.Settings.Get("layout"))
	if err != nil {
		layout = keyboard.US
	}
	typist := keyboard.NewTypist(layout, nil)
	for _, r := range b.Reads {
		for e := range recording.Events(r.Data) {
			if stroke, ok := typist.Type(e); ok {
				s.Write(stroke.Append(nil))
			}
		}
	}
	return s.String()
}

// maskText masks letters and digits that stand beside others. Lengths and
// states in the reports of card readers are bytes that stand alone.
func maskText(b *Burst) {
	alone := b.Source.Role == driver.Keypad // its digits do
	var bytes []*byte
	for _, r := range b.Reads {
		for i := range r.Data {
			bytes = append(bytes, &r.Data[i])
		}
	}
	at := func(i int) byte {
		if i < 0 || i >= len(bytes) {
			return 0
		}
		return *bytes[i]
	}
	masks := make([]byte, len(bytes))
	for i, c := range bytes {
		if m := maskOf(*c); m != 0 && (alone || maskOf(at(i-1)) != 0 || maskOf(at(i+1)) != 0) {
			masks[i] = m
		}
	}
	for i, m := range masks {
		if m != 0 {
			*bytes[i] = m
		}
	}
}

// maskOf gives what stands for a character that is masked, 0 for one that is
// not.
func maskOf(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return maskDigit
	case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		return maskLetter
	}
	return 0
}

// longField is how many bytes a field of a report has that holds a track: more
// than a serial number.
const longField = 16

// maskReports masks what is no text in the fields of a report that may hold a
// track: a reader may send its bits as they are on the card.
func maskReports(b *Burst) {
	d, err := hid.Parse(b.Source.Attributes.Descriptor)
	if err != nil {
		maskRest(b, 0)
		return
	}
	for _, r := range b.Reads {
		id, data := d.Split(r.Data)
		for _, f := range d.Fields {
			if f.Kind != hid.Input || f.Report != id || f.Size != 8 || f.Count < longField || f.Offset%8 != 0 || f.Offset/8 >= len(data) {
				continue
			}
			maskBits(data[f.Offset/8 : min(f.Offset/8+f.Count, len(data))])
		}
	}
}

func maskRest(b *Burst, from int) {
	for _, r := range b.Reads {
		maskBits(r.Data[min(from, len(r.Data)):])
	}
}

// maskBits masks a field if it is no text.
func maskBits(field []byte) {
	for _, c := range field {
		if c >= 0x80 || c != 0 && c < 0x02 || c > 0x03 && c < '\t' {
			for i := range field {
				field[i] = maskByte
			}
			return
		}
	}
}

// maskKeys has every key of a digit or letter be the 9 or the X.
func maskKeys(b *Burst) {
	for _, r := range b.Reads {
		masked := r.Data[:0]
		for e := range recording.Events(r.Data) {
			switch e.Type {
			case keyboard.EvKey:
				e.Code = maskKey(e.Code)
			case keyboard.EvSyn, keyboard.EvLED:
			default: // scan codes tell the key too
				e = recording.Event{}
			}
			masked = e.Append(masked)
		}
	}
}

// maskKey gives the key that stands for one that is masked.
func maskKey(code uint16) uint16 {
	switch {
	case code >= keyboard.Key1 && code <= keyboard.Key0:
		return keyboard.Key9
	case code >= keyboard.KeyKP7 && code <= keyboard.KeyKP0 && code != keyboard.KeyKPMinus && code != keyboard.KeyKPPlus:
		return keyboard.KeyKP9
	case code >= keyboard.KeyQ && code <= keyboard.KeyP, code >= keyboard.KeyA && code <= keyboard.KeyL, code >= keyboard.KeyZ && code <= keyboard.KeyM:
		return keyboard.KeyX
	}
	return code
}
