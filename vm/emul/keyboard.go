package emul

import (
	"fmt"
	"slices"
	"sync"
)

// Keyboard is a HID interface that types, as scanners, card readers and numeric
// pads in keyboard mode do.
type Keyboard struct {
	*HID

	mu        sync.Mutex
	modifiers byte
	down      []byte // usages of the keys that are down, oldest first
}

// bootKeyboard is the report descriptor of HID 1.11, appendix E.6: eight
// modifiers, a reserved byte, six keys; five lamps as output.
func bootKeyboard() []byte {
	return []byte{
		0x05, 0x01, 0x09, 0x06, 0xa1, 0x01,
		0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02,
		0x95, 0x01, 0x75, 0x08, 0x81, 0x01,
		0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01,
		0x95, 0x06, 0x75, 0x08, 0x15, 0x00, 0x26, 0xff, 0x00, 0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00, 0x81, 0x00,
		0xc0,
	}
}

// NewKeyboard makes a keyboard that sends by the endpoint with this number.
func NewKeyboard(endpoint byte) *Keyboard {
	return &Keyboard{HID: NewHID(endpoint, BootKeyboard, bootKeyboard())}
}

// Key presses or releases the key that Linux calls code (input-event-codes.h).
func (k *Keyboard) Key(code uint16, down bool) error {
	if err := k.set(code, down); err != nil {
		return err
	}
	k.mu.Lock()
	report := append([]byte{k.modifiers, 0}, k.down...)
	k.mu.Unlock()
	k.Send(append(report, make([]byte, 8-len(report))...))
	return nil
}

func (k *Keyboard) set(code uint16, down bool) error {
	usage, ok := usageOf(code)
	k.mu.Lock()
	defer k.mu.Unlock()
	at := slices.Index(k.down, usage)
	switch {
	case !ok:
		return fmt.Errorf("key %d is on no keyboard of USB", code)
	case usage >= firstModifier && down:
		k.modifiers |= 1 << (usage - firstModifier)
	case usage >= firstModifier:
		k.modifiers &^= 1 << (usage - firstModifier)
	case down && at < 0 && len(k.down) == 6:
		return fmt.Errorf("key %d is the seventh that is down", code)
	case down && at < 0:
		k.down = append(k.down, usage)
	case !down && at >= 0:
		k.down = slices.Delete(k.down, at, at+1)
	}
	return nil
}

// Lamps gives the lamps as the host set them last: bit 0 is Num Lock, bit 1 Caps
// Lock.
func (k *Keyboard) Lamps() byte {
	all := k.Outputs()
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1][0]
}

const (
	firstKey      = 0x04
	firstModifier = 0xe0
)

// usageOf gives a key's usage on page 07 of HID's usage tables.
func usageOf(code uint16) (byte, bool) {
	if at := slices.Index(modifierCodes(), code); at >= 0 {
		return byte(firstModifier + at), true
	}
	at := slices.Index(keyCodes(), code)
	return byte(firstKey + at), at >= 0
}

// modifierCodes gives Linux' codes of the usages E0 to E7: Control, Shift, Alt and
// GUI, left and then right.
func modifierCodes() []uint16 { return []uint16{29, 42, 56, 125, 97, 54, 100, 126} }

// keyCodes gives Linux' codes of the usages from 04 on.
func keyCodes() []uint16 {
	return []uint16{
		30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, // A to M
		49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44, // N to Z
		2, 3, 4, 5, 6, 7, 8, 9, 10, 11, // 1 to 9, 0
		28, 1, 14, 15, 57, // Enter, Escape, Backspace, Tab, Space
		12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53, // the marks beside the letters, of a US keyboard
		58,                                             // Caps Lock
		59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88, // F1 to F12
		99, 70, 119, 110, 102, 104, 111, 107, 109, 106, 105, 108, 103, // Print to Up
		69, 98, 55, 74, 78, 96, // Num Lock, and / * - + Enter of the pad
		79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83, // 1 to 9, 0 and . of the pad
		86, // the key beside the left Shift that US keyboards have not
	}
}
