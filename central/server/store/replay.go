package store

import (
	"context"
	"database/sql"
	"errors"

	"posd/identity"
)

// Replayed counts what became of an erasure ledger.
type Replayed struct {
	Erased  int `json:"erased"`  // cards that were there, or are not known yet, and are suppressed now
	Same    int `json:"same"`    // cards that were suppressed already
	Lifted  int `json:"lifted"`  // cards whose owners came back, which are left as they are
	Ids     int `json:"ids"`     // households
	Foreign int `json:"foreign"` // of retailers that this database does not know
}

// ReplayErasures erases again what was erased after the backup that a database was made
// of, by the lines of its erasure ledger, in their order. The feed of changes begins
// anew. It may be done twice.
func (s *SQL) ReplayErasures(ctx context.Context, by Act, lines []ErasureLine) (Replayed, error) {
	var done Replayed
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		done = Replayed{}
		r := replay{s: s, tx: tx, done: &done, tenants: map[string]Tenant{}}
		if err := r.readTenants(); err != nil {
			return err
		}
		for _, l := range lastWord(lines) {
			if err := r.line(l); err != nil {
				return err
			}
		}
		if err := newFeed(tx, true); err != nil {
			return err
		}
		by.Detail = done
		return record(tx, by)
	})
	return done, err
}

// lastWord leaves out what a later line of the same card takes back, or says again.
func lastWord(lines []ErasureLine) []ErasureLine {
	last := map[string]int{}
	of := func(l ErasureLine) string { return l.Tenant + " " + l.Fingerprint + l.HHID.String() }
	for i, l := range lines {
		last[of(l)] = i
	}
	var kept []ErasureLine
	for i, l := range lines {
		if last[of(l)] == i {
			kept = append(kept, l)
		}
	}
	return kept
}

// replay erases again, in a transaction.
type replay struct {
	s       *SQL
	tx      *sql.Tx
	done    *Replayed
	tenants map[string]Tenant
}

func (r *replay) readTenants() error {
	all, err := rows(r.tx.Query, func(q *sql.Rows) (t Tenant, err error) {
		err = q.Scan(&t.ID, &t.Name)
		return t, err
	}, `SELECT id, name FROM tenants`)
	for _, t := range all {
		r.tenants[t.Name] = t
	}
	return err
}

func (r *replay) line(l ErasureLine) error {
	tenant, ok := r.tenants[l.Tenant]
	switch {
	case !ok:
		r.done.Foreign++
		return nil
	case l.Lifted:
		r.done.Lifted++
		return nil
	}
	scope := Erasure{Number: l.Erasure, At: l.At, Actor: "restore", Scope: ScopeCard}
	e := &eraser{tx: r.tx, tenant: tenant, at: l.At, done: &scope}
	var err error
	if l.HHID.IsZero() {
		err = r.card(e, l)
	} else {
		scope.Scope = ScopeHousehold
		r.done.Ids++
		err = r.household(e, l.HHID)
	}
	if err != nil || e.change == 0 {
		return err
	}
	return r.enter(e)
}

// card erases a card, wherever it is found: it may be stored under another key than
// it was when it was erased.
func (r *replay) card(e *eraser, l ErasureLine) error {
	card, err := findAt(r.tx, e.tenant.ID, l.fingerprint())
	for i := 0; errors.Is(err, ErrNoTID) && i < len(l.DeIdentTIDs); i++ {
		card, err = byDeIdent(r.tx, e.tenant.ID, l.DeIdentTIDs[i])
	}
	var before bool // it was erased here, under another key
	if errors.Is(err, ErrNoTID) {
		var texts []string
		for _, d := range l.DeIdentTIDs {
			texts = append(texts, string(d))
		}
		var lookErr error
		if before, lookErr = anyErased(r.tx, e.tenant.ID, texts...); lookErr != nil {
			return lookErr
		}
	}
	switch {
	case before:
		r.done.Same++
		return nil
	case errors.Is(err, ErrNoTID):
		r.done.Erased++
		err = r.suppress(e, l)
	case err == nil && card.HHID.IsZero():
		r.done.Same++
	case err == nil:
		r.done.Erased++
		err = e.card(card)
	}
	if err != nil {
		return err
	}
	return r.tombstones(e, l.DeIdentTIDs)
}

