package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"posd/identity"
)

// Errors of erasures.
var (
	ErrErased    = errors.New("it was erased before")
	ErrNotErased = errors.New("it was not erased, nor has its owner opted out")
	ErrNoErasure = errors.New("there is no such erasure")
)

// The scopes of erasures.
const (
	ScopeCard      = "card"
	ScopeHousehold = "household"
)

// Erasing says what is to be erased; one of the three is set.
type Erasing struct {
	TID     *TID // its fingerprints, and no more of it
	DeIdent identity.DeIdentTID
	HHID    identity.HHID // with all its cards, and the ids that were merged into it
}

// Erasure is an erasure that was done, or would be in a preview.
type Erasure struct {
	Number uint64          `json:"number,omitempty"` // from 1; 0 in a preview
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`
	Scope  string          `json:"scope"` // card or household
	Cards  int             `json:"cards"` // how many were erased
	Kinds  []identity.Kind `json:"kinds,omitempty"`
	Left   int             `json:"left"` // cards of the household that are still there
}

// ErasureLine is what a line of an erasure ledger says: that a card or a household
// was erased, or that the owner of a card has come back. The ledger is kept outside
// of the database, so that a backup of it that is restored forgets nothing.
type ErasureLine struct {
	Erasure        uint64                `json:"erasure,omitempty"`
	At             time.Time             `json:"at"`
	Tenant         string                `json:"tenant"`
	Kind           identity.Kind         `json:"kind,omitempty"` // of a card
	Fingerprint    string                `json:"fingerprint,omitempty"`
	FingerprintKey uint32                `json:"fingerprint_key,omitempty"`
	DeIdentTIDs    []identity.DeIdentTID `json:"deident_tids,omitempty"`
	HHID           identity.HHID         `json:"hhid,omitzero"` // of a household
	Lifted         bool                  `json:"lifted,omitempty"`
}

// Check says what is wrong with a line.
func (l ErasureLine) Check() error {
	b, err := hex.DecodeString(l.Fingerprint)
	switch card := l.Fingerprint != ""; {
	case l.Tenant == "" || l.At.IsZero():
		return errors.New("it says not of which retailer, or when")
	case card == !l.HHID.IsZero():
		return errors.New("it says not what was erased")
	case card && (err != nil || len(b) != 16):
		return errors.New("its fingerprint is not 32 hexadecimal digits")
	case card:
		_, err := identity.ParseKind(string(l.Kind))
		return err
	}
	return nil
}

func (l ErasureLine) fingerprint() (f [16]byte) {
	b, _ := hex.DecodeString(l.Fingerprint)
	copy(f[:], b)
	return f
}

// eraser erases in a transaction.
type eraser struct {
	tx     *sql.Tx
	tenant Tenant
	at     time.Time
	done   *Erasure
	change uint64 // the last one
	lines  []ErasureLine
}

// Erase erases a card, or a household with all its cards.
func (s *SQL) Erase(ctx context.Context, by Act, tenant Tenant, what Erasing, preview bool, keep func([]ErasureLine) error) (Erasure, error) {
	var done Erasure
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		done = Erasure{At: by.At, Actor: by.Actor, Scope: ScopeCard}
		e := &eraser{tx: tx, tenant: tenant, at: by.At, done: &done}
		if err := e.erase(what); err != nil {
			return err
		}
		if preview {
			return errPreview
		}
		var err error
		if done.Number, err = next(tx, "erasure"); err != nil {
			return err
		}
		if err := e.enter(); err != nil {
			return err
		}
		by.Detail = map[string]any{"erasure": done.Number, "scope": done.Scope, "cards": done.Cards}
		if err := record(tx, by); err != nil {
			return err
		}
		// The last before the commit: what is in the ledger in vain does no harm, and
		// what is missing from it could come back.
		return keep(e.lines)
	})
	if errors.Is(err, errPreview) {
		return done, nil
	}
	return done, err
}

func (e *eraser) erase(what Erasing) error {
	if !what.HHID.IsZero() {
		e.done.Scope = ScopeHousehold
		return e.household(what.HHID)
	}
	card, err := e.find(what)
	if err != nil {
		return err
	}
	if card.HHID.IsZero() {
		return ErrErased
	}
	if err := e.tx.QueryRow(`SELECT count(*) - 1 FROM tids WHERE hhid = $1`, card.HHID[:]).Scan(&e.done.Left); err != nil {
		return err
	}
	return e.card(card)
}

func (e *eraser) find(what Erasing) (Entry, error) {
	if what.TID != nil {
		return find(e.tx, *what.TID)
	}
	card, err := byDeIdent(e.tx, e.tenant.ID, what.DeIdent)
	if errors.Is(err, ErrNoTID) {
		if erased, err := isErased(e.tx, e.tenant.ID, string(what.DeIdent)); err != nil || erased {
			return Entry{}, errors.Join(err, ErrErased)
		}
	}
	return card, err
}

// isErased reports whether an id was erased.
func isErased(tx *sql.Tx, tenant int64, id string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM facts WHERE tenant = $1 AND id = $2 AND erased = 1`, tenant, id).Scan(&n)
	return n > 0, err
}

