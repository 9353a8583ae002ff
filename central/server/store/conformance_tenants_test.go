package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"posd/enroll"
)

func addTenant(t *testing.T, s Store, name string) Tenant {
	t.Helper()
	made, err := s.AddTenant(t.Context(), act(start.Add(time.Hour)), name, func(id int64, r *Keyring) error {
		r.Keys = append(r.Keys, Key{Purpose: DeIdent, Tenant: id, Number: 1, State: Active, Wrapped: []byte{byte(id)}})
		return nil
	})
	must(t, err)
	return made
}

func testTenants(t *testing.T, open func() Store) {
	s := open()
	before, err := s.KeyChange(t.Context())
	must(t, err)
	made := addTenant(t, s, "bravo")
	if made.ID == 1 || made.Name != "bravo" || !made.CreatedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("made %+v", made)
	}
	if after, err := open().KeyChange(t.Context()); err != nil || after <= before {
		t.Errorf("change %d after %d, %v: nobody learns of it", after, before, err)
	}
	all, err := open().Tenants(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "acme" || all[1] != made {
		t.Errorf("tenants %+v, %v", all, err)
	}
	r := keyring(t, s)
	if k := r.Find(DeIdent, made.ID, 1); k == nil || k.Wrapped[0] != byte(made.ID) || !k.CreatedAt.Equal(made.CreatedAt) || len(r.Keys) != 3 {
		t.Errorf("keyring %+v", r)
	}

	// What is refused leaves nothing behind.
	boom := errors.New("boom")
	if _, err := s.AddTenant(t.Context(), act(start), "charlie", func(int64, *Keyring) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("without keys: %v", err)
	}
	if _, err := s.AddTenant(t.Context(), act(start), "acme", func(int64, *Keyring) error { return nil }); !errors.Is(err, ErrTenant) {
		t.Errorf("the same name again: %v", err)
	}
	if all, err := s.Tenants(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("tenants %+v, %v", all, err)
	}
	if records, err := s.Audit(t.Context(), 1, 10); err != nil || len(records) != 1 {
		t.Errorf("records %+v, %v", records, err)
	}

	// The same card, shop and lane are others.
	other := sample(1)
	other.Tenant = made.ID
	e, created, err := s.Add(t.Context(), other)
	if mine := add(t, s, 1); err != nil || !created || e.HHID == mine.HHID {
		t.Errorf("%+v, %v and %+v", e, err, mine)
	}
	if _, err := s.Link(t.Context(), act(start), sample(2), e.HHID); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("a card was put into another retailer's household: %v", err)
	}
	if _, err := s.Household(t.Context(), 1, e.HHID); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("another retailer's household was shown: %v", err)
	}
	namesake := lane1
	namesake.Tenant = "bravo"
	must(t, s.CreateTokens(t.Context(), act(start), []Token{
		{Hash: [32]byte{1}, Name: lane1, ExpiresAt: start.Add(time.Hour)}, {Hash: [32]byte{2}, Name: namesake, ExpiresAt: start.Add(time.Hour)}}, false))
	var issued enroll.Name
	_, err = s.Enroll(t.Context(), [32]byte{2}, enroll.Lane, [32]byte{3}, start, func(n enroll.Name) (Certificate, error) {
		issued = n
		return Certificate{Serial: []byte{4}, SPKI: [32]byte{3}, DER: []byte{5}, NotBefore: start, NotAfter: start.Add(time.Hour)}, nil
	})
	if err != nil || issued != namesake {
		t.Errorf("issued to %v, %v", issued, err)
	}
}

func testTenantsAtOnce(t *testing.T, open func() Store) {
	stores := []Store{open(), open()}
	const each = 8
	var wg sync.WaitGroup
	for i := range 2 * each {
		wg.Go(func() { addTenant(t, stores[i%2], fmt.Sprint("retailer", i)) })
	}
	wg.Wait()
	all, err := stores[0].Tenants(t.Context())
	ids := map[int64]bool{}
	for _, one := range all {
		ids[one.ID] = true
	}
	if err != nil || len(ids) != 1+2*each {
		t.Errorf("%d retailers, %v", len(ids), err)
	}
}
