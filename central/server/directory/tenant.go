package directory

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"posd/central/server/index"
	"posd/central/server/store"
	"posd/identity"
	"posd/tid"
)

// Values of the index that are no household id. A household whose id is one of
// these by chance is kept in the side table.
const (
	inSideTable = index.Apart
	isOptedOut  = ^uint64(0) - 1
)

// household is what a lookup finds.
type household struct {
	hhid     identity.HHID
	optedOut bool
}

// tenants are the retailers, with their keys, at one time.
type tenants struct {
	byName map[string]*tenant
	byID   map[int64]*tenant
}

// tenant is a retailer with its keys at one time, and what the memory holds of it.
type tenant struct {
	Tenant
	aead     cipher.AEAD
	deidents *macs
	memories []*memory // that of the newest fingerprint key first
	flights  *flights
}

// SetTenants has the directory know these retailers, with these keys. What it holds
// in memory under a key that stays is kept; lookups go on meanwhile.
func (d *Directory) SetTenants(all []Tenant) error {
	old := d.tenants.Load()
	now := &tenants{byName: map[string]*tenant{}, byID: map[int64]*tenant{}}
	for _, t := range all {
		one, err := d.newTenant(t, old.byID[t.ID])
		if err != nil {
			return fmt.Errorf("open directory: retailer %s: %w", t.Name, err)
		}
		now.byName[t.Name], now.byID[t.ID] = one, one
	}
	d.tenants.Store(now)
	return nil
}

func (d *Directory) newTenant(t Tenant, old *tenant) (*tenant, error) {
	if len(t.Fingerprint) < sha256.Size || len(t.DeIdent) < sha256.Size || t.DeIdentVersion < 1 || t.FingerprintKey < 1 {
		return nil, errors.New("a key is missing or has a wrong size")
	}
	block, err := aes.NewCipher(t.SealTID)
	if err != nil {
		return nil, errors.New("the key that seals TIDs is missing or has a wrong size")
	}
	one := &tenant{Tenant: t, deidents: newMACs(t.DeIdent), flights: &flights{}}
	if one.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, err
	}
	if old != nil {
		one.flights = old.flights
	}
	for _, k := range append([]OlderKey{{Fingerprint: t.Fingerprint, FingerprintKey: t.FingerprintKey}}, t.Older...) {
		m := old.memory(k.FingerprintKey)
		if m == nil || m.left != k.Left {
			m = newMemory(t, k, d.dir)
		}
		one.memories = append(one.memories, m)
	}
	return one, nil
}

// memory gives what is held under a fingerprint key, nil if nothing is.
func (t *tenant) memory(fingerprintKey uint32) *memory {
	if t == nil {
		return nil
	}
	for _, m := range t.memories {
		if m.number == fingerprintKey {
			return m
		}
	}
	return nil
}

// lookup looks under the newest key first: what is under an older one may have been
// moved from there.
func (t *tenant) lookup(secret tid.TID) (h household, known bool) {
	for _, m := range t.memories {
		if h, known = m.lookup(m.of(secret)); known {
			break
		}
	}
	return h, known
}

// apply notes an entry of the store. One of a key that is not known yet is
// store.ErrStaleKeys; one of a key that was destroyed is nobody's any more.
func (t *tenant) apply(ctx context.Context, s Store, e store.Entry) error {
	if t.newer(e) {
		return store.ErrStaleKeys
	}
	if m := t.memory(e.FingerprintKey); m != nil {
		return m.apply(ctx, s, e)
	}
	return nil
}

// newer reports whether an entry is of newer keys than these. What is answered of it
// must be made with those: a pseudonym under the key before would never be stored.
func (t *tenant) newer(e store.Entry) bool {
	return e.FingerprintKey > t.FingerprintKey || e.DeIdentVersion > t.DeIdentVersion
}

// memory holds the TIDs of a retailer that are stored under one fingerprint key.
type memory struct {
	incarnation [16]byte // of the store
	tenant      int64
	number      uint32
	left        bool // see OlderKey
	key         []byte
	*macs

	table  atomic.Pointer[index.Table]
	lost   atomic.Bool   // the snapshot of the table cannot be used
	erased atomic.Bool   // the snapshot of the table may hold what was erased
	path   string        // of the snapshots of the table; "": there are none
	kept   atomic.Uint64 // the change that the last of them goes up to

	applying sync.Mutex // held while the table follows the store

	mu    sync.RWMutex
	exact map[[16]byte]household // TIDs whose key in the table is another's, too
}

