package server

import (
	"context"
	"fmt"

	"posd/central/server/store"
	"posd/enroll"
)

// tenantKeys are the purposes of the keys that each retailer has of its own.
var tenantKeys = []store.Purpose{store.Fingerprint, store.SealTID, store.DeIdent}

// CheckTenant says what is wrong with the name of a retailer, if anything.
func CheckTenant(name string) error {
	return enroll.Name{Tenant: name, Role: enroll.Central}.Check()
}

// AddTenant makes a retailer with keys of its own, so that its households and
// DeIdentTIDs are apart from those of all others. Servers follow it as a change of
// the keys. store.ErrTenant if there is one of that name.
func (k *Keys) AddTenant(ctx context.Context, st store.Store, by store.Act, name string) (store.Tenant, error) {
	if err := CheckTenant(name); err != nil {
		return store.Tenant{}, fmt.Errorf("add retailer: %w", err)
	}
	made, err := st.AddTenant(ctx, by, name, func(id int64, r *store.Keyring) error {
		for _, purpose := range tenantKeys {
			if err := k.add(r, store.Key{Purpose: purpose, Tenant: id, Number: 1}, newSecret()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return store.Tenant{}, fmt.Errorf("add retailer %s: %w", name, err)
	}
	return made, nil
}
