// Package msr makes swipes of what magnetic-stripe readers and keypads send:
// ISO/IEC 7813 tracks, and numbers keyed in. Of a card only the number lives
// on, as a tid.TID, with the state of its tracks; name, expiry and discretionary
// data are never kept, and every buffer is cleared.
//
// Names are those of UnifiedPOS.
package msr

import "posd/tid"

// TrackStatus says what became of one track.
type TrackStatus string

// The states of a track.
const (
	TrackNone  TrackStatus = "none"  // not on the card, or not sent
	TrackOK    TrackStatus = "ok"    // read
	TrackError TrackStatus = "error" // Code says why
)

// Track is the state of one track of a card.
type Track struct {
	Number int         `json:"track"` // 1 to 3
	Status TrackStatus `json:"status"`
	Code   string      `json:"code,omitempty"`
}

// Swipe is a card that was swiped, or a number that was keyed in.
type Swipe struct {
	Source string  // "card" or "keypad"
	Tracks []Track // of a card
	Form   string  // of a card: "B" (bank, ISO/IEC 7813), "AAMVA", "other", or "" if unreadable
	TID    tid.TID // zero if there is none; whoever takes the swipe wipes it
	Code   string  // why there is none
	Reason string  // the same for people, without a digit
}

// Last4 gives the last four digits of the number, or "".
func (s Swipe) Last4() string { return s.TID.Last4() }