// anyErased reports whether one of ids was erased.
func anyErased(tx *sql.Tx, tenant int64, ids ...string) (bool, error) {
	for _, id := range ids {
		if erased, err := isErased(tx, tenant, id); err != nil || erased {
			return erased, err
		}
	}
	return false, nil
}

// card overwrites all that is stored of a card but its fingerprint, by which it is
// told that its owner is not to be recognised.
func (e *eraser) card(card Entry) error {
	line := ErasureLine{At: e.at.UTC(), Tenant: e.tenant.Name, Fingerprint: hex.EncodeToString(card.Fingerprint[:]), FingerprintKey: card.FingerprintKey}
	var err error
	if line.DeIdentTIDs, err = pseudonyms(e.tx, card); err != nil {
		return err
	}
	for _, d := range line.DeIdentTIDs {
		if err := e.forget(string(d)); err != nil {
			return err
		}
		mac := d.MAC()
		if _, err := e.tx.Exec(`DELETE FROM expected WHERE tenant = $1 AND version = $2 AND deident = $3`, e.tenant.ID, d.Version(), mac[:]); err != nil {
			return err
		}
	}
	for _, statement := range []string{`DELETE FROM deidents WHERE tenant = $1 AND fingerprint = $2`, `DELETE FROM ledger_cards WHERE tenant = $1 AND fingerprint = $2`} {
		if _, err := e.tx.Exec(statement, e.tenant.ID, card.Fingerprint[:]); err != nil {
			return err
		}
	}
	if err := nobodysHousehold(e.tx, e.tenant.ID); err != nil {
		return err
	}
	if e.change, err = next(e.tx, "change"); err != nil {
		return err
	}
	var none [16]byte
	err = e.tx.QueryRow(`UPDATE tids SET sealed = $1, hhid = $2, deident = $3, opted_out = 1, created_at = $4, change = $5
		WHERE tenant = $6 AND fingerprint = $7 RETURNING kind`, []byte{}, none[:8], none[:], e.at.UnixMilli(), int64(e.change), e.tenant.ID, card.Fingerprint[:]).Scan(&line.Kind)
	e.done.Cards, e.done.Kinds, e.lines = e.done.Cards+1, append(e.done.Kinds, line.Kind), append(e.lines, line)
	return err
}

// forget tells POS main computers that an id must not be kept.
func (e *eraser) forget(id string) (err error) {
	if e.change, err = next(e.tx, "change"); err != nil {
		return err
	}
	return tell(e.tx, e.tenant.ID, id, identity.HHID{}, true, e.change)
}

// nobodysHousehold makes the household of cards that were erased: the zero id, which
// stands for none.
func nobodysHousehold(tx *sql.Tx, tenant int64) error {
	var none identity.HHID
	_, err := tx.Exec(`INSERT INTO households (hhid, tenant, created_at) VALUES ($1, $2, 0) ON CONFLICT (hhid) DO NOTHING`, none[:], tenant)
	return err
}

