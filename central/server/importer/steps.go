package importer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"posd/central/server/store"
	"posd/identity"
)

// detail is what the audit log keeps of an import.
func (r *run) detail() map[string]any {
	return map[string]any{"job": fmt.Sprintf("%x", r.Job), "format": r.Format}
}

// linewise stores rows in the order of the input.
func (r *run) linewise(ctx context.Context) error {
	return r.cut.each(ctx, runtime.GOMAXPROCS(0), r.reader.read, func(b *block) error {
		if err := r.tell(b.rejected); err != nil {
			return err
		}
		p := r.pos
		p.Lines, p.Digest, p.Rejected = b.first+b.lines-1, b.digest, p.Rejected+uint64(len(b.rejected))
		after, refused, err := r.storeRows(ctx, b, p)
		if err != nil {
			return err
		}
		r.pos = after
		if err := r.tellRefused(b, refused); err != nil {
			return err
		}
		r.done += b.lines
		if err := r.progress(store.Linewise, b.bytes, r.done, 0); err != nil {
			return err
		}
		return r.pause(ctx)
	})
}

// storeRows stores the rows of a block. If keys have changed since it was read, it is
// read again.
func (r *run) storeRows(ctx context.Context, b *block, p store.Position) (after store.Position, refused []error, err error) {
	for try := 0; ; try++ {
		after, refused, err = r.Store.ImportRows(ctx, r.Act("import", r.detail()), r.i, b.rows, p)
		if !errors.Is(err, store.ErrStaleKeys) || r.Refresh == nil || try == 3 {
			return after, refused, err
		}
		if err := r.Refresh(ctx); err != nil {
			return after, nil, err
		}
		b.rows, b.numbers, b.spans, b.rejected = nil, nil, nil, nil
		r.reader.read(b)
	}
}

