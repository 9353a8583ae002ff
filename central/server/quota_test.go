package server

import (
	"slices"
	"testing"
	"time"

	"posd/central"
	"posd/enctid"
	"posd/tid"
)

func TestQuota(t *testing.T) {
	q := newQuota(Rate{2, 3})
	now := time.Unix(1e9, 0)
	for i := range 3 {
		if _, ok := q.take("a", now); !ok {
			t.Fatalf("number %d of a burst of 3 was refused", i+1)
		}
	}
	if wait, ok := q.take("a", now); ok || wait != 500*time.Millisecond {
		t.Errorf("the fourth: %v, %v", wait, ok)
	}
	if wait, ok := q.bucket("a").peek(now.Add(250 * time.Millisecond)); ok || wait != 250*time.Millisecond {
		t.Errorf("halfway: %v, %v", wait, ok)
	}
	if _, ok := q.take("b", now); !ok {
		t.Error("another name was refused")
	}
	if _, ok := q.take("a", now.Add(-time.Hour)); ok {
		t.Error("a clock that goes back gives more")
	}
	later := now.Add(500 * time.Millisecond)
	for range 3 {
		if _, ok := q.bucket("a").peek(later); !ok {
			t.Error("looking took something")
		}
	}
	if _, ok := q.take("a", later); !ok {
		t.Error("there was one to take")
	}
	if _, ok := q.take("a", later); ok {
		t.Error("there was only one to take")
	}
	for i := range 4 {
		if _, ok := q.take("a", later.Add(time.Hour)); ok != (i < 3) {
			t.Errorf("number %d after an hour: %v", i+1, ok)
		}
	}
}

// TestCatchingUp: whatever a lane has kept during an outage, each under an epoch
// that central does not know, is answered without a wait.
func TestCatchingUp(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	for n := range uint32(500) {
		lane.epoch = nil
		long := lane.seal(visa, n)
		short := long
		short.EncTID = slices.Delete(slices.Clone(long.EncTID), 22, 22+enctid.EncSize)
		short.EncTID[21] = 0 // no enc inline
		h.want(409, central.ProblemUnknownEpoch, lane, "POST", central.ResolvePath, short)
		h.want(200, "", lane, "POST", central.ResolvePath, long)
	}
}

// TestStolenLane: what a lane may learn is limited, for each kind by itself and
// for each lane by itself, and 3 cards a minute go on for ever.
func TestStolenLane(t *testing.T) {
	h := prepare(t, Limits{Lookups: Rate{1e6, 1e6}, Failures: Rate{1, 10}, TIDs: Rate{0.1, 3}, Enrol: Rate{1, 100}})
	must(t, h.s.Load(t.Context()))
	stolen, other := h.enrol(lane1), h.enrol(lane2)
	for range 3 {
		stolen.resolve(visa, 1)
	}
	w := h.want(429, central.ProblemQuota, stolen, "POST", central.ResolvePath, stolen.seal(mastercard, 2))
	if got := w.Header().Get("Retry-After"); got != "10" {
		t.Errorf("Retry-After %q, want 10", got)
	}
	if n := h.s.Status().TIDs; n != 1 {
		t.Errorf("%d TIDs are known: one over the quota was looked up", n)
	}
	phone, err := tid.FromCanonical(tid.Phone, []byte("15551234567"))
	must(t, err)
	h.want(200, "", stolen, "POST", central.ResolvePath, stolen.sealTID(phone, 3))
	other.resolve(mastercard, 1)
	for range 20 {
		h.pass(20 * time.Second)
		stolen.resolve(visa, 4)
	}
	a, b := DefaultLimits().TIDs, 24*time.Hour
	if day := a.Burst + a.PerSecond*b.Seconds(); day > 12000 || a.PerSecond < 3.0/60 {
		t.Errorf("by default a stolen lane learns %v numbers in a day, and %v a second", day, a.PerSecond)
	}
}
