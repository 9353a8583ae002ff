// Package msr makes swipes of what magnetic-stripe readers and keypads send:
// the tracks of ISO/IEC 7813, and numbers keyed in.
//
// Of a card only its number lives on, as a [tid.TID], with the states of its
// tracks. Name, expiry, service code and discretionary data are never kept, and
// every buffer is cleared as soon as it was read. A [Framer] cuts what a serial
// reader sends into frames, a [Reader] makes a [Swipe] of a frame, a [Keypad]
// makes one of keys. None of them does I/O or looks at a clock.
//
// The words for what is wrong with a track are those of UnifiedPOS.
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

// What is wrong with a track.
const (
	CodeStartSentinel = "start-sentinel" // it does not begin as a track
	CodeEndSentinel   = "end-sentinel"   // it breaks off
	CodeParity        = "parity"         // a character that its code does not have
	CodeLRC           = "LRC"            // the longitudinal redundancy check is wrong or missing
	CodeLength        = "length"         // longer than ISO/IEC 7811 allows
	CodeReaderError   = "reader-error"   // the reader says that it could not read it
)

// Why a swipe has no TID.
const (
	CodeBlank           = "blank"             // nothing on any track
	CodeUnreadable      = "unreadable"        // no track could be read
	CodeTracksDisagree  = "tracks-disagree"   // tracks 1 and 2 carry two numbers
	CodePaymentCardsOff = "payment-cards-off" // a payment card, which the configuration forbids to read
	CodeLicence         = "licence"           // a driver's licence or identity card
	CodeNotATID         = "not-a-tid"         // a number, or none, that the shop's rules do not read
	CodeNotConfigured   = "not-configured"    // the rules lack something: see Reason
	CodeEncrypted       = "encrypted"         // the reader encrypts: Encrypted has what it sent
)

// The forms of a card.
const (
	FormBank  = "B"     // ISO/IEC 7813, format code B
	FormAAMVA = "AAMVA" // licences and identity cards of North America
	FormCADL  = "CADL"  // California's licences before AAMVA
	FormJIS2  = "JIS2"  // JIS X 6302 type II: the front stripe of Japanese cards
	FormISO   = "ISO"   // of an encrypted card: the codes of ISO/IEC 7811, whatever they say
	FormOther = "other"
)

// The sources of a swipe.
const (
	SourceCard   = "card"
	SourceKeypad = "keypad"
)

// Track is the state of one track of a card.
type Track struct {
	Number     int         `json:"track"` // 1 to 3; 4 is the front stripe of Japanese cards
	Status     TrackStatus `json:"status"`
	Code       string      `json:"code,omitempty"`             // of an error: CodeStartSentinel and so on
	Ciphertext int         `json:"ciphertext_bytes,omitempty"` // of a reader that encrypts: how long it is
}

// Swipe is a card that was swiped, or a number that was keyed in. Whoever takes
// one wipes it.
type Swipe struct {
	Source string  `json:"source"`           // SourceCard or SourceKeypad
	Tracks []Track `json:"tracks,omitempty"` // of a card: tracks 1 to 3, and 4 if it has one
	Form   string  `json:"form,omitempty"`   // of a card; "" if no track could be read
	TID    tid.TID `json:"-"`                // zero if there is none
	Code   string  `json:"code,omitempty"`   // why there is none: CodeBlank and so on
	Reason string  `json:"reason,omitempty"` // the same for people, without a digit of the number

	// Encrypted is what a reader sent that encrypts, nil from all others. There
	// is no TID then.
	Encrypted *Encrypted `json:"-"`

	tail string // the last digits of a number that is no TID
}

// Wipe overwrites what the swipe holds of a number: its TID, and what the
// reader encrypted. Copies of the swipe share it.
func (s Swipe) Wipe() {
	s.TID.Wipe()
	if s.Encrypted != nil {
		s.Encrypted.Wipe()
	}
}

// Last4 gives the last four digits of the number, also of one that the shop's
// rules do not read; fewer of a number of less than eight digits. It is "" for
// a licence, for a payment card where these are not read, and where there is no
// number. Of an encrypted card they are those that the reader shows.
func (s Swipe) Last4() string {
	if s.tail != "" {
		return s.tail
	}
	return s.TID.Last4()
}

// Unreadable reports whether a card gave no track that could be read, or tracks
// that cannot be of one card.
func (s Swipe) Unreadable() bool {
	return s.Source == SourceCard && (s.Form == "" || s.Code == CodeTracksDisagree)
}

// lastDigits gives the last digits of a number: four, and never more than half.
func lastDigits(digits []byte) []byte { return digits[len(digits)-min(4, len(digits)/2):] }
