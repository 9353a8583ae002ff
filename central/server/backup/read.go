package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"posd/central/server/store"
	"posd/sqldb"
)

// Keys are those of a backup, wrapped.
type Keys struct {
	Manifest
	Keys []store.Key
}

// ReadKeys reads a file of keys.
func ReadKeys(in io.Reader) (Keys, error) {
	var k Keys
	r, err := begin(in, keys, &k.Manifest)
	if err != nil {
		return k, err
	}
	for {
		kind, payload, err := r.next()
		if err != nil {
			return k, err
		}
		switch kind {
		case frameRows:
			var key store.Key
			if err := unmarshal(payload, &key); err != nil {
				return k, err
			}
			k.Keys = append(k.Keys, key)
		case frameEnd:
			var end trailer
			if err := unmarshal(payload, &end); err != nil {
				return k, err
			}
			if end.Keys != len(k.Keys) {
				return k, damaged("it lacks keys")
			}
			return k, r.end()
		default:
			return k, damaged("a frame is of an unknown kind")
		}
	}
}

func begin(in io.Reader, want string, m *Manifest) (*frameReader, error) {
	r, err := newFrameReader(in)
	if err != nil {
		return nil, err
	}
	kind, payload, err := r.next()
	if err == nil && kind != frameHeader {
		err = damaged("it has no header")
	}
	if err == nil {
		err = unmarshal(payload, m)
	}
	if err == nil && m.Kind != want {
		err = fmt.Errorf("it is the file of the %s, where that of the %s is due", m.Kind, want)
	}
	return r, err
}

// Installation is what the keys are of.
func (k Keys) Installation() (i store.Installation, err error) {
	id, err := hex.DecodeString(k.Manifest.Installation)
	if err != nil || len(id) != len(i.ID) {
		return i, damaged("the installation has no id")
	}
	copy(i.ID[:], id)
	i.KEK, i.Salt, i.Hosts, i.CreatedAt = k.KEK, k.Salt, k.Hosts, k.CreatedAt
	return i, nil
}

// Fit says what is wrong with keys for a database, if anything. They may be of a later
// backup than it.
func (k Keys) Fit(database Manifest) error {
	if k.Manifest.Installation != database.Installation {
		return fmt.Errorf("the keys are of another installation (%.8s) than the database (%.8s)", k.Manifest.Installation, database.Installation)
	}
	for _, need := range database.Needs {
		if !slices.ContainsFunc(k.Keys, func(key store.Key) bool {
			// An EncTID key that was destroyed since opens nothing any more, as it should.
			return KeyName{key.Purpose, key.Tenant, key.Number} == need && (key.Wrapped != nil || key.Purpose == store.HPKE)
		}) {
			return fmt.Errorf("the file of the keys lacks %s key %d, which the database needs: it is of %s, the database of %s: give that of the same backup, or a later one that has it",
				need.Purpose, need.Number, k.At.Format(time.DateTime), database.At.Format(time.DateTime))
		}
	}
	return nil
}

// Database is a file of a database that is read.
type Database struct {
	Manifest
	frames *frameReader
	kind   byte // of the frame that was read and not looked at yet
	next   []byte
	err    error
	Rows   map[string]uint64 // that were read, of each table
}

// OpenDatabase reads the header of a file.
func OpenDatabase(in io.Reader) (*Database, error) {
	d := &Database{Rows: map[string]uint64{}}
	var err error
	d.frames, err = begin(in, database, &d.Manifest)
	return d, err
}

func (d *Database) advance() { d.kind, d.next, d.err = d.frames.next() }

// Each gives every table with its rows to add, up to the end of the file, which it makes
// sure of.
func (d *Database) Each(add sqldb.Loader) error {
	d.advance()
	for d.err == nil && d.kind == frameTable {
		var t tableStart
		if err := unmarshal(d.next, &t); err != nil {
			return err
		}
		if len(t.Columns) == 0 {
			return damaged("a table has no columns")
		}
		d.advance()
		if err := add(t.Table, t.Columns, d.rows(t)); err != nil {
			return errors.Join(d.err, err)
		}
		if d.err == nil && d.kind == frameRows {
			return damaged("rows without a table")
		}
	}
	if d.err != nil {
		return d.err
	}
	var end trailer
	if d.kind != frameEnd {
		return damaged("a frame is of an unknown kind")
	}
	if err := unmarshal(d.next, &end); err != nil {
		return err
	}
	for table, n := range end.Rows {
		if d.Rows[table] != n {
			return damaged("rows are missing of table " + table)
		}
	}
	return d.frames.end()
}

func (d *Database) rows(t tableStart) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		row := make([]any, len(t.Columns))
		for d.err == nil && d.kind == frameRows {
			for b := d.next; len(b) > 0; {
				for i := range row {
					if row[i], b, d.err = takeValue(b); d.err != nil {
						return
					}
				}
				d.Rows[t.Table]++
				if !yield(row) {
					d.err = errors.Join(d.err, errors.New("it was not read to its end"))
					return
				}
			}
			d.advance()
		}
	}
}

// Verified is what a backup holds that is whole.
type Verified struct {
	Database Manifest          `json:"database"`
	KeysAt   time.Time         `json:"keys_at"`
	KEK      string            `json:"kek"`
	Rows     map[string]uint64 `json:"rows"`
}

// Verify reads both files to their ends, and makes sure that all of a backup is there and
// that the two fit: checksums, counts, and the chain of the audit log.
func Verify(ctx context.Context, keysFrom, databaseFrom io.Reader) (Verified, error) {
	k, err := ReadKeys(keysFrom)
	if err != nil {
		return Verified{}, fmt.Errorf("the file of the keys: %w", err)
	}
	d, err := OpenDatabase(databaseFrom)
	if err == nil {
		err = verifyRows(ctx, d)
	}
	if err != nil {
		return Verified{}, fmt.Errorf("the file of the database: %w", err)
	}
	return Verified{d.Manifest, k.At, k.KEK, d.Rows}, k.Fit(d.Manifest)
}

func verifyRows(ctx context.Context, d *Database) error {
	id, err := hex.DecodeString(d.Manifest.Installation)
	if err != nil || len(id) != 16 {
		return damaged("the installation has no id")
	}
	chain := auditChain{head: store.FirstHash([16]byte(id))}
	err = d.Each(func(table string, columns []string, rows iter.Seq[[]any]) error {
		for row := range rows {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if table == "audit" {
				if err := chain.add(columns, row); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && (chain.records != d.Records || hex.EncodeToString(chain.head[:]) != d.Head) {
		err = damaged("the audit log has another end than its header says")
	}
	return err
}

// auditChain follows the records of an audit log.
type auditChain struct {
	records uint64
	head    store.Hash
}

func (c *auditChain) add(columns []string, row []any) error {
	var r store.Record
	for i, column := range columns {
		number, _ := row[i].(int64)
		text, _ := row[i].(string)
		blob, _ := row[i].([]byte)
		switch column {
		case "number":
			r.Number = uint64(number)
		case "at":
			r.At = time.UnixMilli(number)
		case "actor":
			r.Actor = text
		case "action":
			r.Action = text
		case "detail":
			r.Detail = []byte(text)
		case "hash":
			copy(r.Hash[:], blob)
		}
	}
	if r.Number != c.records+1 || r.Hash != r.Chained(c.head) {
		return fmt.Errorf("record %d of the audit log was changed, or is missing", c.records+1)
	}
	c.records, c.head = r.Number, r.Hash
	return nil
}