func (r *run) tell(rejected []Rejected) error {
	for i := range rejected {
		if err := r.out(Event{Rejected: &rejected[i]}); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) tellRefused(b *block, refused []error) error {
	for n, why := range refused {
		if why == nil {
			continue
		}
		if err := r.out(Event{Rejected: &Rejected{b.numbers[n], why.Error(), b.line(n)}}); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) progress(phase store.Phase, bytes int64, rows, of uint64) error {
	return r.out(Event{Progress: &Progress{phase, bytes, rows, of}})
}

// pause waits until no more rows were done than Rate allows.
func (r *run) pause(ctx context.Context) error {
	if r.Rate == 0 {
		return nil
	}
	due := r.begun.Add(time.Duration(float64(r.done) / float64(r.Rate) * float64(time.Second)))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bulk is what an import into an empty store needs besides.
type bulk struct {
	*run
	cards      *sorter // by fingerprint and line
	households *sorter // by id
	again      *sorter // cards that come once more, by line
	later      *spool  // lines that say where cards are to go that are known by then
	added      uint64
}

func (r *run) bulk(ctx context.Context) error {
	b := &bulk{run: r,
		cards:      newSorter(r.Dir, recordSize, keySize, r.Memory/8*6),
		households: newSorter(r.Dir, len(identity.HHID{}), len(identity.HHID{}), r.Memory/8),
		again:      newSorter(r.Dir, 8+recordSize, 8, r.Memory/8),
	}
	defer b.cards.close()
	defer b.households.close()
	defer b.again.close()
	var err error
	if b.later, err = newSpool(r.Dir); err != nil {
		return err
	}
	defer b.later.close()
	for _, step := range []func(context.Context) error{b.sort, b.storeHouseholds, b.storeCards, b.storeLater} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sort reads the whole input.
func (b *bulk) sort(ctx context.Context) error {
	fresh, rejected := b.pos.Phase == store.Sorting, uint64(0)
	var record []byte
	err := b.cut.each(ctx, runtime.GOMAXPROCS(0), b.reader.read, func(bl *block) error {
		rejected += uint64(len(bl.rejected))
		if fresh { // else the run before has told them
			if err := b.tell(bl.rejected); err != nil {
				return err
			}
		}
		for n := range bl.rows {
			var err error
			if record, err = b.take(bl, n, record[:0]); err != nil {
				return err
			}
		}
		return b.progress(store.Sorting, bl.bytes, bl.first+bl.lines-1, 0)
	})
	if err != nil {
		return err
	}
	digest := sum(b.cut.digest)
	if fresh {
		b.pos.Phase, b.pos.Lines, b.pos.Digest, b.pos.Rejected = store.Households, b.cut.lines, digest, rejected
		return nil
	}
	if digest != b.pos.Digest {
		return errOtherInput
	}
	return nil
}

// take sorts a row in. One whose household or card must be there already waits.
func (b *bulk) take(bl *block, n int, record []byte) ([]byte, error) {
	row := &bl.rows[n]
	if row.DeIdent == "" {
		record = appendRecord(record, row, bl.numbers[n])
		if err := b.cards.add(record); err != nil {
			return record, err
		}
	}
	if row.DeIdent != "" || !row.Create {
		return record, b.later.add(bl.numbers[n], bl.line(n))
	}
	b.added++
	return record, b.households.add(row.HHID[:])
}

// storeHouseholds stores the households that the run before has not.
func (b *bulk) storeHouseholds(ctx context.Context) error {
	if b.pos.Phase != store.Households {
		return nil
	}
	var batch []identity.HHID
	var last identity.HHID
	count := uint64(0)
	flush := func() error {
		b.pos.Sorted = count
		if err := b.Store.ImportHouseholds(ctx, b.i, batch, b.pos); err != nil {
			return err
		}
		batch = batch[:0]
		return b.progress(store.Households, b.cut.bytes, count, 0)
	}
	for record, err := range b.households.sorted() {
		if err != nil {
			return err
		}
		id := identity.HHID(record)
		if id == last {
			continue
		}
		last = id
		if count++; count <= b.pos.Sorted {
			continue
		}
		if batch = append(batch, id); len(batch) == b.batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	b.pos.Phase, b.pos.Sorted = store.Cards, 0
	return nil
}

// storeCards stores the cards that the run before has not. A card that comes once more,
// or behind a row that waits, waits too: it stays where its last row puts it.
func (b *bulk) storeCards(ctx context.Context) error {
	stored := b.pos.Phase == store.Linewise
	var batch []store.ImportRow
	var last [16]byte
	var again []byte
	count, begun := uint64(0), false
	flush := func() (err error) {
		b.pos.Sorted = count
		if b.pos, err = b.Store.ImportCards(ctx, b.Act("import", b.detail()), b.i, batch, b.pos); err != nil {
			return err
		}
		b.done += uint64(len(batch))
		batch = batch[:0]
		return b.progress(store.Cards, b.cut.bytes, count, b.added)
	}
	for record, err := range b.cards.sorted() {
		if err != nil {
			return err
		}
		later := record[flagsAt]&flagLater != 0
		if begun && bytes.Equal(record[:len(last)], last[:]) {
			if later {
				continue
			}
			again = append(append(again[:0], record[lineAt:lineAt+8]...), record...)
			if err := b.again.add(again); err != nil {
				return err
			}
			continue
		}
		begun = true
		if copy(last[:], record); later {
			continue
		}
		if count++; stored || count <= b.pos.Sorted {
			continue
		}
		row, _ := fromRecord(record, b.Tenant, b.i.BegunAt)
		if batch = append(batch, row); len(batch) == b.batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	if !stored {
		b.pos.Phase, b.pos.Sorted = store.Linewise, 0
	}
	return nil
}

// storeLater stores the rows that had to wait, in the order of the input.
func (b *bulk) storeLater(ctx context.Context) error {
	w := &waiting{bulk: b, ctx: ctx, skip: b.pos.Sorted}
	next, stop := pull(b.again)
	defer stop()
	record, err := next()
	if err != nil {
		return err
	}
	before := func(line uint64) error {
		for record != nil && binary.BigEndian.Uint64(record) < line {
			row, _ := fromRecord(record[8:], b.Tenant, b.i.BegunAt)
			if err := w.add(row, 0, nil); err != nil {
				return err
			}
			if record, err = next(); err != nil {
				return err
			}
		}
		return nil
	}
	err = b.later.lines(func(number uint64, line []byte) error {
		if err := before(number); err != nil {
			return err
		}
		return w.line(number, line)
	})
	if err == nil {
		err = before(^uint64(0))
	}
	if err != nil {
		return err
	}
	return w.flush()
}
