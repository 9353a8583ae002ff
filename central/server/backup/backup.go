// Package backup writes a central into two files, reads them, and makes another central
// of them: one holds the database, in which TIDs are sealed, the other its keys, wrapped
// under the key-encryption key. Neither is of use without the other, nor are both without
// that key; keep the three apart.
//
// The files are the same for every database. They are of one moment of a central that
// may go on meanwhile.
package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"time"

	"posd/central/server/store"
)

// The kinds of files.
const (
	database = "database"
	keys     = "keys"
)

// Manifest is what a file begins with.
type Manifest struct {
	Kind         string    `json:"kind"`
	At           time.Time `json:"at"`
	Program      string    `json:"program"` // version of centrald
	Installation string    `json:"installation"`
	CreatedAt    time.Time `json:"created_at"` // of the installation
	Incarnation  string    `json:"incarnation"`
	Hosts        []string  `json:"hosts"`
	Schema       int       `json:"schema"`
	Change       uint64    `json:"change"`        // number of the last change
	Records      uint64    `json:"audit_records"` // of the audit log
	Head         string    `json:"audit_head"`    // hash of the last of them

	// Of a database: the keys that it needs, without what they are.
	Needs []KeyName `json:"keys,omitempty"`
	// Of keys: the key-encryption key that they are wrapped under.
	KEK  string `json:"kek,omitempty"`
	Salt []byte `json:"salt,omitempty"`
}

// KeyName names a key.
type KeyName struct {
	Purpose store.Purpose `json:"purpose"`
	Tenant  int64         `json:"tenant"`
	Number  uint32        `json:"number"`
}

// tableStart says which rows follow.
type tableStart struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// trailer is what a file ends with.
type trailer struct {
	Rows map[string]uint64 `json:"rows"` // of each table
	Keys int               `json:"keys,omitempty"`
}

// Source is what is backed up; see store.Store.
type Source interface {
	Dump(ctx context.Context, begin func(store.Snapshot) error, row func(table string, columns []string, values []any) error) error
}

// rowsFrame is about how many bytes of rows are in a frame.
const rowsFrame = 64 << 10

// Write writes both files, of one moment: the keys whole first, then the database.
func Write(ctx context.Context, from Source, at time.Time, program string, keysTo func(file []byte) error, databaseTo io.Writer) (Manifest, error) {
	w := &writer{trailer: trailer{Rows: map[string]uint64{}}}
	begin := func(s store.Snapshot) (err error) {
		m := manifest(s, at, program)
		var file bytes.Buffer
		if err := writeKeys(&file, m, s); err != nil {
			return err
		}
		if err := keysTo(file.Bytes()); err != nil {
			return err
		}
		m.Kind = database
		for _, k := range s.Keys {
			if k.Wrapped != nil {
				m.Needs = append(m.Needs, KeyName{k.Purpose, k.Tenant, k.Number})
			}
		}
		w.manifest = m
		if w.frames, err = newFrameWriter(databaseTo); err != nil {
			return err
		}
		return w.frames.writeJSON(frameHeader, m)
	}
	if err := from.Dump(ctx, begin, w.row); err != nil {
		return Manifest{}, err
	}
	return w.manifest, w.end()
}

func manifest(s store.Snapshot, at time.Time, program string) Manifest {
	i := s.Installation
	return Manifest{
		At: at.UTC().Truncate(time.Millisecond), Program: program, Installation: hex.EncodeToString(i.ID[:]), CreatedAt: i.CreatedAt,
		Incarnation: hex.EncodeToString(i.Incarnation[:]), Hosts: i.Hosts, Schema: s.Schema, Change: s.Change, Records: s.Records, Head: hex.EncodeToString(s.Head[:]),
	}
}

func writeKeys(to io.Writer, m Manifest, s store.Snapshot) error {
	w, err := newFrameWriter(to)
	if err != nil {
		return err
	}
	m.Kind, m.KEK, m.Salt = keys, s.Installation.KEK, s.Installation.Salt
	if err := w.writeJSON(frameHeader, m); err != nil {
		return err
	}
	for _, k := range s.Keys {
		if err := w.writeJSON(frameRows, k); err != nil {
			return err
		}
	}
	if err := w.writeJSON(frameEnd, trailer{Keys: len(s.Keys)}); err != nil {
		return err
	}
	return w.out.Flush()
}

// writer writes the rows of a database.
type writer struct {
	manifest Manifest
	frames   *frameWriter
	table    string
	buf      []byte
	trailer  trailer
}

func (w *writer) row(table string, columns []string, values []any) (err error) {
	if table != w.table {
		if err := w.flush(); err != nil {
			return err
		}
		w.table = table
		if err := w.frames.writeJSON(frameTable, tableStart{table, columns}); err != nil {
			return err
		}
	}
	if len(w.buf) == 0 {
		w.buf = append(w.buf, frameRows)
	}
	for _, v := range values {
		if w.buf, err = appendValue(w.buf, v); err != nil {
			return err
		}
	}
	w.trailer.Rows[table]++
	if len(w.buf) < rowsFrame {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.frames.write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *writer) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.frames.writeJSON(frameEnd, w.trailer); err != nil {
		return err
	}
	return w.frames.out.Flush()
}

// Joined writes both files into one stream: the size of the keys' file in 32 bits, that
// file, the database's. Parted is the inverse.
func Joined(ctx context.Context, from Source, at time.Time, program string, out io.Writer) (Manifest, error) {
	return Write(ctx, from, at, program, func(file []byte) error {
		_, err := out.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(file))), file...))
		return err
	}, out)
}

// Parted writes what Joined has joined to two files.
type Parted struct {
	Keys, Database io.Writer
	size           []byte
	left           uint32 // of the keys
}

// Write takes a piece of the stream.
func (p *Parted) Write(b []byte) (int, error) {
	all := len(b)
	for len(p.size) < 4 && len(b) > 0 {
		p.size, b = append(p.size, b[0]), b[1:]
		if len(p.size) == 4 {
			p.left = binary.BigEndian.Uint32(p.size)
		}
	}
	n := min(int(p.left), len(b))
	if _, err := p.Keys.Write(b[:n]); err != nil {
		return 0, err
	}
	p.left -= uint32(n)
	if _, err := p.Database.Write(b[n:]); err != nil {
		return 0, err
	}
	return all, nil
}
