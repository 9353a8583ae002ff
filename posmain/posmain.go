// Package posmain is the wire form and the client of the POS main computer:
// the program of a shop that logs the transactions of all its lanes (element 3
// of claim 1 of US 2009/0076923 A1).
//
// A lane sends each closed basket with Client.Put and gets a Receipt once the
// basket is on the POS main computer's disk. The same revision may be sent any
// number of times; the receipt stays the same, except for the watermark, which
// moves on. A higher revision replaces a lower one whatever the order of their
// arrival; every revision is kept.
//
// The service itself is package posmain/server.
package posmain

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// MaxBody is the largest basket, in bytes of JSON, that the POS main computer
// takes. A basket of 2,000 lines needs a tenth of it.
const MaxBody = 4 << 20

// BasketsPath is where baskets are put; the basket's id follows.
const BasketsPath = "/v1/baskets/"

// AlarmSequenceFork is what Receipt.Alarm says when the basket's sequence
// number is already that of another basket of the same incarnation: the lane's
// journal was copied or set back. Both baskets are kept.
const AlarmSequenceFork = "sequence-fork"

// Receipt says that a basket's revision is durably logged.
type Receipt struct {
	Basket   string `json:"basket"`   // the basket's id
	Revision int    `json:"revision"` // the revision this receipt is for
	Digest   string `json:"digest"`   // Digest of the body as it was sent

	// LogID names the log: 128 random bits in hex, new whenever the log is made
	// new or restored from a backup. A lane that sees it change sends again what
	// the lost log may have held.
	LogID string `json:"log_id"`

	// Watermark is the highest sequence number of the basket's incarnation up to
	// which every basket is logged, counted from 1; 0 when number 1 is missing.
	Watermark uint64 `json:"watermark"`

	LoggedAt time.Time `json:"logged_at"`       // when this revision was first logged, UTC
	Alarm    string    `json:"alarm,omitempty"` // "" or AlarmSequenceFork
}

// Digest names the bytes of a body: "sha256:" and 64 lower-case hex digits.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}
