package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"posd/central"
	"posd/identity"
	"posd/sqldb"
)

// database is what the statements run on: sqlitedb.DB or postgresdb.DB. Writers
// take turns, also those of other processes: what one has read in its
// transaction stays so until it has committed.
type database interface {
	// Write runs fn in a transaction of its own; what it returned nil for is durable.
	// It may call fn again, which then has to begin anew.
	Write(ctx context.Context, fn func(*sql.Tx) error) error
	// Batch is Write for many at once, which share a commit.
	Batch(ctx context.Context, fn func(*sql.Tx) error) error
	// Load is Write for very many rows, which fn adds with add.
	Load(ctx context.Context, fn func(tx *sql.Tx, add sqldb.Loader) error) error
	// View runs fn in a transaction that sees one state and changes nothing.
	View(ctx context.Context, fn func(*sql.Tx) error) error
	// Read gives the readers for single statements.
	Read() *sql.DB
	Close() error
}

// SQL is the Store in a relational database. Its statements are what SQLite and
// PostgreSQL both speak; placeholders are numbered in the order of their first
// use, which SQLite needs.
type SQL struct {
	db      database
	newHHID func() identity.HHID
}

var _ Store = (*SQL)(nil)

// Close closes the database.
func (s *SQL) Close() error { return s.db.Close() }

// Listen tells of changes on a database that tells of them.
func (s *SQL) Listen(ctx context.Context, changed func()) {
	if db, ok := s.db.(interface {
		Listen(context.Context, func())
	}); ok {
		db.Listen(ctx, changed)
	}
}

// scrubTries is how often a log that somebody reads is tried to be cut off.
const scrubTries = 20

// Scrub cuts SQLite's write-ahead log off. Databases on a server see to that by
// themselves, sooner or later.
func (s *SQL) Scrub(ctx context.Context) (err error) {
	log, ok := s.db.(interface{ Checkpoint(context.Context) error })
	if !ok {
		return nil
	}
	for range scrubTries {
		if err = log.Checkpoint(ctx); err == nil || ctx.Err() != nil || !errors.Is(err, sqldb.ErrLocked) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("it was erased, but is in the write-ahead log still, until the next time that the database is closed: %w", err)
	}
	return nil
}

// Probe commits a change that changes nothing.
func (s *SQL) Probe(ctx context.Context) error {
	return s.db.Batch(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE counters SET value = value WHERE name = 'change'`)
		return err
	})
}

// Init makes the installation.
func (s *SQL) Init(ctx context.Context, by Act, i Installation, tenant string, keys []Key) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM installation`).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return ErrInitialised
		}
		at := i.CreatedAt.UnixMilli()
		if _, err := tx.Exec(`INSERT INTO installation (one, id, kek, salt, hosts, created_at) VALUES (1, $1, $2, $3, $4, $5)`,
			i.ID[:], i.KEK, i.Salt, strings.Join(i.Hosts, ","), at); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO tenants (id, name, created_at) VALUES (1, $1, $2)`, tenant, at); err != nil {
			return err
		}
		for _, k := range keys {
			k.CreatedAt = i.CreatedAt
			if err := insertKey(tx, k); err != nil {
				return err
			}
		}
		return record(tx, by)
	})
}

// Installation gives what there is once.
func (s *SQL) Installation(ctx context.Context) (i Installation, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error { i, err = readInstallation(tx); return err })
	return i, err
}

func readInstallation(tx *sql.Tx) (i Installation, err error) {
	var id, restored []byte
	var hosts string
	var at int64
	err = tx.QueryRow(`SELECT id, kek, salt, hosts, created_at, (SELECT r.id FROM restores r ORDER BY r.number DESC LIMIT 1) FROM installation`).
		Scan(&id, &i.KEK, &i.Salt, &hosts, &at, &restored)
	if errors.Is(err, sql.ErrNoRows) {
		return i, ErrNotInitialised
	}
	if err != nil {
		return i, fmt.Errorf("read installation: %w", err)
	}
	i.ID, i.Hosts, i.CreatedAt = [16]byte(id), strings.Split(hosts, ","), instant(at)
	copy(i.Incarnation[:], restored)
	return i, nil
}

// Tenants gives the retailers.
func (s *SQL) Tenants(ctx context.Context) ([]Tenant, error) {
	return query(ctx, s, func(r *sql.Rows) (t Tenant, err error) {
		var at int64
		err = r.Scan(&t.ID, &t.Name, &at)
		t.CreatedAt = instant(at)
		return t, err
	}, `SELECT id, name, created_at FROM tenants ORDER BY id`)
}

// Manifest gives the newest manifest.
func (s *SQL) Manifest(ctx context.Context) (central.Signed, bool, error) {
	var m central.Signed
	err := s.db.Read().QueryRowContext(ctx, `SELECT payload, signature FROM manifests ORDER BY version DESC LIMIT 1`).Scan(&m.Manifest, &m.Signature)
	if errors.Is(err, sql.ErrNoRows) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("read manifest: %w", err)
	}
	return m, true, nil
}

// IssueManifest stores the next manifest.
func (s *SQL) IssueManifest(ctx context.Context, sign func(uint64) (central.Manifest, central.Signed, error)) (central.Signed, error) {
	var signed central.Signed
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		version, err := next(tx, "manifest")
		if err != nil {
			return err
		}
		m, made, err := sign(version)
		if err != nil {
			return err
		}
		signed = made
		_, err = tx.Exec(`INSERT INTO manifests (version, payload, signature, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			int64(version), made.Manifest, made.Signature, m.IssuedAt.UnixMilli(), m.ExpiresAt.UnixMilli())
		if err == nil {
			_, err = next(tx, "keys")
		}
		return err
	})
	return signed, err
}

// Alarms gives the alarms after one.
func (s *SQL) Alarms(ctx context.Context, after int64) ([]Alarm, error) {
	return query(ctx, s, func(r *sql.Rows) (a Alarm, err error) {
		var at int64
		var tenant, shop, role, lane sql.NullString
		err = r.Scan(&a.ID, &at, &a.Type, &a.Detail, &tenant, &shop, &role, &lane)
		a.At = instant(at)
		if tenant.Valid {
			a.Name = name(tenant.String, shop.String, role.String, lane.String).String()
		}
		return a, err
	}, `SELECT a.id, a.at, a.type, a.detail, t.name, m.shop, m.role, m.lane
		FROM alarms a LEFT JOIN machines m ON m.id = a.machine LEFT JOIN tenants t ON t.id = m.tenant
		WHERE a.id > $1 ORDER BY a.id`, after)
}

// next takes the next number of a counter.
func next(tx *sql.Tx, counter string) (uint64, error) {
	var n int64
	err := tx.QueryRow(`UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value`, counter).Scan(&n)
	return uint64(n), err
}

// query reads all rows of a statement.
func query[T any](ctx context.Context, s *SQL, scan func(*sql.Rows) (T, error), statement string, args ...any) ([]T, error) {
	return rows(func(q string, a ...any) (*sql.Rows, error) { return s.db.Read().QueryContext(ctx, q, a...) }, scan, statement, args...)
}

func rows[T any](do func(string, ...any) (*sql.Rows, error), scan func(*sql.Rows) (T, error), statement string, args ...any) ([]T, error) {
	r, err := do(statement, args...)
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	defer r.Close()
	var all []T
	for r.Next() {
		one, err := scan(r)
		if err != nil {
			return nil, fmt.Errorf("read database: %w", err)
		}
		all = append(all, one)
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	return all, nil
}

func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
