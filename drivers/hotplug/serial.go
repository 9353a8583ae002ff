package hotplug

import (
	"strings"
	"unicode"
)

// cleanSerial gives the serial number without blanks around it, or "" for what
// tells no device from another: bytes that are no text (as udev's usb_id, after
// Microsoft's rules for serial numbers of USB) and placeholders.
func cleanSerial(s string) string {
	s = strings.Trim(s, " \t\r\n\x00")
	for _, c := range []byte(s) {
		if !isPrintable(c) {
			return ""
		}
	}
	if isPlaceholder(s) {
		return ""
	}
	return s
}

// isPlaceholder knows what makers leave in the serial number: one character again
// and again (00000000, ffffffff, also as a Bluetooth address), the first digits in
// order, and words.
func isPlaceholder(s string) bool {
	s = strings.Map(letterOrDigit, s)
	if s == "" || strings.Trim(s, s[:1]) == "" {
		return true
	}
	if len(s) >= 4 && (strings.HasPrefix("0123456789abcdef", s) || strings.HasPrefix("1234567890abcdef", s)) {
		return true
	}
	switch s {
	case "none", "null", "na", "nil", "unknown", "undefined", "invalid", "default", "defaultstring",
		"notspecified", "notavailable", "notapplicable", "tobefilledbyoem", "test",
		"sn", "serial", "serialno", "serialnum", "serialnumber", "systemserialnumber", "usbserial", "usbserialnumber",
		"0001", // as CP210x converters are shipped
		"0123456789abcdefg", "123456789012", "abcdef", "deadbeef":
		return true
	}
	return false
}

// letterOrDigit makes letters small and drops what is neither.
func letterOrDigit(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
		return r
	}
	return -1
}

// cleanText drops what is no text from a string of a device, which people will
// read on a terminal.
func cleanText(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, s))
}