func newMemory(t Tenant, k OlderKey, dir string) *memory {
	m := &memory{tenant: t.ID, incarnation: t.Incarnation, number: k.FingerprintKey, left: k.Left, key: k.Fingerprint, macs: newMACs(k.Fingerprint)}
	if dir != "" {
		name := fmt.Sprintf("index-%d.snapshot", t.ID)
		if k.FingerprintKey > 1 {
			name = fmt.Sprintf("index-%d-%d.snapshot", t.ID, k.FingerprintKey)
		}
		m.path = filepath.Join(dir, name)
	}
	if k.Left && m.path != "" { // what is left is found in the store, and remembered from then on
		_ = os.Remove(m.path)
		m.path = ""
	}
	m.begin()
	return m
}

func (m *memory) lookup(fingerprint [16]byte) (household, bool) {
	switch v := m.table.Load().Get(key(fingerprint)); v {
	case 0:
		return household{}, false
	case isOptedOut:
		return household{optedOut: true}, true
	case inSideTable:
		m.mu.RLock()
		defer m.mu.RUnlock()
		h, ok := m.exact[fingerprint]
		return h, ok
	default:
		var h household
		binary.BigEndian.PutUint64(h.hhid[:], v)
		return h, true
	}
}

// apply notes an entry of the store. An entry that comes late, when the memory
// holds a newer one, is told by the store itself: whenever two differ, the store
// is asked for all TIDs of that key.
func (m *memory) apply(ctx context.Context, s Store, e store.Entry) error {
	m.applying.Lock()
	defer m.applying.Unlock()
	k, v := key(e.Fingerprint), value(e)
	table := m.table.Load()
	if v != inSideTable && table.PutIfAbsent(k, v) == v {
		return nil
	}
	if e.OptedOut {
		defer m.erased.Store(true) // once it is in the table
	}
	all, err := s.EntriesWithPrefix(ctx, m.tenant, [8]byte(e.Fingerprint[:8]))
	if err != nil {
		return err
	}
	if len(all) == 1 && value(all[0]) != inSideTable {
		table.Put(k, value(all[0]))
		return nil
	}
	m.keepApart(all)
	table.Put(k, inSideTable)
	return nil
}

func (m *memory) keepApart(all []store.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.exact == nil {
		m.exact = map[[16]byte]household{}
	}
	for _, e := range all {
		m.exact[e.Fingerprint] = household{e.HHID, e.OptedOut}
	}
}

func (m *memory) size() index.Size {
	s := m.table.Load().Size()
	m.mu.RLock()
	defer m.mu.RUnlock()
	s.Bytes += 64 * len(m.exact)
	return s
}

func key(fingerprint [16]byte) uint64 { return binary.BigEndian.Uint64(fingerprint[:]) }

func value(e store.Entry) uint64 {
	if e.OptedOut {
		return isOptedOut
	}
	if v := binary.BigEndian.Uint64(e.HHID[:]); v != isOptedOut {
		return v
	}
	return inSideTable
}

// flights lets those who ask for the same unknown TID at once wait for the first
// of them.
type flights struct {
	mu      sync.Mutex
	flights map[[16]byte]*flight
}

type flight struct {
	done chan struct{}
	h    household
	err  error
}

// errFlightLost is what the others get if fn panics.
var errFlightLost = errors.New("the store did not answer")

// do calls fn once for all that ask for fingerprint at the same time. fn goes on
// when whoever asked first gives up: the others still wait for it. Only the first
// is told that the household was created.
func (f *flights) do(ctx context.Context, fingerprint [16]byte, fn func(context.Context) (household, bool, error)) (household, bool, error) {
	f.mu.Lock()
	if f.flights == nil {
		f.flights = map[[16]byte]*flight{}
	}
	one, waiting := f.flights[fingerprint]
	if !waiting {
		one = &flight{done: make(chan struct{}), err: errFlightLost}
		f.flights[fingerprint] = one
	}
	f.mu.Unlock()
	if waiting {
		select {
		case <-one.done:
			return one.h, false, one.err
		case <-ctx.Done():
			return household{}, false, ctx.Err()
		}
	}
	defer func() {
		f.mu.Lock()
		delete(f.flights, fingerprint)
		f.mu.Unlock()
		close(one.done)
	}()
	var created bool
	one.h, created, one.err = fn(context.WithoutCancel(ctx))
	return one.h, created, one.err
}
