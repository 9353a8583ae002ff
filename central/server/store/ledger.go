package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"posd/identity"
)

// EntryKind says what an entry of the ledger did.
type EntryKind string

// The kinds of entries.
const (
	Merged EntryKind = "merge" // all cards of one household went to another, and its id stands for that one
	Split  EntryKind = "split" // some cards of a household got a new one
	Linked EntryKind = "link"  // one card went to another household
	Undone EntryKind = "undo"  // an earlier entry was taken back
)

// LedgerEntry is what an operator did to households.
type LedgerEntry struct {
	Number   uint64        `json:"number,omitempty"` // from 1; 0 in a preview
	At       time.Time     `json:"at"`
	Actor    string        `json:"actor"`
	Kind     EntryKind     `json:"kind"`
	Cards    []CardMove    `json:"cards"`
	Aliases  []AliasMove   `json:"aliases"`
	Undoes   uint64        `json:"undoes,omitempty"`    // the entry that an undo took back
	UndoneBy uint64        `json:"undone_by,omitempty"` // the undo that took this one back
	HHID     identity.HHID `json:"hhid,omitzero"`       // where the cards went: the survivor, the new household; zero in a preview of a split and for an undo
}

// CardMove is a card that went from one household to another.
type CardMove struct {
	DeIdentTID identity.DeIdentTID `json:"deident_tid"`
	From       identity.HHID       `json:"from"`
	To         identity.HHID       `json:"to,omitzero"`

	tenant      int64
	fingerprint []byte
}

// AliasMove is an HHID that began or ceased to stand for another one, or came to
// stand for another.
type AliasMove struct {
	HHID identity.HHID `json:"hhid"`
	From identity.HHID `json:"from,omitzero"` // zero: it was a household
	To   identity.HHID `json:"to,omitzero"`   // zero: it is a household
}

// errPreview rolls back what was only to be looked at.
var errPreview = errors.New("only a preview")

// Merge gives all cards of one household to another, and makes its id an alias of
// that one's; so are its own aliases from then on.
func (s *SQL) Merge(ctx context.Context, by Act, tenant int64, from, into identity.HHID, preview bool) (LedgerEntry, error) {
	return s.enter(ctx, by, tenant, Merged, preview, func(tx *sql.Tx, e *LedgerEntry) error {
		into, err := resolve(tx, tenant, into)
		if err != nil {
			return err
		}
		if err := checkWhole(tx, tenant, from); err != nil {
			return err
		}
		if from == into {
			return ErrSame
		}
		e.HHID = into
		if e.Cards, err = cardsOf(tx, tenant, from, into); err != nil {
			return err
		}
		e.Aliases, err = aliasesOf(tx, from, into)
		e.Aliases = append(e.Aliases, AliasMove{HHID: from, To: into})
		return err
	})
}

// Split gives some cards of a household, not all, a household of their own.
func (s *SQL) Split(ctx context.Context, by Act, tenant int64, from identity.HHID, ds []identity.DeIdentTID, preview bool) (LedgerEntry, error) {
	return s.enter(ctx, by, tenant, Split, preview, func(tx *sql.Tx, e *LedgerEntry) error {
		if err := checkWhole(tx, tenant, from); err != nil {
			return err
		}
		all, err := cardsOf(tx, tenant, from, identity.HHID{})
		if err != nil {
			return err
		}
		for _, d := range ds {
			card, err := byDeIdent(tx, tenant, d)
			same := func(c CardMove) bool { return bytes.Equal(c.fingerprint, card.Fingerprint[:]) }
			i := slices.IndexFunc(all, same)
			if errors.Is(err, ErrNoTID) || err == nil && i < 0 {
				return fmt.Errorf("%w: %s", ErrNotIn, d)
			}
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(e.Cards, same) {
				e.Cards = append(e.Cards, all[i])
			}
		}
		if len(e.Cards) == 0 || len(e.Cards) == len(all) {
			return ErrSplit
		}
		e.HHID, err = s.addHousehold(tx, tenant, by.At)
		for i := range e.Cards {
			e.Cards[i].To = e.HHID
		}
		return err
	})
}

