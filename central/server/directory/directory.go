// Package directory says which household a TID belongs to. It holds the
// association in memory (package index) and every change of it in the store,
// and makes DeIdentTIDs.
//
// In memory a TID is the first 64 bits of its fingerprint, an HMAC-SHA-256
// under a key of the retailer. Two known TIDs whose 64 bits are alike are kept
// apart by their whole fingerprints in an exact side table. A TID that is not
// known is taken for one of N that are with a probability of N/2^64: about
// 5e-12 among 100 million.
package directory

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"posd/central/server/store"
	"posd/enctid"
	"posd/identity"
	"posd/tid"
)

// ErrNoTenant says that a retailer is not one of this central's.
var ErrNoTenant = store.ErrNoTenant

// Store is what a directory needs of central's store; see store.Store.
type Store interface {
	Add(ctx context.Context, t store.TID) (e store.Entry, created bool, err error)
	Link(ctx context.Context, by store.Act, t store.TID, to identity.HHID) (store.Entry, error)
	Entries(ctx context.Context, after uint64, limit int) ([]store.Entry, error)
	EntriesWithPrefix(ctx context.Context, tenant int64, prefix [8]byte) ([]store.Entry, error)
}

// Tenant is a retailer with its keys of 32 bytes each.
type Tenant struct {
	ID             int64
	Name           string
	Fingerprint    []byte // HMAC: what a TID is found by
	FingerprintKey uint32 // its number
	Older          []OlderKey
	SealTID        []byte // AES-256-GCM: seals TIDs at rest
	DeIdent        []byte // HMAC: makes DeIdentTIDs
	DeIdentVersion int

	Incarnation [16]byte // of the store: snapshots of another one are not used
}

// OlderKey is a fingerprint key that has been superseded.
type OlderKey struct {
	Fingerprint    []byte
	FingerprintKey uint32
	Left           bool // all TIDs have been moved to newer keys but those that were erased
}

// Answer says whose a TID is.
type Answer struct {
	State          identity.State // Resolved, or OptedOut with no ids
	HHID           identity.HHID
	DeIdent        [16]byte // what the DeIdentTID is made of
	DeIdentVersion int
	Created        bool // the household was made for this TID just now
}

// DeIdentTID gives the pseudonym, "" with OptedOut.
func (a Answer) DeIdentTID() identity.DeIdentTID {
	if a.DeIdentVersion == 0 {
		return ""
	}
	return identity.MakeDeIdentTID(a.DeIdentVersion, a.DeIdent)
}

// Directory associates TIDs with households. It is safe for concurrent use,
// apart from Sync.
type Directory struct {
	store   Store
	now     func() time.Time
	dir     string
	tenants atomic.Pointer[tenants]
	change  atomic.Uint64
	merge   int // recent entries at which a snapshot is made, at the least

	// Refresh, if not nil, calls SetTenants with the keys as they are now. It is
	// called when the store says that a TID was made with older ones.
	Refresh func(context.Context) error
}

// New returns an empty directory; Open and Sync fill it. Its snapshots are in dir;
// there are none if dir is empty.
func New(s Store, all []Tenant, dir string, now func() time.Time) (*Directory, error) {
	d := &Directory{store: s, now: now, dir: dir, merge: mergeAfter}
	d.tenants.Store(&tenants{})
	if err := d.SetTenants(all); err != nil {
		return nil, err
	}
	return d, nil
}

// Lookup says which household t belongs to, if it is known. It asks the memory
// alone, and allocates nothing.
func (d *Directory) Lookup(retailer string, t tid.TID) (a Answer, known bool, err error) {
	tenant, ok := d.tenants.Load().byName[retailer]
	if !ok {
		return Answer{}, false, ErrNoTenant
	}
	e, known := tenant.lookup(t)
	if !known {
		return Answer{}, false, nil
	}
	return tenant.answer(e, t, false), true, nil
}

// Resolve says which household t belongs to. An unknown t gets a new household,
// which is durable before Resolve returns; however many ask for it at once, it
// gets one.
func (d *Directory) Resolve(ctx context.Context, retailer string, t tid.TID) (a Answer, err error) {
	err = d.withTenant(ctx, retailer, func(tenant *tenant) error {
		e, known := tenant.lookup(t)
		created := false
		if !known {
			var err error
			if e, created, err = d.add(ctx, tenant, t); err != nil {
				return fmt.Errorf("make household: %w", err)
			}
		}
		a = tenant.answer(e, t, created)
		return nil
	})
	return a, err
}

// refreshes is how often keys that have changed are asked for in one call.
const refreshes = 3

// withTenant calls f with a retailer's keys, and again with newer ones where the
// store wants those. The retailer may just have been added.
func (d *Directory) withTenant(ctx context.Context, retailer string, f func(*tenant) error) error {
	for n := 0; ; n++ {
		tenant, ok := d.tenants.Load().byName[retailer]
		err := error(ErrNoTenant)
		if ok {
			err = f(tenant)
		}
		if ok && !errors.Is(err, store.ErrStaleKeys) || d.Refresh == nil || n == refreshes {
			return err
		}
		if err := d.Refresh(ctx); err != nil {
			return err
		}
	}
}

func (t *tenant) answer(e household, secret tid.TID, created bool) Answer {
	if e.optedOut {
		return Answer{State: identity.OptedOut}
	}
	return Answer{identity.Resolved, e.hhid, t.deident(secret), t.DeIdentVersion, created}
}

