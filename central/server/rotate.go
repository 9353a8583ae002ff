package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/enroll"
)

// Keep is how long an HPKE key opens EncTIDs after lanes have ceased to seal with
// it: lanes keep one for up to 14 days, and a certificate, with its manifest, lasts
// 30.
const Keep = 35 * 24 * time.Hour

// The states of a key, as operators see them.
const (
	Announced  = "announced"  // lanes know it, and will seal with it
	Sealing    = "sealing"    // lanes seal with it
	OpenOnly   = "open-only"  // lanes seal with it no more
	Active     = "active"     // of the other purposes
	Superseded = "superseded" // by a newer one; some of what was made with it may still be there
	Destroyed  = "destroyed"  // its secret was erased
)

// KeyInfo is what may be told of a key.
type KeyInfo struct {
	Purpose    store.Purpose `json:"purpose"`
	Tenant     string        `json:"tenant,omitempty"`
	Number     uint32        `json:"number"`
	State      string        `json:"state"`
	CreatedAt  time.Time     `json:"created_at"`
	SealsFrom  time.Time     `json:"seals_from,omitzero"`
	SealsUntil time.Time     `json:"seals_until,omitzero"`

	// Of the newest fingerprint and deident key, while stored cards are moved to it:
	// the share of them that is done.
	Moved *float64 `json:"moved,omitempty"`
}

// ListKeys tells of all keys. No key-encryption key is needed for it.
func ListKeys(ctx context.Context, st store.Store, now time.Time) ([]KeyInfo, error) {
	tenants, err := st.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := st.Keys(ctx)
	if err != nil {
		return nil, err
	}
	rekeyings, err := st.Rekeyings(ctx)
	if err != nil {
		return nil, err
	}
	moved := map[int64]*float64{}
	for _, r := range rekeyings {
		if done := share(r.DoneTo); r.FinishedAt.IsZero() {
			moved[r.Tenant] = &done
		}
	}
	names := map[int64]string{}
	for _, t := range tenants {
		names[t.ID] = t.Name
	}
	all := make([]KeyInfo, len(rows))
	for i, k := range rows {
		all[i] = KeyInfo{Purpose: k.Purpose, Tenant: names[k.Tenant], Number: k.Number, State: keyState(rows, k, now), CreatedAt: k.CreatedAt}
		if k.Purpose == store.HPKE {
			all[i].SealsFrom, all[i].SealsUntil = sealsFrom(k), k.SealsUntil
		}
		if k.Number > 1 && all[i].State == Active {
			all[i].Moved = moved[k.Tenant]
		}
	}
	return all, nil
}

func keyState(all []store.Key, k store.Key, now time.Time) string {
	switch {
	case k.Wrapped == nil:
		return Destroyed
	case k.Purpose == store.HPKE:
		return sealingState(k, now)
	case newest(all, k.Purpose, k.Tenant) > k.Number:
		return Superseded
	}
	return Active
}

func sealingState(k store.Key, now time.Time) string {
	switch {
	case ended(k, now):
		return OpenOnly
	case now.Before(sealsFrom(k)):
		return Announced
	}
	return Sealing
}

// newest is the highest number that a key of this purpose has.
func newest(all []store.Key, purpose store.Purpose, tenant int64) (n uint32) {
	for _, k := range all {
		if k.Purpose == purpose && k.Tenant == tenant {
			n = max(n, k.Number)
		}
	}
	return n
}

// KeyAct says which key was changed, and is the detail of that in the audit log.
type KeyAct struct {
	Purpose     store.Purpose `json:"purpose"`
	Tenant      string        `json:"tenant,omitempty"`
	Number      uint32        `json:"number"`
	SealsFrom   time.Time     `json:"seals_from,omitzero"`
	SealsUntil  time.Time     `json:"seals_until,omitzero"`
	Compromised bool          `json:"compromised,omitempty"`
}

// RotateHPKE makes a new key that lanes seal EncTIDs with from a time on, at which
// they cease to seal with the others. The zero time stands for at once: lanes do as
// soon as they hear of it.
func (k *Keys) RotateHPKE(ctx context.Context, st store.Store, by store.Act, from time.Time) (KeyAct, error) {
	until := from
	if from.IsZero() {
		from, until = by.At.Add(-enroll.Backdate), by.At
	}
	did := KeyAct{Purpose: store.HPKE, SealsFrom: from}
	by.Detail = &did
	err := st.ChangeKeys(ctx, by, func(r *store.Keyring) error {
		seed, public, err := newHPKE()
		if err != nil {
			return err
		}
		did.Number = newest(r.Keys, store.HPKE, 0) + 1
		for i := range r.Keys {
			if old := &r.Keys[i]; old.Purpose == store.HPKE && (old.SealsUntil.IsZero() || old.SealsUntil.After(until)) {
				old.SealsUntil = later(until, sealsFrom(*old)) // of one that was only announced: it never begins
			}
		}
		return k.add(r, store.Key{Purpose: store.HPKE, Number: did.Number, Public: public, SealsFrom: from}, seed)
	})
	if err != nil {
		return did, fmt.Errorf("rotate hpke key: %w", err)
	}
	return did, nil
}