// Undo takes an entry of the ledger back.
func (s *SQL) Undo(ctx context.Context, by Act, tenant int64, number uint64, preview bool) (LedgerEntry, error) {
	return s.enter(ctx, by, tenant, Undone, preview, func(tx *sql.Tx, e *LedgerEntry) error {
		old, err := entry(tx, tenant, number)
		if err != nil {
			return err
		}
		if err := undoable(tx, tenant, old); err != nil {
			return err
		}
		e.Undoes = number
		for _, c := range old.Cards {
			c.From, c.To = c.To, c.From
			e.Cards = append(e.Cards, c)
		}
		for _, a := range old.Aliases {
			e.Aliases = append(e.Aliases, AliasMove{a.HHID, a.To, a.From})
		}
		return nil
	})
}

// enter does what plan says, and keeps it in the ledger and in the audit log; or
// only says what would be done.
func (s *SQL) enter(ctx context.Context, by Act, tenant int64, kind EntryKind, preview bool, plan func(*sql.Tx, *LedgerEntry) error) (LedgerEntry, error) {
	var e LedgerEntry
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		e = LedgerEntry{At: by.At, Actor: by.Actor, Kind: kind, Cards: []CardMove{}, Aliases: []AliasMove{}}
		if err := plan(tx, &e); err != nil {
			return err
		}
		if preview {
			return errPreview
		}
		return keep(tx, by, tenant, &e)
	})
	if errors.Is(err, errPreview) {
		return e.unnumbered(), nil
	}
	return e, err
}

// unnumbered leaves out of a preview what would be another time.
func (e LedgerEntry) unnumbered() LedgerEntry {
	if e.Kind == Split {
		e.HHID = identity.HHID{}
		for i := range e.Cards {
			e.Cards[i].To = identity.HHID{}
		}
	}
	return e
}

// keep does what an entry says, and keeps it.
func keep(tx *sql.Tx, by Act, tenant int64, e *LedgerEntry) (err error) {
	if e.Number, err = next(tx, "ledger"); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO ledger (number, tenant, at, actor, kind, undoes) VALUES ($1, $2, $3, $4, $5, $6)`,
		int64(e.Number), tenant, by.At.UnixMilli(), by.Actor, string(e.Kind), number(e.Undoes)); err != nil {
		return err
	}
	if e.Undoes != 0 {
		if _, err := tx.Exec(`UPDATE ledger SET undone_by = $1 WHERE number = $2`, int64(e.Number), int64(e.Undoes)); err != nil {
			return err
		}
	}
	for _, a := range e.Aliases {
		if err := keepAlias(tx, tenant, e.Number, a); err != nil {
			return err
		}
	}
	for _, c := range e.Cards {
		if err := keepCard(tx, e.Number, c); err != nil {
			return err
		}
	}
	by.Detail = e.detail()
	return record(tx, by)
}

// detail is what the audit log keeps of an entry: which cards it was is in the
// ledger alone, where they can be erased.
func (e LedgerEntry) detail() map[string]any {
	d := map[string]any{"ledger": e.Number, "cards": len(e.Cards)}
	if e.Undoes != 0 {
		d["undoes"] = e.Undoes
	}
	if !e.HHID.IsZero() {
		d["hhid"] = e.HHID
	}
	if e.Kind == Merged {
		d["merged"] = e.Aliases[len(e.Aliases)-1].HHID
	}
	return d
}

func keepCard(tx *sql.Tx, number uint64, c CardMove) error {
	if err := move(tx, Entry{Tenant: c.tenant, Fingerprint: [16]byte(c.fingerprint)}, c.To); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO ledger_cards (number, tenant, fingerprint, was, became) VALUES ($1, $2, $3, $4, $5)`,
		int64(number), c.tenant, c.fingerprint, c.From[:], c.To[:])
	return err
}

func keepAlias(tx *sql.Tx, tenant int64, number uint64, a AliasMove) error {
	if _, err := tx.Exec(`DELETE FROM aliases WHERE hhid = $1`, a.HHID[:]); err != nil {
		return err
	}
	if !a.To.IsZero() {
		if _, err := tx.Exec(`INSERT INTO aliases (hhid, tenant, survivor) VALUES ($1, $2, $3)`, a.HHID[:], tenant, a.To[:]); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`INSERT INTO ledger_aliases (number, hhid, was, became) VALUES ($1, $2, $3, $4)`,
		int64(number), a.HHID[:], orNull(a.From), orNull(a.To)); err != nil {
		return err
	}
	change, err := next(tx, "change")
	if err != nil {
		return err
	}
	return tell(tx, tenant, a.HHID.String(), a.To, false, change)
}

