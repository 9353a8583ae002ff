package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"posd/basket"
	"posd/central"
	"posd/identity"
	"posd/posmain"
	"posd/posmain/server"
)

// feed makes pages that follow one another.
type feed struct {
	t  *testing.T
	s  server.Store
	id string
	at uint64
}

func newFeed(t *testing.T, s server.Store) *feed { return &feed{t, s, "feed", 0} }

// tell has the store follow a page of changes.
func (f *feed) tell(changes ...central.Change) {
	f.t.Helper()
	for i := range changes {
		changes[i].Number = f.at + uint64(i) + 1
	}
	page := central.Changes{Feed: f.id, After: f.at, Changes: changes, Next: f.at + uint64(len(changes)) + 1}
	if err := f.s.Follow(f.t.Context(), page, T0); err != nil {
		f.t.Fatal(err)
	}
	f.at = page.Next
}

func (f *feed) status() server.FeedStatus {
	f.t.Helper()
	st, err := f.s.FeedStatus(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return st
}

func merged(from, into identity.HHID) central.Change {
	return central.Change{Type: central.Merged, HHID: from, Survivor: into}
}

func moved(d identity.DeIdentTID, to identity.HHID) central.Change {
	return central.Change{Type: central.Moved, DeIdentTID: d, HHID: to}
}

// person makes somebody of a household.
func person(n byte) (identity.HHID, identity.DeIdentTID) {
	return identity.HHID{7: n}, identity.MakeDeIdentTID(1, [16]byte{n})
}

func historyIDs(t *testing.T, s server.Store, q server.Query) []basket.ID {
	t.Helper()
	var ids []basket.ID
	for _, g := range find(t, s, q) {
		ids = append(ids, g.ID)
	}
	return ids
}

// follows: history goes by what central says of households and cards by now.
func follows(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	f := newFeed(t, s)
	family, ann := person(1)
	other, bob := person(2)
	fresh, _ := person(3)
	b1, b2, b3 := Resolved(Basket(1), family, ann), Resolved(Basket(2), family, bob), Resolved(Basket(3), other, bob)
	for _, b := range []basket.Basket{b1, b2, b3} {
		mustLog(t, s, Deliver(t, b))
	}
	want := func(what string, h identity.HHID, now, recorded []basket.ID) {
		t.Helper()
		if got := historyIDs(t, s, server.Query{HHID: h}); !slices.Equal(got, now) {
			t.Errorf("%s: %v, want %v", what, got, now)
		}
		if got := historyIDs(t, s, server.Query{HHID: h, AsRecorded: true}); !slices.Equal(got, recorded) {
			t.Errorf("%s, as recorded: %v, want %v", what, got, recorded)
		}
	}
	ids := func(bs ...basket.Basket) (all []basket.ID) {
		for _, b := range bs {
			all = append(all, b.ID)
		}
		return all
	}
	want("at first", family, ids(b1, b2), ids(b1, b2))

	f.tell(merged(other, family))
	want("merged, the survivor", family, ids(b1, b2, b3), ids(b1, b2))
	want("merged, the other", other, ids(b1, b2, b3), ids(b3))
	if h, err := s.Survivor(t.Context(), other); err != nil || h != family {
		t.Errorf("survivor %v, %v", h, err)
	}
	// Bob is split off: what he bought goes with him, whatever it was sent with.
	f.tell(moved(bob, fresh))
	want("split, who stays", family, ids(b1), ids(b1, b2))
	want("split, who goes", fresh, ids(b2, b3), nil)
	for _, g := range find(t, s, server.Query{DeIdentTID: bob}) {
		if g.HHIDNow != fresh || g.HHID == fresh {
			t.Errorf("bob's basket %+v", g)
		}
	}
	for _, g := range find(t, s, server.Query{DeIdentTID: bob, AsRecorded: true}) {
		if !g.HHIDNow.IsZero() {
			t.Errorf("as recorded: %+v", g)
		}
	}
	// The new household is merged in its turn: cards that were moved into it follow.
	f.tell(merged(fresh, family))
	want("a chain", family, ids(b1, b2, b3), ids(b1, b2))
	f.tell(central.Change{Type: central.Unmerged, HHID: fresh}, central.Change{Type: central.Unmerged, HHID: other}, moved(bob, other))
	want("undone", family, ids(b1), ids(b1, b2))
	want("undone, bob's", other, ids(b2, b3), ids(b3))
	if st := f.status(); st.Merged != 0 || st.Moved != 1 || st.Position != f.at || st.Feed != "feed" || !st.Complete || !st.HeardAt.Equal(T0) {
		t.Errorf("status %+v", st)
	}
	// A basket that was anonymous belongs to nobody.
	mustLog(t, s, Deliver(t, Basket(4)))
	want("anonymous", identity.HHID{}, nil, nil)
}

// pages: what was read survives a restart; a feed that begins anew forgets what it
// does not tell again, apart from what was erased or revoked.
func pages(t *testing.T, open Opener) {
	s := open(t)
	f := newFeed(t, s)
	a, ann := person(1)
	b, bob := person(2)
	if st := f.status(); st.Feed != "" || st.Position != 0 || st.Complete || !st.HeardAt.IsZero() {
		t.Errorf("at first: %+v", st)
	}
	f.tell(merged(a, b), moved(ann, b), moved(bob, a), central.Change{Type: central.Revoked, Serial: "0a"}, central.Change{Type: central.Erased, HHID: identity.HHID{9}},
		central.Change{Type: "of a later version"})
	if st := f.status(); st.Due != 6 || st.Unerased != 1 || st.Revoked != 1 || st.Moved != 2 {
		t.Errorf("told: %+v", st)
	}
	if err := s.Follow(t.Context(), central.Changes{Feed: "feed", After: 3, Next: 9}, T0); err == nil {
		t.Error("a page was taken that does not follow")
	}
	if err := s.Acknowledged(t.Context(), central.Ack{Feed: "other", Change: 9}); err != nil || f.status().Acknowledged != 0 {
		t.Errorf("of another feed: %v", err)
	}
	if err := s.Acknowledged(t.Context(), central.Ack{Feed: "feed", Change: 7}); err != nil {
		t.Fatal(err)
	}
	before := f.status()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, open)
	f.s = s
	if st := f.status(); st != before || st.Acknowledged != 7 {
		t.Errorf("after a restart %+v, was %+v", st, before)
	}
	// Central was restored from a backup that did not know of the merge.
	for i, more := range []bool{true, false} {
		page := central.Changes{Feed: "new", After: uint64(i * 2), Next: uint64(i*2 + 2), More: more, Changes: []central.Change{moved([]identity.DeIdentTID{bob, ann}[i], b)}}
		page.Changes[0].Number = page.Next
		if err := s.Follow(t.Context(), page, T0); err != nil {
			t.Fatal(err)
		}
		if st := f.status(); st.Complete == more || st.Merged != i^1 || st.Acknowledged != 0 {
			t.Errorf("page %d: %+v", i, st)
		}
	}
	if st := f.status(); st.Feed != "new" || st.Position != 4 || st.Merged != 0 || st.Moved != 2 || st.Unerased != 1 || st.Revoked != 1 || st.Due != 4 {
		t.Errorf("read anew: %+v", st)
	}
	if all, err := s.Revoked(t.Context()); err != nil || !slices.Equal(all, []string{"0a"}) {
		t.Errorf("revoked %v, %v", all, err)
	}
	if h, err := s.Survivor(t.Context(), a); err != nil || h != a {
		t.Errorf("%v is %v, %v", a, h, err)
	}
}

