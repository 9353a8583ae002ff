package lane

import (
	"errors"
	"fmt"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/scanner"
)

// The life of a basket: opened, described, corrected and ended.

func (t *till) ensureOpen(at time.Time) error {
	if t.cur != nil {
		return nil
	}
	if t.cfg.OpenByPOS {
		return refused("no-basket", "no basket is open: the POS program opens them (basket.open_by)")
	}
	return t.open(basket.Basket{Kind: basket.Sale, OpenedAt: stamp(at)})
}

func (t *till) open(b basket.Basket) error {
	b.V, b.ID, b.State = basket.Version, basket.NewID(), identity.Anonymous
	now := t.ticks.now()
	if err := t.deps.Journal.Open(t.ctx, b, now); err != nil {
		return t.journalFailed("open a basket", err)
	}
	t.journalWorks()
	t.cur = &current{Basket: b, active: now}
	t.publish(Event{At: b.OpenedAt, Type: EventOpened, Basket: &t.cur.ID})
	return nil
}

// start opens a basket for the POS program, or takes over one that is open and
// holds nothing.
func (t *till) start(h Header) (b basket.Basket, err error) {
	defer func() {
		if err == nil {
			t.hasClosed = false // whoever shows a card now is the next customer
		}
	}()
	if h.Kind == "" {
		h.Kind = basket.Sale
	}
	if err := checkHeader(h); err != nil {
		return basket.Basket{}, err
	}
	b = basket.Basket{Kind: h.Kind, OpenedAt: stamp(t.deps.Clock.Now()), Transaction: h.Transaction, BusinessDate: h.BusinessDate, Operator: h.Operator}
	if t.cur == nil {
		if err := t.open(b); err != nil {
			return basket.Basket{}, err
		}
		return t.snapshot(), nil
	}
	if len(t.cur.Lines) > 0 || len(t.cur.Identities) > 0 {
		return t.snapshot(), basket.ErrOpen
	}
	return t.describe(b)
}

func (t *till) describe(b basket.Basket) (basket.Basket, error) {
	b.ID = t.cur.ID
	now := t.ticks.now()
	if err := t.deps.Journal.Describe(t.ctx, b, now); err != nil {
		return basket.Basket{}, t.journalFailed("open a basket", err)
	}
	t.journalWorks()
	t.cur.Kind, t.cur.Transaction, t.cur.BusinessDate, t.cur.Operator = b.Kind, b.Transaction, b.BusinessDate, b.Operator
	t.cur.active = now
	return t.snapshot(), nil
}

func checkHeader(h Header) error {
	switch h.Kind {
	case basket.Sale, basket.Return, basket.Exchange, basket.Training:
	default:
		return refused("bad-header", fmt.Sprintf("kind %q is none of sale, return, exchange, training", h.Kind))
	}
	if err := basket.CheckHeader(h.Transaction, h.BusinessDate, h.Operator); err != nil {
		return refused("bad-header", err.Error())
	}
	return nil
}

func (t *till) voidLine(number int) (basket.Basket, error) {
	if t.cur == nil {
		return basket.Basket{}, basket.ErrNotOpen
	}
	at, now := stamp(t.deps.Clock.Now()), t.ticks.now()
	switch err := t.deps.Journal.VoidLine(t.ctx, t.cur.ID, number, at, now); {
	case errors.Is(err, basket.ErrNoSuchLine):
		return t.snapshot(), err
	case err != nil:
		return basket.Basket{}, t.journalFailed("void the line", err)
	}
	t.journalWorks()
	t.cur.active = now
	line := &t.cur.Lines[number-1]
	line.VoidedAt = &at
	voided := *line
	t.publish(Event{At: at, Type: EventVoided, Basket: &t.cur.ID, Line: &voided})
	return t.snapshot(), nil
}

func (t *till) keyIn(label string, quantity int) (basket.Basket, error) {
	s := scanner.Decode([]byte(label), scanner.Options{})
	route := t.route(s)
	switch {
	case route.err != nil:
		return basket.Basket{}, route.err
	case route.close, !route.tid.IsZero():
		route.tid.Wipe()
		return basket.Basket{}, refused("not-an-item", "this label is no item: scan it instead")
	}
	if err := t.append(t.deps.Clock.Now(), "", s, route.kind, quantity); err != nil {
		return basket.Basket{}, err
	}
	return t.snapshot(), nil
}

// end closes the open basket.
func (t *till) end(outcome basket.Outcome) (basket.Basket, error) {
	if t.cur == nil {
		return basket.Basket{}, basket.ErrNotOpen
	}
	now := t.ticks.now()
	b, err := t.deps.Journal.Close(t.ctx, t.cur.ID, outcome, stamp(t.deps.Clock.Now()), now)
	if err != nil {
		return basket.Basket{}, t.journalFailed("close the basket", err)
	}
	t.journalWorks()
	t.cur = nil
	if outcome != basket.Abandoned {
		t.hasClosed, t.closedTicks = true, now
	}
	if b.Sequence > 0 {
		t.setNumber(b.Sequence)
	}
	t.counts.add("basket-" + string(outcome))
	t.publish(Event{At: b.ClosedAt, Type: EventClosed, Basket: &b.ID, Outcome: outcome, Sequence: b.Sequence, State: b.State, HHID: b.HHID})
	t.forwarder.wake()
	return b, nil
}
