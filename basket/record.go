package basket

import (
	"errors"
	"time"

	"posd/identity"
)

// What a lane remembers of its baskets beyond their wire form. These types are
// the vocabulary between the lane's loop and its journal; durations called
// ticks count the time that the lane's machine was running since the journal
// was made, so that no step of the wall clock moves them.

// Errors of a journal that a caller tells apart.
var (
	ErrOpen       = errors.New("a basket is open already: close or void it first")
	ErrNotOpen    = errors.New("no such basket is open")
	ErrNoSuchLine = errors.New("no such line, or it is void already")
	ErrUnknown    = errors.New("no such basket in this lane's journal; it may be older than keep_for")
)

// Resumed is the open basket as a lane finds it at its start.
type Resumed struct {
	Basket    Basket
	LastSwipe int           // the highest swipe number ever given in it; dropped identities count
	Active    time.Duration // ticks of its last scan, swipe or command
}

// Sealed is one identity on its way to the central computer system: the EncTID
// and what the request and its additional authenticated data need. To a
// journal the EncTID is opaque. It is deleted as soon as its identity is final.
type Sealed struct {
	Order    int64 // position in the journal, rising; given by it
	Basket   ID
	Swipe    int
	Kind     identity.Kind
	At       time.Time // when it was read
	SealedAt int64     // Unix milliseconds, as bound into the EncTID

	EncTID []byte // without enc
	Epoch  [16]byte
	Key    uint32
	Enc    []byte // the epoch's encapsulated key; kept once per epoch

	Deadline time.Duration // ticks at which it ends as unresolved
}

// Answer is what became of an identity: Resolved with both ids, OptedOut or
// Unresolved with none.
type Answer struct {
	State      identity.State
	HHID       identity.HHID
	DeIdentTID identity.DeIdentTID
}

// DeliveryState says how far a revision has come on its way to the POS main
// computer.
type DeliveryState string

// The states of a delivery.
const (
	Queued       DeliveryState = "queued"
	Acknowledged DeliveryState = "acknowledged"
	Refused      DeliveryState = "refused" // the POS main computer will not take it; a person must look
)

// Delivery is one revision of a basket in the lane's outbox. Body is its exact
// wire form; a repeated delivery sends the same bytes.
type Delivery struct {
	Order     int64         `json:"-"` // position in the outbox, rising; given by the journal
	Basket    ID            `json:"basket"`
	Revision  int           `json:"revision"`
	Sequence  uint64        `json:"sequence"`
	State     DeliveryState `json:"state"`
	Reason    string        `json:"reason,omitempty"` // why it was refused
	Digest    string        `json:"digest"`
	CreatedAt time.Time     `json:"created_at"`
	Body      []byte        `json:"-"`
}

// Receipt is the POS main computer's word that it has logged a revision
// durably.
type Receipt struct {
	LogID     string    `json:"log_id"`    // changes when the POS main computer's log is a new one
	Digest    string    `json:"digest"`    // of the bytes logged
	Watermark uint64    `json:"watermark"` // it holds every sequence number of this incarnation up to here
	LoggedAt  time.Time `json:"logged_at"`
	Alarm     string    `json:"alarm,omitempty"`
}

// Outbox is what has not been acknowledged yet, oldest first, and counts.
type Outbox struct {
	Queued       int        `json:"queued"`
	Refused      int        `json:"refused"`
	Acknowledged int        `json:"acknowledged"` // kept in case the POS main computer loses its log
	Pending      int        `json:"pending"`      // identities that wait for central
	LogID        string     `json:"log_id,omitempty"`
	Watermark    uint64     `json:"watermark"`
	Deliveries   []Delivery `json:"deliveries"` // queued and refused ones, at most 1,000
}

// Trace is the history of one basket: what it is now, and when everything in
// it was read, committed, answered, sent and received.
type Trace struct {
	Basket Basket       `json:"basket"`
	Events []TraceEvent `json:"events"` // in the order of their times
}

// TraceEvent is one step in the life of a basket.
type TraceEvent struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"` // opened, line-read, line-committed, line-voided, swiped, sealed, answered, closed, queued, acknowledged, refused
	Detail string    `json:"detail,omitempty"`
}

// Clock is a lane's persisted count of ticks and the boot it was taken in.
type Clock struct {
	Ticks  time.Duration // since the journal was made
	BootID string        // of the machine's boot then (/proc/sys/kernel/random/boot_id)
	Boot   time.Duration // CLOCK_BOOTTIME then
}
