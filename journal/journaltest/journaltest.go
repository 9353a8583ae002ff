// Package journaltest holds every journal to the same conduct: what lane.Journal
// says, checked on an implementation of it.
package journaltest

import (
	"context"
	"testing"
	"time"

	"posd/basket"
	"posd/identity"
)

// Journal is lane.Journal, so that lane's own tests can use this package too.
type Journal interface {
	Numbering(ctx context.Context) (incarnation string, last uint64, err error)
	Clock(ctx context.Context) (basket.Clock, error)
	SetClock(ctx context.Context, c basket.Clock) error
	Resume(ctx context.Context) (r basket.Resumed, ok bool, err error)
	Open(ctx context.Context, b basket.Basket, ticks time.Duration) error
	Describe(ctx context.Context, b basket.Basket, ticks time.Duration) error
	AppendLine(ctx context.Context, id basket.ID, l basket.Line, ticks time.Duration) error
	VoidLine(ctx context.Context, id basket.ID, number int, at time.Time, ticks time.Duration) error
	AppendIdentity(ctx context.Context, s basket.Sealed, ticks time.Duration) error
	DropIdentities(ctx context.Context, id basket.ID) error
	Close(ctx context.Context, id basket.ID, outcome basket.Outcome, at time.Time, ticks time.Duration) (basket.Basket, error)
	Answer(ctx context.Context, id basket.ID, swipe int, a basket.Answer) (b basket.Basket, changed bool, err error)
	Expire(ctx context.Context, ticks time.Duration) ([]basket.Basket, error)
	Pending(ctx context.Context, after int64, limit int) ([]basket.Sealed, error)
	Queued(ctx context.Context, after int64, limit int) ([]basket.Delivery, error)
	Acknowledge(ctx context.Context, id basket.ID, revision int, r basket.Receipt, ticks time.Duration) (resent int, err error)
	Refuse(ctx context.Context, id basket.ID, revision int, reason string) error
	Purge(ctx context.Context, ticks time.Duration) (int, error)
	Outbox(ctx context.Context) (basket.Outbox, error)
	Trace(ctx context.Context, id basket.ID) (basket.Trace, error)
}

// Priority is the order of kinds that a journal under test must be opened with.
func Priority() []identity.Kind {
	return []identity.Kind{identity.Loyalty, identity.Payment, identity.Phone}
}

// New makes an empty journal opened with Priority. Restart gives the journal as
// a new process would find it; one that does not outlive its process returns
// itself.
type New func(t *testing.T) (j Journal, restart func() Journal)

// Run holds the journals that fresh makes to the conduct of a journal.
func Run(t *testing.T, fresh New) {
	for _, c := range []struct {
		name string
		test func(*rig)
	}{
		{"one basket is open", oneOpen},
		{"another basket is not touched", otherBasket},
		{"lines are kept in order", lines},
		{"lines are voided once", voidLine},
		{"a header is kept", describe},
		{"activity is kept", active},
		{"numbers have no gaps", numbers},
		{"training leaves nothing", training},
		{"the clock is kept", clock},
		{"identities wait with their EncTID", pending},
		{"an epoch is used after its EncTIDs were answered", epochAgain},
		{"swipe numbers are used once", swipeNumbers},
		{"identities are dropped", dropped},
		{"an open basket is answered", answerOpen},
		{"every answer on a closed basket is a revision", answerClosed},
		{"a void is final", answerVoided},
		{"bad answers change nothing", badAnswers},
		{"what waits too long expires", expire},
		{"priority picks the identity", priority},
		{"the queue is in order", queue},
		{"receipts settle deliveries", acknowledge},
		{"bad receipts settle nothing", badReceipts},
		{"a new log gets everything again", newLog},
		{"refused deliveries wait for a person", refuse},
		{"what is done with is purged", purge},
		{"a trace tells it all", trace},
		{"what a journal gave is the caller's", copies},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{T: t}
			r.Journal, r.restart = fresh(t)
			c.test(r)
		})
	}
}
