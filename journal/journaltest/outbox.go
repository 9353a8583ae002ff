package journaltest

import (
	"slices"
	"strings"
	"time"

	"posd/basket"
	"posd/identity"
)

func (r *rig) outbox() basket.Outbox {
	r.Helper()
	o, err := r.Outbox(ctx)
	r.ok(err)
	return o
}

// withoutBodies is how an outbox lists deliveries.
func withoutBodies(q []basket.Delivery) []basket.Delivery {
	q = slices.Clone(q)
	for i := range q {
		q[i].Body = nil
	}
	return q
}

func queue(r *rig) {
	for range 5 {
		r.sale(identity.Phone)
	}
	all := r.queue()
	r.same("queued", len(all), 5)
	for i, d := range all {
		r.same("sequence", d.Sequence, uint64(i+1))
	}
	r.again()
	var paged []basket.Delivery
	var after int64
	for range 3 {
		page, err := r.Queued(ctx, after, 2)
		r.ok(err)
		paged = append(paged, page...)
		after = page[len(page)-1].Order
	}
	rest, err := r.Queued(ctx, after, 2)
	r.ok(err)
	r.same("behind the last page", len(rest), 0)
	r.same("pages", paged, all)
	r.same("outbox", r.outbox(), basket.Outbox{Queued: 5, Pending: 5, Deliveries: withoutBodies(all)})
}

func acknowledge(r *rig) {
	r.sale()
	r.sale()
	q := r.queue()
	r.same("resent", r.ack(q[1], "log", 1), 0)
	r.same("resent", r.ack(q[1], "other", 1), 0) // not queued any more: nothing changes
	r.again()
	r.same("queue", r.queue(), q[:1])
	r.same("outbox", r.outbox(), basket.Outbox{Queued: 1, Acknowledged: 1, LogID: "log", Watermark: 2, Deliveries: withoutBodies(q[:1])})
	r.ack(q[0], "log", 1)
	r.same("outbox", r.outbox(), basket.Outbox{Acknowledged: 2, LogID: "log", Watermark: 2, Deliveries: []basket.Delivery{}})
}

func badReceipts(r *rig) {
	b := r.sale()
	q := r.queue()
	good := r.receipt(q[0], "log")
	for _, spoil := range []func(*basket.Receipt){
		func(x *basket.Receipt) { x.LogID = "" },
		func(x *basket.Receipt) { x.Digest = "" },
		func(x *basket.Receipt) { x.Digest = basket.Digest(nil) },
	} {
		bad := good
		spoil(&bad)
		_, err := r.Acknowledge(ctx, b.ID, 1, bad, 0)
		r.refused(err)
	}
	for _, id := range []basket.ID{b.ID, basket.NewID()} {
		_, err := r.Acknowledge(ctx, id, 2, good, 0)
		r.want(err, basket.ErrUnknown)
		r.want(r.Refuse(ctx, id, 2, "no"), basket.ErrUnknown)
	}
	r.same("queue", r.queue(), q)
	r.same("outbox", r.outbox(), basket.Outbox{Queued: 1, Deliveries: withoutBodies(q)})
}

func newLog(r *rig) {
	b := r.sale(identity.Phone)
	r.sale()
	r.answer(b.ID, 1, resolved(1))
	r.sale()
	q := r.queue()
	for _, d := range q[:3] {
		r.same("resent", r.ack(d, "old", 1), 0)
	}
	r.same("resent", r.ack(q[3], "new", 2), 3)
	r.again()
	r.same("queue", r.queue(), q[:3])
	o := r.outbox()
	r.same("log", []any{o.LogID, o.Watermark, o.Acknowledged}, []any{"new", q[3].Sequence, 1})
	for _, d := range q[:3] {
		r.same("resent", r.ack(d, "new", 3), 0)
	}
	r.same("watermark", r.outbox().Watermark, q[3].Sequence) // receipts may come in any order
	r.same("queue", len(r.queue()), 0)
}

