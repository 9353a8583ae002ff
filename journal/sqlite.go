package journal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/sqlitedb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a database as a lane's journal: "posj".
const applicationID = 0x706f736a

// SQLite is a journal in a file. It satisfies lane.Journal.
type SQLite struct {
	db          *sqlitedb.DB
	incarnation string
	priority    []identity.Kind
	now         func() time.Time
	unscrubbed  atomic.Bool // EncTIDs were deleted that the write-ahead log may still hold
}

// Open opens the journal at path, and makes it if it is not there; the folder
// must exist. Baskets are tagged by priority. Errors wrap those of sqlitedb: a
// damaged journal is reported, and left as it is for a person to move aside; a
// journal that another process has open is refused.
func Open(ctx context.Context, path string, priority []identity.Kind) (*SQLite, error) {
	db, err := sqlitedb.Open(ctx, path, migrations, sqlitedb.Options{ApplicationID: applicationID, Sole: true})
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &SQLite{db: db, priority: priority, now: time.Now}
	if err := j.prepare(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// prepare looks for damage, names a new journal, and finishes the scrubbing that
// a crash may have cut short.
func (j *SQLite) prepare(ctx context.Context) error {
	if err := j.db.Check(ctx); err != nil {
		return err
	}
	var raw [8]byte
	rand.Read(raw[:])
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO journal (one, incarnation) VALUES (1, ?) ON CONFLICT DO NOTHING", hex.EncodeToString(raw[:]))
		if err != nil {
			return err
		}
		return tx.QueryRow("SELECT incarnation FROM journal").Scan(&j.incarnation)
	})
	if err != nil {
		return err
	}
	j.scrub(ctx)
	return nil
}

// CloseFile closes the journal itself, as opposed to a basket; the open basket
// is there again when the file is opened.
func (j *SQLite) CloseFile() error { return j.db.Close() }

// Numbering gives the incarnation and the last sequence number.
func (j *SQLite) Numbering(ctx context.Context) (incarnation string, last uint64, err error) {
	err = j.view(ctx, "read the numbering", func(tx *sql.Tx) error {
		return tx.QueryRow("SELECT incarnation, last_sequence FROM journal").Scan(&incarnation, &last)
	})
	return incarnation, last, err
}

// Clock gives what SetClock last stored.
func (j *SQLite) Clock(ctx context.Context) (c basket.Clock, err error) {
	err = j.view(ctx, "read the clock", func(tx *sql.Tx) error {
		err := tx.QueryRow("SELECT ticks, boot_id, boot FROM clock").Scan(&c.Ticks, &c.BootID, &c.Boot)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return c, err
}

// SetClock stores c.
func (j *SQLite) SetClock(ctx context.Context, c basket.Clock) error {
	err := j.write(ctx, "set the clock", func(w *work) error {
		_, err := w.Exec("INSERT INTO clock (one, ticks, boot_id, boot) VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE SET ticks = excluded.ticks, boot_id = excluded.boot_id, boot = excluded.boot",
			int64(c.Ticks), c.BootID, int64(c.Boot))
		return err
	})
	if err == nil && j.unscrubbed.Load() {
		j.scrub(ctx)
	}
	return err
}

// work is a write transaction and the time it began.
type work struct {
	*sql.Tx
	j     *SQLite
	at    int64 // Unix nanoseconds
	wiped bool  // an EncTID was deleted
}

// write commits what fn does, or nothing of it.
func (j *SQLite) write(ctx context.Context, op string, fn func(*work) error) error {
	w := work{j: j, at: j.now().UnixNano()}
	err := j.db.Write(ctx, func(tx *sql.Tx) error {
		w.Tx = tx
		return fn(&w)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if w.wiped {
		j.scrub(ctx)
	}
	return nil
}

func (j *SQLite) view(ctx context.Context, op string, fn func(*sql.Tx) error) error {
	if err := j.db.View(ctx, fn); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// scrub takes deleted EncTIDs out of the write-ahead log. What it was called for
// is committed already, so a reader in the way is no error: it is tried again.
func (j *SQLite) scrub(ctx context.Context) {
	j.unscrubbed.Store(false)
	if err := j.db.Checkpoint(context.WithoutCancel(ctx)); err != nil {
		j.unscrubbed.Store(true)
	}
}

// stamp and moment keep a time in a column; the zero time is NULL.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.Unix(0, n.Int64).UTC()
}
