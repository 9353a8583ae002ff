package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"posd/basket"
	"posd/identity"
	"posd/posmain"
	"posd/posmain/server"
)

func history(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	family, stranger := identity.NewHHID(), identity.NewHHID()
	ann, bob, eve := identity.MakeDeIdentTID(1, [16]byte{1}), identity.MakeDeIdentTID(1, [16]byte{2}), identity.MakeDeIdentTID(1, [16]byte{3})
	late, early := Resolved(Basket(2), family, ann), Resolved(Basket(1), family, bob)
	theirs := Resolved(Basket(3), stranger, eve)
	theirs.Identities = append(theirs.Identities, basket.Identity{Swipe: 2, Kind: identity.Loyalty, At: T0, State: identity.Resolved, HHID: family, DeIdentTID: ann})
	for _, b := range []basket.Basket{late, early, theirs, Basket(4)} {
		mustLog(t, s, Deliver(t, b))
	}
	for name, c := range map[string]struct {
		q    server.Query
		want []basket.ID
	}{
		"household":      {server.Query{HHID: family}, []basket.ID{early.ID, late.ID}},
		"shopper":        {server.Query{DeIdentTID: ann}, []basket.ID{late.ID, theirs.ID}},
		"other shopper":  {server.Query{DeIdentTID: bob}, []basket.ID{early.ID}},
		"nobody":         {server.Query{HHID: identity.NewHHID()}, nil},
		"no query":       {server.Query{}, nil},
		"other stranger": {server.Query{HHID: stranger}, []basket.ID{theirs.ID}},
	} {
		var got []basket.ID
		for _, g := range find(t, s, c.q) {
			got = append(got, g.Basket.ID)
			if g.Lane != Lane1 || posmain.Digest(g.Body) != g.Digest || g.ID != g.Basket.ID || g.HHID != g.Basket.HHID || g.DeIdentTID != g.Basket.DeIdentTID {
				t.Errorf("%s: %+v", name, g)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	stop := errors.New("stop")
	if err := s.History(t.Context(), server.Query{HHID: family}, func(server.Logged) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("yield's error is lost: %v", err)
	}
}

func export(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	var ids []basket.ID
	for i := range 4 {
		d := Deliver(t, Basket(uint64(i+1)))
		d.At = T0.Add(time.Duration(i) * time.Hour)
		mustLog(t, s, d)
		ids = append(ids, d.Basket.ID)
	}
	for _, c := range []struct {
		since, until time.Time
		want         []basket.ID
	}{
		{time.Time{}, time.Time{}, ids},
		{T0.Add(time.Hour), time.Time{}, ids[1:]},
		{time.Time{}, T0.Add(time.Hour), ids[:1]},
		{T0.Add(time.Hour), T0.Add(3 * time.Hour), ids[1:3]},
		{T0.Add(4 * time.Hour), time.Time{}, nil},
	} {
		var got []basket.ID
		for _, g := range collect(t, func(ctx context.Context, yield func(server.Logged) error) error {
			return s.Export(ctx, c.since, c.until, yield)
		}) {
			got = append(got, g.Basket.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("from %v to %v: %v, want %v", c.since, c.until, got, c.want)
		}
	}
}

func lanes(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	for i, d := range []server.Delivery{Deliver(t, Basket(1)), Deliver(t, Basket(2)), Deliver(t, Basket(1))} {
		d.At = T0.Add(time.Duration(i) * time.Minute)
		d.Software = []string{"v1", "", "v2"}[i]
		if i == 2 {
			d.From.Lane = "0"
		}
		mustLog(t, s, d)
	}
	got, err := s.Lanes(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[0].Lane.Lane != "0" || got[0].Software != "v2" || got[1].Lane != Lane1 {
		t.Errorf("%+v", got)
	}
	one := got[1]
	if one.Software != "v1" || !one.FirstSeen.Equal(T0) || !one.LastSeen.Equal(T0.Add(time.Minute)) {
		t.Errorf("%+v", one)
	}
	want := server.IncarnationStatus{Incarnation: Incarnation, FirstSeen: T0, LastSeen: T0.Add(time.Minute), Baskets: 2, Last: 2, Watermark: 2, Gaps: []server.Range{}}
	if fmt.Sprint(one.Incarnations) != fmt.Sprint([]server.IncarnationStatus{want}) {
		t.Errorf("%+v, want %+v", one.Incarnations, want)
	}
}

// manyGaps: what is missing is counted whole, though not every gap is told.
func manyGaps(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	for i := range uint64(103) {
		mustLog(t, s, Deliver(t, Basket(2*i+2)))
	}
	mustLog(t, s, Deliver(t, Basket(2))) // a fork is no gap less
	got, err := s.Lanes(t.Context())
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if one := got[0].Incarnations[0]; one.Missing != 103 || len(one.Gaps) != 100 || one.Baskets != 104 {
		t.Errorf("%d missing, %d gaps, %d baskets", one.Missing, len(one.Gaps), one.Baskets)
	}
}

func alarms(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	for i := range 3 {
		at := T0.Add(time.Duration(i) * time.Minute)
		a := server.Alarm{Kind: server.AlarmCardNumber, Basket: uuid.NewString(), Detail: "operator holds what looks like a card number", LastAt: at}
		if err := s.Raise(t.Context(), Lane1, a); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Alarms(t.Context(), 2)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if !got[0].LastAt.Equal(T0.Add(2*time.Minute)) || !got[0].FirstAt.Equal(got[0].LastAt) || got[0].Lane != Lane1 || got[0].Count != 1 || got[0].Kind != server.AlarmCardNumber {
		t.Errorf("%+v", got[0])
	}
	if _, err := s.Trace(t.Context(), basket.NewID()); !errors.Is(err, server.ErrUnknown) {
		t.Errorf("trace of an unknown basket: %v", err)
	}
}

func identities(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	family, other := identity.NewHHID(), identity.NewHHID()
	ann, bob := identity.MakeDeIdentTID(1, [16]byte{1}), identity.MakeDeIdentTID(1, [16]byte{2})
	first, second, third := Resolved(Basket(1), family, ann), Resolved(Basket(2), other, bob), Resolved(Basket(3), other, ann)
	third.Identities[0].At = first.Identities[0].At.Add(time.Hour)
	for _, b := range []basket.Basket{third, first, second, Basket(4)} {
		mustLog(t, s, Deliver(t, b))
	}
	var got []server.Identity
	err := s.Identities(t.Context(), func(i server.Identity) error { got = append(got, i); return nil })
	want := []server.Identity{{DeIdentTID: ann, HHID: other, At: third.Identities[0].At}, {DeIdentTID: bob, HHID: other, At: second.Identities[0].At}}
	if err != nil || !slices.EqualFunc(got, want, func(a, b server.Identity) bool {
		return a.DeIdentTID == b.DeIdentTID && a.HHID == b.HHID && a.At.Equal(b.At)
	}) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	boom := errors.New("boom")
	if err := s.Identities(t.Context(), func(server.Identity) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}
