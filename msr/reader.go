package msr

import (
	"bytes"
	"errors"
	"strings"

	"posd/tid"
)

// Reader makes swipes of the frames of a card reader.
type Reader struct {
	Rules tid.Rules // which numbers are read as TIDs
	LRC   bool      // the reader sends the check character behind each end sentinel
}

// Read makes a swipe of one frame: the tracks of a card as ASCII characters
// with their sentinels, "%...?;...?+...?" or some of them. Control characters
// around them are ignored, and so is the card sensor's digit that insert readers
// send. JIS II stands between two DEL. Read wipes the frame, whatever is in it.
func (r Reader) Read(frame []byte) Swipe { return r.ReadStream(frame, [3]bool{}, "") }

// ReadStream is Read for readers that say besides which tracks they could not
// read, and what they take the card for: see [Reader.ReadFields].
func (r Reader) ReadStream(frame []byte, failed [3]bool, form string) Swipe {
	defer clear(frame)
	tracks, noise := r.split(frame)
	for i, bad := range failed {
		if bad && tracks[i].Status == TrackNone {
			tracks[i].set(nil, CodeReaderError)
		}
	}
	return r.swipe(tracks, examine(tracks, noise, form))
}

// swipe makes a swipe of what the tracks say.
func (r Reader) swipe(tracks [4]track, c card) Swipe {
	n := 3
	if tracks[3].Status != TrackNone {
		n = 4
	}
	s := Swipe{Source: SourceCard, Tracks: make([]Track, n), Form: c.form}
	for i := range s.Tracks {
		s.Tracks[i] = tracks[i].Track
	}
	var last [4]byte // FromCard wipes the digits
	shown := copy(last[:], lastDigits(c.number()))
	if s.TID, s.Code = r.identify(c); s.Code == CodeNotATID || s.Code == CodeNotConfigured {
		s.tail = string(last[:shown])
	}
	s.Reason = explain(s.Code, s.Tracks)
	return s
}

// identify makes the TID of a card, or gives the code that says why there is
// none.
func (r Reader) identify(c card) (tid.TID, string) {
	switch {
	case c.form == "" && c.blank:
		return tid.TID{}, CodeBlank
	case c.form == "":
		return tid.TID{}, CodeUnreadable
	case c.form == FormAAMVA, c.form == FormCADL:
		return tid.TID{}, CodeLicence
	case c.disagree:
		return tid.TID{}, CodeTracksDisagree
	}
	if bytes.Equal(c.track1, c.track2) { // as on most cards: one TID is enough
		c.track1 = nil
	}
	two, code := r.number(c.track2)
	one, code1 := r.number(c.track1)
	switch {
	case !two.IsZero() && !one.IsZero() && !same(two, one):
		two.Wipe()
		one.Wipe()
		return tid.TID{}, CodeTracksDisagree
	case !two.IsZero():
		one.Wipe()
		return two, ""
	case !one.IsZero():
		return one, ""
	case code == CodeNotATID:
		code = code1
	}
	return tid.TID{}, code
}

func (r Reader) number(digits []byte) (tid.TID, string) {
	if digits == nil {
		return tid.TID{}, CodeNotATID
	}
	id, err := r.Rules.FromCard(digits)
	return id, refusal(err)
}

// refusal gives the code for an error of the rules.
func refusal(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, tid.ErrNotConfigured):
		return CodePaymentCardsOff
	case errors.Is(err, tid.ErrNotATID):
		return CodeNotATID
	}
	return CodeNotConfigured
}

func same(a, b tid.TID) (equal bool) {
	a.Use(func(x []byte) { b.Use(func(y []byte) { equal = bytes.Equal(x, y) }) })
	return equal && a.Kind() == b.Kind()
}

// explain says a code to the person at the lane.
func explain(code string, tracks []Track) string {
	switch code {
	case CodeBlank:
		return "nothing was read from the card: turn it round and swipe it again"
	case CodeUnreadable:
		return "the card could not be read (" + faults(tracks) + "): swipe it again"
	case CodeTracksDisagree:
		return "the tracks of the card carry different numbers: it is refused"
	case CodePaymentCardsOff:
		return "payment cards are not read in this shop (payment_cards = false)"
	case CodeLicence:
		return "this is a driver's licence or identity card, which is not read"
	case CodeNotATID:
		return "the card has no number that is read in this shop"
	case CodeNotConfigured:
		return "the configuration of loyalty numbers lacks a valid issuer"
	case CodeEncrypted:
		return "the reader encrypts this card, and its number cannot be read here: swipe it at a reader that does not, or have this one set to send cards in clear"
	}
	return ""
}

// faults names the tracks that could not be read: "track 1 parity".
func faults(tracks []Track) string {
	var list []string
	for _, t := range tracks {
		if t.Status == TrackError {
			list = append(list, "track "+string(rune('0'+t.Number))+" "+t.Code)
		}
	}
	if list == nil {
		return "no track was found"
	}
	return strings.Join(list, ", ")
}
