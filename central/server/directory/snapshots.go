package directory

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"posd/central/server/index"
)

// Recent entries are merged into a snapshot when there are so many, or a share of
// all, whatever is more: the tail that is read after a restart stays short, and a
// merge is worth its while. The tail begins at the oldest of the snapshots: one to
// which less is added than to others is made again when they have got far ahead.
const (
	mergeAfter = 1 << 20
	mergeShare = 64
	tailShare  = 16
)

// begin begins with an empty table.
func (m *memory) begin() {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte("hhid/index/v1"))
	if m.incarnation != [16]byte{} {
		h.Write(m.incarnation[:])
	}
	m.table.Store(index.New(m.path, [sha256.Size]byte(h.Sum(nil))))
	m.kept.Store(0)
}

// Open begins with the snapshots, so that Sync has only to read what has changed
// since. It gives what was wrong with those that cannot be used: their tables are
// filled by Sync.
func (d *Directory) Open(ctx context.Context) error {
	from, wrong := uint64(math.MaxUint64), error(nil)
	for _, t := range d.tenants.Load().byName {
		for _, m := range t.memories {
			if m.left {
				continue // it begins empty
			}
			change, err := m.open(ctx, d.store)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				wrong = errors.Join(wrong, fmt.Errorf("open the index of retailer %s: %w", t.Name, err))
			}
			from = min(from, change)
		}
	}
	d.change.Store(from)
	return wrong
}

// open begins with a snapshot, and gives the change that it goes up to.
func (m *memory) open(ctx context.Context, s Store) (uint64, error) {
	table := m.table.Load()
	change, err := table.Open()
	if err != nil {
		return 0, err
	}
	for _, k := range table.Apart() {
		all, err := s.EntriesWithPrefix(ctx, m.tenant, [8]byte(binary.BigEndian.AppendUint64(nil, k)))
		if err != nil {
			m.begin()
			return 0, err
		}
		m.keepApart(all)
	}
	m.kept.Store(change)
	return change, nil
}

// Keep checks the snapshots, and makes new ones of those to which much was added.
// It may take long, and be called while all else goes on, but not at the same time
// as itself. A snapshot that is damaged goes; Sync reads all of the store then.
func (d *Directory) Keep(ctx context.Context) error {
	var wrong error
	for _, t := range d.tenants.Load().byName {
		for _, m := range t.memories {
			if err := m.keep(ctx, d.change.Load(), d.merge); err != nil && ctx.Err() == nil {
				wrong = errors.Join(wrong, fmt.Errorf("keep the index of retailer %s: %w", t.Name, err))
			}
		}
	}
	return wrong
}

func (m *memory) keep(ctx context.Context, change uint64, after int) error {
	if m.path == "" {
		return nil
	}
	erased := m.erased.Swap(false)
	table, kept := m.table.Load(), m.kept.Load()
	err := table.Load(ctx)
	s, ahead := table.Size(), int(change-min(kept, change))
	if err == nil && (erased || s.Recent >= max(after, s.Keys/mergeShare) || ahead > 0 && ahead >= max(after, s.Keys/tailShare)) {
		if err = table.Merge(ctx, change); err == nil {
			m.kept.CompareAndSwap(kept, change) // or it was lost meanwhile
		}
	}
	if errors.Is(err, index.ErrSnapshot) {
		m.lost.Store(true)
	}
	if err != nil && erased {
		m.erased.Store(true)
	}
	return err
}

// restart has Sync read everything if a snapshot was lost.
func (d *Directory) restart() {
	for _, t := range d.tenants.Load().byName {
		for _, m := range t.memories {
			if m.lost.Swap(false) {
				_ = os.Remove(m.path) // or it is found to be damaged again
				m.begin()
				d.change.Store(0)
			}
		}
	}
}
