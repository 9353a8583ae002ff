package technician

import (
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

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
	if !secret(b, rules) || testCards && judged(text(b), onlyTestNumbers) {
		return false
	}
	switch b.Source.Attributes.Transport {
	case driver.Evdev:
		maskKeys(b)
	case driver.HIDRaw, driver.USBFS:
		maskReports(b)
		maskText(b)
	default:
		maskBinary(b)
		maskText(b)
	}
	return true
}

// secret reports whether a burst may hold the number of a card or a person: all
// that a card reader or keypad sends may; a scanner's label only if a driver
// finds that it is one, or if its text looks like one; and what was cut may, since
// a number can have been.
func secret(b *Burst, rules tid.Rules) bool {
	if b.Source.Role != driver.Scanner || b.cut || holdsCard(b) {
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

// holdsCard reports whether a burst looks as if it held the number of a card: keys
// on any layout, a line also without the parity, since what is configured may be
// wrong.
func holdsCard(b *Burst) bool {
	switch b.Source.Attributes.Transport {
	case driver.Evdev:
		return slices.ContainsFunc(keyboard.Layouts(), func(l keyboard.Layout) bool { return judged(typed(b, l), basket.HoldsCardNumber) })
	case driver.TTY:
		return judged(withoutParity(text(b)), basket.HoldsCardNumber) || judged(text(b), basket.HoldsCardNumber)
	}
	return judged(text(b), basket.HoldsCardNumber)
}

// judged gives what judge says of a text, and clears it: it may hold a card. A text
// that is not UTF-8, of which judge would make a copy that is, is judged without
// what is not ASCII.
func judged(text []byte, judge func(string) bool) bool {
	defer clear(text)
	if !utf8.Valid(text) {
		for i, c := range text {
			if c >= utf8.RuneSelf {
				text[i] = '.'
			}
		}
	}
	return judge(unsafe.String(unsafe.SliceData(text), len(text))) // which keeps nothing of it
}

func withoutParity(text []byte) []byte {
	for i := range text {
		text[i] &= 0x7f
	}
	return text
}

// text gives what a burst says, of keys what they type. Whoever asks clears it.
func text(b *Burst) []byte {
	if b.Source.Attributes.Transport == driver.Evdev {
		layout, err := keyboard.ParseLayout(b.Source.Settings.Get("layout"))
		if err != nil {
			layout = keyboard.US
		}
		return typed(b, layout)
	}
	s := make([]byte, 0, b.size())
	for _, r := range b.Reads {
		s = append(s, r.Data...)
	}
	return s
}

// typed gives what the keys of a burst type: no more bytes than their events have.
func typed(b *Burst, layout keyboard.Layout) []byte {
	s := make([]byte, 0, b.size())
	typist := keyboard.NewTypist(layout, nil)
	for _, r := range b.Reads {
		for e := range recording.Events(r.Data) {
			if stroke, ok := typist.Type(e); ok {
				s = stroke.Append(s)
			}
		}
	}
	return s
}

// bytesOf gives the bytes of a burst, however they were read.
func bytesOf(b *Burst) (bytes []*byte) {
	for _, r := range b.Reads {
		for i := range r.Data {
			bytes = append(bytes, &r.Data[i])
		}
	}
	return bytes
}

// frameHead gives how long the head of a frame is that a burst on a line begins
// with, with its lengths and flags: eight bytes of ID TECH's, or ten where the
// fourth says so; 0 of others.
func frameHead(b *Burst, bytes []*byte) int {
	const stx, enhanced = 2, 0x80
	switch {
	case b.cut || len(bytes) < 10 || *bytes[0] != stx:
		return 0
	case *bytes[3]&enhanced != 0:
		return 10
	}
	return 8
}

// maskBinary masks all behind the head of a frame if not all of that is text: a
// reader may send the bits of a track, some of which look like text.
func maskBinary(b *Burst) {
	bytes := bytesOf(b)
	body := bytes[frameHead(b, bytes):]
	if !slices.ContainsFunc(body, func(c *byte) bool { return !textual(*c) }) {
		return
	}
	for _, c := range body {
		*c = maskByte
	}
}

// textual reports whether a byte stands in texts and frames of readers.
func textual(c byte) bool {
	return c >= ' ' && c <= '~' || c < ' ' && strings.IndexByte("\x00\x02\x03\x04\x05\x06\t\n\r\x15\x1b\x1c\x1d\x1e\x1f", c) >= 0
}

// maskText masks letters and digits that stand beside others. Lengths and
// states in the reports of card readers are bytes that stand alone.
func maskText(b *Burst) {
	alone := b.Source.Role == driver.Keypad             // its digits do
	wide := b.Source.Attributes.Transport == driver.TTY // text of two bytes a character is on a line alone
	bytes := bytesOf(b)
	at := func(i int) byte {
		if i < 0 || i >= len(bytes) {
			return 0
		}
		return *bytes[i]
	}
	beside := func(i, way int) bool {
		if wide && at(i+way) == 0 {
			i += way
		}
		return maskOf(at(i+way)) != 0
	}
	masks := make([]byte, len(bytes))
	for i, c := range bytes {
		if m := maskOf(*c); m != 0 && (alone || beside(i, -1) || beside(i, 1)) {
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

// maskReports masks the fields of a report that may hold a track, and what is not
// described.
func maskReports(b *Burst) {
	d, err := hid.Parse(b.Source.Attributes.Descriptor)
	for _, r := range b.Reads {
		id, data := d.Split(r.Data)
		end := 0 // of what is described
		for _, f := range d.Fields {
			if f.Kind != hid.Input || f.Report != id {
				continue
			}
			from, to := f.Offset/8, min((f.Offset+f.Size*f.Count+7)/8, len(data))
			if f.Size*f.Count >= 8*longField && from < to {
				maskField(data[from:to])
			}
			end = max(end, to)
		}
		switch {
		case err != nil || end == 0:
			maskField(r.Data)
		case end < len(data):
			maskField(data[end:])
		}
	}
}

// maskField masks letters and digits of a field, and all of one that is no text: a
// reader may send the bits of a track as they are on the card.
func maskField(field []byte) {
	for i, c := range field {
		if c >= 0x80 || c != 0 && c < 0x02 || c > 0x03 && c < '\t' {
			for j := range field {
				field[j] = maskByte
			}
			return
		}
		if m := maskOf(c); m != 0 {
			field[i] = m
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
