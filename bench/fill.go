package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"posd/central/server"
	"posd/central/server/directory"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/identity"
	"posd/tid"
)

const tenantName = "acme"

// Issuers of the loyalty numbers that the benchmark makes up.
const (
	knownIssuer   = "9001"
	unknownIssuer = "9002"
)

// knownTID is TID number i of those that central knows.
func knownTID(i int) (tid.TID, error) {
	return tid.NewLoyalty(knownIssuer, fmt.Appendf(nil, "%010d", i))
}

// household is the ordinal of the household of TID number i: two for five TIDs.
func household(i int) int { return i / 5 * 2 }

// centralFolder gives a folder with the database of a central that knows so many
// TIDs, and its key-encryption key. It is kept in cache from one run to the next,
// brought to a newer schema as any database is, and made anew if this program's
// central would not find the TIDs in it.
func centralFolder(ctx context.Context, centrald, cache string, keys int, say progress) (string, error) {
	dir := filepath.Join(cache, fmt.Sprintf("central-%d", keys))
	if knows(ctx, dir, keys) || ctx.Err() != nil {
		return dir, ctx.Err()
	}
	part, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	if out, err := command(ctx, centrald, "init", "--database", databaseIn(part), "--host", "127.0.0.1", "--tenant", tenantName).CombinedOutput(); err != nil {
		return "", fmt.Errorf("set up central: %w: %s", err, out)
	}
	if err := fill(ctx, part, keys, say); err != nil {
		return "", fmt.Errorf("fill central's database: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Rename(part, dir)
}

func databaseIn(dir string) string { return filepath.Join(dir, "central.db") }

// rows makes TIDs into rows of the store by central's own code. It is the store of a
// directory that knows nothing, and keeps what that would store.
type rows struct {
	directory.Store // what a directory that adds never asks for
	row             store.TID
}

// Link keeps a row.
func (r *rows) Link(_ context.Context, _ store.Act, t store.TID, to identity.HHID) (store.Entry, error) {
	r.row = t
	return store.Entry{Tenant: t.Tenant, Fingerprint: t.Fingerprint, HHID: to, Change: 1}, nil
}

// EntriesWithPrefix says that a fingerprint is not the only one that begins so.
func (r *rows) EntriesWithPrefix(context.Context, int64, [8]byte) ([]store.Entry, error) {
	return nil, errors.New("two TIDs in one place")
}

// maker makes rows. The directory grows with every one, so that a maker is good for
// so many.
type maker struct {
	rows *rows
	dir  *directory.Directory
}

const perMaker = 100_000

func newMaker(k *server.Keys) (*maker, error) {
	r := &rows{}
	d, err := k.Directory(r, "", time.Now)
	return &maker{r, d}, err
}

func (m *maker) make(ctx context.Context, i int) (store.TID, error) {
	secret, err := knownTID(i)
	if err != nil {
		return store.TID{}, err
	}
	_, err = m.dir.Link(ctx, store.Act{}, tenantName, secret, identity.HHID{7: 1})
	return m.rows.row, err
}

// open opens a central's database and keys.
func open(ctx context.Context, dir string) (*store.SQL, *server.Keys, error) {
	kek, err := vault.ReadFile(filepath.Join(dir, "kek"))
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(ctx, databaseIn(dir), true)
	if err != nil {
		return nil, nil, err
	}
	keys, err := server.OpenKeys(ctx, st, kek)
	if err != nil {
		st.Close()
	}
	return st, keys, err
}

// knows reports whether a folder holds a database in which this program's central
// finds the TIDs.
func knows(ctx context.Context, dir string, n int) bool {
	if _, err := os.Stat(databaseIn(dir)); err != nil {
		return false
	}
	st, keys, err := open(ctx, dir)
	if err != nil {
		return false
	}
	defer st.Close()
	m, err := newMaker(keys)
	if err != nil {
		return false
	}
	for _, i := range []int{0, n / 2, n - 1} {
		row, err := m.make(ctx, i)
		if err != nil {
			return false
		}
		found, err := st.EntriesWithPrefix(ctx, row.Tenant, [8]byte(row.Fingerprint[:8]))
		if err != nil || !slices.ContainsFunc(found, func(e store.Entry) bool { return e.Fingerprint == row.Fingerprint }) {
			return false
		}
	}
	return true
}

// filling is a TID on its way into the database.
type filling struct {
	fingerprint, deident [16]byte
	sealed               [60]byte
	ordinal              uint32
}

func fill(ctx context.Context, dir string, n int, say progress) error {
	st, keys, err := open(ctx, dir)
	if err != nil {
		return err
	}
	all, sample, err := makeAll(ctx, keys, n, say)
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	say("sorting")
	slices.SortFunc(all, func(a, b filling) int { return cmp.Compare(head(a), head(b)) })
	hhids := make([]uint64, household(n-1)+2)
	for i := range hhids {
		hhids[i] = rand.Uint64N(1<<63) + 1
	}
	slices.Sort(hhids)
	return write(ctx, databaseIn(dir), all, hhids, sample, say)
}

func head(f filling) uint64 { return binary.BigEndian.Uint64(f.fingerprint[:]) }

// makeAll makes all rows, and gives one as the store has it.
func makeAll(ctx context.Context, keys *server.Keys, n int, say progress) ([]filling, store.TID, error) {
	all := make([]filling, n)
	var sample store.TID
	var next atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil && ctx.Err() == nil {
				from := int(next.Add(perMaker)) - perMaker
				if from >= n {
					return
				}
				say("making TIDs: %d %%", 100*from/n)
				var last store.TID
				last, errs[w] = makeSome(ctx, keys, all, from, min(from+perMaker, n))
				if from == 0 {
					sample = last
				}
			}
		})
	}
	wg.Wait()
	return all, sample, errors.Join(append(errs, ctx.Err())...)
}

