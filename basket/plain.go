package basket

import (
	"strings"
	"unicode"

	"posd/gs1"
)

// plain writes what people read as the same number the same way: digits of all
// scripts as ASCII's, spaces and dashes of all kinds as a space and a hyphen.
// What nobody sees, such as marks of direction, is left out.
func plain(text string) string {
	if isASCII(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x80:
			return r
		case unicode.Is(unicode.Nd, r):
			return digitOf(r)
		case unicode.Is(unicode.Zs, r):
			return ' '
		case unicode.Is(unicode.Pd, r), r == '\u2212': // minus
			return '-'
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
}

// digitOf gives the ASCII digit of a decimal digit: Unicode has those of a script
// in a row, from zero to nine.
func digitOf(r rune) rune {
	for _, in := range unicode.Nd.R16 {
		if rune(in.Lo) <= r && r <= rune(in.Hi) {
			return '0' + (r-rune(in.Lo))%10
		}
	}
	for _, in := range unicode.Nd.R32 {
		if rune(in.Lo) <= r && r <= rune(in.Hi) {
			return '0' + (r-rune(in.Lo))%10
		}
	}
	return r
}

// encodings is how often a text may have been percent-encoded, one time within
// the other.
const encodings = 4

// decoded resolves the percent-encoding of a text. Where a URI stands in it, a +
// is a space.
func decoded(text string) string {
	query := strings.Contains(text, "://")
	for range encodings {
		text = gs1.Unescape(text, query)
	}
	return text
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