func refuse(r *rig) {
	b := r.sale(identity.Phone)
	q := r.queue()
	r.ok(r.Refuse(ctx, b.ID, 1, "sequence taken"))
	r.ok(r.Refuse(ctx, b.ID, 1, "again"))
	r.again()
	r.same("queue", len(r.queue()), 0)
	r.ack(q[0], "log", 1)
	want := withoutBodies(q)
	want[0].State, want[0].Reason = basket.Refused, "sequence taken"
	r.same("outbox", r.outbox(), basket.Outbox{Refused: 1, Pending: 1, Deliveries: want})
	b = r.answer(b.ID, 1, resolved(1)) // the next revision is sent all the same
	q = r.queue()
	r.same("queue", len(q), 1)
	r.sent(q[0], b)
}

func purge(r *rig) {
	done := r.sale()
	waits := r.sale(identity.Phone)
	queued := r.sale()
	refused := r.sale()
	practice := r.close(r.open(basket.Training), basket.Closed)
	open := r.open(basket.Sale)
	for _, d := range r.queue() {
		switch d.Basket {
		case refused.ID:
			r.ok(r.Refuse(ctx, d.Basket, d.Revision, "no"))
		case done.ID, waits.ID:
			r.ack(d, "log", 10)
		}
	}
	gone := func(ticks time.Duration, want int, ids ...basket.ID) {
		r.Helper()
		n, err := r.Purge(ctx, ticks)
		r.ok(err)
		r.same("purged", n, want)
		r.again()
		for _, id := range ids {
			_, err := r.Trace(ctx, id)
			r.want(err, basket.ErrUnknown)
			_, _, err = r.Answer(ctx, id, 1, resolved(1))
			r.want(err, basket.ErrUnknown)
		}
	}
	gone(-1, 0)
	gone(9, 1, practice.ID)
	gone(10, 1, done.ID)
	r.answer(waits.ID, 1, resolved(1))
	gone(100, 0)
	r.same("queue", len(r.queue()), 2)
	r.ack(r.queue()[1], "log", 20)
	gone(19, 0)
	gone(20, 1, waits.ID)
	for _, id := range []basket.ID{queued.ID, refused.ID, open} {
		_, err := r.Trace(ctx, id)
		r.ok(err)
	}
	r.same("next number", r.close(open, basket.Closed).Sequence, uint64(5))
}

func trace(r *rig) {
	id := basket.NewID()
	_, err := r.Trace(ctx, id)
	r.want(err, basket.ErrUnknown)
	start := time.Now().Add(-time.Second).UTC()
	b := basket.Basket{ID: id, Kind: basket.Sale, OpenedAt: start}
	r.ok(r.Open(ctx, b, 0))
	l := aLine(1)
	l.At = start.Add(1)
	r.ok(r.AppendLine(ctx, id, l, 0))
	s := aSealed(id, 1, identity.Phone, time.Hour)
	s.At, s.SealedAt = start.Add(2), start.Add(2).UnixMilli()
	r.ok(r.AppendIdentity(ctx, s, 0))
	r.ok(r.VoidLine(ctx, id, 1, time.Now(), 0))
	_, err = r.Close(ctx, id, basket.Closed, time.Now(), 0)
	r.ok(err)
	b = r.answer(id, 1, resolved(1))
	q := r.queue()
	r.ack(q[0], "log", 0)
	r.ok(r.Refuse(ctx, id, 2, "because"))
	r.again()
	got, err := r.Trace(ctx, id)
	r.ok(err)
	r.same("basket", got.Basket, b)
	var events []string
	for i, e := range got.Events {
		if i > 0 && e.At.Before(got.Events[i-1].At) {
			r.Errorf("%s is out of order", e.Event)
		}
		if e.At.Before(start) || e.At.After(time.Now()) || e.At.Location() != time.UTC {
			r.Errorf("%s at %v", e.Event, e.At)
		}
		events = append(events, e.Event)
	}
	r.same("events", strings.Join(events, " "),
		"opened line-read swiped sealed line-committed line-voided closed queued answered queued acknowledged refused")
}