// pseudonyms gives all that a card ever had.
func pseudonyms(tx *sql.Tx, card Entry) ([]identity.DeIdentTID, error) {
	return rows(tx.Query, func(r *sql.Rows) (d identity.DeIdentTID, err error) {
		var version int
		var mac []byte
		if err = r.Scan(&version, &mac); err == nil {
			d = identity.MakeDeIdentTID(version, [16]byte(mac))
		}
		return d, err
	}, `SELECT deident_version, deident FROM tids WHERE tenant = $1 AND fingerprint = $2
		UNION ALL SELECT version, deident FROM deidents WHERE tenant = $1 AND fingerprint = $2 ORDER BY 1 DESC`, card.Tenant, card.Fingerprint[:])
}

// household erases a household, its cards, and the ids that stand for it.
func (e *eraser) household(id identity.HHID) error {
	survivor, err := resolve(e.tx, e.tenant.ID, id)
	if errors.Is(err, ErrNoHousehold) {
		if erased, err := isErased(e.tx, e.tenant.ID, id.String()); err != nil || erased {
			return errors.Join(err, ErrErased)
		}
	}
	if err != nil {
		return err
	}
	cards, err := rows(e.tx.Query, func(r *sql.Rows) (Entry, error) { return scanEntry(r) },
		`SELECT `+entryColumns+` FROM tids WHERE hhid = $1 AND tenant = $2`, survivor[:], e.tenant.ID)
	if err != nil {
		return err
	}
	for _, card := range cards {
		if err := e.card(card); err != nil {
			return err
		}
	}
	merged, err := mergedInto(e.tx, survivor)
	if err != nil {
		return err
	}
	for _, one := range append(merged, survivor) {
		if err := e.id(one); err != nil {
			return err
		}
	}
	return nil
}

// id erases the id of a household without cards.
func (e *eraser) id(id identity.HHID) error {
	for _, statement := range []string{
		`DELETE FROM aliases WHERE hhid = $1`,
		`DELETE FROM ledger_aliases WHERE hhid = $1 OR was = $1 OR became = $1`,
		`DELETE FROM ledger_cards WHERE was = $1 OR became = $1`,
		`DELETE FROM import_families WHERE hhid = $1`,
		`DELETE FROM expected WHERE hhid = $1`,
		`DELETE FROM households WHERE hhid = $1`,
	} {
		if _, err := e.tx.Exec(statement, id[:]); err != nil {
			return err
		}
	}
	e.lines = append(e.lines, ErasureLine{At: e.at.UTC(), Tenant: e.tenant.Name, HHID: id})
	return e.forget(id.String())
}

// enter keeps the erasure, and its number in the lines.
func (e *eraser) enter() error {
	for i := range e.lines {
		e.lines[i].Erasure = e.done.Number
	}
	_, err := e.tx.Exec(`INSERT INTO erasures (number, tenant, at, actor, scope, cards, change) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		int64(e.done.Number), e.tenant.ID, e.done.At.UnixMilli(), e.done.Actor, e.done.Scope, e.done.Cards, int64(e.change))
	return err
}

// Lift has the owner of a card recognised again: it gets a household of its own, or
// keeps the one that it has where it was only opted out.
func (s *SQL) Lift(ctx context.Context, by Act, tenant Tenant, t TID, keep func([]ErasureLine) error) (now Entry, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		old, err := find(tx, t)
		if err != nil {
			return err
		}
		if !old.OptedOut {
			return ErrNotErased
		}
		if err := s.lift(tx, t, old); err != nil {
			return err
		}
		if now, err = find(tx, t); err != nil {
			return err
		}
		by.Detail = map[string]any{"hhid": now.HHID}
		if err := record(tx, by); err != nil {
			return err
		}
		return keep([]ErasureLine{{At: by.At.UTC(), Tenant: tenant.Name, Kind: t.Kind, Lifted: true,
			Fingerprint: hex.EncodeToString(old.Fingerprint[:]), FingerprintKey: old.FingerprintKey}})
	})
	return now, err
}

func (s *SQL) lift(tx *sql.Tx, t TID, old Entry) error {
	change, err := next(tx, "change")
	if err != nil {
		return err
	}
	if !old.HHID.IsZero() {
		_, err := tx.Exec(`UPDATE tids SET opted_out = 0, change = $1 WHERE tenant = $2 AND fingerprint = $3`, int64(change), t.Tenant, old.Fingerprint[:])
		return err
	}
	if err := checkKeys(tx, t.Tenant, t.FingerprintKey, t.DeIdentVersion); err != nil {
		return err
	}
	id, err := s.addHousehold(tx, t.Tenant, t.CreatedAt)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE tids SET fingerprint = $1, fingerprint_key = $2, sealed = $3, hhid = $4, deident = $5, deident_version = $6, opted_out = 0, created_at = $7, change = $8
		WHERE tenant = $9 AND fingerprint = $10`, t.Fingerprint[:], t.FingerprintKey, t.Sealed, id[:], t.DeIdent[:], t.DeIdentVersion, t.CreatedAt.UnixMilli(), int64(change),
		t.Tenant, old.Fingerprint[:]); err != nil {
		return err
	}
	return tell(tx, t.Tenant, string(identity.MakeDeIdentTID(t.DeIdentVersion, t.DeIdent)), id, false, change)
}

