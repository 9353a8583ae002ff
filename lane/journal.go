package lane

import (
	"context"
	"time"

	"posd/basket"
)

// Journal is a lane's durable memory. Every method that changes something has
// it on the disk before it returns; a method that fails has changed nothing.
// One goroutine changes the open basket; answers and deliveries may come from
// others at the same time.
//
// A journal tags baskets (basket.Basket.Tag) by the priority of kinds it was
// opened with.
type Journal interface {
	// Numbering gives the journal's incarnation, random per journal, and the
	// last sequence number given in it.
	Numbering(ctx context.Context) (incarnation string, last uint64, err error)
	// Clock gives what SetClock last stored, or the zero Clock.
	Clock(ctx context.Context) (basket.Clock, error)
	SetClock(ctx context.Context, c basket.Clock) error

	// Resume gives the open basket, if there is one.
	Resume(ctx context.Context) (r basket.Resumed, ok bool, err error)
	// Open begins b, which has ID, Kind, OpenedAt and perhaps the header of a
	// POS program. basket.ErrOpen if one is open.
	Open(ctx context.Context, b basket.Basket, ticks time.Duration) error
	// Describe gives the open basket of b.ID the kind and header fields of b.
	Describe(ctx context.Context, b basket.Basket, ticks time.Duration) error
	// AppendLine adds l, which carries the next line number, to the open basket.
	AppendLine(ctx context.Context, id basket.ID, l basket.Line, ticks time.Duration) error
	// VoidLine marks a line of the open basket. basket.ErrNoSuchLine if there
	// is none of that number, or it is void.
	VoidLine(ctx context.Context, id basket.ID, number int, at time.Time, ticks time.Duration) error
	// AppendIdentity adds a pending identity, with its EncTID, to the open
	// basket s.Basket. The number s.Swipe has never been used in that basket.
	AppendIdentity(ctx context.Context, s basket.Sealed, ticks time.Duration) error
	// DropIdentities forgets every identity of the open basket and their
	// EncTIDs; answers still to come for them change nothing.
	DropIdentities(ctx context.Context, id basket.ID) error
	// Close ends the open basket, gives it the next sequence number and queues
	// revision 1, all in one commit. If it is voided, its pending identities
	// end as unresolved and their EncTIDs are deleted. A training basket takes
	// no number, is not queued, and keeps no identity.
	Close(ctx context.Context, id basket.ID, outcome basket.Outcome, at time.Time, ticks time.Duration) (basket.Basket, error)

	// Answer sets a pending identity to its final state and deletes its
	// EncTID; if it is not pending (any more), nothing changes and changed is
	// false. On a closed basket that has a number the next revision is queued
	// in the same commit. It returns the basket as it is then.
	Answer(ctx context.Context, id basket.ID, swipe int, a basket.Answer) (b basket.Basket, changed bool, err error)
	// Expire answers every pending identity whose deadline is at or before
	// ticks with unresolved, and returns the baskets changed.
	Expire(ctx context.Context, ticks time.Duration) ([]basket.Basket, error)
	// Pending gives up to limit identities that wait for an answer and whose
	// Order is above after, oldest first.
	Pending(ctx context.Context, after int64, limit int) ([]basket.Sealed, error)

	// Queued gives up to limit deliveries to be sent whose Order is above
	// after, oldest first.
	Queued(ctx context.Context, after int64, limit int) ([]basket.Delivery, error)
	// Acknowledge stores the receipt of a queued delivery. If its log id is not
	// the one seen before, every delivery acknowledged under another log id is
	// queued again; resent counts them.
	Acknowledge(ctx context.Context, id basket.ID, revision int, r basket.Receipt, ticks time.Duration) (resent int, err error)
	// Refuse takes a delivery out of the queue for a person to look at.
	Refuse(ctx context.Context, id basket.ID, revision int, reason string) error
	// Purge deletes what was acknowledged, or closed in training, at or before
	// ticks and waits for nothing; it returns how many baskets went. If there
	// are very many it leaves some for the next time.
	Purge(ctx context.Context, ticks time.Duration) (int, error)

	Outbox(ctx context.Context) (basket.Outbox, error)
	// Trace gives the history of a basket. basket.ErrUnknown if it is not here.
	Trace(ctx context.Context, id basket.ID) (basket.Trace, error)
}
