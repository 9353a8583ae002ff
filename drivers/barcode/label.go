// Package barcode has the drivers of bar code scanners.
package barcode

import (
	"bytes"

	"posd/drivers/driver"
	"posd/scanner"
)

// label gives the reading of a frame.
func label(f scanner.Frame, opt scanner.Options, emit driver.Emit) {
	switch {
	case f.Problem != nil:
		emit(driver.Failure(f.At, f.Problem.Code, f.Problem.Reason))
	case looksLikeTrack(f.Data):
		clear(f.Data)
		emit(driver.Failure(f.At, "card-data", "it looks like the track of a card, and a scanner's labels are kept in clear: is this a card reader?"))
	default:
		emit(driver.Reading{Type: driver.Scan, At: f.At, Scan: scanner.Decode(f.Data, opt)})
	}
}

// looksLikeTrack reports whether a label is shaped as tracks of ISO/IEC 7813:
// start sentinel, end sentinel, and enough digits for a card number between, or
// the E of a track that could not be read. A card reader that is configured as
// a scanner must not leave card numbers in baskets.
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