// undoable refuses what cannot be undone, or not yet.
func undoable(tx *sql.Tx, tenant int64, e LedgerEntry) error {
	switch {
	case e.Kind == Undone:
		return fmt.Errorf("%w: entry %d is an undo itself: do again what it took back", ErrUndone, e.Number)
	case e.UndoneBy != 0:
		return fmt.Errorf("%w: entry %d was undone by entry %d", ErrUndone, e.Number, e.UndoneBy)
	}
	later, err := since(tx, e.Number)
	if err != nil {
		return err
	}
	if len(later) > 0 {
		return &MovedSinceError{Number: e.Number, Later: later}
	}
	return asLeft(tx, tenant, e)
}

// asLeft makes sure that cards are where an entry has left them, and can go where
// they were.
func asLeft(tx *sql.Tx, tenant int64, e LedgerEntry) error {
	for _, c := range e.Cards {
		now, err := findAt(tx, c.tenant, [16]byte(c.fingerprint))
		if err != nil {
			return err
		}
		if now.HHID != c.To {
			return &MovedSinceError{Number: e.Number}
		}
		if _, err := resolve(tx, tenant, c.From); err != nil {
			return fmt.Errorf("%s cannot go back: %w", c.DeIdentTID, err)
		}
	}
	return nil
}

// since gives the later entries that touch what an entry did: its cards, its
// aliases, or the households that its cards and aliases would go back to.
func since(tx *sql.Tx, number uint64) ([]uint64, error) {
	return rows(tx.Query, func(r *sql.Rows) (uint64, error) {
		var n int64
		err := r.Scan(&n)
		return uint64(n), err
	}, `SELECT number FROM ledger WHERE number > $1 AND kind <> 'undo' AND undone_by IS NULL AND (
			EXISTS (SELECT 1 FROM ledger_cards later JOIN ledger_cards mine ON mine.tenant = later.tenant AND mine.fingerprint = later.fingerprint
				WHERE later.number = ledger.number AND mine.number = $1)
			OR EXISTS (SELECT 1 FROM ledger_aliases later WHERE later.number = ledger.number AND (
				later.hhid IN (SELECT hhid FROM ledger_aliases WHERE number = $1)
				OR later.hhid IN (SELECT was FROM ledger_aliases WHERE number = $1 AND was IS NOT NULL)
				OR later.hhid IN (SELECT was FROM ledger_cards WHERE number = $1))))
		ORDER BY number`, int64(number))
}

// MovedSinceError says that an entry cannot be undone while later ones stand.
type MovedSinceError struct {
	Number uint64
	Later  []uint64 // to be undone first, the last of them first; none: what moved the cards is in no ledger
}

func (m *MovedSinceError) Error() string {
	if len(m.Later) == 0 {
		return fmt.Sprintf("cards of entry %d were moved since, by something that is not in the ledger: link them one by one", m.Number)
	}
	var names []string
	for _, n := range slices.Backward(m.Later) {
		names = append(names, fmt.Sprint(n))
	}
	return fmt.Sprintf("cards or households of entry %d were changed since: undo first, in this order: %s", m.Number, strings.Join(names, ", "))
}

// Ledger gives up to limit entries above after, in their order.
func (s *SQL) Ledger(ctx context.Context, tenant int64, after uint64, limit int) (all []LedgerEntry, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		all, err = rows(tx.Query, scanLedger, ledgerColumns+` WHERE tenant = $1 AND number > $2 ORDER BY number LIMIT $3`, tenant, int64(after), limit)
		for i := range all {
			if err == nil {
				err = fill(tx, &all[i])
			}
		}
		return err
	})
	return all, err
}

const ledgerColumns = `SELECT number, at, actor, kind, coalesce(undoes, 0), coalesce(undone_by, 0) FROM ledger`

func scanLedger(r *sql.Rows) (e LedgerEntry, err error) {
	var n, at, undoes, undone int64
	err = r.Scan(&n, &at, &e.Actor, &e.Kind, &undoes, &undone)
	e.Number, e.At, e.Undoes, e.UndoneBy = uint64(n), instant(at), uint64(undoes), uint64(undone)
	return e, err
}

// entry reads one entry of the ledger.
func entry(tx *sql.Tx, tenant int64, number uint64) (LedgerEntry, error) {
	all, err := rows(tx.Query, scanLedger, ledgerColumns+` WHERE tenant = $1 AND number = $2`, tenant, int64(number))
	if err != nil {
		return LedgerEntry{}, err
	}
	if len(all) == 0 {
		return LedgerEntry{}, fmt.Errorf("%w: %d", ErrNoEntry, number)
	}
	return all[0], fill(tx, &all[0])
}

