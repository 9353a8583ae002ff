package store

import (
	"errors"
	"sync"
	"testing"
	"time"

	"posd/central"
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
