package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"posd/identity"
)

func begin(t *testing.T, s Store, job byte, alone bool) Import {
	t.Helper()
	i, resumed, err := s.BeginImport(t.Context(), act(start), [16]byte{job}, 1, alone)
	if err != nil || resumed || i.Tenant != 1 || !i.BegunAt.After(start) || i.BegunAt.After(start.Add(time.Minute)) || i.Key == [32]byte{} {
		t.Fatalf("begin: %+v, %v, %v", i, resumed, err)
	}
	return i
}

// to is a row that puts sample n somewhere.
func to(n uint32, family byte, id identity.HHID) ImportRow {
	r := ImportRow{TID: sample(n), HHID: id, Create: true}
	r.TID.CreatedAt = start
	if family != 0 {
		r.Family, r.HHID = [16]byte{family}, identity.HHID{family}
	}
	return r
}

func household(t *testing.T, s Store, n uint32) identity.HHID {
	t.Helper()
	all, err := s.EntriesWithPrefix(t.Context(), 1, [8]byte{})
	must(t, err)
	for _, e := range all {
		if e.Fingerprint == sample(n).Fingerprint {
			return e.HHID
		}
	}
	return identity.HHID{}
}

func testImportRows(t *testing.T, open func() Store) {
	s := open()
	known := add(t, s, 1)
	i := begin(t, s, 1, true)
	if i.Bulk || i.Phase != Linewise {
		t.Errorf("into a store with cards: %+v", i)
	}
	there := ImportRow{TID: sample(2), HHID: known.HHID}
	nowhere := ImportRow{TID: sample(3), HHID: identity.HHID{9}}
	byName := ImportRow{DeIdent: deident(1), HHID: identity.HHID{7}, Create: true}
	strange := ImportRow{DeIdent: deident(99), HHID: known.HHID}
	out := to(8, 0, identity.HHID{7})
	out.OptedOut = true
	again := to(1, 0, identity.HHID{7})
	again.OptedOut = true
	rows := []ImportRow{there, nowhere, to(1, 5, identity.HHID{}), to(4, 5, identity.HHID{}), to(5, 6, identity.HHID{}), to(6, 6, identity.HHID{}),
		byName, strange, out, again, to(5, 7, identity.HHID{})}
	p, refused, err := s.ImportRows(t.Context(), act(start), i, rows, Position{Phase: Linewise, Lines: 11, Digest: [32]byte{1}, Rejected: 2})
	must(t, err)
	for n, why := range refused {
		want := map[int]error{1: ErrNoHousehold, 7: ErrNoTID}[n]
		if !errors.Is(why, want) || (why == nil) != (want == nil) {
			t.Errorf("row %d: %v, want %v", n, why, want)
		}
	}
	if p.Added != 5 || p.Moved != 2 || p.Kept != 2 || p.Rejected != 4 {
		t.Errorf("position %+v", p)
	}
	for n, want := range map[uint32]identity.HHID{1: {7}, 2: known.HHID, 3: {}, 4: known.HHID, 5: {7}, 6: {6}, 8: {7}} {
		if got := household(t, s, n); got != want {
			t.Errorf("card %d is in %v, want %v", n, got, want)
		}
	}
	entries, err := s.Entries(t.Context(), known.Change, 100)
	if err != nil || len(entries) != 6 || !slices.ContainsFunc(entries, func(e Entry) bool { return e.Fingerprint == sample(1).Fingerprint && e.OptedOut }) {
		t.Errorf("changes %+v, %v", entries, err)
	}
	// It goes on where it was, with the same families.
	resumed, ok, err := open().BeginImport(t.Context(), act(start.Add(time.Hour)), [16]byte{1}, 1, true)
	if err != nil || !ok || resumed.Position != p || resumed.Key != i.Key || !resumed.BegunAt.Equal(i.BegunAt) {
		t.Errorf("resumed %+v, %v, %v", resumed, ok, err)
	}
	_, _, err = s.ImportRows(t.Context(), act(start), resumed, []ImportRow{to(9, 5, identity.HHID{}), to(10, 6, identity.HHID{})}, p)
	must(t, err)
	if household(t, s, 9) != known.HHID || household(t, s, 10) != (identity.HHID{6}) {
		t.Errorf("families are torn: %v, %v", household(t, s, 9), household(t, s, 10))
	}
	must(t, s.EndImport(t.Context(), act(start), [16]byte{1}))
	if _, _, err := s.ImportRows(t.Context(), act(start), resumed, rows[:1], p); err == nil {
		t.Error("rows of an import that has ended were stored")
	}
	begin(t, s, 1, true)
}