// erased: ids are taken out of every revision, also of what comes later; lines stay.
func erased(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	f := newFeed(t, s)
	family, ann := person(1)
	other, bob := person(2)
	joint := Resolved(Basket(1), family, ann)
	joint.Identities = append(joint.Identities, basket.Identity{Swipe: 2, Kind: identity.Loyalty, At: T0, State: identity.Resolved, HHID: other, DeIdentTID: bob})
	alone, early, untouched := Resolved(Basket(2), family, ann), Resolved(Basket(3), other, bob), Resolved(Basket(4), other, bob)
	corrected := Resolved(early, family, ann) // ann's by revision 3, bob's by revision 2
	var sent []server.Delivery
	receipts := map[string]posmain.Receipt{}
	for _, b := range []basket.Basket{joint, alone, early, corrected, untouched} {
		d := Deliver(t, b)
		d.Body = append(append(d.Body[:len(d.Body)-1:len(d.Body)-1], `,"later":{"field":7}`...), '}')
		sent = append(sent, d)
		receipts[b.ID.String()+fmt.Sprint(b.Revision)] = mustLog(t, s, d)
	}
	f.tell(central.Change{Type: central.Erased, DeIdentTID: ann}, central.Change{Type: central.Erased, HHID: family})
	rounds := 0
	for more := true; more; rounds++ {
		var err error
		if more, err = s.Blank(t.Context(), 1, T0.Add(time.Hour)); err != nil || rounds > 20 {
			t.Fatal(rounds, err)
		}
	}
	if rounds < 4 {
		t.Errorf("all was done in %d transactions of one basket", rounds)
	}
	if st := f.status(); st.Erased != 2 || st.Unerased != 0 {
		t.Errorf("status %+v", st)
	}
	if err := s.Scrub(t.Context()); err != nil {
		t.Error(err)
	}
	nothingOf(t, s, sent, string(ann), family.String())
	for _, q := range []server.Query{{DeIdentTID: ann}, {HHID: family}, {HHID: family, AsRecorded: true}} {
		if got := historyIDs(t, s, q); len(got) != 0 {
			t.Errorf("%+v: %v", q, got)
		}
	}
	// Bob's card was shown for the first basket too, and counts for it now.
	if got := historyIDs(t, s, server.Query{HHID: other}); !slices.Equal(got, []basket.ID{joint.ID, early.ID, untouched.ID}) {
		t.Errorf("bob's: %v", got)
	}
	// The same revision again is known; a later one is kept without her.
	for _, d := range sent {
		if again := mustLog(t, s, d); again.Digest != receipts[d.Basket.ID.String()+fmt.Sprint(d.Basket.Revision)].Digest || again.LoggedAt != T0 || again.Alarm != "" {
			t.Errorf("sent again: %+v", again)
		}
	}
	late := Deliver(t, Resolved(Basket(5), family, ann))
	if r := mustLog(t, s, late); r.Digest != posmain.Digest(late.Body) {
		t.Errorf("the receipt is not for what was sent: %+v", r)
	}
	if r := mustLog(t, s, late); r.Digest != posmain.Digest(late.Body) {
		t.Errorf("the receipt is not for what was sent: %+v", r)
	}
	nothingOf(t, s, append(sent, late), string(ann), family.String())
	if tr := mustTrace(t, s, untouched.ID); tr.Revisions[0].Blanked != "" || !bytes.Equal(tr.Revisions[0].Body, sent[4].Body) {
		t.Errorf("another's basket was touched: %+v", tr)
	}
	// A later export tells of it.
	var again []basket.ID
	for _, g := range collect(t, func(ctx context.Context, yield func(server.Logged) error) error {
		return s.Export(ctx, T0.Add(time.Minute), time.Time{}, yield)
	}) {
		if !g.Blanked {
			t.Errorf("exported again: %+v", g)
		}
		again = append(again, g.ID)
	}
	if len(again) != 3 {
		t.Errorf("exported again: %v", again)
	}
}

