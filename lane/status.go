package lane

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"posd/basket"
)

// Status is how a lane does, for people and monitors.
type Status struct {
	Incarnation  string            `json:"incarnation"`
	LastSequence uint64            `json:"last_sequence"`
	Basket       *Summary          `json:"basket,omitempty"` // the open one
	Central      Link              `json:"central"`
	Main         Link              `json:"main"`
	Queued       int               `json:"queued"`                  // deliveries not acknowledged
	Refused      int               `json:"refused"`                 // deliveries set aside
	Pending      int               `json:"pending"`                 // identities that wait for central
	Watermark    uint64            `json:"watermark"`               // what the POS main computer has without a gap
	JournalError string            `json:"journal_error,omitempty"` // why nothing can be kept now
	Counts       map[string]uint64 `json:"counts"`                  // since the start
}

// Summary is the open basket in short.
type Summary struct {
	ID       basket.ID   `json:"id"`
	Kind     basket.Kind `json:"kind"`
	OpenedAt time.Time   `json:"opened_at"`
	Lines    int         `json:"lines"`
	State    string      `json:"state"`
}

// Link is how the way to another computer was, the last time it was tried.
type Link struct {
	State  string    `json:"state"` // off, untried, up, failing
	Since  time.Time `json:"since,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// Status gives the lane's status.
func (l *Lane) Status(ctx context.Context) (Status, error) {
	b, open, err := l.Current(ctx)
	if err != nil {
		return Status{}, err
	}
	out, err := l.deps.Journal.Outbox(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("read the outbox: %v", err)
	}
	s := Status{
		Central: l.central.state(l.deps.Central != nil), Main: l.main.state(l.deps.Main != nil),
		Queued: out.Queued, Refused: out.Refused, Pending: out.Pending, Watermark: out.Watermark,
		Counts: l.counts.all(),
	}
	if open {
		s.Basket = &Summary{b.ID, b.Kind, b.OpenedAt, len(b.Lines), string(b.State)}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Incarnation, s.LastSequence, s.JournalError = l.numbering.incarnation, l.numbering.last, l.journalErr
	return s, nil
}

type numbering struct {
	incarnation string
	last        uint64
}

func (l *Lane) setNumber(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.numbering.last = n
}

// journalFailed notes that the journal refuses, for the status, and gives the
// error to tell.
func (l *Lane) journalFailed(op string, err error) error {
	err = fmt.Errorf("%s: %w", op, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.journalErr = err.Error()
	l.counts.add("journal-failed")
	l.log.Error("the journal failed", "err", err)
	return err
}

func (l *Lane) journalWorks() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.journalErr = ""
}

func (l *Lane) alarm(id basket.ID, code, reason string) {
	l.counts.add("alarm-" + code)
	l.log.Warn("alarm", "code", code, "basket", id, "reason", reason)
	l.publish(Event{At: l.deps.Clock.Now(), Type: EventAlarm, Basket: &id, Code: code, Reason: reason})
}

type link struct {
	mu sync.Mutex
	Link
}

// worked notes a success and reports whether it ends a failure.
func (k *link) worked(at time.Time) (ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ended = k.State == "failing"
	if k.State != "up" {
		k.Link = Link{State: "up", Since: at}
	}
	return ended
}

func (k *link) failed(at time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.State != "failing" {
		k.Since = at
	}
	k.State, k.Reason = "failing", err.Error()
}

func (k *link) state(configured bool) Link {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !configured:
		return Link{State: "off"}
	case k.State == "":
		return Link{State: "untried"}
	}
	return k.Link
}

// counts are named counters.
type counts struct {
	mu sync.Mutex
	n  map[string]uint64
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]uint64{}
	}
	c.n[name]++
}

func (c *counts) all() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