func testImportTakenID(t *testing.T, open func() Store) {
	s := open()
	other := begin(t, s, 1, false)
	_, _, err := s.ImportRows(t.Context(), act(start), other, []ImportRow{to(1, 0, identity.HHID{5})}, other.Position)
	must(t, err)
	i, _, err := s.BeginImport(t.Context(), act(start.Add(time.Hour)), [16]byte{2}, 1, false)
	must(t, err)
	_, _, err = s.ImportRows(t.Context(), act(start), i, []ImportRow{to(2, 5, identity.HHID{}), to(3, 5, identity.HHID{})}, i.Position)
	must(t, err)
	if a, b := household(t, s, 2), household(t, s, 3); a != b || a == (identity.HHID{5}) || a.IsZero() {
		t.Errorf("a family whose id is taken by chance is in %v and %v", a, b)
	}
}

func testImportBulk(t *testing.T, open func() Store) {
	s := open()
	if live := begin(t, s, 9, false); live.Bulk {
		t.Error("beside a server")
	}
	must(t, s.EndImport(t.Context(), act(start), [16]byte{9}))
	i := begin(t, s, 1, true)
	if !i.Bulk || i.Phase != Sorting {
		t.Fatalf("into an empty store: %+v", i)
	}
	ids := []identity.HHID{{1}, {2}, {3}}
	p := Position{Phase: Households, Sorted: 3, Lines: 5, Digest: [32]byte{1}}
	must(t, s.ImportHouseholds(t.Context(), i, ids[:2], p))
	must(t, s.ImportHouseholds(t.Context(), i, ids, p)) // some are there
	p.Phase = Cards
	cards := []ImportRow{to(1, 1, identity.HHID{}), to(2, 2, identity.HHID{}), to(3, 0, identity.HHID{3})}
	cards[1].OptedOut = true
	after, err := s.ImportCards(t.Context(), act(start), i, cards, p)
	must(t, err)
	if after.Added != 3 || after.Kept != 0 {
		t.Errorf("position %+v", after)
	}
	// A lane was faster: one by one.
	live := add(t, s, 5)
	after, err = s.ImportCards(t.Context(), act(start), i, []ImportRow{to(4, 1, identity.HHID{}), to(5, 2, identity.HHID{}), to(6, 3, identity.HHID{})}, after)
	if err != nil || after.Added != 5 || after.Moved != 1 {
		t.Errorf("position %+v, %v", after, err)
	}
	must(t, s.EndImport(t.Context(), act(start), [16]byte{1}))
	entries, err := open().Entries(t.Context(), 0, 100)
	if err != nil || len(entries) != 6 || entries[5].Fingerprint != sample(5).Fingerprint || entries[5].HHID == live.HHID {
		t.Errorf("entries %+v, %v", entries, err)
	}
	h, err := s.Household(t.Context(), 1, identity.HHID{2})
	if err != nil || len(h.Cards) != 2 || !h.CreatedAt.Equal(i.BegunAt) || h.Cards[0].OptedOut == h.Cards[1].OptedOut {
		t.Errorf("household %+v, %v", h, err)
	}
	if e, err := s.LinkDeIdent(t.Context(), act(start), 1, deident(3), identity.HHID{1}); err != nil || e.HHID != (identity.HHID{1}) {
		t.Errorf("link: %+v, %v", e, err)
	}
}