// suppress keeps the fingerprint of a card that is not known, so that it is not
// recognised when it comes.
func (r *replay) suppress(e *eraser, l ErasureLine) (err error) {
	if err := nobodysHousehold(r.tx, e.tenant.ID); err != nil {
		return err
	}
	if e.change, err = next(r.tx, "change"); err != nil {
		return err
	}
	t := TID{Tenant: e.tenant.ID, Fingerprint: l.fingerprint(), FingerprintKey: max(l.FingerprintKey, 1), Sealed: []byte{}, DeIdentVersion: 1, Kind: l.Kind, CreatedAt: l.At}
	e.done.Cards++
	_, err = insertAt(r.tx, t, identity.HHID{}, true, e.change)
	return err
}

// tombstones tells of pseudonyms that are not told of.
func (r *replay) tombstones(e *eraser, ds []identity.DeIdentTID) error {
	for _, d := range ds {
		if err := r.tombstone(e, string(d)); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) tombstone(e *eraser, id string) error {
	told, err := isErased(r.tx, e.tenant.ID, id)
	if err != nil || told {
		return err
	}
	return e.forget(id)
}

// household erases an id. The cards that are with it here and were not erased had
// gone elsewhere by then: they get a household of their own, and so do ids that were
// merged into it.
func (r *replay) household(e *eraser, id identity.HHID) error {
	_, _, err := owner(r.tx, id)
	if errors.Is(err, ErrNoHousehold) {
		return r.tombstone(e, id.String())
	}
	if err != nil {
		return err
	}
	cards, err := rows(r.tx.Query, func(q *sql.Rows) (Entry, error) { return scanEntry(q) }, `SELECT `+entryColumns+` FROM tids WHERE hhid = $1`, id[:])
	if err == nil && len(cards) > 0 {
		err = r.rehouse(e, cards)
	}
	if err != nil {
		return err
	}
	merged, err := mergedInto(r.tx, id)
	for _, m := range merged {
		if err := r.part(e, m); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return e.id(id)
}

func (r *replay) rehouse(e *eraser, cards []Entry) error {
	to, err := r.s.addHousehold(r.tx, e.tenant.ID, e.at)
	for _, card := range cards {
		if err == nil {
			err = move(r.tx, card, to)
		}
	}
	return err
}

// part makes an id stand for itself again.
func (r *replay) part(e *eraser, id identity.HHID) (err error) {
	if _, err := r.tx.Exec(`DELETE FROM aliases WHERE hhid = $1`, id[:]); err != nil {
		return err
	}
	if e.change, err = next(r.tx, "change"); err != nil {
		return err
	}
	return tell(r.tx, e.tenant.ID, id.String(), identity.HHID{}, false, e.change)
}

// enter keeps the erasure under the number that it has in the ledger, so that its
// certificate is found; with several lines, their last change counts.
func (r *replay) enter(e *eraser) error {
	if e.done.Number == 0 {
		return nil
	}
	if _, err := r.tx.Exec(`UPDATE counters SET value = $1 WHERE name = 'erasure' AND value < $1`, int64(e.done.Number)); err != nil {
		return err
	}
	_, err := r.tx.Exec(`INSERT INTO erasures (number, tenant, at, actor, scope, cards, change) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (number) DO UPDATE SET cards = erasures.cards + excluded.cards, change = excluded.change,
			scope = CASE WHEN excluded.scope = 'household' THEN 'household' ELSE erasures.scope END`,
		int64(e.done.Number), e.tenant.ID, e.at.UnixMilli(), e.done.Actor, e.done.Scope, e.done.Cards, int64(e.change))
	return err
}
