package driver

import (
	"encoding/base64"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"posd/gs1"
	"posd/msr"
	"posd/scanner"
)

// Event is a reading in JSON, as "posd decode" prints it: of a number no more
// than its last four digits. What could not be read as it should is an error,
// with what is known of the scan or swipe all the same. A card or number that
// was read, and that no rule of the shop takes, is none: Code and Reason say why
// it is not taken.
type Event struct {
	Type Type    `json:"type"`
	At   float64 `json:"at"` // seconds since the recording's start, when the last byte was read

	Data       string            `json:"data,omitempty"`        // UnifiedPOS ScanData, if it is UTF-8
	DataBase64 string            `json:"data_base64,omitempty"` // if it is not
	Label      string            `json:"label,omitempty"`
	Symbology  scanner.Symbology `json:"symbology,omitempty"`
	GTIN       gs1.GTIN          `json:"gtin,omitempty"`
	AddOn      string            `json:"add_on,omitempty"`

	Source string      `json:"source,omitempty"` // of a swipe: card
	Form   string      `json:"form,omitempty"`
	Tracks []msr.Track `json:"tracks,omitempty"`
	Scheme msr.Scheme  `json:"scheme,omitempty"` // of an encrypted-swipe
	Cipher msr.Cipher  `json:"cipher,omitempty"`
	KSN    string      `json:"ksn,omitempty"`    // in hex
	Action string      `json:"action,omitempty"` // of a key-entry: number, clear, timeout, close
	Last4  string      `json:"last4,omitempty"`

	Kind   string `json:"kind,omitempty"` // of a scan: item, coupon, other; of a number: payment, loyalty, phone
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Failed reports whether the event tells of something that could not be read
// as it should.
func (e Event) Failed() bool { return e.Type == Error }

// Problem says why a reading could not be read as it should, nil for a good one.
func (r *Reading) Problem() *ReadError {
	switch {
	case r.Type == Error:
		return &r.Err
	case r.Type == Scan && r.Scan.Problem != nil:
		return &ReadError{r.Scan.Problem.Code, r.Scan.Problem.Reason}
	case r.Type == Swipe && r.Swipe.Unreadable():
		return &ReadError{r.Swipe.Code, r.Swipe.Reason}
	}
	return nil
}

// Event gives the reading as an event, with times from start.
func (r *Reading) Event(start time.Time) Event {
	e := Event{Type: r.Type, At: r.At.Sub(start).Seconds()}
	switch r.Type {
	case Scan:
		e.scan(&r.Scan)
	case Swipe, Encrypted:
		e.swipe(&r.Swipe)
	case Key:
		e.Action = string(r.Key)
	}
	if p := r.Problem(); p != nil {
		e.Type, e.Code, e.Reason = Error, p.Code, p.Reason
	}
	return e
}

func (e *Event) scan(s *scanner.Scan) {
	e.Label, e.Symbology, e.GTIN, e.AddOn, e.Kind = s.Label, s.Symbology, s.GTIN, s.AddOn, string(s.Kind)
	if utf8.Valid(s.Data) {
		e.Data = string(s.Data)
	} else {
		e.DataBase64 = base64.StdEncoding.EncodeToString(s.Data)
	}
}

func (e *Event) swipe(s *msr.Swipe) {
	e.Source, e.Form, e.Tracks, e.Last4 = s.Source, s.Form, s.Tracks, s.Last4()
	if x := s.Encrypted; x != nil {
		e.Scheme, e.Cipher, e.KSN = x.Scheme, x.Cipher, hex.EncodeToString(x.KSN[:])
	}
	if s.Source == msr.SourceKeypad {
		e.Type, e.Action = Key, "number"
	}
	if s.TID.IsZero() {
		e.Code, e.Reason = s.Code, s.Reason
	} else {
		e.Kind = s.TID.Kind().String()
	}
}
