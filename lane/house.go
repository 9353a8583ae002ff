package lane

import (
	"fmt"
	"slices"
	"time"

	"posd/basket"
	"posd/identity"
)

// chores is how often the lane looks after its journal.
const chores = time.Minute

// keepHouse does what is due by time. It runs before every frame and command,
// so that a scan never joins a basket that should have been abandoned.
func (t *till) keepHouse() error {
	now := t.ticks.now()
	if t.forgettable() && now-t.cur.active >= t.cfg.AnonymousAfter {
		if err := t.forget(); err != nil {
			return err
		}
	}
	if t.cur != nil && now-t.cur.active >= t.cfg.AbandonAfter {
		if _, err := t.end(basket.Abandoned); err != nil {
			return err
		}
	}
	if now-t.choresTicks >= chores {
		t.choresTicks = now
		t.doChores(now)
	}
	return nil
}

// forgettable reports whether the open basket holds identities and no line.
func (t *till) forgettable() bool {
	return t.cur != nil && len(t.cur.Lines) == 0 && len(t.cur.Identities) > 0
}

// forget drops the identities of a customer who showed a card and bought
// nothing.
func (t *till) forget() error {
	if err := t.deps.Journal.DropIdentities(t.ctx, t.cur.ID); err != nil {
		return t.journalFailed("drop the identities", err)
	}
	t.journalWorks()
	t.cur.Identities = nil
	t.cur.Tag(t.cfg.Priority)
	t.publish(Event{At: t.deps.Clock.Now(), Type: EventDropped, Basket: &t.cur.ID, Reason: "nothing was scanned after the card or number was shown"})
	return nil
}

// doChores ends identities that waited too long, forgets old baskets and
// stores the clock. What fails is tried again a minute later.
func (t *till) doChores(now time.Duration) {
	expired, err := t.deps.Journal.Expire(t.ctx, now)
	if err != nil {
		t.log.Error("expire identities", "err", err)
	}
	for _, b := range expired {
		t.expired(b)
	}
	if _, err := t.deps.Journal.Purge(t.ctx, now-t.cfg.KeepFor); err != nil {
		t.log.Error("purge old baskets", "err", err)
	}
	if err := t.deps.Journal.SetClock(t.ctx, t.ticks.snapshot()); err != nil {
		t.log.Error("store the clock", "err", err)
	}
}

func (t *till) expired(b basket.Basket) {
	t.counts.add("identity-expired")
	t.publish(Event{At: t.deps.Clock.Now(), Type: EventIdentity, Basket: &b.ID, State: identity.Unresolved, Code: "expired",
		Reason: fmt.Sprintf("central did not answer within %s", t.cfg.HoldFor)})
	if t.cur != nil && t.cur.ID == b.ID {
		t.cur.Identities = slices.Clone(b.Identities)
		t.cur.Tag(t.cfg.Priority)
	}
	t.forwarder.wake()
}

// answered is an answer that the resolver has committed.
type answered struct {
	basket basket.ID
	swipe  int
	answer basket.Answer
}

// answered tags the open basket, if the answer is for an identity it holds. The
// journal has compared and set it already.
func (t *till) answered(a answered) {
	if t.cur == nil || t.cur.ID != a.basket {
		return
	}
	for i := range t.cur.Identities {
		if id := &t.cur.Identities[i]; id.Swipe == a.swipe {
			id.State, id.HHID, id.DeIdentTID = a.answer.State, a.answer.HHID, a.answer.DeIdentTID
		}
	}
	t.cur.Tag(t.cfg.Priority)
}
