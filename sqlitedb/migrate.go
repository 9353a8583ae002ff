package sqlitedb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// migration is one numbered step of a schema.
type migration struct {
	version   int
	name      string // of its file
	minReader int    // the least migration that a program must know to serve the result
	checksum  string
	sql       string
}

const schemaTable = `CREATE TABLE IF NOT EXISTS schema (
	version    INTEGER PRIMARY KEY,
	name       TEXT NOT NULL,
	checksum   TEXT NOT NULL,
	min_reader INTEGER NOT NULL,
	applied_at TEXT NOT NULL
) STRICT`

// readMigrations gives the steps in order. A mistake here is one of the
// program, not of its user.
func readMigrations(fsys fs.FS) ([]migration, error) {
	var steps []migration
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".sql" {
			return err
		}
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		step, err := parseMigration(path.Base(p), string(text))
		steps = append(steps, step)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	slices.SortFunc(steps, func(a, b migration) int { return a.version - b.version })
	for i, s := range steps {
		if s.version != i+1 {
			return nil, fmt.Errorf("read migrations: %s stands where number %04d is due", s.name, i+1)
		}
	}
	if len(steps) == 0 {
		return nil, errors.New("read migrations: there are none")
	}
	return steps, nil
}

func parseMigration(name, text string) (migration, error) {
	number, _, ok := strings.Cut(name, "_")
	version, err := strconv.Atoi(number)
	if !ok || err != nil || len(number) != 4 {
		return migration{}, fmt.Errorf("%s: the name must be NNNN_name.sql", name)
	}
	sum := sha256.Sum256([]byte(text))
	m := migration{version: version, name: name, minReader: 1, checksum: hex.EncodeToString(sum[:]), sql: text}
	first, _, _ := strings.Cut(text, "\n")
	if n, ok := strings.CutPrefix(first, "-- min_reader: "); ok {
		m.minReader, err = strconv.Atoi(strings.TrimSpace(n))
		if err != nil || m.minReader < 1 || m.minReader > version {
			return migration{}, fmt.Errorf("%s: min_reader must be a number from 1 to %d", name, version)
		}
	}
	return m, nil
}

// migrate applies what is missing, each step in a transaction of its own. Two
// programs that start at once do not apply a step twice.
func (db *DB) migrate(ctx context.Context, steps []migration) error {
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(schemaTable)
		return err
	})
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := db.Write(ctx, func(tx *sql.Tx) error { return apply(tx, steps, step) }); err != nil {
			return err
		}
	}
	return nil
}

func apply(tx *sql.Tx, steps []migration, step migration) error {
	version, err := checkSchema(tx, steps)
	if err != nil || version >= step.version {
		return err
	}
	if _, err := tx.Exec(step.sql); err != nil {
		return fmt.Errorf("migration %s: %w", step.name, err)
	}
	_, err = tx.Exec("INSERT INTO schema (version, name, checksum, min_reader, applied_at) VALUES (?, ?, ?, ?, ?)",
		step.version, step.name, step.checksum, step.minReader, time.Now().UTC().Format(time.RFC3339))
	return err
}

type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// checkSchema gives the version that the database has, and refuses one that
// steps cannot serve.
func checkSchema(q querier, steps []migration) (version int, err error) {
	rows, err := q.Query("SELECT version, name, checksum, min_reader FROM schema ORDER BY version")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	known := len(steps)
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.version, &m.name, &m.checksum, &m.minReader); err != nil {
			return 0, err
		}
		if m.minReader > known {
			return 0, fmt.Errorf("%w (the database is at schema %d, %s; it can be served by programs that know schema %d or later; this one knows up to %d)",
				ErrNewer, m.version, m.name, m.minReader, known)
		}
		if m.version <= known && m.checksum != steps[m.version-1].checksum {
			return 0, fmt.Errorf("its schema %d was made by another %s than this program's: a development version has written it; restore a backup", m.version, m.name)
		}
		version = m.version
	}
	return version, rows.Err()
}

// checkCurrent is checkSchema for those who may not migrate.
func checkCurrent(ctx context.Context, q *sql.DB, steps []migration) error {
	tx, err := q.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var tables, version int
	err = tx.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = 'schema'").Scan(&tables)
	if err == nil && tables > 0 {
		version, err = checkSchema(tx, steps)
	}
	if err == nil && version < len(steps) {
		err = fmt.Errorf("%w (it is at schema %d, this program needs %d)", ErrOlder, version, len(steps))
	}
	return err
}