// testImportAfterRotation goes on with a bulk import whose cards were stored under
// keys that have been rotated since.
func testImportAfterRotation(t *testing.T, open func() Store) {
	s := open()
	i := begin(t, s, 1, true)
	p := Position{Phase: Households, Sorted: 2, Lines: 2, Digest: [32]byte{1}}
	must(t, s.ImportHouseholds(t.Context(), i, []identity.HHID{{1}, {2}}, p))
	p.Phase = Cards
	p, err := s.ImportCards(t.Context(), act(start), i, []ImportRow{to(1, 1, identity.HHID{}), to(2, 2, identity.HHID{})}, p)
	must(t, err)
	rotated(t, s, Fingerprint, DeIdent)
	if _, err := s.ImportCards(t.Context(), act(start), i, []ImportRow{to(3, 1, identity.HHID{})}, p); !errors.Is(err, ErrStaleKeys) {
		t.Errorf("stored under old keys: %v", err)
	}
	again := []ImportRow{to(2, 2, identity.HHID{}), to(3, 1, identity.HHID{})}
	again[0].TID, again[1].TID = sampleUnder2(2), sampleUnder2(3)
	after, err := s.ImportCards(t.Context(), act(start), i, again, p)
	if err != nil || after.Added != p.Added+1 || after.Kept != p.Kept+1 {
		t.Errorf("position %+v after %+v, %v: a card is there twice", after, p, err)
	}
}

func testExport(t *testing.T, open func() Store) {
	s := open()
	for n := range uint32(5) {
		add(t, s, 4-n)
	}
	out := to(2, 0, identity.HHID{7})
	out.OptedOut = true
	_, _, err := s.ImportRows(t.Context(), act(start), begin(t, s, 1, false), []ImportRow{out}, Position{Phase: Linewise})
	must(t, err)
	n := uint32(0)
	must(t, s.Export(t.Context(), 1, func(e *ExportedTID) error {
		if n == 1 { // what comes meanwhile is not of that moment
			add(t, open(), 9)
		}
		want := sample(n)
		if e.Fingerprint != want.Fingerprint || string(e.Sealed) != string(want.Sealed) || e.DeIdent != want.DeIdent || e.DeIdentVersion != 1 || e.Kind != want.Kind ||
			e.OptedOut != (n == 2) || (e.HHID == identity.HHID{7}) != (n == 2) || e.HHID.IsZero() {
			t.Errorf("TID %d: %+v", n, e)
		}
		n++
		return nil
	}))
	if n != 5 {
		t.Errorf("%d TIDs", n)
	}
	boom := errors.New("boom")
	if err := s.Export(t.Context(), 1, func(*ExportedTID) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	must(t, s.Export(t.Context(), 2, func(*ExportedTID) error { return boom }))
}

// A card that a lane shows in the very moment that an import begins keeps the household
// that the lane was told.
func testImportMeetsALane(t *testing.T, open func() Store) {
	s := open()
	i := begin(t, s, 1, false)
	other := begin(t, s, 2, false)
	if i.BegunAt.Equal(other.BegunAt) {
		t.Error("two imports began at the same time")
	}
	card := sample(1)
	card.CreatedAt = i.BegunAt
	told, _, err := s.Add(t.Context(), card)
	must(t, err)
	p, _, err := s.ImportRows(t.Context(), act(start), i, []ImportRow{to(1, 5, identity.HHID{}), to(2, 5, identity.HHID{})}, Position{Phase: Linewise, Lines: 2})
	must(t, err)
	if p.Kept != 1 || p.Added != 1 || p.Moved != 0 {
		t.Errorf("position %+v", p)
	}
	for n := range uint32(2) {
		if got := household(t, s, n+1); got != told.HHID {
			t.Errorf("card %d is in %v, the lane was told %v", n+1, got, told.HHID)
		}
	}
}
