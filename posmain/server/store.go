package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"posd/basket"
	"posd/central"
	"posd/identity"
	"posd/posmain"
)

// Store is the log of a shop. What a writing method returns nil for is durable.
// All methods may be called at the same time. Package storetest holds every
// implementation to the same rules.
type Store interface {
	// Log keeps a revision of a basket and returns its receipt. What is kept
	// already is not kept again: the receipt tells when it first was. An older
	// revision never replaces a newer one. ErrRevisionConflict and
	// ErrBasketConflict are returned once the alarm they raise is durable.
	Log(ctx context.Context, d Delivery) (posmain.Receipt, error)
	// Raise keeps an alarm about a basket that is not logged. It may know no
	// more of it than the lane.
	Raise(ctx context.Context, from Lane, a Alarm) error

	// LogID names the log, see posmain.Receipt.
	LogID(ctx context.Context) (string, error)
	// Restored gives the log a new id, so that the lanes send again what it may
	// have lost.
	Restored(ctx context.Context) (logID string, err error)

	// History gives every basket that matches q at its highest revision, by
	// the time it was closed, then by id. It ends with the first error of yield.
	History(ctx context.Context, q Query, yield func(Logged) error) error
	// Export gives the baskets whose highest revision was logged at or after
	// since and before until, in the order of that time. A zero time is no limit.
	Export(ctx context.Context, since, until time.Time, yield func(Logged) error) error
	// Identities gives each card or number that was shown with the household that it
	// had when it was shown last, by its pseudonym; none that was erased.
	Identities(ctx context.Context, yield func(Identity) error) error
	// Trace gives all that came of one basket, ErrUnknown if nothing did.
	Trace(ctx context.Context, id basket.ID) (Trace, error)
	// Lanes gives every lane that ever sent a basket, by name.
	Lanes(ctx context.Context) ([]LaneStatus, error)
	// Alarms gives the latest limit alarms, newest first.
	Alarms(ctx context.Context, limit int) ([]Alarm, error)

	// FeedStatus says how far central's feed of changes was read.
	FeedStatus(ctx context.Context) (FeedStatus, error)
	// Follow keeps a page of the feed, and how far it was read. Baskets that come
	// from then on are kept without ids that were erased.
	Follow(ctx context.Context, page central.Changes, at time.Time) error
	// Blank takes erased ids out of up to limit baskets that are kept; more tells
	// whether there may be others. Such an identity counts as opted out.
	Blank(ctx context.Context, limit int, at time.Time) (more bool, err error)
	// Scrub takes what was blanked or deleted out of what the database keeps aside.
	Scrub(ctx context.Context) error
	// Acknowledged keeps that central was told that changes are done with.
	Acknowledged(ctx context.Context, ack central.Ack) error
	// Revoked gives the serial numbers of lanes' certificates that are good no more,
	// in hexadecimal digits.
	Revoked(ctx context.Context) ([]string, error)
	// Survivor gives the household that an id stands for: itself, unless it was
	// merged.
	Survivor(ctx context.Context, id identity.HHID) (identity.HHID, error)

	// Expire deletes up to limit baskets that were closed before a time, with all
	// that came of them, and gives how many it were.
	Expire(ctx context.Context, before time.Time, limit int) (int, error)

	Close() error
}

// Errors of a Store.
var (
	ErrRevisionConflict = errors.New("that revision of the basket is logged with other content")
	ErrBasketConflict   = errors.New("that basket is logged under another lane, incarnation or sequence number")
	ErrUnknown          = errors.New("no such basket in this log")
)

// Lane names a lane, from its certificate.
type Lane struct {
	Tenant string `json:"tenant"`
	Shop   string `json:"shop"`
	Lane   string `json:"lane"`
}

// Delivery is one revision as it came.
type Delivery struct {
	From     Lane
	Software string // of the lane, "" if it did not say
	Basket   basket.Basket
	Body     []byte // exactly as sent
	At       time.Time
}