// ErasureCertificate is an erasure, with the shops that keep nothing of it any more.
type ErasureCertificate struct {
	Number      uint64        `json:"number"`
	Tenant      string        `json:"tenant"`
	At          time.Time     `json:"at"`
	Actor       string        `json:"actor"`
	Scope       string        `json:"scope"`
	Cards       int           `json:"cards"`
	Outstanding int           `json:"outstanding"` // shops that have not acknowledged it
	Shops       []ErasureShop `json:"shops"`
}

// ErasureShop is a shop's POS main computer.
type ErasureShop struct {
	Shop           string    `json:"store"`
	State          string    `json:"state"` // acknowledged, outstanding, or revoked: it follows no more
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
}

// The states of a shop.
const (
	Acknowledged = "acknowledged"
	Outstanding  = "outstanding"
)

// ErasureCertificate gives the certificate of an erasure.
func (s *SQL) ErasureCertificate(ctx context.Context, tenant int64, number uint64) (c ErasureCertificate, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		var at int64
		c = ErasureCertificate{Number: number}
		err := tx.QueryRow(`SELECT t.name, e.at, e.actor, e.scope, e.cards FROM erasures e JOIN tenants t ON t.id = e.tenant WHERE e.tenant = $1 AND e.number = $2`,
			tenant, int64(number)).Scan(&c.Tenant, &at, &c.Actor, &c.Scope, &c.Cards)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: %d", ErrNoErasure, number)
		}
		if err != nil {
			return err
		}
		c.At = instant(at)
		c.Shops, err = rows(tx.Query, scanErasureShop, `SELECT m.shop, d.at,
				(SELECT count(*) FROM certificates c WHERE c.machine = m.id AND c.state <> 'revoked')
			FROM machines m LEFT JOIN erasures_done d ON d.machine = m.id AND d.erasure = $1
			WHERE m.tenant = $2 AND m.role = 'posmain' AND EXISTS (SELECT 1 FROM certificates c WHERE c.machine = m.id) ORDER BY m.shop`, int64(number), tenant)
		return err
	})
	c.Shops = append([]ErasureShop{}, c.Shops...)
	for _, shop := range c.Shops {
		if shop.State == Outstanding {
			c.Outstanding++
		}
	}
	return c, err
}

func scanErasureShop(r *sql.Rows) (e ErasureShop, err error) {
	var at sql.NullInt64
	var good int
	err = r.Scan(&e.Shop, &at, &good)
	switch {
	case at.Valid:
		e.State, e.AcknowledgedAt = Acknowledged, instant(at.Int64)
	case good == 0:
		e.State = string(Revoked)
	default:
		e.State = Outstanding
	}
	return e, err
}
