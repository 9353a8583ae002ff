package journal

import (
	"bytes"
	"context"
	"slices"
	"time"

	"posd/basket"
	"posd/identity"
)

// Answer sets a pending identity to its final state.
func (m *Memory) Answer(_ context.Context, id basket.ID, swipe int, a basket.Answer) (b basket.Basket, changed bool, err error) {
	if err := checkAnswer(a); err != nil {
		return basket.Basket{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.find(id)
	if e == nil {
		return basket.Basket{}, false, basket.ErrUnknown
	}
	i := slices.IndexFunc(e.basket.Identities, func(id basket.Identity) bool { return id.Swipe == swipe })
	if i < 0 || !m.answer(e, i, a) {
		return m.tagged(e), false, nil
	}
	b, err = m.revise(e)
	return b, true, err
}

// Expire ends what has waited for too long as unresolved.
func (m *Memory) Expire(_ context.Context, ticks time.Duration) (changed []basket.Basket, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	overdue := map[basket.ID][]int{}
	for _, s := range m.sealed {
		if s.Deadline <= ticks {
			overdue[s.Basket] = append(overdue[s.Basket], s.Swipe)
		}
	}
	for _, e := range m.baskets {
		swipes := overdue[e.basket.ID]
		if len(swipes) == 0 {
			continue
		}
		for i, id := range e.basket.Identities {
			if slices.Contains(swipes, id.Swipe) {
				m.answer(e, i, basket.Answer{State: identity.Unresolved})
			}
		}
		b, err := m.revise(e)
		if err != nil {
			return changed, err
		}
		changed = append(changed, b)
	}
	return changed, nil
}

// Pending gives the identities that wait for an answer.
func (m *Memory) Pending(_ context.Context, after int64, limit int) (pending []basket.Sealed, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sealed {
		if s.Order > after && len(pending) < limit {
			s.EncTID, s.Enc = bytes.Clone(s.EncTID), bytes.Clone(s.Enc)
			pending = append(pending, s)
		}
	}
	return pending, nil
}

// revise queues a basket's next revision, if it has a number.
func (m *Memory) revise(e *entry) (basket.Basket, error) {
	if e.basket.Sequence > 0 {
		e.basket.Revision++
	}
	b := m.tagged(e)
	if b.Sequence == 0 {
		return b, nil
	}
	body, err := basket.Marshal(b)
	if err != nil {
		return b, err
	}
	m.deliveries = append(m.deliveries, &delivery{deliveryTimes: deliveryTimes{Delivery: basket.Delivery{
		Order: m.order(), Basket: b.ID, Revision: b.Revision, Sequence: b.Sequence, State: basket.Queued,
		Digest: basket.Digest(body), CreatedAt: inUTC(m.now()), Body: body,
	}}})
	return b, nil
}

// Queued gives deliveries to be sent.
func (m *Memory) Queued(_ context.Context, after int64, limit int) (queue []basket.Delivery, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deliveries {
		if d.State == basket.Queued && d.Order > after && len(queue) < limit {
			out := d.Delivery
			out.Body = bytes.Clone(d.Body)
			queue = append(queue, out)
		}
	}
	return queue, nil
}

// Acknowledge stores the receipt of a queued delivery. For one that is not
// queued nothing changes. A receipt for other bytes is refused.
func (m *Memory) Acknowledge(_ context.Context, id basket.ID, revision int, r basket.Receipt, ticks time.Duration) (resent int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.delivery(id, revision)
	if err != nil || d.State != basket.Queued {
		return 0, err
	}
	if err := checkReceipt(r, d.Digest); err != nil {
		return 0, err
	}
	if r.LogID == m.logID {
		m.watermark = max(m.watermark, r.Watermark)
	} else {
		m.logID, m.watermark, resent = r.LogID, r.Watermark, m.queueAgain()
	}
	d.State, d.settled, d.logged, d.ticks = basket.Acknowledged, inUTC(m.now()), inUTC(r.LoggedAt), ticks
	return resent, nil
}

func (m *Memory) queueAgain() (n int) {
	for _, d := range m.deliveries {
		if d.State == basket.Acknowledged {
			d.State = basket.Queued
			n++
		}
	}
	return n
}

// Refuse takes a queued delivery out of the queue. For one that is not queued
// nothing changes.
func (m *Memory) Refuse(_ context.Context, id basket.ID, revision int, reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.delivery(id, revision)
	if err == nil && d.State == basket.Queued {
		d.State, d.Reason, d.settled = basket.Refused, reason, inUTC(m.now())
	}
	return err
}

func (m *Memory) delivery(id basket.ID, revision int) (*delivery, error) {
	for _, d := range m.deliveries {
		if d.Basket == id && d.Revision == revision {
			return d, nil
		}
	}
	return nil, basket.ErrUnknown
}

// Purge deletes baskets that are done with.
func (m *Memory) Purge(_ context.Context, ticks time.Duration) (gone int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := map[basket.ID]bool{}
	for _, s := range m.sealed {
		kept[s.Basket] = true
	}
	for _, d := range m.deliveries {
		if d.State != basket.Acknowledged || d.ticks > ticks {
			kept[d.Basket] = true
		}
	}
	before := len(m.baskets)
	m.baskets = slices.DeleteFunc(m.baskets, func(e *entry) bool {
		done := e.basket.Outcome != basket.Open && e.closed <= ticks && !kept[e.basket.ID]
		kept[e.basket.ID] = !done
		return done
	})
	m.deliveries = slices.DeleteFunc(m.deliveries, func(d *delivery) bool { return !kept[d.Basket] })
	return before - len(m.baskets), nil
}

// Outbox gives what has not been acknowledged yet, and counts. Its deliveries
// come without their bodies.
func (m *Memory) Outbox(context.Context) (basket.Outbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := basket.Outbox{Pending: len(m.sealed), LogID: m.logID, Watermark: m.watermark, Deliveries: []basket.Delivery{}}
	for _, d := range m.deliveries {
		switch d.State {
		case basket.Queued:
			o.Queued++
		case basket.Refused:
			o.Refused++
		default:
			o.Acknowledged++
			continue
		}
		if len(o.Deliveries) < maxListed {
			out := d.Delivery
			out.Body = nil
			o.Deliveries = append(o.Deliveries, out)
		}
	}
	return o, nil
}

// Trace gives the history of a basket.
func (m *Memory) Trace(_ context.Context, id basket.ID) (basket.Trace, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.find(id)
	if e == nil {
		return basket.Trace{}, basket.ErrUnknown
	}
	h := e.history
	h.basket = m.tagged(e)
	for _, d := range m.deliveries {
		if d.Basket == id {
			h.deliveries = append(h.deliveries, d.deliveryTimes)
		}
	}
	return h.trace(), nil
}
