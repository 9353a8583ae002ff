package server

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"

	"posd/central/server/store"
)

// After a fingerprint or deident key was rotated, the stored TIDs are moved to the
// newest keys, in the background. Where several servers work on one database, one
// of them does it; if it dies another goes on where it was.
const (
	rekeyEvery = 10 * time.Second // how often there is a look whether something is to be moved
	rekeyLease = time.Minute
	rekeyBatch = 256 // others who write wait for so many
	rekeyShare = 5   // of this many parts of the time, one is spent on it
)

// rekeyer moves stored TIDs to the newest keys.
type rekeyer struct {
	holder string
	woken  chan struct{} // there may be something to do
}

func newRekeyer() rekeyer {
	return rekeyer{holder: uuid.NewString(), woken: make(chan struct{}, 1)}
}

// rekey moves what is to be moved until ctx ends.
func (s *Server) rekey(ctx context.Context) {
	tick := time.NewTicker(rekeyEvery)
	defer tick.Stop()
	for {
		if err := s.rekeyAll(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("cards are not moved to the newest keys", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.rekeyer.woken:
		}
	}
}

func (s *Server) rekeyAll(ctx context.Context) error {
	all, err := s.store.Rekeyings(ctx)
	if err != nil {
		return err
	}
	for _, one := range all {
		if !one.FinishedAt.IsZero() {
			continue
		}
		if err := s.rekeyTenant(ctx, one); err != nil && !errors.Is(err, store.ErrHeld) {
			return err
		}
	}
	return nil
}

// rekeyTenant moves batch after batch, and leaves most of the time to others.
func (s *Server) rekeyTenant(ctx context.Context, one store.Rekeying) error {
	for first := true; ; first = false {
		begun := time.Now()
		next, err := s.rekeySome(ctx, one, rekeyBatch)
		if err != nil {
			return err
		}
		if first {
			s.log.Info("moving cards to the newest keys", "tenant", one.Tenant, "share_done", share(one.DoneTo))
		}
		if one = next; !one.FinishedAt.IsZero() {
			s.log.Info("all cards are moved to the newest keys", "tenant", one.Tenant)
			return nil
		}
		pause := time.NewTimer((rekeyShare - 1) * time.Since(begun))
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// rekeySome moves up to limit TIDs, and gives how far it has come.
func (s *Server) rekeySome(ctx context.Context, one store.Rekeying, limit int) (store.Rekeying, error) {
	now := s.now()
	if err := s.store.HoldRekeying(ctx, one.Tenant, s.rekeyer.holder, now, now.Add(rekeyLease)); err != nil {
		return one, err
	}
	all, err := s.store.SealedTIDs(ctx, one.Tenant, one.DoneTo, limit)
	if err != nil {
		return one, err
	}
	step, bad, err := s.directory.Rekey(one.Tenant, all)
	if err != nil {
		return one, err
	}
	if bad > 0 {
		s.log.Error("some stored cards do not open: they stay as they are", "tenant", one.Tenant, "cards", bad)
	}
	last := len(all) < limit
	if step.DoneTo = one.DoneTo; len(all) > 0 {
		var end bool
		step.DoneTo, end = following(all[len(all)-1].Fingerprint)
		last = last || end
	}
	if last {
		step.FinishedAt = now
	}
	one.DoneTo, one.FinishedAt = step.DoneTo, step.FinishedAt
	return one, s.store.Rekey(ctx, s.rekeyer.holder, step)
}

// following is the next fingerprint; last says that there is none.
func following(f [16]byte) (next [16]byte, last bool) {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i]++; f[i] != 0 {
			return f, false
		}
	}
	return f, true
}

// share is how much of all TIDs is before a fingerprint: they are evenly spread.
func share(to [16]byte) float64 {
	n := new(big.Float).SetInt(new(big.Int).SetBytes(to[:]))
	f, _ := n.SetMantExp(n, -8*len(to)).Float64()
	return f
}

// refreshKeys takes over the keys as they are now, for lookups that cannot wait until
// they are followed.
func (s *Server) refreshKeys(ctx context.Context) error {
	if err := s.takeKeys(ctx); err != nil {
		return err
	}
	s.Changed() // lanes need a manifest of them
	return nil
}

// RotateTenant makes a new fingerprint or deident key of a retailer. From then on
// whatever is stored is stored under it, and what is there is moved to it in the
// background.
func (k *Keys) RotateTenant(ctx context.Context, st store.Store, by store.Act, purpose store.Purpose, tenant store.Tenant) (KeyAct, error) {
	did := KeyAct{Purpose: purpose, Tenant: tenant.Name}
	by.Detail = &did
	err := st.ChangeKeys(ctx, by, func(r *store.Keyring) error {
		did.Number = newest(r.Keys, purpose, tenant.ID) + 1
		return k.add(r, store.Key{Purpose: purpose, Tenant: tenant.ID, Number: did.Number}, newSecret())
	})
	if err != nil {
		return did, fmt.Errorf("rotate %s key: %w", purpose, err)
	}
	return did, nil
}

// DestroyTenant erases the secret of a fingerprint or deident key that was superseded,
// once no card needs it any more.
func DestroyTenant(ctx context.Context, st store.Store, by store.Act, purpose store.Purpose, tenant store.Tenant, number uint32) (KeyAct, error) {
	did := KeyAct{Purpose: purpose, Tenant: tenant.Name, Number: number}
	by.Detail = &did
	err := unneeded(ctx, st, purpose, tenant.ID, number)
	if err == nil {
		err = st.ChangeKeys(ctx, by, func(r *store.Keyring) error {
			row := r.Find(purpose, tenant.ID, number)
			switch {
			case row == nil:
				return errNoKey
			case row.Wrapped == nil:
				return errDestroyed
			case newest(r.Keys, purpose, tenant.ID) == number:
				return errors.New("it is the one in use: rotate first")
			}
			row.State, row.Wrapped = store.Destroyed, nil
			return nil
		})
	}
	if err == nil {
		err = st.Scrub(ctx)
	}
	if err != nil {
		return did, fmt.Errorf("destroy %s key %d: %w", purpose, number, err)
	}
	return did, nil
}

// unneeded says what still needs a key. Once all cards are moved, none comes to an
// older key again.
func unneeded(ctx context.Context, st store.Store, purpose store.Purpose, tenant int64, number uint32) error {
	all, err := st.Rekeyings(ctx)
	if err != nil {
		return err
	}
	for _, one := range all {
		if one.Tenant == tenant && one.FinishedAt.IsZero() {
			return fmt.Errorf("%.0f %% of the cards are moved to the newest keys: wait until all are", 100*share(one.DoneTo))
		}
	}
	if purpose != store.Fingerprint {
		return nil
	}
	keys, err := st.Keys(ctx)
	if err != nil || newest(keys, purpose, tenant) == number {
		return err // which is refused where it is sure
	}
	left, err := st.LeftUnder(ctx, tenant, number)
	if err == nil && left > 0 {
		err = fmt.Errorf("%d cards that were erased are known by it alone: without it they would be taken for new ones", left)
	}
	return err
}
