package store

import (
	"errors"
	"testing"

	"posd/central"
	"posd/enroll"
)

func testFeed(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a, b := add(t, s, 1).HHID, add(t, s, 2).HHID
	add(t, s, 3)
	empty, err := s.Changes(ctx, shop, "", 0, 10)
	if err != nil || len(empty.Changes) != 0 || empty.Feed == "" || empty.Next != 3 || empty.More {
		t.Fatalf("before any change: %+v, %v", empty, err)
	}
	if head, err := s.FeedHead(ctx); err != nil || head != 0 {
		t.Errorf("head %d, %v", head, err)
	}
	_, err = s.Merge(ctx, act(start), 1, a, b, false) // merged, moved
	must(t, err)
	enrolled(t, s, lane1, 1)
	must(t, s.Revoke(ctx, act(start), lane1)) // revoked
	_, err = s.LinkDeIdent(ctx, act(start), 1, deident(3), b)
	must(t, err) // moved
	other := open()
	want := []central.Change{
		{Type: central.Merged, HHID: a, Survivor: b}, {Type: central.Moved, DeIdentTID: deident(1), HHID: b},
		{Type: central.Revoked, Serial: "01"}, {Type: central.Moved, DeIdentTID: deident(3), HHID: b},
	}
	read := func(who enroll.Name, limit int) (all []central.Change) {
		t.Helper()
		at := central.Changes{Feed: empty.Feed, More: true}
		for at.More {
			page, err := other.Changes(ctx, who, at.Feed, at.Next, limit)
			if err != nil || page.Feed != at.Feed || page.After != at.Next || len(page.Changes) > limit || page.More && len(page.Changes) != limit || page.Next < page.After {
				t.Fatalf("page %+v, %v", page, err)
			}
			for _, c := range page.Changes {
				if c.Number <= at.Next || c.Number > page.Next {
					t.Errorf("change %+v in the page from %d to %d", c, page.After, page.Next)
				}
				at.Next = c.Number
				c.Number = 0
				all = append(all, c)
			}
			at.Next, at.More = page.Next, page.More
		}
		return all
	}
	for limit := 1; limit < 6; limit++ {
		if got := read(shop, limit); !equal(got, want) {
			t.Errorf("by %d: %+v, want %+v", limit, got, want)
		}
	}
	if got := read(enroll.Name{Tenant: "acme", Shop: "13", Role: enroll.POSMain}, 10); !equal(got, append(want[:2:2], want[3])) {
		t.Errorf("another shop's: %+v", got)
	}
	if got := read(enroll.Name{Tenant: "bravo", Shop: "12", Role: enroll.POSMain}, 10); len(got) != 0 {
		t.Errorf("another retailer's: %+v", got)
	}
	// What changes again is told again, and once.
	_, err = s.Undo(ctx, act(start), 1, 1, false)
	must(t, err)
	want = []central.Change{want[2], want[3], {Type: central.Unmerged, HHID: a}, {Type: central.Moved, DeIdentTID: deident(1), HHID: a}}
	if got := read(shop, 3); !equal(got, want) {
		t.Errorf("after an undo: %+v, want %+v", got, want)
	}
	if head, err := s.FeedHead(ctx); err != nil || head == 0 {
		t.Errorf("head %d, %v", head, err)
	}
}

func equal(a, b []central.Change) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func testAcknowledge(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	if err := s.Acknowledge(ctx, shop, central.Ack{Feed: "x"}, start); !errors.Is(err, ErrOtherFeed) {
		t.Errorf("before there is a feed: %v", err)
	}
	add(t, s, 1)
	at, err := s.Changes(ctx, shop, "", 0, 10)
	must(t, err)
	if err := s.Acknowledge(ctx, shop, central.Ack{Feed: at.Feed, Change: at.Next}, start); !errors.Is(err, ErrNoMachine) {
		t.Errorf("by nobody: %v", err)
	}
	enrolled(t, s, shop, 1)
	for _, ack := range []central.Ack{{Feed: "x", Change: 1}, {Feed: at.Feed, Change: at.Next + 100}} {
		if err := s.Acknowledge(ctx, shop, ack, start); !errors.Is(err, ErrOtherFeed) {
			t.Errorf("%+v: %v", ack, err)
		}
	}
	must(t, s.Acknowledge(ctx, shop, central.Ack{Feed: at.Feed, Change: at.Next}, start))
	must(t, s.Acknowledge(ctx, shop, central.Ack{Feed: at.Feed, Change: at.Next}, start))
}
