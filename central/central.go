// Package central is the wire form and the client of the central computer
// system: the program that knows which household a card belongs to (elements 8
// and 9 of claim 1 of US 2009/0076923 A1).
//
// A lane sends an encrypted tender identification (EncTID) with Client.Resolve
// and gets back a household id (HHID) and a pseudonym of the card (DeIdentTID).
// To this package an EncTID is opaque bytes: what is in it is package enctid's
// business, and only package central/server/opener can open one. The public
// keys that EncTIDs are made for come in a signed Manifest.
//
// Requests and answers are JSON over HTTPS with client certificates; whose lane
// it is that asks, central takes from the certificate alone. Every refusal is a
// Problem in the form of RFC 9457.
package central

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"posd/identity"
	"posd/problem"
)

// The paths of the lookup listener. All are asked with POST.
const (
	ResolvePath  = "/v1/resolve"
	BatchPath    = "/v1/resolve:batch"
	ManifestPath = "/v1/manifest"
)

// MaxRequest is the largest request body, in bytes, that the lookup listener
// takes. An EncTID that brings its enc needs less than half of it.
const MaxRequest = 4 << 10

// The limits of a batch: the most requests in it, and the most bytes of its body.
const (
	MaxBatch        = 100
	MaxBatchRequest = 256 << 10
)

// Request asks whose card an EncTID holds. Basket, Swipe and SealedAt are the
// fields that were bound into the EncTID when it was sealed; asking the same
// again is harmless and gives the same answer.
type Request struct {
	EncTID   []byte    `json:"enctid"`    // EncTID v1, with its enc where central must learn the epoch
	Basket   uuid.UUID `json:"basket"`    // the basket's id
	Swipe    uint32    `json:"swipe"`     // number of the swipe within the basket
	SealedAt int64     `json:"sealed_at"` // Unix milliseconds by the lane's clock
}

// Answer says whose card it was. Basket and Swipe repeat the request's.
type Answer struct {
	Basket     uuid.UUID           `json:"basket"`
	Swipe      uint32              `json:"swipe"`
	State      identity.State      `json:"state"` // Resolved with both ids, or OptedOut with none
	HHID       identity.HHID       `json:"hhid,omitzero"`
	DeIdentTID identity.DeIdentTID `json:"deident_tid,omitempty"`
}

// Check reports what is wrong with a as the answer to r, nil if nothing is.
func (a Answer) Check(r Request) error {
	if a.Basket != r.Basket || a.Swipe != r.Swipe {
		return errors.New("the answer is for another swipe")
	}
	switch a.State {
	case identity.Resolved:
		if a.HHID.IsZero() || a.DeIdentTID == "" {
			return errors.New("the answer lacks an id")
		}
	case identity.OptedOut:
		if !a.HHID.IsZero() || a.DeIdentTID != "" {
			return errors.New("the answer gives ids of a person who opted out")
		}
	default:
		return fmt.Errorf("the answer has the unknown state %q", a.State)
	}
	return nil
}

// BatchRequest asks for many at once: what a lane could not ask for when it was shown.
type BatchRequest struct {
	Items []Request `json:"items"` // 1 to MaxBatch
}

// BatchAnswer answers each item of a BatchRequest, in its order.
type BatchAnswer struct {
	Items []BatchItem `json:"items"`
}

// BatchItem is what became of one item: an Answer, or the Problem that it alone would
// have been answered with.
type BatchItem struct {
	Answer     *Answer  `json:"answer,omitempty"`
	Problem    *Problem `json:"problem,omitempty"`
	RetryAfter int      `json:"retry_after,omitempty"` // seconds; beside a Problem
}

// result is what Client.Resolve would have returned for r.
func (i BatchItem) result(r Request) Result {
	switch {
	case i.Problem != nil && i.Problem.Type != "" && i.Answer == nil:
		i.Problem.RetryAfter = problem.Wait(i.RetryAfter)
		return Result{Err: i.Problem}
	case i.Answer == nil || i.Problem != nil:
		return Result{Err: errors.New("the answer says nothing of this item")}
	}
	if err := i.Answer.Check(r); err != nil {
		return Result{Err: err}
	}
	return Result{Answer: *i.Answer}
}

// ManifestRequest asks for the current manifest. Version is the one that the
// caller holds, 0 for none; central answers the same in either case.
type ManifestRequest struct {
	Version uint64 `json:"version"`
}
