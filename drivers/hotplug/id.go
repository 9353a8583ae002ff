package hotplug

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ID says which device is meant: which model, and which piece of it by its serial
// number or by where it is plugged in. As text it is vendor:product, then :serial
// and @port if it has them: 0c2e:0b61:S1234, 0c2e:0b61@1-1.2. In a serial number or
// port, everything but letters, digits and -._~:+/=, is written as %40, so that the
// text needs no quotes in a shell.
type ID struct {
	Vendor, Product uint16
	Serial          string
	Port            string
}

// String gives the text form.
func (id ID) String() string {
	s := fmt.Sprintf("%04x:%04x", id.Vendor, id.Product)
	if id.Serial != "" {
		s += ":" + escape(id.Serial)
	}
	if id.Port != "" {
		s += "@" + escape(id.Port)
	}
	return s
}

// IsZero reports whether id says nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Matches reports whether everything that id says is so of the node.
func (id ID) Matches(n Node) bool {
	return id.Vendor == n.Vendor && id.Product == n.Product &&
		(id.Serial == "" || id.Serial == n.Serial) && (id.Port == "" || id.Port == n.PortPath)
}

// ParseID reads the text form.
func ParseID(s string) (ID, error) {
	id, err := parseID(s)
	if err != nil {
		return ID{}, fmt.Errorf("parse device id %q: %v", s, err)
	}
	return id, nil
}

const idForm = "write vendor:product, vendor:product:serial or vendor:product@port, such as 0c2e:0b61:S1234"

func parseID(s string) (id ID, err error) {
	if len(s) < 9 || s[4] != ':' {
		return ID{}, errors.New(idForm)
	}
	if id.Vendor, err = hex16(s[:4]); err != nil {
		return ID{}, fmt.Errorf("vendor: %v", err)
	}
	if id.Product, err = hex16(s[5:9]); err != nil {
		return ID{}, fmt.Errorf("product: %v", err)
	}
	serial, port, hasPort := strings.Cut(s[9:], "@")
	if serial != "" {
		if id.Serial, err = parseSerial(serial); err != nil {
			return ID{}, fmt.Errorf("serial number: %v", err)
		}
	}
	if hasPort {
		if id.Port, err = unescape(port); err != nil {
			return ID{}, fmt.Errorf("port: %v", err)
		}
	}
	return id, nil
}

func parseSerial(s string) (string, error) {
	s, colon := strings.CutPrefix(s, ":")
	if !colon {
		return "", errors.New("a colon comes before it; vendor and product have four digits")
	}
	s, err := unescape(s)
	switch clean := cleanSerial(s); {
	case err != nil:
		return "", err
	case clean == "":
		return "", fmt.Errorf("%q tells no device from others of its kind; name it by its port: vendor:product@port", s)
	case clean != s:
		return "", errors.New("there are blanks around it")
	}
	return s, nil
}

func hex16(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 16, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not four hexadecimal digits", s)
	}
	return uint16(n), nil
}

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if isPlain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isPlain(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~:+/=,", c) >= 0
}

// unescape takes more than escape writes: every printable ASCII character may
// stand for itself, but for the two that mean something.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '@' {
			return "", errors.New("there is a second @; one that belongs to the name is written %40")
		}
		if c == '%' {
			n, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8)
			if err != nil || i+3 > len(s) {
				return "", errors.New("two hexadecimal digits come after %; a % that belongs to the name is written %25")
			}
			c = byte(n)
			i += 2
		}
		if !isPrintable(c) {
			return "", fmt.Errorf("it has the byte %#02x, which is no printable ASCII character", c)
		}
		b.WriteByte(c)
	}
	if b.Len() == 0 {
		return "", errors.New("it is empty")
	}
	return b.String(), nil
}

func isPrintable(c byte) bool { return c >= ' ' && c <= '~' }
