package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"posd/central"
	"posd/enroll"
	"posd/identity"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lane1 = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "1"}
	lane2 = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "2"}
	shop  = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.POSMain}
)

// conform holds an implementation against what Store says. open gives a Store
// on the same, at first empty, database at every call; empty gives one on another.
func conform(t *testing.T, database func(t *testing.T) (open func() Store), empty func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, func() Store){
		"empty":           testEmpty,
		"installation":    testInstallation,
		"tenants":         testTenants,
		"tenants at once": testTenantsAtOnce,
		"manifests":       testManifests,
		"add":             testAdd,
		"add at once":     testAddAtOnce,
		"link":            testLink,
		"link deident":    testLinkDeIdent,
		"households":      testHouseholds,
		"import":          testImportRows,
		"import ids":      testImportTakenID,
		"import at once":  testImportMeetsALane,
		"bulk import":     testImportBulk,
		"export":          testExport,
		"restore":         func(t *testing.T, open func() Store) { testRestore(t, open, empty(t)) },
		"pairs":           func(t *testing.T, open func() Store) { testPairs(t, open, empty(t)) },
		"entries":         testEntries,
		"prefix":          testPrefix,
		"tokens":          testTokens,
		"enroll":          testEnroll,
		"enroll failures": testEnrollFailures,
		"renew":           testRenew,
		"clone":           testClone,
		"revoke":          testRevoke,
		"replace":         testReplace,
		"audit":           testAudit,
		"quarantine":      testQuarantine,
		"activity":        testActivity,
		"keys":            testKeys,
		"keys at once":    testKeysAtOnce,
		"erase":           testErase,
		"erase household": testEraseHousehold,
		"replay erasures": testReplayErasures,
		"stay erased":     testErasedAreNotTakenBack,
		"feed":            testFeed,
		"acknowledge":     testAcknowledge,
		"merge":           testMerge,
		"split":           testSplit,
		"undo":            testUndo,
		"ledger model":    testLedgerModel,
		"rekeying":        testRekeying,
		"import rotated":  testImportAfterRotation,
		"stale keys":      testStaleKeys,
	} {
		t.Run(name, func(t *testing.T) {
			open := database(t)
			if name != "empty" {
				s := open()
				i := Installation{ID: [16]byte{1}, KEK: "k", Hosts: []string{"central.example", "::1"}, CreatedAt: start}
				keys := []Key{{Purpose: CA, Number: 1, State: "active", Wrapped: []byte{1}, Public: []byte{2}}, {Purpose: DeIdent, Tenant: 1, Number: 1, State: "active", Wrapped: []byte{3}}}
				must(t, s.Init(t.Context(), act(start), i, "acme", keys))
			}
			test(t, open)
		})
	}
}

