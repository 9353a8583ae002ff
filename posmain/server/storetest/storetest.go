// Package storetest holds every implementation of a POS main computer's log
// (server.Store) to the same rules.
package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/posmain"
	"posd/posmain/server"
)

// Opener opens one and the same log, again after each Close.
type Opener func(t testing.TB) server.Store

// T0 is the time of the first delivery of every test.
var T0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// Incarnation is that of every basket made by Basket.
const Incarnation = "00c0ffee00c0ffee"

// Lane1 is who delivers, where it does not matter.
var Lane1 = server.Lane{Tenant: "acme", Shop: "12", Lane: "1"}

// Basket makes revision 1 of an anonymous basket of one line with a number.
func Basket(sequence uint64) basket.Basket {
	at := T0.Add(-time.Hour + time.Duration(sequence)*time.Minute)
	return basket.Basket{
		V: basket.Version, ID: basket.NewID(), Revision: 1, Incarnation: Incarnation, Sequence: sequence,
		Kind: basket.Sale, Outcome: basket.Closed, OpenedAt: at, ClosedAt: at.Add(30 * time.Second),
		Lines: []basket.Line{{Number: 1, At: at, UPC: "036000291452", GTIN: "00036000291452", Symbology: "UPCA", Kind: basket.Item, Quantity: 1}},
		State: identity.Anonymous,
	}
}

// Resolved gives b one identity and the next revision.
func Resolved(b basket.Basket, h identity.HHID, d identity.DeIdentTID) basket.Basket {
	b.Revision++
	b.State, b.HHID, b.DeIdentTID = identity.Resolved, h, d
	b.Identities = []basket.Identity{{Swipe: 1, Kind: identity.Payment, At: b.OpenedAt, State: identity.Resolved, HHID: h, DeIdentTID: d}}
	return b
}

// Deliver makes a delivery by Lane1 at T0.
func Deliver(t testing.TB, b basket.Basket) server.Delivery {
	t.Helper()
	body, err := basket.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = basket.Parse(body); err != nil {
		t.Fatal(err)
	}
	return server.Delivery{From: Lane1, Basket: b, Body: body, At: T0}
}

