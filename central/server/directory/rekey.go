package directory

import (
	"bytes"
	"errors"

	"posd/central/server/store"
	"posd/enctid"
	"posd/tid"
)

// Rekey gives the step that moves stored TIDs of a retailer to its newest keys. Those
// that have them are left out, and so are those that were erased; bad counts those
// that do not open.
func (d *Directory) Rekey(id int64, all []store.SealedTID) (step store.Step, bad int, err error) {
	t := d.tenants.Load().byID[id]
	if t == nil {
		return step, 0, ErrNoTenant
	}
	step = store.Step{Tenant: id, FingerprintKey: t.FingerprintKey, DeIdentVersion: t.DeIdentVersion}
	for _, from := range all {
		if len(from.Sealed) == 0 || from.FingerprintKey == t.FingerprintKey && from.DeIdentVersion == t.DeIdentVersion {
			continue
		}
		to, err := d.rekey(t, from)
		if err != nil {
			bad++
			continue
		}
		step.Moved = append(step.Moved, store.Moved{From: from, To: to})
	}
	return step, bad, nil
}

func (d *Directory) rekey(t *tenant, from store.SealedTID) (store.TID, error) {
	secret, err := t.unseal(from)
	if err != nil {
		return store.TID{}, err
	}
	defer secret.Wipe()
	to, err := d.row(t, secret, nil)
	if to.FingerprintKey == from.FingerprintKey {
		to.Fingerprint, to.Sealed = from.Fingerprint, bytes.Clone(from.Sealed)
	}
	return to, err
}

var errNotOpened = errors.New("a stored TID does not open")

// Unseal opens a stored TID of a retailer. The caller wipes it.
func (d *Directory) Unseal(retailer string, s store.SealedTID) (tid.TID, error) {
	tenant, ok := d.tenants.Load().byName[retailer]
	if !ok {
		return tid.TID{}, ErrNoTenant
	}
	return tenant.unseal(s)
}

// unseal is the inverse of seal. The caller wipes the TID.
func (t *tenant) unseal(s store.SealedTID) (tid.TID, error) {
	var room [enctid.PlaintextSize]byte
	defer clear(room[:])
	plain, err := t.aead.Open(room[:0], nil, s.Sealed, t.sealContext(s.Fingerprint))
	if err != nil {
		return tid.TID{}, errNotOpened
	}
	kind, digits, err := enctid.ParsePlaintext(plain)
	if err != nil {
		return tid.TID{}, errNotOpened
	}
	return tid.FromCanonical(kind, digits)
}
