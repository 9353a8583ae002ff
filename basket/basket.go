// Package basket is what a lane hands to the shop's POS main computer: the
// UPCs of one transaction with the household id (HHID) and the de-identified
// TID of whoever was identified for it. It never holds a TID, nor one
// encrypted.
//
// A basket is sent whole, as a numbered revision: revision 1 when it is closed,
// a further one each time an answer of the central computer system changes who
// it belongs to.
package basket

import (
	"time"

	"github.com/google/uuid"

	"posd/gs1"
	"posd/identity"
)

// Version is the version of the wire form, its field "v".
const Version = 1

// ID identifies one basket for ever: a UUID, version 7.
type ID = uuid.UUID

// NewID returns an id that no other basket has.
func NewID() ID { return uuid.Must(uuid.NewV7()) }

// ParseID reads the text form of an id, in lower case with hyphens.
func ParseID(s string) (ID, error) {
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s {
		return ID{}, errNotAnID
	}
	return id, nil
}

// Kind is the kind of transaction, as the POS program named it.
type Kind string

// The kinds of transaction. A training basket takes no number and is sent
// nowhere.
const (
	Sale     Kind = "sale"
	Return   Kind = "return"
	Exchange Kind = "exchange"
	Training Kind = "training"
)

// Outcome says how a transaction ended; it is empty while the basket is open.
type Outcome string

// The ways in which a transaction ends. Each takes a number.
const (
	Open      Outcome = ""
	Closed    Outcome = "closed"    // paid for
	Voided    Outcome = "voided"    // given up by the clerk
	Abandoned Outcome = "abandoned" // left idle
)

// LineKind tells items from coupons.
type LineKind string

// The kinds of line.
const (
	Item   LineKind = "item"
	Coupon LineKind = "coupon"
)

// Line is one scanned or keyed label.
type Line struct {
	Number    int         `json:"line"`                // 1, 2, 3 ... within the basket
	At        time.Time   `json:"at"`                  // when it was read, by the lane's clock
	UPC       string      `json:"upc"`                 // as scanned (UnifiedPOS ScanDataLabel)
	Data      []byte      `json:"data,omitempty"`      // as the scanner sent it (UnifiedPOS ScanData), where that differs
	GTIN      string      `json:"gtin,omitempty"`      // 14 digits, if the label holds one
	Reference string      `json:"reference,omitempty"` // GTIN to look the item up by, where price or weight stand in the label's own: the same with zeros for them
	Symbology string      `json:"symbology,omitempty"` // UnifiedPOS spelling
	AddOn     string      `json:"add_on,omitempty"`    // 2 or 5 digits beside an EAN or UPC
	Kind      LineKind    `json:"kind"`
	Quantity  int         `json:"quantity"`            // pieces; negative for what comes back
	Price     *gs1.Price  `json:"price,omitempty"`     // of the piece, as the label says it
	Weight    *gs1.Weight `json:"weight,omitempty"`    // of the piece, net, as the label says it
	Device    string      `json:"device,omitempty"`    // which of the lane's devices read it
	Problem   string      `json:"problem,omitempty"`   // a code of why the label is doubtful, for the clerk to decide
	Error     string      `json:"error,omitempty"`     // the same in words, with the AI and the byte of the label; nothing of what it holds
	VoidedAt  *time.Time  `json:"voided_at,omitempty"` // set once the clerk has voided the line
}

// Identity is one card or number shown for the basket.
type Identity struct {
	Swipe      int                 `json:"swipe"` // 1, 2, 3 ... within the basket
	Kind       identity.Kind       `json:"kind"`
	At         time.Time           `json:"at"`
	State      identity.State      `json:"state"`
	HHID       identity.HHID       `json:"hhid,omitzero"`
	DeIdentTID identity.DeIdentTID `json:"deident_tid,omitempty"`
}

// Basket is one transaction. Tenant, shop and lane are not in it: the POS main
// computer takes them from the lane's certificate.
type Basket struct {
	V           int     `json:"v"`
	ID          ID      `json:"id"`
	Revision    int     `json:"revision"`              // 0 while open, then 1, 2, ...
	Incarnation string  `json:"incarnation,omitempty"` // of the lane's journal: 16 hex digits
	Sequence    uint64  `json:"sequence,omitempty"`    // within the incarnation, from 1, without gaps; 0 while open and in training
	Kind        Kind    `json:"kind"`
	Outcome     Outcome `json:"outcome,omitempty"`

	OpenedAt time.Time `json:"opened_at"`
	ClosedAt time.Time `json:"closed_at,omitzero"`

	Transaction  string `json:"transaction,omitempty"`   // the POS program's own number
	BusinessDate string `json:"business_date,omitempty"` // YYYY-MM-DD
	Operator     string `json:"operator,omitempty"`

	Lines []Line `json:"lines"`

	State      identity.State      `json:"state"` // of the identity that counts, chosen by Tag
	HHID       identity.HHID       `json:"hhid,omitzero"`
	DeIdentTID identity.DeIdentTID `json:"deident_tid,omitempty"`
	Identities []Identity          `json:"identities"`
}

// Tag sets the basket's own State, HHID and DeIdentTID from its identities: a
// resolved one of the kind that stands first in priority, the latest shown
// where there are several of that kind. Kinds that priority does not name come
// last. Where none is resolved, the basket is pending if any is, else opted
// out, else unresolved, else anonymous.
func (b *Basket) Tag(priority []identity.Kind) {
	b.State, b.HHID, b.DeIdentTID = identity.Anonymous, identity.HHID{}, ""
	best := -1
	for _, id := range b.Identities {
		if r := rank(id, priority); r >= best {
			best, b.State, b.HHID, b.DeIdentTID = r, id.State, id.HHID, id.DeIdentTID
		}
	}
}

// rank orders identities: what is resolved above what is not, then by
// priority.
func rank(id Identity, priority []identity.Kind) int {
	switch id.State {
	case identity.Resolved:
		for i, k := range priority {
			if k == id.Kind {
				return 100 - i
			}
		}
		return 10
	case identity.Pending:
		return 3
	case identity.OptedOut:
		return 2
	}
	return 1
}
