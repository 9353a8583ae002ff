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
// the E of a track that could not be read. Encrypting readers put a head before
// the tracks, and masks in the place of digits.
func looksLikeTrack(data []byte) bool {
	start := bytes.IndexAny(data, "%;+")
	if start < 0 || bytes.IndexByte(data[start:], '?') < 0 {
		return false
	}
	if start > 4 {
		return masked(data[start:])
	}
	digits := 0
	for _, c := range data[start:] {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits >= 8 || bytes.HasPrefix(data[start+1:], []byte("E?"))
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
		rest := bytes.TrimLeft(behind, "B*0123456789")
		if len(behind)-len(rest) >= shortestCard && len(rest) > 0 && bytes.IndexByte([]byte("^=?"), rest[0]) >= 0 {
			return true
		}
	}
	return false
}
