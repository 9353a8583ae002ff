package journaltest

import (
	"fmt"
	"time"

	"posd/basket"
	"posd/gs1"
	"posd/identity"
)

func oneOpen(r *rig) {
	if _, ok, err := r.Resume(ctx); ok || err != nil {
		r.Fatalf("a new journal has an open basket (%v)", err)
	}
	id := r.open(basket.Sale)
	r.want(r.Open(ctx, basket.Basket{ID: basket.NewID(), Kind: basket.Sale, OpenedAt: at(1)}, 0), basket.ErrOpen)
	r.again()
	r.same("open basket", r.resume().Basket.ID, id)
	r.want(r.Open(ctx, basket.Basket{ID: basket.NewID(), Kind: basket.Sale, OpenedAt: at(1)}, 0), basket.ErrOpen)
	r.close(id, basket.Closed)
	if _, ok, _ := r.Resume(ctx); ok {
		r.Fatal("a closed basket is still open")
	}
	r.refused(r.Open(ctx, basket.Basket{ID: id, Kind: basket.Sale, OpenedAt: at(1)}, 0))
	r.refused(r.Open(ctx, basket.Basket{Kind: basket.Sale, OpenedAt: at(1)}, 0))
	r.open(basket.Return)
}

func otherBasket(r *rig) {
	closed := r.sale().ID
	open := r.open(basket.Sale)
	for _, id := range []basket.ID{closed, basket.NewID()} {
		r.want(r.Describe(ctx, basket.Basket{ID: id, Kind: basket.Return}, 0), basket.ErrNotOpen)
		r.want(r.AppendLine(ctx, id, aLine(1), 0), basket.ErrNotOpen)
		r.want(r.VoidLine(ctx, id, 1, at(1), 0), basket.ErrNotOpen)
		r.want(r.AppendIdentity(ctx, aSealed(id, 1, identity.Phone, 0), 0), basket.ErrNotOpen)
		r.want(r.DropIdentities(ctx, id), basket.ErrNotOpen)
		_, err := r.Close(ctx, id, basket.Closed, at(1), 0)
		r.want(err, basket.ErrNotOpen)
	}
	r.same("open basket", r.resume(), basket.Resumed{Basket: basket.Basket{
		V: basket.Version, ID: open, Kind: basket.Sale, OpenedAt: at(0).UTC(), State: identity.Anonymous,
		Lines: []basket.Line{}, Identities: []basket.Identity{},
	}})
}

func lines(r *rig) {
	id := r.open(basket.Sale)
	var want []basket.Line
	for n := 1; n <= 200; n++ {
		l := aLine(n)
		l.UPC = fmt.Sprintf("%06d", n)
		if n%3 == 0 {
			l = basket.Line{Number: n, At: at(-n).UTC(), UPC: "]C1\x1d\x00raw\xff", Data: []byte{0, 255, byte(n)}, AddOn: "12", Kind: basket.Coupon, Quantity: -n, Problem: "check-digit"}
		}
		if n%5 == 0 {
			l.Error, l.Reference = "AI (10), byte 3: bad", "00036000000008"
			l.Price, l.Weight = &gs1.Price{Amount: int64(n), Decimals: 2}, &gs1.Weight{Amount: 999_999_999_999_999, Unit: "kg"}
		}
		r.ok(r.AppendLine(ctx, id, l, 0))
		want = append(want, l)
		r.refused(r.AppendLine(ctx, id, l, 0))
		r.refused(r.AppendLine(ctx, id, aLine(n+2), 0))
		r.refused(r.AppendLine(ctx, id, aLine(0), 0))
		if n == 100 {
			r.again()
		}
	}
	r.same("lines", r.resume().Basket.Lines, want)
	r.same("lines closed", r.close(id, basket.Closed).Lines, want)
}

func voidLine(r *rig) {
	id := r.open(basket.Sale)
	r.line(id, 1)
	r.line(id, 2)
	r.ok(r.VoidLine(ctx, id, 2, at(7), 0))
	for _, n := range []int{-1, 0, 2, 3} {
		r.want(r.VoidLine(ctx, id, n, at(8), 0), basket.ErrNoSuchLine)
	}
	r.again()
	voided := aLine(2)
	when := at(7).UTC()
	voided.VoidedAt = &when
	r.same("lines", r.resume().Basket.Lines, []basket.Line{aLine(1), voided})
	r.line(id, 3)
}

func describe(r *rig) {
	b := basket.Basket{ID: basket.NewID(), Kind: basket.Sale, OpenedAt: at(0), Transaction: "T-1"}
	r.ok(r.Open(ctx, b, 0))
	b.Kind, b.Transaction, b.BusinessDate, b.Operator = basket.Exchange, "T-2", "2026-11-23", "anna"
	r.ok(r.Describe(ctx, b, 0))
	r.again()
	got := r.resume().Basket
	r.same("header", []any{got.Kind, got.Transaction, got.BusinessDate, got.Operator}, []any{b.Kind, b.Transaction, b.BusinessDate, b.Operator})
	r.same("opened", got.OpenedAt, at(0).UTC())
}