func makeSome(ctx context.Context, keys *server.Keys, all []filling, from, to int) (row store.TID, err error) {
	m, err := newMaker(keys)
	for i := from; i < to && err == nil; i++ {
		if row, err = m.make(ctx, i); err == nil && len(row.Sealed) != len(all[i].sealed) {
			err = fmt.Errorf("a sealed TID has %d bytes, not %d: mend bench/fill.go", len(row.Sealed), len(all[i].sealed))
		}
		if err == nil {
			all[i] = filling{row.Fingerprint, row.DeIdent, [60]byte(row.Sealed), uint32(i)}
		}
	}
	return row, err
}

// write puts the rows into the tables in the order of their keys, and builds the
// indexes last. It writes past the store, which is made for few at a time.
func write(ctx context.Context, path string, all []filling, hhids []uint64, like store.TID, say progress) error {
	db, err := sql.Open("sqlite3", "file:"+path+"?_synchronous=OFF&_cache_size=-500000&_locking_mode=EXCLUSIVE&_foreign_keys=0")
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	indexes, err := dropIndexes(ctx, conn)
	if err != nil {
		return err
	}
	at := like.CreatedAt.UnixMilli()
	err = insert(ctx, conn, "households (hhid, tenant, created_at)", 3, len(hhids), func(i int, args []any) {
		args[0], args[1], args[2] = binary.BigEndian.AppendUint64(nil, hhids[i]), like.Tenant, at
	}, say)
	if err != nil {
		return err
	}
	columns := "tids (tenant, fingerprint, sealed, hhid, deident, deident_version, kind, opted_out, created_at, change)"
	err = insert(ctx, conn, columns, 10, len(all), func(i int, args []any) {
		f := &all[i]
		copy(args, []any{like.Tenant, f.fingerprint[:], f.sealed[:], binary.BigEndian.AppendUint64(nil, hhids[household(int(f.ordinal))]), f.deident[:],
			like.DeIdentVersion, like.Kind, 0, at, int64(f.ordinal) + 1})
	}, say)
	if err != nil {
		return err
	}
	for i, index := range indexes {
		say("building indexes: %d of %d", i+1, len(indexes))
		if _, err := conn.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, "UPDATE counters SET value = ? WHERE name = 'change'", len(all)); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "PRAGMA journal_mode=WAL")
	return err
}

// dropIndexes takes the indexes away, and gives the statements that make them again.
func dropIndexes(ctx context.Context, conn *sql.Conn) (make []string, err error) {
	if _, err := conn.ExecContext(ctx, "PRAGMA journal_mode=OFF"); err != nil {
		return nil, err
	}
	r, err := conn.QueryContext(ctx, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('tids', 'households') AND sql IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var drop []string
	for r.Next() {
		var name, statement string
		if err := r.Scan(&name, &statement); err != nil {
			return nil, err
		}
		drop, make = append(drop, "DROP INDEX "+name), append(make, statement)
	}
	if err := errors.Join(r.Err(), r.Close()); err != nil {
		return nil, err
	}
	for _, statement := range drop {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	return make, nil
}

// insert inserts n rows, many with one statement.
func insert(ctx context.Context, conn *sql.Conn, table string, columns, n int, row func(i int, args []any), say progress) error {
	const many = 40
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	for from := 0; from < n; {
		count := min(many, n-from)
		one := "(?" + strings.Repeat(", ?", columns-1) + ")"
		statement, err := conn.PrepareContext(ctx, "INSERT INTO "+table+" VALUES "+one+strings.Repeat(", "+one, count-1))
		if err != nil {
			return err
		}
		args := make([]any, columns*count)
		for ; count > 0 && from+count <= n; from += count {
			for i := range count {
				row(from+i, args[i*columns:(i+1)*columns])
			}
			if _, err := statement.ExecContext(ctx, args...); err != nil {
				return errors.Join(err, statement.Close())
			}
			if from%(1000*many) == 0 {
				say("writing central's database: %d %% of %.10s", 100*from/n, table)
			}
		}
		if err := statement.Close(); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, "COMMIT")
	return err
}
