package directory

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"posd/central/server/index"
	"posd/central/server/store"
	"posd/identity"
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

// tenant is what the memory holds of one retailer.
type tenant struct {
	Tenant
	aead    cipher.AEAD
	table   atomic.Pointer[index.Table]
	lost    atomic.Bool // the snapshot of the table cannot be used
	path    string      // of the snapshots of the table; "": there are none
	flights flights

	fingerprints, deidents *macs

	applying sync.Mutex // held while the table follows the store

	mu    sync.RWMutex
	exact map[[16]byte]household // TIDs whose key in the table is another's, too
}

func (t *tenant) lookup(fingerprint [16]byte) (household, bool) {
	switch v := t.table.Load().Get(key(fingerprint)); v {
	case 0:
		return household{}, false
	case isOptedOut:
		return household{optedOut: true}, true
	case inSideTable:
		t.mu.RLock()
		defer t.mu.RUnlock()
		h, ok := t.exact[fingerprint]
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
func (t *tenant) apply(ctx context.Context, s Store, e store.Entry) error {
	t.applying.Lock()
	defer t.applying.Unlock()
	k, v := key(e.Fingerprint), value(e)
	table := t.table.Load()
	if v != inSideTable && table.PutIfAbsent(k, v) == v {
		return nil
	}
	all, err := s.EntriesWithPrefix(ctx, t.ID, [8]byte(e.Fingerprint[:8]))
	if err != nil {
		return err
	}
	if len(all) == 1 && value(all[0]) != inSideTable {
		table.Put(k, value(all[0]))
		return nil
	}
	t.keepApart(all)
	table.Put(k, inSideTable)
	return nil
}

func (t *tenant) keepApart(all []store.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exact == nil {
		t.exact = map[[16]byte]household{}
	}
	for _, e := range all {
		t.exact[e.Fingerprint] = household{e.HHID, e.OptedOut}
	}
}

func (t *tenant) size() index.Size {
	s := t.table.Load().Size()
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.Bytes += 64 * len(t.exact)
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
