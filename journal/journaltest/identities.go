package journaltest

import (
	"time"

	"posd/basket"
	"posd/identity"
)

func pending(r *rig) {
	id := r.open(basket.Sale)
	first := r.swipe(id, 1, identity.Loyalty, time.Hour)
	second := aSealed(id, 2, identity.Payment, 2*time.Hour)
	second.Epoch, second.Enc = first.Epoch, first.Enc
	r.ok(r.AppendIdentity(ctx, second, 0))
	third := r.swipe(id, 5, identity.Phone, 3*time.Hour)
	want := []basket.Sealed{first, second, third}
	r.again()
	b := r.close(id, basket.Closed)
	r.same("state", b.State, identity.Pending)
	got := r.waiting()
	r.same("number pending", len(got), 3)
	for i := range got {
		if i > 0 && got[i].Order <= got[i-1].Order {
			r.Fatal("orders do not rise")
		}
		want[i].Order = got[i].Order
	}
	r.same("pending", got, want)
	page, err := r.Pending(ctx, got[0].Order, 1)
	r.ok(err)
	r.same("a page", page, want[1:2])
	for _, s := range []basket.Sealed{first, second, third} {
		r.answer(id, s.Swipe, unresolved)
	}
	r.same("pending", len(r.waiting()), 0)
	next := r.sale(identity.Phone)
	if p := r.waiting(); len(p) != 1 || p[0].Basket != next.ID || p[0].Order <= got[2].Order {
		r.Fatalf("the next to wait: %+v", p)
	}
}

func epochAgain(r *rig) {
	id := r.open(basket.Sale)
	r.swipe(id, 1, identity.Loyalty, time.Hour) // waits all the while
	s := r.swipe(id, 2, identity.Payment, time.Hour)
	r.answer(id, 2, resolved(2))
	s.Swipe = 3
	r.ok(r.AppendIdentity(ctx, s, 0))
	r.again()
	p := r.waiting()
	r.same("number pending", len(p), 2)
	s.Order = p[1].Order
	r.same("pending", p[1], s)
}

func swipeNumbers(r *rig) {
	id := r.open(basket.Sale)
	r.swipe(id, 3, identity.Loyalty, 0)
	for _, n := range []int{1, 2, 3} {
		r.refused(r.AppendIdentity(ctx, aSealed(id, n, identity.Phone, 0), 0))
	}
	r.ok(r.DropIdentities(ctx, id))
	r.again()
	r.same("last swipe", r.resume().LastSwipe, 3)
	r.refused(r.AppendIdentity(ctx, aSealed(id, 3, identity.Phone, 0), 0))
	empty := aSealed(id, 4, identity.Phone, 0)
	empty.EncTID = nil
	r.refused(r.AppendIdentity(ctx, empty, 0))
	r.same("last swipe", r.resume().LastSwipe, 3)
	r.swipe(id, 4, identity.Loyalty, 0)
	r.same("identities", len(r.resume().Basket.Identities), 1)
}

func dropped(r *rig) {
	id := r.open(basket.Sale)
	r.swipe(id, 1, identity.Loyalty, time.Hour)
	r.swipe(id, 2, identity.Phone, time.Hour)
	r.answer(id, 2, resolved(1))
	r.ok(r.DropIdentities(ctx, id))
	r.ok(r.DropIdentities(ctx, id))
	r.late(id, 1)
	r.again()
	got := r.resume().Basket
	r.same("identities", got.Identities, []basket.Identity{})
	r.same("state", got.State, identity.Anonymous)
	r.same("pending", len(r.waiting()), 0)
	expired, err := r.Expire(ctx, 2*time.Hour)
	r.ok(err)
	r.same("expired", len(expired), 0)
}

func answerOpen(r *rig) {
	id := r.open(basket.Sale)
	r.swipe(id, 1, identity.Loyalty, time.Hour)
	r.swipe(id, 2, identity.Payment, time.Hour)
	b := r.answer(id, 1, resolved(1))
	if b.State != identity.Resolved || b.HHID != resolved(1).HHID || b.Revision != 0 {
		r.Fatalf("answered: %+v", b)
	}
	r.again()
	r.same("open basket", r.resume().Basket, b)
	r.late(id, 1)
	r.late(id, 3)
	r.answer(id, 2, basket.Answer{State: identity.OptedOut})
	b = r.close(id, basket.Closed)
	r.same("revision", b.Revision, 1)
	r.same("states", []identity.State{b.Identities[0].State, b.Identities[1].State}, []identity.State{identity.Resolved, identity.OptedOut})
	r.same("queue", len(r.queue()), 1)
}