// add wraps a new key, whose secret it wipes, and adds it to the ring.
func (k *Keys) add(r *store.Keyring, row store.Key, secret []byte) error {
	kek := k.kek.get()
	i := k.installation
	i.KEK, i.Salt = r.KEK, r.Salt // as they are in this transaction
	if err := fits(kek, i); err != nil {
		return err
	}
	r.Keys = append(r.Keys, wrap(kek, i, row, secret))
	return nil
}

// RetireHPKE has lanes seal with a key no more; it still opens what was sealed with
// it. Another key must be there to seal with.
func RetireHPKE(ctx context.Context, st store.Store, by store.Act, number uint32) (KeyAct, error) {
	did := KeyAct{Purpose: store.HPKE, Number: number, SealsUntil: by.At}
	by.Detail = &did
	err := st.ChangeKeys(ctx, by, func(r *store.Keyring) error {
		row := r.Find(store.HPKE, 0, number)
		switch {
		case row == nil:
			return errNoKey
		case row.Wrapped == nil:
			return errDestroyed
		case ended(*row, by.At):
			return fmt.Errorf("lanes ceased to seal with it on %s", row.SealsUntil.UTC().Format(time.RFC3339))
		}
		row.SealsUntil = by.At
		for _, other := range r.Keys {
			if other.Purpose == store.HPKE && other.Wrapped != nil && sealingState(other, by.At) == Sealing {
				return nil
			}
		}
		return errors.New("it is the only one that lanes can seal with now: rotate first")
	})
	if err != nil {
		return did, fmt.Errorf("retire hpke key %d: %w", number, err)
	}
	return did, nil
}

var (
	errNoKey     = errors.New("there is no such key")
	errDestroyed = errors.New("it was destroyed before")
)

// DestroyHPKE erases the secret of a key, for good: EncTIDs that were sealed with it
// and that central has not answered are lost. Unless it is compromised, lanes must
// have ceased to seal with it for as long as Keep.
func DestroyHPKE(ctx context.Context, st store.Store, by store.Act, number uint32, compromised bool) (KeyAct, error) {
	did := KeyAct{Purpose: store.HPKE, Number: number, Compromised: compromised}
	by.Detail = &did
	err := st.ChangeKeys(ctx, by, func(r *store.Keyring) error {
		row := r.Find(store.HPKE, 0, number)
		switch {
		case row == nil:
			return errNoKey
		case row.Wrapped == nil:
			return errDestroyed
		case !ended(*row, by.At):
			return errors.New("lanes may seal with it still: rotate (with --now if it is compromised), or retire it first")
		case !compromised && by.At.Before(row.SealsUntil.Add(Keep)):
			return fmt.Errorf("lanes may hold what was sealed with it until %s: wait until then, or say --compromised to lose that",
				row.SealsUntil.Add(Keep).UTC().Format(time.RFC3339))
		}
		row.State, row.Wrapped, did.SealsUntil = store.Destroyed, nil, row.SealsUntil
		return nil
	})
	if err == nil {
		err = st.Scrub(ctx)
	}
	if err != nil {
		return did, fmt.Errorf("destroy hpke key %d: %w", number, err)
	}
	return did, nil
}

// RewrapAct is a change of the key-encryption key, by the ids of both.
type RewrapAct struct {
	KEK    string `json:"kek"`
	Before string `json:"before"`
}

// Rewrap wraps all keys anew. The key-encryption key before opens them no more; the
// process that k is of has the new one from then on. salt is that of its passphrase,
// nil if there is none.
func (k *Keys) Rewrap(ctx context.Context, st store.Store, by store.Act, kek vault.KEK, salt []byte) (RewrapAct, error) {
	did := RewrapAct{KEK: kek.ID()}
	by.Detail = &did
	err := st.ChangeKeys(ctx, by, func(r *store.Keyring) error {
		if did.Before = r.KEK; did.Before == did.KEK {
			return fmt.Errorf("the keys are wrapped under key %s already", did.KEK)
		}
		i := k.installation
		i.KEK, i.Salt = r.KEK, r.Salt
		old := k.kek.get()
		if err := fits(old, i); err != nil {
			return err
		}
		r.KEK, r.Salt = kek.ID(), salt
		for n, row := range r.Keys {
			if row.Wrapped == nil {
				continue
			}
			secret, err := old.Unwrap(row.Wrapped, wrapContext(i, row))
			if err != nil {
				return named(row, fmt.Errorf("%w: the row was changed: restore a backup", err))
			}
			r.Keys[n].Wrapped = kek.Wrap(secret, wrapContext(i, row))
			clear(secret)
		}
		return nil
	})
	if err == nil {
		k.kek.set(kek)
		err = st.Scrub(ctx)
	}
	if err != nil {
		return did, fmt.Errorf("rewrap keys: %w", err)
	}
	return did, nil
}
