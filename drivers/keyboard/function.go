package keyboard

import (
	"fmt"
	"strconv"
	"strings"
)

// FunctionKeys says which control characters stand behind keys that are no
// characters by themselves, by the key's code. Many scanners send a control
// character as such a key ("function key mapping"), each make by a table of its
// own: for GS, the Hand Held Products ValueTeam 3060 presses Down (user's guide,
// keyboard function code table). So there is none that fits all.
type FunctionKeys map[uint16]byte

var functionKeys = [...]struct {
	name string
	code uint16
}{
	{"F1", KeyF1}, {"F2", KeyF2}, {"F3", KeyF3}, {"F4", KeyF4}, {"F5", KeyF5}, {"F6", KeyF6},
	{"F7", KeyF7}, {"F8", KeyF8}, {"F9", KeyF9}, {"F10", KeyF10}, {"F11", KeyF11}, {"F12", KeyF12},
	{"INSERT", KeyInsert}, {"DELETE", KeyDelete}, {"HOME", KeyHome}, {"END", KeyEnd},
	{"PAGEUP", KeyPageUp}, {"PAGEDOWN", KeyPageDown},
	{"UP", KeyUp}, {"DOWN", KeyDown}, {"LEFT", KeyLeft}, {"RIGHT", KeyRight},
}

// controls are the names of the control characters 0 to 31 (ISO/IEC 646).
var controls = [...]string{
	"NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI",
	"DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
}

// ParseFunctionKeys reads pairs such as "DOWN=GS F7=0x1C": a key, and the
// control character by its name or in hex. The empty text is none.
func ParseFunctionKeys(s string) (FunctionKeys, error) {
	f := FunctionKeys{}
	for _, pair := range strings.Fields(strings.ToUpper(s)) {
		key, char, _ := strings.Cut(pair, "=")
		code, ok := functionKey(key)
		if !ok {
			return nil, fmt.Errorf("%q does not begin with a function key, as DOWN=GS does: there are F1 to F12, INSERT, DELETE, HOME, END, PAGEUP, PAGEDOWN, UP, DOWN, LEFT, RIGHT", pair)
		}
		c, ok := controlCharacter(char)
		if !ok {
			return nil, fmt.Errorf("%q does not end with a control character, as DOWN=GS does: there are %s, and 0x00 to 0x1f", pair, strings.Join(controls[:], ", "))
		}
		if _, twice := f[code]; twice {
			return nil, fmt.Errorf("key %s comes twice", key)
		}
		f[code] = c
	}
	return f, nil
}

func functionKey(name string) (uint16, bool) {
	for _, k := range functionKeys {
		if k.name == name {
			return k.code, true
		}
	}
	return 0, false
}

func controlCharacter(s string) (byte, bool) {
	for c, name := range controls {
		if name == s {
			return byte(c), true
		}
	}
	digits, ok := strings.CutPrefix(s, "0X")
	c, err := strconv.ParseUint(digits, 16, 8)
	return byte(c), ok && err == nil && int(c) < len(controls)
}