// Logged is a basket as it stands in the log.
type Logged struct {
	ID basket.ID `json:"id"`
	Lane
	Tag                    // by its highest revision
	Digest   string        `json:"digest"`
	HHIDNow  identity.HHID `json:"hhid_now,omitzero"` // the household that its card belongs to now, if that is another one
	LoggedAt time.Time     `json:"logged_at"`         // when this revision was, or ids were taken out of it
	Blanked  bool          `json:"blanked,omitempty"` // ids were taken out of it since it was sent: they were erased
	Alarm    string        `json:"alarm,omitempty"`
	Basket   basket.Basket `json:"-"`

	// Body is the basket as it was sent, with what a newer lane may have put
	// into it.
	Body json.RawMessage `json:"basket"`

	// Earlier tells whose the basket was by its earlier revisions, lowest
	// first, where that differs from the next.
	Earlier []Tag `json:"earlier,omitempty"`
}

// Tag says whose a basket is by one of its revisions.
type Tag struct {
	Revision   int                 `json:"revision"`
	State      identity.State      `json:"state"`
	HHID       identity.HHID       `json:"hhid,omitzero"`
	DeIdentTID identity.DeIdentTID `json:"deident_tid,omitempty"`
}

// Query selects baskets: those that belong to a household, or did by an earlier
// revision, or those for which a card or number with this pseudonym was shown.
// One of the two is set.
//
// A basket belongs to the household that its card belongs to now, as central's
// feed tells; AsRecorded goes by the household that was sent with it.
type Query struct {
	HHID       identity.HHID
	DeIdentTID identity.DeIdentTID
	AsRecorded bool
}

// Identity is a card or number, with the household that it had when it was shown last:
// what a central that was restored from a backup has to know again.
type Identity struct {
	DeIdentTID identity.DeIdentTID `json:"deident_tid"`
	HHID       identity.HHID       `json:"hhid"`
	At         time.Time           `json:"at"`
}

// Trace is everything that came of one basket.
type Trace struct {
	Lane
	Incarnation string      `json:"incarnation"`
	Sequence    uint64      `json:"sequence"`
	Current     int         `json:"current"`   // the highest revision, which counts
	Revisions   []Revision  `json:"revisions"` // lowest first
	Alarms      []Alarm     `json:"alarms"`    // about this basket
	SameNumber  []basket.ID `json:"same_number,omitempty"`
}

// Revision is one revision of a basket as it is kept.
type Revision struct {
	Receipt posmain.Receipt `json:"receipt"`           // as it was given, with the present watermark and log id
	Body    []byte          `json:"-"`                 // exactly as sent, unless it was blanked
	Blanked string          `json:"blanked,omitempty"` // digest of the body since ids were taken out of it, which were erased
	Tag
}

// Intact reports whether the body still has the digest that the receipt was
// given for, or that of what was left of it.
func (r Revision) Intact() bool { return posmain.Digest(r.Body) == cmp.Or(r.Blanked, r.Receipt.Digest) }

// LaneStatus is what the log knows of a lane.
type LaneStatus struct {
	Lane
	Software     string              `json:"software,omitempty"`
	FirstSeen    time.Time           `json:"first_seen"`
	LastSeen     time.Time           `json:"last_seen"`
	Incarnations []IncarnationStatus `json:"incarnations"` // the latest first
}

// IncarnationStatus is what the log holds of one journal of a lane.
type IncarnationStatus struct {
	Incarnation string    `json:"incarnation"`
	FirstSeen   time.Time `json:"first_seen"`
	LastSeen    time.Time `json:"last_seen"`
	Baskets     int       `json:"baskets"`
	Last        uint64    `json:"last"`      // the highest number logged
	Watermark   uint64    `json:"watermark"` // every number up to here is logged
	Missing     uint64    `json:"missing"`   // how many numbers below Last are not logged
	Gaps        []Range   `json:"gaps"`      // which: the first 100 ranges
}

// Range is a range of sequence numbers, both ends included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// The kinds of alarm.
const (
	AlarmSequenceFork     = posmain.AlarmSequenceFork
	AlarmRevisionConflict = "revision-conflict"
	AlarmBasketConflict   = "basket-conflict"
	AlarmCardNumber       = "card-number"
)

// Alarm is something that a person must look at.
type Alarm struct {
	Lane
	Kind        string    `json:"kind"`
	Basket      string    `json:"basket"`
	Revision    int       `json:"revision,omitempty"`
	Incarnation string    `json:"incarnation,omitempty"`
	Sequence    uint64    `json:"sequence,omitempty"`
	Digest      string    `json:"digest,omitempty"` // of the body that raised it
	Detail      string    `json:"detail"`
	Count       int       `json:"count"` // how often it was raised
	FirstAt     time.Time `json:"first_at"`
	LastAt      time.Time `json:"last_at"`
}
