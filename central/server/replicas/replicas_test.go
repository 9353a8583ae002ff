package replicas

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"posd/central"
	"posd/central/server/directory"
	"posd/central/server/servertest"
	"posd/central/server/store"
	"posd/enroll"
	"posd/identity"
	"posd/postgresdb/postgrestest"
	"posd/tid"
)

var postgres postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// phone is TID number n.
func phone(n int) tid.TID {
	secret, err := tid.NewPhone("US", fmt.Appendf(nil, "202%03d%04d", 220+n/10000, n%10000))
	if err != nil {
		panic(err)
	}
	return secret
}

// resolve asks a directory for TID number n.
func resolve(ctx context.Context, d *directory.Directory, n int) (identity.HHID, error) {
	secret := phone(n)
	defer secret.Wipe()
	a, err := d.Resolve(ctx, servertest.Tenant, secret)
	return a.HHID, err
}

// TestOneHouseholdForATID: replicas that are asked at once for the same unknown
// TIDs, in the same order, give each of them one household.
func TestOneHouseholdForATID(t *testing.T) {
	tids := 1000
	if os.Getenv("POSD_TEST_ALL") == "1" {
		tids = 100_000
	}
	const replicas, workers = 4, 64
	first := servertest.StartOn(t, postgres.Database(t), nil)
	first.Stop()
	answers := make([][]identity.HHID, replicas)
	var wg sync.WaitGroup
	for r := range replicas {
		answers[r] = make([]identity.HHID, tids)
		st, err := store.Open(t.Context(), first.Database, false)
		must(t, err)
		defer st.Close()
		d, err := first.Keys.Directory(st, "", time.Now)
		must(t, err)
		var next atomic.Int64
		for range workers {
			wg.Go(func() {
				for n := int(next.Add(1)) - 1; n < tids; n = int(next.Add(1)) - 1 {
					var err error
					if answers[r][n], err = resolve(t.Context(), d, n); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	begun := time.Now()
	wg.Wait()
	t.Logf("%d TIDs, each asked of %d replicas: %.0f new households/s", tids, replicas, float64(tids)/time.Since(begun).Seconds())
	given := map[identity.HHID]bool{}
	for n := range tids {
		for r := range replicas {
			if answers[r][n] != answers[0][n] {
				t.Errorf("TID %d: replica %d says %s, replica 0 says %s", n, r, answers[r][n], answers[0][n])
			}
		}
		given[answers[0][n]] = true
	}
	if len(given) != tids {
		t.Errorf("%d households for %d TIDs", len(given), tids)
	}
	if n := households(t, first.Database); n != tids {
		t.Errorf("%d households are stored, want %d", n, tids)
	}
}

func households(t *testing.T, database string) (n int) {
	t.Helper()
	st, err := store.OpenReadOnly(t.Context(), database)
	must(t, err)
	defer st.Close()
	for after := (identity.HHID{}); ; {
		page, err := st.Households(t.Context(), 1, after, 1000)
		must(t, err)
		if len(page) == 0 {
			return n
		}
		n, after = n+len(page), page[len(page)-1].HHID
	}
}

// eventually tries every few milliseconds, for a minute at most, and gives how long
// it took.
func eventually(t *testing.T, try func() error) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun := time.Now()
	for tick := time.Tick(5 * time.Millisecond); ; {
		err := try()
		if err == nil {
			return time.Since(begun)
		}
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// TestChangesReachEveryReplica: what is done at one of three servers is seen at all
// of them within a second; the median of several tries, since this machine may
// have other work.
func TestChangesReachEveryReplica(t *testing.T) {
	first := servertest.StartOn(t, postgres.Database(t), nil)
	all := []*servertest.Central{first, first.Replica(t, nil), first.Replica(t, nil)}
	for kind, change := range map[string]func(t *testing.T, n int) (seen func(c *servertest.Central) error){
		"revocation": func(t *testing.T, n int) func(*servertest.Central) error { return revoked(t, all, n) },
		"link":       func(t *testing.T, n int) func(*servertest.Central) error { return linked(t, all, n) },
		"key":        func(t *testing.T, n int) func(*servertest.Central) error { return rotated(t, all, n) },
	} {
		t.Run(kind, func(t *testing.T) {
			var took []time.Duration
			for n := range 5 {
				seen := change(t, n)
				took = append(took, eventually(t, func() (err error) {
					for i, c := range all {
						if e := seen(c); e != nil {
							err = fmt.Errorf("replica %d: %w", i, e)
						}
					}
					return err
				}))
			}
			slices.Sort(took)
			t.Logf("seen by all after %v", took)
			if median := took[len(took)/2]; median > time.Second {
				t.Errorf("seen by all after %v", median)
			}
		})
	}
}

// TestChangesAfterNotificationsAreLost: a listener whose connection is ended hears
// again, and nothing is missed meanwhile.
func TestChangesAfterNotificationsAreLost(t *testing.T) {
	first := servertest.StartOn(t, postgres.Database(t), nil)
	all := []*servertest.Central{first, first.Replica(t, nil)}
	for n := range 3 {
		must(t, postgres.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"))
		seen := linked(t, all, n)
		eventually(t, func() error { return errors.Join(seen(all[0]), seen(all[1])) })
	}
}

// revoked enrols a lane at one replica, which all serve, and revokes it at another.
func revoked(t *testing.T, all []*servertest.Central, n int) (seen func(*servertest.Central) error) {
	lane := fmt.Sprint("r", n)
	credentials := all[n%len(all)].Enrol(t, "12", lane)
	clients := clients(t, all, credentials)
	ask := func(c *servertest.Central) error {
		_, err := clients[c].Manifest(t.Context(), 0)
		return err
	}
	for _, c := range all {
		must(t, ask(c))
	}
	must(t, all[(n+1)%len(all)].Store.Revoke(t.Context(), store.Act{At: time.Now()}, enroll.Name{Tenant: servertest.Tenant, Shop: "12", Role: enroll.Lane, Lane: lane}))
	return func(c *servertest.Central) error {
		if ask(c) == nil {
			return errors.New("the lane is let in")
		}
		return nil
	}
}

// linked puts a card into the household of another.
func linked(t *testing.T, all []*servertest.Central, n int) (seen func(*servertest.Central) error) {
	a, b := 100+2*n, 101+2*n
	var to identity.HHID
	for _, c := range all {
		var err error
		to, err = resolve(t.Context(), c.Server.Directory(), a)
		must(t, err)
		_, err = resolve(t.Context(), c.Server.Directory(), b)
		must(t, err)
	}
	secret := phone(b)
	defer secret.Wipe()
	_, err := all[n%len(all)].Server.Directory().Link(t.Context(), store.Act{At: time.Now()}, servertest.Tenant, secret, to)
	must(t, err)
	return func(c *servertest.Central) error {
		if got, err := resolve(t.Context(), c.Server.Directory(), b); err != nil || got != to {
			return fmt.Errorf("the card is in %s, not %s (%v)", got, to, err)
		}
		return nil
	}
}

// rotated announces a key for EncTIDs.
func rotated(t *testing.T, all []*servertest.Central, n int) (seen func(*servertest.Central) error) {
	c := all[n%len(all)]
	act, err := c.Server.Keys().RotateHPKE(t.Context(), c.Store, store.Act{At: time.Now()}, time.Now().Add(time.Hour))
	must(t, err)
	credentials := c.Enrol(t, "12", fmt.Sprint("k", n))
	clients := clients(t, all, credentials)
	return func(c *servertest.Central) error {
		signed, err := clients[c].Manifest(t.Context(), 0)
		if err != nil {
			return err
		}
		m, err := signed.Verify(credentials.Current().ManifestKey, time.Now(), 0)
		if err != nil {
			return err
		}
		for _, k := range m.Keys {
			if k.ID == act.Number {
				return nil
			}
		}
		return fmt.Errorf("the manifest has no key %d", act.Number)
	}
}

// clients connect a lane to every replica.
func clients(t *testing.T, all []*servertest.Central, credentials *enroll.Store) map[*servertest.Central]*central.Client {
	clients := map[*servertest.Central]*central.Client{}
	for _, c := range all {
		clients[c] = c.Client(t, credentials)
	}
	return clients
}