// act is an operator's act at a time.
func act(at time.Time) Act {
	return Act{At: at, Actor: "someone", Action: "do", Detail: map[string]int{"n": 1}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testEmpty(t *testing.T, open func() Store) {
	s := open()
	if _, err := s.Installation(t.Context()); !errors.Is(err, ErrNotInitialised) {
		t.Errorf("installation: %v", err)
	}
	must(t, s.Probe(t.Context()))
}

func testInstallation(t *testing.T, open func() Store) {
	s := open()
	if err := s.Init(t.Context(), act(start), Installation{CreatedAt: start}, "other", nil); !errors.Is(err, ErrInitialised) {
		t.Errorf("second init: %v", err)
	}
	i, err := s.Installation(t.Context())
	if err != nil || i.ID != [16]byte{1} || i.KEK != "k" || i.Salt != nil || !slices.Equal(i.Hosts, []string{"central.example", "::1"}) || !i.CreatedAt.Equal(start) {
		t.Errorf("installation %+v, %v", i, err)
	}
	if tenants, err := s.Tenants(t.Context()); err != nil || len(tenants) != 1 || tenants[0].ID != 1 || tenants[0].Name != "acme" {
		t.Errorf("tenants %+v, %v", tenants, err)
	}
	keys, err := s.Keys(t.Context())
	if err != nil || len(keys) != 2 || keys[0].Purpose != CA || string(keys[0].Public) != "\x02" || keys[1].Tenant != 1 || string(keys[1].Wrapped) != "\x03" {
		t.Errorf("keys %+v, %v", keys, err)
	}
}

func testManifests(t *testing.T, open func() Store) {
	s := open()
	if _, ok, err := s.Manifest(t.Context()); ok || err != nil {
		t.Fatalf("a manifest from nowhere: %v", err)
	}
	for want := uint64(1); want <= 3; want++ {
		issued, err := s.IssueManifest(t.Context(), func(v uint64) (central.Manifest, central.Signed, error) {
			return central.Manifest{IssuedAt: start, ExpiresAt: start.Add(1)}, central.Signed{Manifest: fmt.Append(nil, v), Signature: []byte("s")}, nil
		})
		must(t, err)
		got, ok, err := open().Manifest(t.Context())
		if err != nil || !ok || string(got.Manifest) != fmt.Sprint(want) || string(issued.Manifest) != string(got.Manifest) || string(got.Signature) != "s" {
			t.Errorf("manifest %d: %+v, %v, %v", want, got, ok, err)
		}
	}
	boom := errors.New("boom")
	if _, err := s.IssueManifest(t.Context(), func(uint64) (m central.Manifest, g central.Signed, err error) { return m, g, boom }); !errors.Is(err, boom) {
		t.Errorf("failed signature: %v", err)
	}
	if got, _, _ := s.Manifest(t.Context()); string(got.Manifest) != "3" {
		t.Errorf("after a failed signature: %s", got.Manifest)
	}
}

// sample makes a TID number n.
func sample(n uint32) TID {
	t := TID{Tenant: 1, FingerprintKey: 1, Sealed: []byte{byte(n), 1}, DeIdentVersion: 1, Kind: identity.Payment, CreatedAt: start.Add(time.Duration(n) * time.Second)}
	binary.BigEndian.PutUint32(t.Fingerprint[12:], n)
	binary.BigEndian.PutUint32(t.DeIdent[:], n)
	return t
}

func deident(n uint32) identity.DeIdentTID { return identity.MakeDeIdentTID(1, sample(n).DeIdent) }

func add(t *testing.T, s Store, n uint32) Entry {
	t.Helper()
	e, created, err := s.Add(t.Context(), sample(n))
	if err != nil || !created || e.HHID.IsZero() || e.Fingerprint != sample(n).Fingerprint || e.Tenant != 1 {
		t.Fatalf("add %d: %+v, %v, %v", n, e, created, err)
	}
	return e
}

func testAdd(t *testing.T, open func() Store) {
	s := open()
	a, b := add(t, s, 1), add(t, s, 2)
	if a.HHID == b.HHID || b.Change <= a.Change {
		t.Errorf("two TIDs: %+v, %+v", a, b)
	}
	again, created, err := open().Add(t.Context(), sample(1))
	if err != nil || created || again != a {
		t.Errorf("again: %+v, %v, %v, want %+v", again, created, err, a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Add(ctx, sample(3)); err == nil {
		t.Error("added under a context that had ended")
	}
}

func testAddAtOnce(t *testing.T, open func() Store) {
	stores := []Store{open(), open()} // as two processes would
	const lanes, tids = 64, 20
	var mu sync.Mutex
	ids, made := map[uint32]identity.HHID{}, 0
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for i := range tids {
				n := uint32((lane + i) % tids)
				e, created, err := stores[lane%2].Add(t.Context(), sample(n))
				mu.Lock()
				if known, ok := ids[n]; err != nil || ok && known != e.HHID {
					t.Errorf("TID %d: %v and %v, %v", n, known, e.HHID, err)
				}
				ids[n] = e.HHID
				if created {
					made++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	all, err := stores[0].Households(t.Context(), 1, identity.HHID{}, 1000)
	if err != nil || len(all) != tids || made != tids {
		t.Errorf("%d households, %d created for %d TIDs, %v", len(all), made, tids, err)
	}
}

func testLink(t *testing.T, open func() Store) {
	s := open()
	a, b := add(t, s, 1), add(t, s, 2)
	moved, err := s.Link(t.Context(), act(start), sample(2), a.HHID)
	if err != nil || moved.HHID != a.HHID || moved.Change <= b.Change {
		t.Fatalf("known TID: %+v, %v", moved, err)
	}
	same, err := s.Link(t.Context(), act(start), sample(2), a.HHID)
	if err != nil || same != moved {
		t.Errorf("the same again: %+v, %v, want %+v", same, err, moved)
	}
	if fresh, err := s.Link(t.Context(), act(start), sample(3), a.HHID); err != nil || fresh.HHID != a.HHID {
		t.Errorf("new TID: %+v, %v", fresh, err)
	}
	alone, err := s.Link(t.Context(), act(start), sample(4), identity.HHID{})
	if err != nil || alone.HHID.IsZero() || alone.HHID == a.HHID || alone.HHID == b.HHID {
		t.Errorf("new TID, no household: %+v, %v", alone, err)
	}
	if stays, err := s.Link(t.Context(), act(start), sample(3), identity.HHID{}); err != nil || stays.HHID != a.HHID {
		t.Errorf("known TID, no household: %+v, %v", stays, err)
	}
	if _, err := s.Link(t.Context(), act(start), sample(5), identity.HHID{9}); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("no such household: %v", err)
	}
	if e, _, _ := s.Add(t.Context(), sample(2)); e != moved {
		t.Errorf("asked afterwards: %+v, want %+v", e, moved)
	}
	if h, err := s.Household(t.Context(), 1, a.HHID); err != nil || len(h.Cards) != 3 {
		t.Errorf("household %+v, %v", h, err)
	}
	if h, err := s.Household(t.Context(), 1, b.HHID); err != nil || len(h.Cards) != 0 {
		t.Errorf("the household left behind: %+v, %v", h, err)
	}
}

func testLinkDeIdent(t *testing.T, open func() Store) {
	s := open()
	a := add(t, s, 1)
	add(t, s, 2)
	e, err := s.LinkDeIdent(t.Context(), act(start), 1, deident(2), a.HHID)
	if err != nil || e.HHID != a.HHID || e.Fingerprint != sample(2).Fingerprint {
		t.Errorf("linked %+v, %v", e, err)
	}
	if _, err := s.LinkDeIdent(t.Context(), act(start), 1, deident(3), a.HHID); !errors.Is(err, ErrNoTID) {
		t.Errorf("no such TID: %v", err)
	}
	if _, err := s.LinkDeIdent(t.Context(), act(start), 1, identity.MakeDeIdentTID(2, sample(2).DeIdent), a.HHID); !errors.Is(err, ErrNoTID) {
		t.Errorf("other version: %v", err)
	}
	if _, err := s.LinkDeIdent(t.Context(), act(start), 2, deident(2), a.HHID); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("other retailer: %v", err)
	}
	if _, err := s.LinkDeIdent(t.Context(), act(start), 1, deident(2), identity.HHID{9}); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("no such household: %v", err)
	}
}

func testHouseholds(t *testing.T, open func() Store) {
	s := open()
	for n := range uint32(7) {
		add(t, s, n)
	}
	var after identity.HHID
	var seen []identity.HHID
	for {
		page, err := s.Households(t.Context(), 1, after, 3)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, h := range page {
			if after = h.HHID; len(h.Cards) != 1 || h.Tenant != "acme" || h.Cards[0].Kind != identity.Payment || h.Cards[0].OptedOut || !h.Cards[0].CreatedAt.Equal(h.CreatedAt) {
				t.Errorf("household %+v", h)
			}
			seen = append(seen, h.HHID)
		}
	}
	if len(seen) != 7 || !slices.IsSortedFunc(seen, func(a, b identity.HHID) int { return slices.Compare(a[:], b[:]) }) {
		t.Errorf("pages gave %v", seen)
	}
	if _, err := s.Household(t.Context(), 1, identity.HHID{9}); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("no such household: %v", err)
	}
	if _, err := s.Household(t.Context(), 2, seen[0]); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("another retailer's: %v", err)
	}
}

func testEntries(t *testing.T, open func() Store) {
	s, other := open(), open()
	a := add(t, s, 1)
	add(t, s, 2)
	add(t, s, 3)
	first, err := other.Entries(t.Context(), 0, 2)
	if err != nil || len(first) != 2 || first[0] != a {
		t.Fatalf("first page %+v, %v", first, err)
	}
	moved, err := s.Link(t.Context(), act(start), sample(2), a.HHID)
	must(t, err)
	rest, err := other.Entries(t.Context(), first[1].Change, 10)
	if err != nil || len(rest) != 2 || rest[0].Fingerprint != sample(3).Fingerprint || rest[1] != moved {
		t.Errorf("the rest %+v, %v", rest, err)
	}
	if none, err := other.Entries(t.Context(), moved.Change, 10); err != nil || len(none) != 0 {
		t.Errorf("after the last: %+v, %v", none, err)
	}
}

func testPrefix(t *testing.T, open func() Store) {
	s := open()
	prefix := [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	var want []Entry
	for n := range uint32(3) {
		tid := sample(n)
		if copy(tid.Fingerprint[:], prefix[:]); n == 2 {
			tid.Fingerprint[7] = 0xfe
		}
		e, _, err := s.Add(t.Context(), tid)
		must(t, err)
		if n < 2 {
			want = append(want, e)
		}
	}
	got, err := s.EntriesWithPrefix(t.Context(), 1, prefix)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := s.EntriesWithPrefix(t.Context(), 2, prefix); err != nil || len(got) != 0 {
		t.Errorf("another retailer's: %+v, %v", got, err)
	}
}