// nothingOf makes sure that ids are gone, and that all else is there.
func nothingOf(t *testing.T, s server.Store, sent []server.Delivery, gone ...string) {
	t.Helper()
	for _, d := range sent {
		tr := mustTrace(t, s, d.Basket.ID)
		for _, r := range tr.Revisions {
			b, err := basket.Parse(r.Body)
			if err != nil || !r.Intact() || b.Revision == 0 || len(b.Lines) != 1 {
				t.Errorf("%s: %v, intact %v", r.Body, err, r.Intact())
			}
			for _, id := range gone {
				if bytes.Contains(r.Body, []byte(id)) || r.HHID.String() == id || string(r.DeIdentTID) == id {
					t.Errorf("%s is in %s", id, r.Body)
				}
			}
			if r.State != b.State || r.HHID != b.HHID || r.DeIdentTID != b.DeIdentTID {
				t.Errorf("%+v does not go with %s", r.Tag, r.Body)
			}
		}
		if bytes.Contains(d.Body, []byte("later")) && !bytes.Contains(tr.Revisions[0].Body, []byte(`"later":{"field":7}`)) {
			t.Errorf("a field of a later version is gone: %s", tr.Revisions[0].Body)
		}
	}
}

// expire: old baskets go with all that came of them; their numbers are not missing.
func expire(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	h, d := person(1)
	var sent []basket.Basket
	for _, n := range []uint64{1, 2, 3, 5, 6, 8, 9} { // 4 and 7 never came
		b := Resolved(Basket(n), h, d)
		sent = append(sent, b)
		mustLog(t, s, Deliver(t, b))
	}
	if err := s.Raise(t.Context(), Lane1, server.Alarm{Kind: server.AlarmCardNumber, Basket: sent[0].ID.String(), LastAt: T0}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Expire(t.Context(), sent[0].ClosedAt, 10); n != 0 || err != nil {
		t.Errorf("nothing is old: %d, %v", n, err)
	}
	total := 0
	for {
		n, err := s.Expire(t.Context(), sent[5].ClosedAt, 2) // all before 8
		if err != nil {
			t.Fatal(err)
		}
		if total += n; n < 2 {
			break
		}
	}
	if got := historyIDs(t, s, server.Query{DeIdentTID: d}); total != 5 || !slices.Equal(got, []basket.ID{sent[5].ID, sent[6].ID}) {
		t.Errorf("%d expired, %v are left", total, got)
	}
	if _, err := s.Trace(t.Context(), sent[1].ID); err != server.ErrUnknown {
		t.Errorf("trace of one that expired: %v", err)
	}
	if all, err := s.Alarms(t.Context(), 9); err != nil || len(all) != 0 {
		t.Errorf("alarms %+v, %v", all, err)
	}
	lanes, err := s.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if i := lanes[0].Incarnations[0]; i.Baskets != 2 || i.Last != 9 || i.Watermark != 3 || i.Missing != 1 || !slices.Equal(i.Gaps, []server.Range{{From: 7, To: 7}}) {
		t.Errorf("%+v", i)
	}
	if _, err := s.Expire(t.Context(), T0.Add(time.Hour), 10); err != nil {
		t.Fatal(err)
	}
	if lanes, err = s.Lanes(t.Context()); err != nil || lanes[0].Incarnations[0].Last != 9 || lanes[0].Incarnations[0].Missing != 0 || len(lanes[0].Incarnations[0].Gaps) != 0 {
		t.Errorf("nothing is left: %+v, %v", lanes, err)
	}
	if r := mustLog(t, s, Deliver(t, Basket(10))); r.Revision != 1 {
		t.Errorf("the next one: %+v", r)
	}
}
