package replicas

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"posd/central/server"
	"posd/central/server/servertest"
	"posd/identity"
	"posd/postgresdb/postgrestest"
)

// TestPrimaryIsKilled: replicas make households when the primary is lost, whose
// synchronous standby takes its place. What was answered before stays so, and they
// find the new primary by themselves.
func TestPrimaryIsKilled(t *testing.T) {
	primary, standby, database := pair(t)
	first := servertest.StartOn(t, database, nil)
	all := []*servertest.Central{first, first.Replica(t, nil), first.Replica(t, nil)}
	h := &household{given: map[int]identity.HHID{}, grown: sync.NewCond(&sync.Mutex{})}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i, c := range all {
		for w := range 4 {
			wg.Go(func() { h.make(t, c.Server, (i+w)%2, stop) })
		}
	}
	h.wait(300)
	// The last households that the primary makes do not reach its standby.
	hears, err := standby.Deafen()
	must(t, err)
	must(t, primary.Await("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
	primary.Kill()
	hears()
	for i, c := range all {
		eventually(t, func() error { return in(c.Server, server.Degraded, i) })
	}
	if h.failed.Load() == 0 {
		t.Error("nobody missed the primary")
	}
	before := h.count()
	must(t, standby.Promote())
	h.wait(before + 300)
	close(stop)
	wg.Wait()
	for i, c := range all {
		eventually(t, func() error { return in(c.Server, server.Ready, i) })
	}
	h.check(t, all)
	t.Logf("%d households, %d requests failed while there was no primary", h.count(), h.failed.Load())
}

// pair makes a primary and its synchronous standby, and gives the URL of a database
// on both.
func pair(t *testing.T) (primary, standby *postgrestest.Server, database string) {
	t.Helper()
	postgrestest.Require(t)
	primary, err := postgrestest.New()
	must(t, err)
	t.Cleanup(primary.Remove)
	a, err := primary.Listen("127.0.0.1")
	must(t, err)
	must(t, primary.Start())
	must(t, primary.CreateDatabase("central"))
	standby, err = primary.Standby("standby")
	must(t, err)
	t.Cleanup(standby.Remove)
	b, err := standby.Listen("127.0.0.1")
	must(t, err)
	must(t, standby.Start())
	must(t, primary.Synchronous("standby"))
	return primary, standby, fmt.Sprintf("postgres://postgres@%s,%s/central?sslmode=disable", b, a)
}

// in says whether a server is in a state; one that is degraded has to say why.
func in(s *server.Server, state string, replica int) error {
	st := s.Status()
	if st.State != state || state == server.Degraded && !strings.Contains(strings.Join(st.Reasons, " "), "database") {
		return fmt.Errorf("replica %d is %s: %q", replica, st.State, st.Reasons)
	}
	return nil
}

// household is what replicas answered.
type household struct {
	next   [2]atomic.Int64 // TIDs of even and odd numbers
	failed atomic.Int64
	grown  *sync.Cond // of given
	given  map[int]identity.HHID
}

// make asks for TIDs that others ask for as well, each until it is answered.
func (h *household) make(t *testing.T, s *server.Server, parity int, stop <-chan struct{}) {
	for {
		n := int(h.next[parity].Add(1))*2/3*2 + parity // some of them twice, by two workers
		for {
			select {
			case <-stop:
				return
			default:
			}
			id, err := resolve(t.Context(), s.Directory(), n)
			if err == nil {
				h.note(t, n, id)
				break
			}
			h.failed.Add(1)
		}
	}
}

func (h *household) note(t *testing.T, n int, id identity.HHID) {
	h.grown.L.Lock()
	defer h.grown.L.Unlock()
	defer h.grown.Broadcast()
	if was, ok := h.given[n]; ok && was != id {
		t.Errorf("TID %d: %s, then %s", n, was, id)
	}
	h.given[n] = id
}

func (h *household) count() int {
	h.grown.L.Lock()
	defer h.grown.L.Unlock()
	return len(h.given)
}

// wait waits until there are so many.
func (h *household) wait(n int) {
	h.grown.L.Lock()
	defer h.grown.L.Unlock()
	for len(h.given) < n {
		h.grown.Wait()
	}
}

// check asks every replica again for all that was answered, and one that has just
// started, which knows only what is stored.
func (h *household) check(t *testing.T, all []*servertest.Central) {
	t.Helper()
	all[0].Restart(t, nil)
	for i, c := range all {
		var errs []error
		for n, want := range h.given {
			if got, err := resolve(t.Context(), c.Server.Directory(), n); err != nil || got != want {
				errs = append(errs, fmt.Errorf("replica %d: TID %d is in %s, %s was answered (%v)", i, n, got, want, err))
			}
		}
		if len(errs) > 0 {
			t.Errorf("%d of %d are lost: %v", len(errs), len(h.given), errors.Join(errs[:min(3, len(errs))]...))
		}
	}
}
