package central

import (
	"posd/identity"
)

// The paths of the feed of changes, on the operations listener: ChangesPath is
// asked with GET, AckPath with POST.
const (
	ChangesPath = "/v1/changes"
	AckPath     = "/v1/changes/ack"
)

// ProblemOtherFeed says that an acknowledgement is of a feed that is no more, or of
// a change that has not been: central was restored from a backup. (409)
const ProblemOtherFeed = "urn:hhid:problem:other-feed"

// MaxChanges is how many changes an answer holds at the most.
const MaxChanges = 1000

// ChangeType says what is so now.
type ChangeType string

// The types of change.
const (
	Merged   ChangeType = "merged"   // HHID stands for the household Survivor
	Unmerged ChangeType = "unmerged" // HHID is a household of its own again
	Moved    ChangeType = "moved"    // the card DeIdentTID belongs to the household HHID
	Erased   ChangeType = "erased"   // HHID or DeIdentTID, whichever is given, must not be kept anywhere
	Revoked  ChangeType = "revoked"  // the certificate Serial of one of the shop's lanes is good no more
)

// Change is what is true of one id, or one certificate, since a change number.
// There is one for each at the most: an older one is replaced.
type Change struct {
	Number     uint64              `json:"change"`
	Type       ChangeType          `json:"type"`
	HHID       identity.HHID       `json:"hhid,omitzero"`
	Survivor   identity.HHID       `json:"survivor,omitzero"`
	DeIdentTID identity.DeIdentTID `json:"deident_tid,omitempty"`
	Serial     string              `json:"serial,omitempty"` // hexadecimal digits
}

// Changes is a page of the feed of changes, in the order of their numbers.
type Changes struct {
	Feed    string   `json:"feed"`  // names the feed; another one holds nothing of what was read of this one
	After   uint64   `json:"after"` // the page begins behind this number: 0 if central does not know what was asked for
	Changes []Change `json:"changes"`
	Next    uint64   `json:"next"` // what to ask after next
	More    bool     `json:"more"` // there are further ones already
}

// Ack says that a POS main computer is done with all changes up to one.
type Ack struct {
	Feed   string `json:"feed"`
	Change uint64 `json:"change"`
}