// Link puts t into a household of the retailer; with the zero HHID t stays where
// it is, or gets a new household if it is unknown. It returns the household.
func (d *Directory) Link(ctx context.Context, by store.Act, retailer string, t tid.TID, to identity.HHID) (identity.HHID, error) {
	var now identity.HHID
	err := d.withTenant(ctx, retailer, func(tenant *tenant) error {
		row, err := d.row(tenant, t, nil)
		if err != nil {
			return err
		}
		e, err := d.store.Link(ctx, by, row, to)
		if err != nil {
			return err
		}
		now = e.HHID
		// What cannot be noted now comes with the next Sync.
		_ = tenant.apply(ctx, d.store, e)
		return nil
	})
	return now, err
}

// page is how many changes are read at a time.
const page = 4096

// Sync brings the memory up to the store, whoever changed it. One goroutine
// calls it: at the start to load everything that is in no snapshot, then again and
// again. progress, if not nil, is told after every few thousand entries how many
// were read. store.ErrStaleKeys says that SetTenants must be called before the rest
// can be read.
func (d *Directory) Sync(ctx context.Context, progress func(entries int)) error {
	d.restart()
	for total := 0; ; {
		entries, err := d.store.Entries(ctx, d.change.Load(), page)
		if err != nil {
			return fmt.Errorf("follow changes: %w", err)
		}
		for _, e := range entries {
			err := error(store.ErrStaleKeys) // of a retailer that was added
			if t := d.tenants.Load().byID[e.Tenant]; t != nil {
				err = t.apply(ctx, d.store, e)
			}
			if err != nil {
				return fmt.Errorf("follow changes: %w", err)
			}
			d.change.Store(e.Change)
		}
		if total += len(entries); progress != nil && len(entries) > 0 {
			progress(total)
		}
		if len(entries) < page {
			return nil
		}
	}
}

// Change is the number of the last change that Sync has seen.
func (d *Directory) Change() uint64 { return d.change.Load() }

// Size returns how many TIDs are known, and the bytes of memory they take. While
// TIDs are moved to a newer key, those that were moved count twice.
func (d *Directory) Size() (tids, bytes int) {
	for _, t := range d.tenants.Load().byName {
		for _, m := range t.memories {
			s := m.size()
			tids, bytes = tids+s.Keys, bytes+s.Bytes
		}
	}
	return tids, bytes
}

func (d *Directory) add(ctx context.Context, t *tenant, secret tid.TID) (household, bool, error) {
	row, err := d.row(t, secret, nil)
	if err != nil {
		return household{}, false, err
	}
	return t.flights.do(ctx, row.Fingerprint, func(ctx context.Context) (household, bool, error) {
		e, created, err := d.store.Add(ctx, row)
		if err == nil && t.newer(e) {
			err = store.ErrStaleKeys
		}
		if err != nil {
			return household{}, false, err
		}
		// What cannot be noted now comes with the next Sync.
		_ = t.apply(ctx, d.store, e)
		return household{e.HHID, e.OptedOut}, created, nil
	})
}

// KeyNumbers gives the numbers of the newest keys of a retailer that Row uses.
func (d *Directory) KeyNumbers(retailer string) (fingerprint uint32, deident int, err error) {
	tenant, ok := d.tenants.Load().byName[retailer]
	if !ok {
		return 0, 0, ErrNoTenant
	}
	return tenant.FingerprintKey, tenant.DeIdentVersion, nil
}

// Row is t as the store keeps it, under the newest keys. Its Sealed is appended to
// sealed.
func (d *Directory) Row(retailer string, t tid.TID, sealed []byte) (store.TID, error) {
	tenant, ok := d.tenants.Load().byName[retailer]
	if !ok {
		return store.TID{}, ErrNoTenant
	}
	return d.row(tenant, t, sealed)
}

// row is t as it is stored.
func (d *Directory) row(t *tenant, secret tid.TID, sealed []byte) (store.TID, error) {
	row := store.TID{
		Tenant: t.ID, Fingerprint: t.memories[0].of(secret), FingerprintKey: t.FingerprintKey, CreatedAt: d.now(),
		DeIdent: t.deident(secret), DeIdentVersion: t.DeIdentVersion,
	}
	for _, older := range t.memories[1:] {
		row.Older = append(row.Older, older.of(secret))
	}
	var err error
	if row.Kind, err = identity.ParseKind(secret.Kind().String()); err != nil {
		return store.TID{}, err
	}
	row.Sealed, err = t.seal(sealed, row.Fingerprint, secret)
	return row, err
}

// seal encrypts a TID for the store, so that its fingerprint can one day be
// made under another key, and appends it to dst.
func (t *tenant) seal(dst []byte, fingerprint [16]byte, secret tid.TID) ([]byte, error) {
	plain := make([]byte, 0, enctid.PlaintextSize)
	defer func() { clear(plain[:cap(plain)]) }()
	var err error
	secret.Use(func(digits []byte) { plain, err = enctid.AppendPlaintext(plain, secret.Kind(), digits) })
	if err != nil {
		return nil, err
	}
	if len(plain) == 0 {
		return nil, errors.New("seal TID: it was wiped")
	}
	return t.aead.Seal(dst, nil, plain, t.sealContext(fingerprint)), nil
}

func (t *tenant) sealContext(fingerprint [16]byte) []byte {
	context := binary.BigEndian.AppendUint64([]byte("hhid/tid/v1"), uint64(t.ID))
	return append(context, fingerprint[:]...)
}

func (t *tenant) deident(secret tid.TID) [16]byte { return t.deidents.of(secret) }
