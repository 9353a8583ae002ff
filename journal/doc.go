// Package journal is a lane's durable memory: the open basket, the identities
// that wait for an answer, and the outbox of closed baskets.
//
// SQLite keeps it in a file; Memory keeps it for as long as the process lives,
// for tests and for trying things out. Both satisfy lane.Journal and are held
// by the conformance suite in journal/journaltest.
//
// A journal holds no TID. It holds the EncTID of an identity, which is opaque
// to it, from the swipe until the answer; then no byte of it is left in any
// file.
package journal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"posd/basket"
	"posd/identity"
)

var (
	errNoID       = errors.New("the basket has no id")
	errIDUsed     = errors.New("the basket's id was used before")
	errOutcome    = errors.New("the outcome must be closed, voided or abandoned")
	errAnswer     = errors.New("an answer must be resolved with both ids, or opted-out or unresolved with none")
	errSwipeUsed  = errors.New("the swipe number was used in this basket before")
	errNoEncTID   = errors.New("the EncTID or its epoch's encapsulated key is missing")
	errNoLogID    = errors.New("the receipt names no log")
	errOtherLog   = errors.New("the receipt is of another log")
	errOtherBytes = errors.New("the receipt is for other bytes than were sent")
)

func errLineNumber(got int) error {
	return fmt.Errorf("line number %d is not the next one of this basket", got)
}

// checkAnswer refuses what would leave an identity half known.
func checkAnswer(a basket.Answer) error {
	known := a.State == identity.Resolved
	final := known || a.State == identity.OptedOut || a.State == identity.Unresolved
	if !final || known == a.HHID.IsZero() || known == (a.DeIdentTID == "") {
		return errAnswer
	}
	return nil
}

func checkOutcome(o basket.Outcome) error {
	switch o {
	case basket.Closed, basket.Voided, basket.Abandoned:
		return nil
	}
	return errOutcome
}

func checkSealed(s basket.Sealed) error {
	if len(s.EncTID) == 0 || len(s.Enc) == 0 {
		return errNoEncTID
	}
	return nil
}

// checkReceipt refuses a receipt that does not say that these bytes are logged.
func checkReceipt(r basket.Receipt, digest string) error {
	switch {
	case r.LogID == "":
		return errNoLogID
	case r.Digest != digest:
		return errOtherBytes
	}
	return nil
}

// inUTC is t as a journal gives it back: UTC, to the nanosecond, without the
// reading of a monotonic clock.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(0, t.UnixNano()).UTC()
}

// history is what a trace is made of, beside the basket itself.
type history struct {
	basket     basket.Basket
	committed  []time.Time // of each line
	identities []identityTimes
	deliveries []deliveryTimes
}

type identityTimes struct {
	sealed, answered time.Time
}

type deliveryTimes struct {
	basket.Delivery
	settled time.Time
	logged  time.Time
}

// trace puts a basket's history in the order of its times.
func (h history) trace() basket.Trace {
	b := h.basket
	var events []basket.TraceEvent
	add := func(at time.Time, event, format string, args ...any) {
		if !at.IsZero() {
			events = append(events, basket.TraceEvent{At: at, Event: event, Detail: fmt.Sprintf(format, args...)})
		}
	}
	add(b.OpenedAt, "opened", "%s", b.Kind)
	for i, l := range b.Lines {
		add(l.At, "line-read", "line %d: %s", l.Number, l.UPC)
		add(h.committed[i], "line-committed", "line %d", l.Number)
		if l.VoidedAt != nil {
			add(*l.VoidedAt, "line-voided", "line %d", l.Number)
		}
	}
	for i, id := range b.Identities {
		add(id.At, "swiped", "swipe %d: %s", id.Swipe, id.Kind)
		add(sealedAfter(h.identities[i].sealed, id.At), "sealed", "swipe %d", id.Swipe)
		add(h.identities[i].answered, "answered", "swipe %d: %s", id.Swipe, id.State)
	}
	add(b.ClosedAt, "closed", "%s, number %d", b.Outcome, b.Sequence)
	for _, d := range h.deliveries {
		add(d.CreatedAt, "queued", "revision %d: %s", d.Revision, d.Digest)
		switch d.State {
		case basket.Acknowledged:
			add(d.settled, "acknowledged", "revision %d: logged at %s", d.Revision, d.logged.Format(time.RFC3339))
		case basket.Refused:
			add(d.settled, "refused", "revision %d: %s", d.Revision, d.Reason)
		}
	}
	slices.SortStableFunc(events, func(a, b basket.TraceEvent) int { return a.At.Compare(b.At) })
	return basket.Trace{Basket: b, Events: events}
}

// sealedAfter makes up for the seal time being cut to milliseconds: nothing is
// sealed before it is read.
func sealedAfter(sealed, read time.Time) time.Time {
	if lead := read.Sub(sealed); lead > 0 && lead < time.Millisecond {
		return read
	}
	return sealed
}
