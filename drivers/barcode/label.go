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
// the E of a track that could not be read.
func looksLikeTrack(data []byte) bool {
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
