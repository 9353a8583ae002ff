package scanner

import (
	"fmt"
	"strconv"
	"strings"
)

// Terminator is what ends a frame: one byte, or one of the constants.
type Terminator uint16

// The terminators with a name. Any byte b is Byte + b.
const (
	Auto Terminator = iota // CR, LF, CR LF, TAB or ETX
	CRLF                   // both, in this order
	None                   // silence alone
	Byte Terminator = 0x100

	TAB = Byte + '\t'
	LF  = Byte + '\n'
	CR  = Byte + '\r'
	ETX = Byte + etx
)

const (
	stx = 0x02
	etx = 0x03
)

// controls are the names of the control characters that scanners put around
// labels.
var controls = [...]struct {
	name string
	char byte
}{{"SOH", 0x01}, {"STX", stx}, {"ETX", etx}, {"EOT", 0x04}, {"TAB", '\t'}, {"LF", '\n'}, {"CR", '\r'}, {"ESC", 0x1b}}

// ends reports whether c, behind prev, ends a frame.
func (t Terminator) ends(c, prev byte) bool {
	switch t {
	case Auto:
		return c == '\r' || c == '\n' || c == '\t' || c == etx
	case CRLF:
		return c == '\n' && prev == '\r'
	case CR:
		return c == '\r' || c == '\n' && prev == '\r'
	}
	return t == Byte+Terminator(c)
}

// ParseTerminator reads a terminator as configurations give it: auto, CRLF,
// none, the name of a control character (CR, LF, TAB, ETX ...), the character
// itself, also escaped (\r), or a byte in hexadecimal such as 0x04. Empty is
// auto.
func ParseTerminator(s string) (Terminator, error) {
	s = unescape(s)
	switch strings.ToUpper(s) {
	case "", "AUTO":
		return Auto, nil
	case "CRLF", "CR LF", "CR-LF", "CR+LF", "\r\n":
		return CRLF, nil
	case "NONE":
		return None, nil
	}
	if c, ok := control(s); ok {
		return Byte + Terminator(c), nil
	}
	hex, _ := strings.CutPrefix(strings.ToLower(s), "0x")
	if b, err := strconv.ParseUint(hex, 16, 8); err == nil && len(hex) == 2 && b != 0 {
		return Byte + Terminator(b), nil
	}
	return Auto, fmt.Errorf("terminator: %q is none: use auto, CR, LF, CRLF, TAB, ETX, none or a byte such as 0x04", s)
}

// ParsePrefix reads a prefix as configurations give it: a control character by
// its name (STX, SOH ...) or its two hexadecimal digits (02), bytes in
// hexadecimal behind 0x, such as 0x0241, or the characters themselves, also
// escaped (\x02).
func ParsePrefix(s string) (string, error) {
	s = unescape(s)
	if c, ok := control(s); ok {
		return string([]byte{c}), nil
	}
	if b, err := strconv.ParseUint(s, 16, 8); err == nil && len(s) == 2 && b > 0 && b < ' ' {
		return string([]byte{byte(b)}), nil
	}
	if len(s) < 2 || strings.ToLower(s[:2]) != "0x" {
		return s, nil
	}
	digits := s[2:]
	if digits == "" || len(digits)%2 != 0 {
		return "", fmt.Errorf("prefix: %q is not whole bytes in hexadecimal", s)
	}
	prefix := make([]byte, 0, len(digits)/2)
	for i := 0; i < len(digits); i += 2 {
		b, err := strconv.ParseUint(digits[i:i+2], 16, 8)
		if err != nil || b == 0 {
			return "", fmt.Errorf("prefix: %q is not bytes of 01 to ff in hexadecimal", s)
		}
		prefix = append(prefix, byte(b))
	}
	return string(prefix), nil
}

// unescape resolves escapes such as \r and \x02. Text that is badly escaped is
// meant as it stands.
func unescape(s string) string {
	if plain, err := strconv.Unquote(`"` + s + `"`); err == nil {
		return plain
	}
	return s
}

// control gives a control character, by its name or by itself.
func control(name string) (byte, bool) {
	if len(name) == 1 && name[0] > 0 && name[0] < ' ' {
		return name[0], true
	}
	for _, c := range controls {
		if strings.EqualFold(c.name, name) {
			return c.char, true
		}
	}
	return 0, false
}
