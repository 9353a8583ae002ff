package store

import (
	"errors"
	"sync"
	"testing"
	"time"

	"posd/central"
	"posd/identity"
)

func keyring(t *testing.T, s Store) (r Keyring) {
	t.Helper()
	stop := errors.New("only a look")
	if err := s.ChangeKeys(t.Context(), act(start), func(now *Keyring) error { r = *now; return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	return r
}

func testKeys(t *testing.T, open func() Store) {
	s := open()
	before, err := s.KeyChange(t.Context())
	must(t, err)
	from, until := start.Add(time.Hour), start.Add(2*time.Hour)
	var detail struct{ Number int }
	by := act(start.Add(time.Minute))
	by.Detail = &detail
	must(t, s.ChangeKeys(t.Context(), by, func(r *Keyring) error {
		if r.KEK != "k" || r.Salt != nil || len(r.Keys) != 2 {
			t.Errorf("keyring %+v", r)
		}
		detail.Number = 7
		r.KEK, r.Salt = "new", []byte{5}
		r.Keys = append(r.Keys, Key{Purpose: HPKE, Number: 7, State: Active, Wrapped: []byte{7}, Public: []byte{8}, SealsFrom: from})
		r.Find(CA, 0, 1).Wrapped = []byte{9}
		return nil
	}))
	after, err := open().KeyChange(t.Context())
	if err != nil || after <= before {
		t.Errorf("change %d after %d, %v", after, before, err)
	}
	r := keyring(t, open())
	k := r.Find(HPKE, 0, 7)
	if r.KEK != "new" || string(r.Salt) != "\x05" || k == nil || !k.CreatedAt.Equal(by.At) || !k.SealsFrom.Equal(from) || !k.SealsUntil.IsZero() || string(k.Public) != "\x08" || string(r.Find(CA, 0, 1).Wrapped) != "\x09" {
		t.Fatalf("keyring %+v", r)
	}
	if i, err := s.Installation(t.Context()); err != nil || i.KEK != "new" || string(i.Salt) != "\x05" {
		t.Errorf("installation %+v, %v", i, err)
	}
	must(t, s.ChangeKeys(t.Context(), act(start), func(r *Keyring) error {
		k := r.Find(HPKE, 0, 7)
		k.State, k.Wrapped, k.SealsUntil = Destroyed, nil, until
		r.Salt = nil
		return nil
	}))
	must(t, s.Scrub(t.Context()))
	r = keyring(t, s)
	if k := r.Find(HPKE, 0, 7); k.State != Destroyed || k.Wrapped != nil || !k.SealsUntil.Equal(until) || r.Salt != nil {
		t.Errorf("destroyed: %+v", r)
	}
	if r.Find(HPKE, 1, 7) != nil || r.Find(HPKE, 0, 8) != nil || r.Find(CA, 0, 7) != nil {
		t.Error("found a key that is not there")
	}
	records, err := s.Audit(t.Context(), 1, 10)
	if err != nil || len(records) != 2 || string(records[0].Detail) != `{"Number":7}` {
		t.Errorf("records %+v, %v", records, err)
	}
	now, err := s.KeyChange(t.Context())
	must(t, err)
	_, err = s.IssueManifest(t.Context(), func(uint64) (m central.Manifest, g central.Signed, err error) {
		return m, central.Signed{Manifest: []byte("m"), Signature: []byte("s")}, nil
	})
	must(t, err)
	if n, err := s.KeyChange(t.Context()); err != nil || n <= now {
		t.Errorf("change %d after a manifest, %d before, %v", n, now, err)
	}
}

func testKeysAtOnce(t *testing.T, open func() Store) {
	stores := []Store{open(), open()}
	const changes = 20
	var wg sync.WaitGroup
	for i := range changes {
		wg.Go(func() {
			must(t, stores[i%2].ChangeKeys(t.Context(), act(start), func(r *Keyring) error {
				r.Keys = append(r.Keys, Key{Purpose: HPKE, Number: uint32(len(r.Keys)), State: Active, Wrapped: []byte{1}})
				return nil
			}))
		})
	}
	wg.Wait()
	keys, err := stores[0].Keys(t.Context())
	if err != nil || len(keys) != 2+changes {
		t.Errorf("%d keys, %v: one was lost", len(keys), err)
	}
}

// sampleUnder2 is sample under the keys of number 2.
func sampleUnder2(n uint32) TID {
	t := sample(n)
	t.Older = [][16]byte{t.Fingerprint}
	t.Fingerprint[0], t.FingerprintKey = 2, 2
	t.DeIdent[15], t.DeIdentVersion = 2, 2
	t.Sealed = []byte{byte(n), 2}
	return t
}

func rotated(t *testing.T, s Store, purposes ...Purpose) {
	t.Helper()
	must(t, s.ChangeKeys(t.Context(), act(start), func(r *Keyring) error {
		for _, p := range purposes {
			r.Keys = append(r.Keys, Key{Purpose: p, Tenant: 1, Number: 2, State: Active, Wrapped: []byte{2}})
		}
		return nil
	}))
}

func testStaleKeys(t *testing.T, open func() Store) {
	s := open()
	known := add(t, s, 1)
	rotated(t, s, Fingerprint)
	if e, created, err := s.Add(t.Context(), sample(1)); err != nil || created || e != known {
		t.Errorf("a known TID: %+v, %v", e, err)
	}
	if _, _, err := s.Add(t.Context(), sample(2)); !errors.Is(err, ErrStaleKeys) {
		t.Errorf("a new TID under an old fingerprint: %v", err)
	}
	if _, err := s.Link(t.Context(), act(start), sample(2), known.HHID); !errors.Is(err, ErrStaleKeys) {
		t.Errorf("linked under an old fingerprint: %v", err)
	}
	err := s.ChangeKeys(t.Context(), act(start), func(r *Keyring) error {
		r.Keys = append(r.Keys, Key{Purpose: DeIdent, Tenant: 1, Number: 2, State: Active, Wrapped: []byte{2}})
		return nil
	})
	if !errors.Is(err, ErrRekeying) {
		t.Errorf("another key before all are moved: %v", err)
	}
	half := sampleUnder2(2)
	half.DeIdentVersion = 1
	if _, created, err := s.Add(t.Context(), half); err != nil || !created {
		t.Errorf("under the newest: %v", err)
	}
	must(t, s.HoldRekeying(t.Context(), 1, "a", start, start))
	must(t, s.Rekey(t.Context(), "a", Step{Tenant: 1, FingerprintKey: 2, DeIdentVersion: 1, FinishedAt: start}))
	rotated(t, s, DeIdent)
	half.Fingerprint[1] = 1
	if _, _, err := s.Add(t.Context(), half); !errors.Is(err, ErrStaleKeys) {
		t.Errorf("under an old deident key: %v", err)
	}
	if e, created, err := s.Add(t.Context(), sampleUnder2(1)); err != nil || created || e != known {
		t.Errorf("a known TID that was not moved yet: %+v, %v", e, err)
	}
	if all, err := s.Households(t.Context(), 1, known.HHID, 10); err != nil || len(all) > 1 {
		t.Errorf("households %+v, %v: what was refused left one behind", all, err)
	}
}

func testRekeying(t *testing.T, open func() Store) {
	s := open()
	for n := range uint32(5) {
		add(t, s, n)
	}
	if all, err := s.Rekeyings(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("before: %+v, %v", all, err)
	}
	if err := s.HoldRekeying(t.Context(), 1, "a", start, start.Add(time.Minute)); !errors.Is(err, ErrHeld) {
		t.Errorf("nothing to hold: %v", err)
	}
	rotated(t, s, Fingerprint, DeIdent)
	all, err := s.Rekeyings(t.Context())
	if err != nil || len(all) != 1 || all[0].Tenant != 1 || !all[0].FinishedAt.IsZero() || all[0].DoneTo != [16]byte{} || !all[0].StartedAt.Equal(start) {
		t.Fatalf("%+v, %v", all, err)
	}
	must(t, s.HoldRekeying(t.Context(), 1, "a", start, start.Add(time.Minute)))
	must(t, s.HoldRekeying(t.Context(), 1, "a", start, start.Add(time.Minute)))
	if err := open().HoldRekeying(t.Context(), 1, "b", start, start.Add(time.Hour)); !errors.Is(err, ErrHeld) {
		t.Errorf("held by another: %v", err)
	}
	must(t, open().HoldRekeying(t.Context(), 1, "b", start.Add(2*time.Minute), start.Add(time.Hour)))
	page, err := s.SealedTIDs(t.Context(), 1, sample(1).Fingerprint, 3)
	if err != nil || len(page) != 3 || page[0].Fingerprint != sample(1).Fingerprint || page[0].FingerprintKey != 1 || string(page[0].Sealed) != "\x01\x01" || page[2].DeIdent != sample(3).DeIdent || page[2].DeIdentVersion != 1 {
		t.Fatalf("page %+v, %v", page, err)
	}
	var moved []Moved
	for i, from := range page {
		moved = append(moved, Moved{from, sampleUnder2(uint32(i + 1))})
	}
	moved[2].From.Sealed = []byte{} // it was erased meanwhile
	before, err := s.Entries(t.Context(), 0, 10)
	must(t, err)
	step := Step{Tenant: 1, FingerprintKey: 2, DeIdentVersion: 2, Moved: moved, DoneTo: sample(4).Fingerprint}
	if err := s.Rekey(t.Context(), "a", step); !errors.Is(err, ErrHeld) {
		t.Errorf("by one that holds it no more: %v", err)
	}
	must(t, s.Rekey(t.Context(), "b", step))
	must(t, s.Rekey(t.Context(), "b", step)) // twice is once
	after, err := s.Entries(t.Context(), before[4].Change, 10)
	if err != nil || len(after) != 2 || after[0].Fingerprint != sampleUnder2(1).Fingerprint || after[0].FingerprintKey != 2 || after[0].HHID != before[1].HHID || after[1].HHID != before[2].HHID {
		t.Errorf("entries %+v, %v", after, err)
	}
	if e, created, err := s.Add(t.Context(), sampleUnder2(2)); err != nil || created || e.HHID != before[2].HHID {
		t.Errorf("a TID that was moved: %+v, %v, %v", e, created, err)
	}
	for _, stale := range []Step{{Tenant: 1, FingerprintKey: 1, DeIdentVersion: 2, FinishedAt: start}, {Tenant: 1, FingerprintKey: 2, DeIdentVersion: 1, FinishedAt: start}} {
		if err := s.Rekey(t.Context(), "b", stale); !errors.Is(err, ErrStaleKeys) {
			t.Errorf("by one that knows of no newer keys: %v", err)
		}
	}
	// Both pseudonyms are found; the household shows the new one.
	for _, d := range []TID{sample(1), sampleUnder2(1)} {
		if e, err := s.LinkDeIdent(t.Context(), act(start), 1, identity.MakeDeIdentTID(d.DeIdentVersion, d.DeIdent), before[2].HHID); err != nil || e.HHID != before[2].HHID {
			t.Errorf("d%d: %+v, %v", d.DeIdentVersion, e, err)
		}
	}
	if h, err := s.Household(t.Context(), 1, before[2].HHID); err != nil || len(h.Cards) != 2 || h.Cards[0].DeIdentTID.Version() != 2 {
		t.Errorf("household %+v, %v", h, err)
	}
	// POS main computers are told of both, also of a card that was moved too early.
	_, err = s.LinkDeIdent(t.Context(), act(start), 1, deident(4), before[2].HHID)
	must(t, err)
	rest, err := s.SealedTIDs(t.Context(), 1, sample(4).Fingerprint, 1)
	must(t, err)
	step.Moved = []Moved{{rest[0], sampleUnder2(4)}}
	must(t, s.Rekey(t.Context(), "b", step))
	feed, err := s.Changes(t.Context(), shop, "", 0, 100)
	must(t, err)
	told := map[identity.DeIdentTID]identity.HHID{}
	for _, c := range feed.Changes {
		told[c.DeIdentTID] = c.HHID
	}
	for _, n := range []uint32{1, 4} {
		if d := sampleUnder2(n); told[deident(n)] != before[2].HHID || told[identity.MakeDeIdentTID(2, d.DeIdent)] != before[2].HHID {
			t.Errorf("POS main computers are told %+v", feed.Changes)
		}
	}
	if e, err := s.Split(t.Context(), act(start), 1, before[2].HHID, []identity.DeIdentTID{deident(1), deident(1)}, true); err != nil || len(e.Cards) != 1 {
		t.Errorf("split by an earlier pseudonym: %+v, %v", e, err)
	}
	change, err := s.KeyChange(t.Context())
	must(t, err)
	must(t, s.Rekey(t.Context(), "b", Step{Tenant: 1, FingerprintKey: 2, DeIdentVersion: 2, DoneTo: [16]byte{9}, FinishedAt: start.Add(time.Hour)}))
	if n, err := s.KeyChange(t.Context()); err != nil || n <= change {
		t.Errorf("nobody is told of the end: %d, %v", n, err)
	}
	all, err = s.Rekeyings(t.Context())
	if err != nil || !all[0].FinishedAt.Equal(start.Add(time.Hour)) || all[0].DoneTo != [16]byte{9} {
		t.Errorf("after: %+v, %v", all, err)
	}
	if err := s.HoldRekeying(t.Context(), 1, "b", start, start); !errors.Is(err, ErrHeld) {
		t.Errorf("held what is finished: %v", err)
	}
	if n, err := s.LeftUnder(t.Context(), 1, 1); err != nil || n != 2 {
		t.Errorf("%d are left under the old key, %v", n, err)
	}
	pairs, err := s.DeIdentPairs(t.Context(), 1, 1, 2, [16]byte{}, 10)
	if err != nil || len(pairs) != 3 || pairs[0].From != deident(1) || pairs[0].To.MAC() != sampleUnder2(1).DeIdent || pairs[0].To.Version() != 2 {
		t.Errorf("pairs %+v, %v", pairs, err)
	}
	if rest, err := s.DeIdentPairs(t.Context(), 1, 1, 2, sample(1).DeIdent, 10); err != nil || len(rest) != 2 || rest[0] != pairs[1] {
		t.Errorf("the rest %+v, %v", rest, err)
	}
}
