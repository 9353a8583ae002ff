// Package aamva knows the bar codes of North America's driving licences.
package aamva

// IsLicence reports whether a text holds the file type and the issuer's number with
// which the data of a driving licence begin (AAMVA DL/ID Card Design Standard, annex
// D): "ANSI " or, on older ones, "AAMVA", and six digits.
func IsLicence[Text ~string | ~[]byte](text Text) bool {
	for i := range len(text) {
		if text[i] == 'A' && (begins(text[i:], "ANSI ") || begins(text[i:], "AAMVA")) {
			return true
		}
	}
	return false
}

// begins reports whether a text begins with a file type and a number.
func begins[Text ~string | ~[]byte](text Text, kind string) bool {
	if len(text) < len(kind)+6 {
		return false
	}
	for i := range len(kind) {
		if text[i] != kind[i] {
			return false
		}
	}
	for i := range 6 {
		if c := text[len(kind)+i]; c < '0' || c > '9' {
			return false
		}
	}
	return true
}