// fill reads the cards and aliases of an entry.
func fill(tx *sql.Tx, e *LedgerEntry) (err error) {
	e.Cards, err = rows(tx.Query, scanMove, `SELECT t.tenant, t.fingerprint, t.deident, t.deident_version, l.was, l.became
		FROM ledger_cards l JOIN tids t ON t.tenant = l.tenant AND t.fingerprint = l.fingerprint WHERE l.number = $1 ORDER BY t.deident`, int64(e.Number))
	if err != nil {
		return err
	}
	e.Aliases, err = rows(tx.Query, scanAlias, `SELECT hhid, was, became FROM ledger_aliases WHERE number = $1 ORDER BY was IS NULL, hhid`, int64(e.Number))
	if len(e.Cards) > 0 && e.Kind != Undone {
		e.HHID = e.Cards[0].To
	}
	if e.Kind == Merged && len(e.Aliases) > 0 {
		e.HHID = e.Aliases[0].To
	}
	e.Cards, e.Aliases = append([]CardMove{}, e.Cards...), append([]AliasMove{}, e.Aliases...)
	return err
}

func scanMove(r *sql.Rows) (c CardMove, err error) {
	var deident, from, to []byte
	var version int
	if err = r.Scan(&c.tenant, &c.fingerprint, &deident, &version, &from, &to); err == nil {
		c.DeIdentTID = identity.MakeDeIdentTID(version, [16]byte(deident))
		copy(c.From[:], from)
		copy(c.To[:], to)
	}
	return c, err
}

func scanAlias(r *sql.Rows) (a AliasMove, err error) {
	var id, from, to []byte
	if err = r.Scan(&id, &from, &to); err == nil {
		copy(a.HHID[:], id)
		copy(a.From[:], from)
		copy(a.To[:], to)
	}
	return a, err
}

// cardsOf gives the cards of a household, as moves to another one.
func cardsOf(tx *sql.Tx, tenant int64, from, to identity.HHID) ([]CardMove, error) {
	return rows(tx.Query, func(r *sql.Rows) (CardMove, error) {
		c, err := scanMove(r)
		c.To = to
		return c, err
	}, `SELECT tenant, fingerprint, deident, deident_version, hhid, hhid FROM tids WHERE hhid = $1 AND tenant = $2 ORDER BY deident`, from[:], tenant)
}

// aliasesOf gives the aliases of a household, as moves to another one.
func aliasesOf(tx *sql.Tx, from, to identity.HHID) ([]AliasMove, error) {
	return rows(tx.Query, func(r *sql.Rows) (AliasMove, error) {
		var id []byte
		a := AliasMove{From: from, To: to}
		err := r.Scan(&id)
		copy(a.HHID[:], id)
		return a, err
	}, `SELECT hhid FROM aliases WHERE survivor = $1 ORDER BY hhid`, from[:])
}

// checkWhole refuses an id that is no household, or stands for another one.
func checkWhole(tx *sql.Tx, tenant int64, id identity.HHID) error {
	survivor, err := resolve(tx, tenant, id)
	if err == nil && survivor != id {
		return fmt.Errorf("%w: %s is %s now", ErrMerged, id, survivor)
	}
	return err
}

// resolve gives the household that an id stands for: mostly itself.
func resolve(tx *sql.Tx, tenant int64, id identity.HHID) (identity.HHID, error) {
	var survivor []byte
	err := tx.QueryRow(`SELECT coalesce(a.survivor, h.hhid) FROM households h LEFT JOIN aliases a ON a.hhid = h.hhid WHERE h.tenant = $1 AND h.hhid = $2`,
		tenant, id[:]).Scan(&survivor)
	if errors.Is(err, sql.ErrNoRows) || id.IsZero() {
		return id, fmt.Errorf("%w: %s", ErrNoHousehold, id)
	}
	copy(id[:], survivor)
	return id, err
}

// tell keeps what POS main computers are told of an id.
func tell(tx *sql.Tx, tenant int64, id string, hhid identity.HHID, erased bool, change uint64) error {
	var now any
	if !hhid.IsZero() {
		now = hhid.String()
	}
	_, err := tx.Exec(`INSERT INTO facts (tenant, id, hhid, erased, change) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant, id) DO UPDATE SET hhid = excluded.hhid, erased = excluded.erased, change = excluded.change`,
		tenant, id, now, bit(erased), int64(change))
	return err
}

func orNull(id identity.HHID) any {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

func number(n uint64) any {
	if n == 0 {
		return nil
	}
	return int64(n)
}