func active(r *rig) {
	id := basket.NewID()
	var tick time.Duration
	for _, step := range []func() error{
		func() error { return r.Open(ctx, basket.Basket{ID: id, Kind: basket.Sale, OpenedAt: at(0)}, tick) },
		func() error { return r.AppendLine(ctx, id, aLine(1), tick) },
		func() error { return r.VoidLine(ctx, id, 1, at(1), tick) },
		func() error { return r.AppendIdentity(ctx, aSealed(id, 1, identity.Phone, 0), tick) },
		func() error { return r.Describe(ctx, basket.Basket{ID: id, Kind: basket.Sale}, tick) },
	} {
		tick += time.Minute + 1
		r.ok(step())
		r.again()
		r.same("active", r.resume().Active, tick)
	}
	r.ok(r.DropIdentities(ctx, id))
	r.refused(r.AppendLine(ctx, id, aLine(5), 2*tick))
	r.want(r.VoidLine(ctx, id, 1, at(1), 2*tick), basket.ErrNoSuchLine)
	r.same("active after what nobody did", r.resume().Active, tick)
}

func numbers(r *rig) {
	incarnation, last, err := r.Numbering(ctx)
	r.ok(err)
	if len(incarnation) != 16 || last != 0 {
		r.Fatalf("numbering of a new journal: %q, %d", incarnation, last)
	}
	var want uint64
	for range 2 {
		for _, outcome := range []basket.Outcome{basket.Closed, basket.Voided, basket.Abandoned} {
			id := r.open(basket.Sale)
			r.line(id, 1)
			_, err := r.Close(ctx, id, "lost", at(1), 0)
			r.refused(err)
			_, err = r.Close(ctx, id, basket.Open, at(1), 0)
			r.refused(err)
			want++
			b := r.close(id, outcome)
			r.same("closed basket", b, basket.Basket{
				V: basket.Version, ID: id, Revision: 1, Incarnation: incarnation, Sequence: want, Kind: basket.Sale, Outcome: outcome,
				OpenedAt: at(0).UTC(), ClosedAt: at(500).UTC(), Lines: []basket.Line{aLine(1)}, State: identity.Anonymous, Identities: []basket.Identity{},
			})
			q := r.queue()
			r.same("queued", len(q), int(want))
			r.sent(q[want-1], b)
			r.close(r.open(basket.Training), outcome)
		}
		r.again()
		i, last, err := r.Numbering(ctx)
		r.ok(err)
		r.same("numbering", []any{i, last}, []any{incarnation, want})
	}
}

func training(r *rig) {
	id := r.open(basket.Training)
	r.line(id, 1)
	r.swipe(id, 1, identity.Loyalty, time.Hour)
	r.swipe(id, 2, identity.Payment, time.Hour)
	r.answer(id, 2, resolved(1))
	b := r.close(id, basket.Closed)
	if b.Sequence != 0 || b.Revision != 0 || b.Incarnation != "" || len(b.Identities) != 0 || b.State != identity.Anonymous || len(b.Lines) != 1 {
		r.Fatalf("a training basket kept %+v", b)
	}
	r.same("queue", len(r.queue()), 0)
	r.same("pending", len(r.waiting()), 0)
	r.late(id, 1)
	b, changed, err := r.Answer(ctx, id, 2, resolved(2))
	if changed || err != nil || len(b.Identities) != 0 {
		r.Fatalf("a dropped identity came back: %v, %v", b, err)
	}
}

func clock(r *rig) {
	c, err := r.Clock(ctx)
	r.ok(err)
	r.same("clock of a new journal", c, basket.Clock{})
	for n := range 3 {
		want := basket.Clock{Ticks: time.Duration(n)*time.Hour + 1, BootID: fmt.Sprint("boot", n), Boot: 42}
		r.ok(r.SetClock(ctx, want))
		r.again()
		c, err := r.Clock(ctx)
		r.ok(err)
		r.same("clock", c, want)
	}
}

func copies(r *rig) {
	id := r.open(basket.Sale)
	l := aLine(1)
	l.Data = []byte("data")
	r.ok(r.AppendLine(ctx, id, l, 0))
	s := r.swipe(id, 1, identity.Phone, time.Hour)
	first := string(s.EncTID)
	l.Data[0], s.EncTID[0], s.Enc[0] = 'X', s.EncTID[0]+1, s.Enc[0]+1
	got, p := r.resume().Basket, r.waiting()
	r.same("EncTID", string(p[0].EncTID), first)
	r.same("data", string(got.Lines[0].Data), "data")
	got.Lines[0].Data[0], p[0].EncTID[0], got.Identities[0].State = 'Y', 0, identity.OptedOut
	b := r.close(id, basket.Closed)
	r.same("data", string(b.Lines[0].Data), "data")
	r.same("state", b.Identities[0].State, identity.Pending)
	q := r.queue()
	q[0].Body[0] = 'Z'
	r.sent(r.queue()[0], b)
}
