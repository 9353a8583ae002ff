// Package barcode has the drivers of bar code scanners.
package barcode

import (
	"bytes"
	"time"

	"posd/drivers/driver"
)

// isCard refuses the tracks of a card, and clears them. A card reader that is
// configured as a scanner must not leave card numbers in baskets.
func isCard(data []byte, at time.Time, emit driver.Emit) bool {
	if !looksLikeTrack(data) {
		return false
	}
	clear(data)
	emit(driver.Failure(at, "card-data", "it looks like the track of a card, and a scanner's labels are kept in clear: is this a card reader?"))
	return true
}

// looksLikeTrack reports whether a label is shaped as tracks of ISO/IEC 7813:
// start sentinel, end sentinel, and enough digits for a card number between, or
// the E of a track that could not be read. Half a track is one too, as long as
// the number and what parts it from the rest are there: encrypting readers put a
// head before the tracks, and masks in the place of digits; of a card that was
// pulled askew either sentinel is lost, or half the number.
func looksLikeTrack(data []byte) bool {
	return tracked(data) || masked(data) || startless(data) || begun(data) || ended(data)
}

// tracked reports whether a label has both sentinels.
func tracked(data []byte) bool {
	start := bytes.IndexAny(data, "%;+")
	if start < 0 || start > 4 || bytes.IndexByte(data[start:], '?') < 0 {
		return false
	}
	digits := 0
	for _, c := range data[start:] {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits >= 8 || bytes.HasPrefix(data[start+1:], []byte("E?"))
}

// begun reports whether a label is a start sentinel with digits to its end. (That
// of track 3, +, begins telephone numbers too.)
func begun(data []byte) bool {
	if len(data) == 0 || data[0] != ';' && data[0] != '%' {
		return false
	}
	rest := bytes.TrimLeft(data[1:], "Bb")
	return len(data)-len(rest) <= 2 && len(rest) >= 8 && len(bytes.TrimLeft(rest, "0123456789")) == 0
}

// lastDigits is how many digits of expiry, service code and discretionary data
// are behind the last separator of a track at least.
const lastDigits = 7

// ended reports whether a label ends as a track: name and digits of track 1, or
// nothing but the end of track 2.
func ended(data []byte) bool {
	if _, behind, ok := bytes.Cut(data, []byte("^")); ok {
		_, last, ok := bytes.Cut(behind, []byte("^"))
		return ok && len(last)-len(bytes.TrimLeft(last, "0123456789")) >= lastDigits
	}
	if len(data) > 3 && data[0] == ']' {
		data = data[3:]
	}
	data = bytes.TrimLeft(bytes.TrimLeft(data, ";"), "0123456789")
	if len(data) == 0 || data[0] != '=' {
		return false
	}
	rest := bytes.TrimLeft(data[1:], "0123456789")
	return len(data)-1-len(rest) >= lastDigits && (len(rest) == 0 || rest[0] == '?')
}

// shortestCard is how many digits the number of a card has at least.
const shortestCard = 12

// masked reports whether a start sentinel has the number of a card behind it,
// digits or masks, and a separator behind that.
func masked(data []byte) bool {
	for i, c := range data {
		if bytes.IndexByte([]byte("%;+"), c) < 0 {
			continue
		}
		behind := data[i+1:]
		rest := bytes.TrimLeft(behind, "Bb*0123456789")
		if len(behind)-len(rest) >= shortestCard && len(rest) > 0 && bytes.IndexByte([]byte("^=?"), rest[0]) >= 0 {
			return true
		}
	}
	return false
}

// startless reports whether a label begins as a track behind its start sentinel:
// of track 2 the number, "=", expiry and service code; of track 1 a format code,
// the number and "^". An AIM identifier may stand before it.
func startless(data []byte) bool {
	if len(data) > 3 && data[0] == ']' {
		data = data[3:]
	}
	rest := bytes.TrimLeft(data, "0123456789")
	if n := len(data) - len(rest); n >= shortestCard && len(rest) > 0 && rest[0] == '=' {
		return len(rest)-len(bytes.TrimLeft(rest[1:], "0123456789")) > 4
	}
	if len(data) == 0 || data[0]|0x20 != 'b' { // small where Caps Lock is on
		return false
	}
	rest = bytes.TrimLeft(data[1:], "0123456789 ")
	return len(data)-len(rest) > shortestCard && len(rest) > 0 && rest[0] == '^'
}
