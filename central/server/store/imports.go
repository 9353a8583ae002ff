package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"

	"posd/identity"
)

// Import is an import of many cards on its way, with how far it is.
type Import struct {
	Job     [16]byte // names it: of what, and how
	Tenant  int64
	BegunAt time.Time // also of the households and cards that it makes
	Key     [32]byte  // random: makes the ids of its families
	Bulk    bool      // there was no card yet, and no server: its rows are sorted first
	Position
}

// Position is how far an import is.
type Position struct {
	Phase    Phase
	Sorted   uint64   // rows of the phase, in their sorted order
	Lines    uint64   // lines of the input
	Digest   [32]byte // SHA-256 of them
	Added    uint64   // cards that were not known
	Moved    uint64   // cards that went to another household
	Kept     uint64   // cards that were there already
	Rejected uint64
}

// Phase says what an import is at.
type Phase string

// The phases of an import. It begins with Sorting if it is Bulk, else with Linewise.
const (
	Sorting    Phase = "sorting"    // nothing is stored yet
	Households Phase = "households" // the households are stored, in the order of their ids
	Cards      Phase = "cards"      // the cards are stored, in the order of their fingerprints
	Linewise   Phase = "rows"       // rows are stored in the order of the file
)

// ImportRow says which household a card is to belong to.
type ImportRow struct {
	TID      TID                 // the card, or
	DeIdent  identity.DeIdentTID // the pseudonym of one that is known
	HHID     identity.HHID       // the household; of a family, the id that a new one gets
	Create   bool                // the household is made if there is none of this id
	Family   [16]byte            // zero: the household is given by HHID alone
	OptedOut bool                // the card's owner is not to be recognised
}

// ErrForeignHousehold says that an id is taken.
var ErrForeignHousehold = errors.New("that household is another retailer's")

// errThere says that rows cannot be loaded, since some are there already.
var errThere = errors.New("rows are there already")

const importColumns = `job, tenant, begun_at, key, bulk, phase, sorted, lines, digest, added, moved, kept, rejected`

// BeginImport begins an import, or finds it as it was left.
func (s *SQL) BeginImport(ctx context.Context, by Act, job [16]byte, tenant int64, alone bool) (i Import, resumed bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		i, err = readImport(tx, job)
		if resumed = err == nil; resumed || !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		i = Import{Job: job, Tenant: tenant, Position: Position{Phase: Linewise}}
		if i.BegunAt, err = importTime(tx, by.At); err != nil {
			return err
		}
		rand.Read(i.Key[:])
		if i.Bulk, err = empty(tx); err != nil {
			return err
		}
		if i.Bulk = i.Bulk && alone; i.Bulk {
			i.Phase = Sorting
			if err := s.dropIndices(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO imports (`+importColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, 0, 0, 0, 0)`,
			job[:], tenant, i.BegunAt.UnixMilli(), i.Key[:], bit(i.Bulk), i.Phase, i.Digest[:]); err != nil {
			return err
		}
		return record(tx, by)
	})
	return i, resumed, err
}

// lastOfSecond is the millisecond of a second that only the households of imports are
// made in: one that a lane's card gets meanwhile must never be taken for one of theirs.
const lastOfSecond = 999

// importTime gives a time about now that no household and no other import has.
func importTime(tx *sql.Tx, now time.Time) (time.Time, error) {
	var second int64
	err := tx.QueryRow(`UPDATE counters SET value = CASE WHEN value < $1 THEN $1 ELSE value + 1 END WHERE name = 'import' RETURNING value`, now.Unix()+1).Scan(&second)
	return instant(second*1000 + lastOfSecond), err
}

// madeAt is when a household that no import makes is made, in Unix milliseconds.
func madeAt(now time.Time) int64 {
	if ms := now.UnixMilli(); ms%1000 == lastOfSecond {
		return ms - 1
	}
	return now.UnixMilli()
}

// empty reports whether no retailer has a card or household.
func empty(tx *sql.Tx) (bool, error) {
	var some int
	err := tx.QueryRow(`SELECT (SELECT count(*) FROM (SELECT 1 FROM tids LIMIT 1) t) + (SELECT count(*) FROM (SELECT 1 FROM households LIMIT 1) h)`).Scan(&some)
	return some == 0, err
}

func readImport(tx *sql.Tx, job [16]byte) (i Import, err error) {
	var id, key, digest []byte
	var at int64
	err = tx.QueryRow(`SELECT `+importColumns+` FROM imports WHERE job = $1`, job[:]).Scan(&id, &i.Tenant, &at, &key, &i.Bulk, &i.Phase,
		&i.Sorted, &i.Lines, &digest, &i.Added, &i.Moved, &i.Kept, &i.Rejected)
	if err != nil {
		return Import{}, err
	}
	copy(i.Job[:], id)
	copy(i.Key[:], key)
	copy(i.Digest[:], digest)
	i.BegunAt = instant(at)
	return i, nil
}

// keepPosition notes how far an import is, in the transaction of its rows.
func keepPosition(tx *sql.Tx, job [16]byte, p Position) error {
	done, err := tx.Exec(`UPDATE imports SET phase = $1, sorted = $2, lines = $3, digest = $4, added = $5, moved = $6, kept = $7, rejected = $8 WHERE job = $9`,
		p.Phase, int64(p.Sorted), int64(p.Lines), p.Digest[:], int64(p.Added), int64(p.Moved), int64(p.Kept), int64(p.Rejected), job[:])
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return errors.New("the import was ended, or begun anew, by another command")
}

// EndImport ends an import.
func (s *SQL) EndImport(ctx context.Context, by Act, job [16]byte) error {
	if err := s.buildIndices(ctx); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM import_families WHERE job = $1`, job[:]); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM imports WHERE job = $1`, job[:]); err != nil {
			return err
		}
		return record(tx, by)
	})
}

// nextMany takes n numbers of a counter and gives the first.
func nextMany(tx *sql.Tx, counter string, n int) (uint64, error) {
	var last int64
	err := tx.QueryRow(`UPDATE counters SET value = value + $1 WHERE name = $2 RETURNING value`, n, counter).Scan(&last)
	return uint64(last) - uint64(n) + 1, err
}
