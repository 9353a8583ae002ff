package store

import (
	"sync"
	"testing"
	"time"

	"posd/enroll"
)

func testAudit(t *testing.T, open func() Store) {
	s := open()
	token1(t, s, lane1, 1)
	if err := s.Revoke(t.Context(), act(start), enroll.Name{Tenant: "acme", Shop: "0", Role: enroll.Lane, Lane: "0"}); err == nil {
		t.Fatal("a machine that never was there was revoked")
	}
	must(t, s.Revoke(t.Context(), Act{At: start.Add(time.Minute), Actor: "root", Action: "lanes revoke", Detail: lane1.String()}, lane1))
	var wg sync.WaitGroup
	for range 20 { // none is lost, none has another's number
		wg.Go(func() { must(t, s.Record(t.Context(), act(start))) })
	}
	wg.Wait()
	all, err := open().Audit(t.Context(), 0, 100)
	must(t, err)
	i, err := s.Installation(t.Context())
	must(t, err)
	previous := FirstHash(i.ID)
	for n, r := range all {
		if r.Number != uint64(n+1) || r.Hash != r.Chained(previous) {
			t.Errorf("record %d does not follow the one before: %+v", n+1, r)
		}
		previous = r.Hash
	}
	// Init, the token, the revocation that was done, and those of their own.
	if len(all) != 23 {
		t.Fatalf("%d records, want 23", len(all))
	}
	if r := all[2]; r.Actor != "root" || r.Action != "lanes revoke" || string(r.Detail) != `"`+lane1.String()+`"` || !r.At.Equal(start.Add(time.Minute)) {
		t.Errorf("record 3: %+v", r)
	}
	if some, err := s.Audit(t.Context(), 20, 2); err != nil || len(some) != 2 || some[0].Number != 21 {
		t.Errorf("records behind 20: %v, %v", some, err)
	}
	changed := all[2]
	changed.Actor = "nobody"
	if changed.Chained(all[1].Hash) == all[2].Hash {
		t.Error("a record that was changed has the same hash")
	}
}