// Run runs the suite; each test gets a log of its own from open.
func Run(t *testing.T, open func(t *testing.T) Opener) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Opener)
	}{
		{"same body, same receipt", sameBody},
		{"higher revision counts", higherRevision},
		{"lower revision comes late", lowerRevision},
		{"revision conflict", revisionConflict},
		{"basket conflict", basketConflict},
		{"sequence fork", sequenceFork},
		{"watermark and gaps", watermark},
		{"log id", logID},
		{"history", history},
		{"export", export},
		{"identities", identities},
		{"history follows central", follows},
		{"pages of the feed", pages},
		{"erased ids", erased},
		{"old baskets", expire},
		{"lanes", lanes},
		{"many gaps", manyGaps},
		{"alarms", alarms},
		{"restart", restart},
		{"many lanes at once", concurrent},
		{"two thousand lines", manyLines},
		{"body is kept to the byte", exactBody},
		{"any order of arrival", anyOrder},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func mustOpen(t *testing.T, open Opener) server.Store {
	s := open(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func mustLog(t *testing.T, s server.Store, d server.Delivery) posmain.Receipt {
	t.Helper()
	r, err := s.Log(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustTrace(t *testing.T, s server.Store, id basket.ID) server.Trace {
	t.Helper()
	tr, err := s.Trace(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func collect(t *testing.T, run func(context.Context, func(server.Logged) error) error) []server.Logged {
	t.Helper()
	var all []server.Logged
	if err := run(t.Context(), func(g server.Logged) error { all = append(all, g); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func find(t *testing.T, s server.Store, q server.Query) []server.Logged {
	t.Helper()
	return collect(t, func(ctx context.Context, yield func(server.Logged) error) error { return s.History(ctx, q, yield) })
}

func sameBody(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	d := Deliver(t, Basket(1))
	first := mustLog(t, s, d)
	id, err := s.LogID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := posmain.Receipt{Basket: d.Basket.ID.String(), Revision: 1, Digest: posmain.Digest(d.Body), LogID: id, Watermark: 1, LoggedAt: T0}
	if first != want {
		t.Errorf("receipt %+v, want %+v", first, want)
	}
	d.At = T0.Add(time.Hour)
	if again := mustLog(t, s, d); again != first {
		t.Errorf("the second receipt is %+v, the first was %+v", again, first)
	}
	if tr := mustTrace(t, s, d.Basket.ID); len(tr.Revisions) != 1 || tr.Revisions[0].Receipt != first || len(tr.Alarms) != 0 {
		t.Errorf("kept as %+v", tr)
	}
}

func higherRevision(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	h1, h2 := identity.NewHHID(), identity.NewHHID()
	d := identity.MakeDeIdentTID(1, [16]byte{1})
	b1 := Basket(1)
	b2 := Resolved(b1, h1, d)
	b2.Lines = append(b2.Lines, b2.Lines[0])
	b2.Lines[1].Number = 2
	b3 := Resolved(b2, h2, d)
	for i, b := range []basket.Basket{b1, b2, b3} {
		del := Deliver(t, b)
		del.At = T0.Add(time.Duration(i) * time.Minute)
		if r := mustLog(t, s, del); r.Revision != i+1 || !r.LoggedAt.Equal(del.At) || r.Watermark != 1 {
			t.Errorf("receipt of revision %d: %+v", i+1, r)
		}
	}
	got := find(t, s, server.Query{DeIdentTID: d})
	if len(got) != 1 || got[0].Basket.Revision != 3 || got[0].Basket.HHID != h2 || len(got[0].Basket.Lines) != 2 || !got[0].LoggedAt.Equal(T0.Add(2*time.Minute)) {
		t.Fatalf("history: %+v", got)
	}
	want := []server.Tag{{Revision: 1, State: identity.Anonymous}, {Revision: 2, State: identity.Resolved, HHID: h1, DeIdentTID: d}}
	if !slices.Equal(got[0].Earlier, want) {
		t.Errorf("earlier owners %+v, want %+v", got[0].Earlier, want)
	}
	if moved := find(t, s, server.Query{HHID: h1}); len(moved) != 1 || moved[0].Basket.HHID != h2 {
		t.Errorf("the household it was with finds %+v", moved)
	}
}

func lowerRevision(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	b1 := Basket(1)
	b2 := Resolved(b1, identity.NewHHID(), identity.MakeDeIdentTID(1, [16]byte{1}))
	mustLog(t, s, Deliver(t, b2))
	late := Deliver(t, b1)
	late.At = T0.Add(time.Hour)
	if r := mustLog(t, s, late); r.Revision != 1 || r.Digest != posmain.Digest(late.Body) || !r.LoggedAt.Equal(late.At) {
		t.Errorf("receipt %+v", r)
	}
	tr := mustTrace(t, s, b1.ID)
	if tr.Current != 2 || len(tr.Revisions) != 2 || tr.Revisions[0].Revision != 1 {
		t.Errorf("kept as %+v", tr)
	}
	if got := find(t, s, server.Query{HHID: b2.HHID}); len(got) != 1 || got[0].Basket.Revision != 2 || !got[0].LoggedAt.Equal(T0) {
		t.Errorf("history: %+v", got)
	}
}

func revisionConflict(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	d := Deliver(t, Basket(1))
	mustLog(t, s, d)
	other := d.Basket
	other.Operator = "somebody else"
	bad := Deliver(t, other)
	for i := range 2 {
		if r, err := s.Log(t.Context(), bad); !errors.Is(err, server.ErrRevisionConflict) {
			t.Fatalf("got %+v, %v", r, err)
		}
		tr := mustTrace(t, s, d.Basket.ID)
		if len(tr.Alarms) != 1 || tr.Alarms[0].Kind != server.AlarmRevisionConflict || tr.Alarms[0].Count != i+1 || tr.Alarms[0].Digest != posmain.Digest(bad.Body) {
			t.Errorf("alarms %+v", tr.Alarms)
		}
		if len(tr.Revisions) != 1 || string(tr.Revisions[0].Body) != string(d.Body) {
			t.Error("what was logged has changed")
		}
	}
	if r := mustLog(t, s, d); r.Digest != posmain.Digest(d.Body) {
		t.Errorf("the first content again: %+v", r)
	}
}

func basketConflict(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	d := Deliver(t, Basket(1))
	mustLog(t, s, d)
	number, incarnation := d.Basket, d.Basket
	number.Revision, number.Sequence = 2, 9
	incarnation.Revision, incarnation.Incarnation = 2, "ffffffffffffffff"
	foreign := d
	foreign.From.Lane = "2"
	for name, bad := range map[string]server.Delivery{"number": Deliver(t, number), "incarnation": Deliver(t, incarnation), "lane": foreign} {
		if r, err := s.Log(t.Context(), bad); !errors.Is(err, server.ErrBasketConflict) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	tr := mustTrace(t, s, d.Basket.ID)
	if len(tr.Alarms) != 3 || len(tr.Revisions) != 1 || tr.Lane != Lane1 || tr.Sequence != 1 {
		t.Errorf("kept as %+v", tr)
	}
}

func sequenceFork(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	a, b := Deliver(t, Basket(1)), Deliver(t, Basket(1))
	first := mustLog(t, s, a)
	if r := mustLog(t, s, b); r.Alarm != posmain.AlarmSequenceFork || r.Watermark != 1 {
		t.Errorf("the second basket's receipt: %+v", r)
	}
	if r := mustLog(t, s, a); r != first {
		t.Errorf("the first basket's receipt was %+v and is %+v", first, r)
	}
	next := Deliver(t, Resolved(b.Basket, identity.NewHHID(), identity.MakeDeIdentTID(1, [16]byte{1})))
	if r := mustLog(t, s, next); r.Alarm != posmain.AlarmSequenceFork {
		t.Errorf("the second basket's next revision: %+v", r)
	}
	if tr := mustTrace(t, s, a.Basket.ID); !slices.Equal(tr.SameNumber, []basket.ID{b.Basket.ID}) {
		t.Errorf("of the first basket's number are also %v", tr.SameNumber)
	}
	tr := mustTrace(t, s, b.Basket.ID)
	if len(tr.Alarms) != 1 || tr.Alarms[0].Kind != server.AlarmSequenceFork || tr.Alarms[0].Sequence != 1 || len(tr.Revisions) != 2 {
		t.Errorf("kept as %+v", tr)
	}
	other := Deliver(t, Basket(1))
	other.From.Lane = "2"
	if r := mustLog(t, s, other); r.Alarm != "" {
		t.Errorf("the same number at another lane: %+v", r)
	}
}

func watermark(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	for _, step := range []struct {
		sequence, want uint64
		gaps           []server.Range
	}{
		{2, 0, []server.Range{{From: 1, To: 1}}},
		{5, 0, []server.Range{{From: 1, To: 1}, {From: 3, To: 4}}},
		{1, 2, []server.Range{{From: 3, To: 4}}},
		{4, 2, []server.Range{{From: 3, To: 3}}},
		{3, 5, nil},
		{6, 6, nil},
		{1 << 62, 6, []server.Range{{From: 7, To: 1<<62 - 1}}},
	} {
		if r := mustLog(t, s, Deliver(t, Basket(step.sequence))); r.Watermark != step.want {
			t.Errorf("after number %d: watermark %d, want %d", step.sequence, r.Watermark, step.want)
		}
		all, err := s.Lanes(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		missing := uint64(0)
		for _, gap := range step.gaps {
			missing += gap.To - gap.From + 1
		}
		if got := all[0].Incarnations[0]; !slices.Equal(got.Gaps, step.gaps) || got.Missing != missing || got.Watermark != step.want {
			t.Errorf("after number %d: %+v, want gaps %v", step.sequence, got, step.gaps)
		}
	}
	fresh := Basket(1)
	fresh.Incarnation = "0000000000000001"
	if r := mustLog(t, s, Deliver(t, fresh)); r.Watermark != 1 || r.Alarm != "" {
		t.Errorf("first number of another incarnation: %+v", r)
	}
}

func logID(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	before := mustLog(t, s, Deliver(t, Basket(1)))
	after, err := s.Restored(t.Context())
	if err != nil || after == before.LogID || len(after) != 32 || len(before.LogID) != 32 {
		t.Fatalf("log id %q, then %q, %v", before.LogID, after, err)
	}
	if r := mustLog(t, s, Deliver(t, Basket(2))); r.LogID != after || r.Watermark != 2 {
		t.Errorf("receipt after a restore: %+v", r)
	}
}

func restart(t *testing.T, open Opener) {
	s := open(t)
	d := Deliver(t, Resolved(Basket(1), identity.NewHHID(), identity.MakeDeIdentTID(1, [16]byte{1})))
	before := mustLog(t, s, d)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, open)
	if after := mustLog(t, s, d); after != before {
		t.Errorf("receipt %+v after a restart, %+v before", after, before)
	}
	if got := find(t, s, server.Query{HHID: d.Basket.HHID}); len(got) != 1 {
		t.Errorf("history after a restart: %+v", got)
	}
}

func manyLines(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	b := Basket(1)
	for len(b.Lines) < 2000 {
		l := b.Lines[0]
		l.Number = len(b.Lines) + 1
		b.Lines = append(b.Lines, l)
	}
	b2 := Resolved(b, identity.NewHHID(), identity.MakeDeIdentTID(1, [16]byte{1}))
	mustLog(t, s, Deliver(t, b))
	mustLog(t, s, Deliver(t, b2))
	if got := find(t, s, server.Query{HHID: b2.HHID}); len(got) != 1 || len(got[0].Basket.Lines) != 2000 {
		t.Errorf("history gives %d baskets", len(got))
	}
}

func exactBody(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	d := Deliver(t, Basket(1))
	d.Body = append([]byte(" {\n \"later\": \"\\u00e9\","), d.Body[1:]...)
	r := mustLog(t, s, d)
	tr := mustTrace(t, s, d.Basket.ID)
	if got := tr.Revisions[0]; string(got.Body) != string(d.Body) || !got.Intact() || r.Digest != posmain.Digest(d.Body) {
		t.Errorf("kept %q, sent %q", got.Body, d.Body)
	}
}