func answerClosed(r *rig) {
	b := r.sale(identity.Loyalty, identity.Payment)
	other := r.open(basket.Sale)
	for i, a := range []basket.Answer{resolved(1), resolved(2)} {
		b = r.answer(b.ID, i+1, a)
		r.same("revision", b.Revision, i+2)
		q := r.queue()
		r.same("queued", len(q), i+2)
		r.sent(q[i+1], b)
		r.again()
		r.late(b.ID, i+1)
	}
	r.same("household", b.HHID, resolved(1).HHID)
	r.same("open basket", r.resume().Basket.ID, other)
}

func answerVoided(r *rig) {
	id := r.open(basket.Sale)
	r.swipe(id, 1, identity.Payment, time.Hour)
	r.swipe(id, 2, identity.Loyalty, time.Hour)
	r.answer(id, 1, resolved(1))
	b := r.close(id, basket.Voided)
	r.same("states", []identity.State{b.Identities[0].State, b.Identities[1].State}, []identity.State{identity.Resolved, identity.Unresolved})
	r.same("revision", b.Revision, 1)
	r.same("pending", len(r.waiting()), 0)
	q := r.queue()
	r.same("queued", len(q), 1)
	r.sent(q[0], b)
	r.late(id, 2)
	r.again()
	r.late(id, 2)
}

func badAnswers(r *rig) {
	id := r.open(basket.Sale)
	r.swipe(id, 1, identity.Payment, time.Hour)
	good := resolved(1)
	for _, a := range []basket.Answer{
		{}, {State: identity.Pending}, {State: identity.Anonymous}, {State: identity.Resolved}, {State: "found", HHID: good.HHID, DeIdentTID: good.DeIdentTID},
		{State: identity.Resolved, HHID: good.HHID}, {State: identity.Resolved, DeIdentTID: good.DeIdentTID},
		{State: identity.OptedOut, HHID: good.HHID}, {State: identity.Unresolved, DeIdentTID: good.DeIdentTID},
	} {
		_, changed, err := r.Answer(ctx, id, 1, a)
		if err == nil || changed {
			r.Errorf("taken: %+v", a)
		}
	}
	_, changed, err := r.Answer(ctx, basket.NewID(), 1, good)
	r.want(err, basket.ErrUnknown)
	r.same("changed", changed, false)
	r.same("pending", len(r.waiting()), 1)
}

func expire(r *rig) {
	first := r.sale() // makes the numbers differ
	id := r.open(basket.Sale)
	r.swipe(id, 1, identity.Loyalty, 10)
	r.swipe(id, 2, identity.Payment, 20)
	r.swipe(id, 3, identity.Phone, 20)
	closed := r.close(id, basket.Closed)
	open := r.open(basket.Sale)
	r.swipe(open, 1, identity.Phone, 20)
	for _, step := range []struct {
		ticks time.Duration
		want  []basket.ID
		left  int
	}{{9, nil, 4}, {10, []basket.ID{id}, 3}, {10, nil, 3}, {25, []basket.ID{id, open}, 0}, {100, nil, 0}} {
		got, err := r.Expire(ctx, step.ticks)
		r.ok(err)
		var ids []basket.ID
		for _, b := range got {
			ids = append(ids, b.ID)
		}
		r.same("expired", ids, step.want)
		r.same("left", len(r.waiting()), step.left)
		r.again()
	}
	t, err := r.Trace(ctx, id)
	r.ok(err)
	r.same("revision", t.Basket.Revision, 3)
	r.same("state", t.Basket.State, identity.Unresolved)
	q := r.queue()
	r.same("queued", len(q), 4)
	r.same("first queued", []basket.ID{q[0].Basket, q[1].Basket}, []basket.ID{first.ID, closed.ID})
	r.sent(q[3], t.Basket)
	r.late(id, 1)
	r.late(open, 1)
	r.same("open basket", r.resume().Basket.State, identity.Unresolved)
}

func priority(r *rig) {
	b := r.sale(identity.Phone, identity.Payment, identity.Loyalty)
	r.same("household", r.answer(b.ID, 1, resolved(1)).HHID, resolved(1).HHID)
	r.same("household", r.answer(b.ID, 3, resolved(3)).HHID, resolved(3).HHID)
	r.again()
	r.same("household", r.answer(b.ID, 2, resolved(2)).HHID, resolved(3).HHID)
}
