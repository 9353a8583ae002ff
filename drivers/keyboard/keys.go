package keyboard

// Types of input events, and the codes of EV_SYN and EV_LED that matter to a
// keyboard (linux/input-event-codes.h).
const (
	EvSyn = 0x00
	EvKey = 0x01
	EvLED = 0x11

	SynReport  = 0 // what came since the last one belongs together
	SynDropped = 3 // the kernel had to drop events

	LEDNumLock  = 0
	LEDCapsLock = 1
)

// Values of a key's event.
const (
	Released = 0
	Pressed  = 1
	Repeated = 2 // it is still held
)

// Codes of keys, named by what keyboards of the United States have on them
// (linux/input-event-codes.h).
const (
	KeyEsc        = 1
	Key1          = 2
	Key2          = 3
	Key3          = 4
	Key4          = 5
	Key5          = 6
	Key6          = 7
	Key7          = 8
	Key8          = 9
	Key9          = 10
	Key0          = 11
	KeyMinus      = 12
	KeyEqual      = 13
	KeyBackspace  = 14
	KeyTab        = 15
	KeyQ          = 16
	KeyW          = 17
	KeyE          = 18
	KeyR          = 19
	KeyT          = 20
	KeyY          = 21
	KeyU          = 22
	KeyI          = 23
	KeyO          = 24
	KeyP          = 25
	KeyLeftBrace  = 26
	KeyRightBrace = 27
	KeyEnter      = 28
	KeyLeftCtrl   = 29
	KeyA          = 30
	KeyS          = 31
	KeyD          = 32
	KeyF          = 33
	KeyG          = 34
	KeyH          = 35
	KeyJ          = 36
	KeyK          = 37
	KeyL          = 38
	KeySemicolon  = 39
	KeyApostrophe = 40
	KeyGrave      = 41
	KeyLeftShift  = 42
	KeyBackslash  = 43
	KeyZ          = 44
	KeyX          = 45
	KeyC          = 46
	KeyV          = 47
	KeyB          = 48
	KeyN          = 49
	KeyM          = 50
	KeyComma      = 51
	KeyDot        = 52
	KeySlash      = 53
	KeyRightShift = 54
	KeyKPAsterisk = 55
	KeyLeftAlt    = 56
	KeySpace      = 57
	KeyCapsLock   = 58
	KeyF1         = 59
	KeyF2         = 60
	KeyF3         = 61
	KeyF4         = 62
	KeyF5         = 63
	KeyF6         = 64
	KeyF7         = 65
	KeyF8         = 66
	KeyF9         = 67
	KeyF10        = 68
	KeyNumLock    = 69
	KeyScrollLock = 70
	KeyKP7        = 71
	KeyKP8        = 72
	KeyKP9        = 73
	KeyKPMinus    = 74
	KeyKP4        = 75
	KeyKP5        = 76
	KeyKP6        = 77
	KeyKPPlus     = 78
	KeyKP1        = 79
	KeyKP2        = 80
	KeyKP3        = 81
	KeyKP0        = 82
	KeyKPDot      = 83
	Key102nd      = 86 // between left Shift and Z; keyboards of the United States have none
	KeyF11        = 87
	KeyF12        = 88
	KeyKPEnter    = 96
	KeyRightCtrl  = 97
	KeyKPSlash    = 98
	KeyRightAlt   = 100
	KeyLinefeed   = 101
	KeyHome       = 102
	KeyUp         = 103
	KeyPageUp     = 104
	KeyLeft       = 105
	KeyRight      = 106
	KeyEnd        = 107
	KeyDown       = 108
	KeyPageDown   = 109
	KeyInsert     = 110
	KeyDelete     = 111
	KeyKPEqual    = 117
	KeyKPComma    = 121
	KeyLeftMeta   = 125
	KeyRightMeta  = 126
)

// codes is more than the highest code above.
const codes = 128

// keypadDigits are the keys of the keypad's digits 0 to 9.
var keypadDigits = [...]uint16{KeyKP0, KeyKP1, KeyKP2, KeyKP3, KeyKP4, KeyKP5, KeyKP6, KeyKP7, KeyKP8, KeyKP9}

// has reports whether the bits of a device's keys hold all of some.
func has(keys []uint64, some ...uint16) bool {
	for _, code := range some {
		word := int(code / 64)
		if word >= len(keys) || keys[word]>>(code%64)&1 == 0 {
			return false
		}
	}
	return true
}

// IsKeyboard reports whether a device with these keys (the bits of their codes) can type
// labels: a scanner or card reader that plays a keyboard, or a keyboard. What it
// is they do not tell.
func IsKeyboard(keys []uint64) bool {
	return has(keys, KeyEnter, KeyA, KeyZ, Key1, Key0)
}

// IsNumericPad reports whether a device has digits, on keys of a keypad or in a
// row, and Enter, but no letters. Many a keypad says that it has all keys of a
// keyboard: it is one for IsKeyboard.
func IsNumericPad(keys []uint64) bool {
	enter := has(keys, KeyKPEnter) || has(keys, KeyEnter)
	digits := has(keys, keypadDigits[:]...) || has(keys, Key0, Key1, Key2, Key3, Key4, Key5, Key6, Key7, Key8, Key9)
	return enter && digits && !has(keys, KeyA) && !has(keys, KeyZ)
}
