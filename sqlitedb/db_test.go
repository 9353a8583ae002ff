package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"posd/sqldb"
)

const testID = 0x74657374

// steps gives a file system of migrations, one for each text.
func steps(texts ...string) fs.FS {
	fsys := fstest.MapFS{}
	for i, text := range texts {
		fsys[fmt.Sprintf("migrations/%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

var oneTable = steps("CREATE TABLE t (n INTEGER PRIMARY KEY, v BLOB) STRICT;")

func mustOpen(t testing.TB, path string, migrations fs.FS) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, migrations, Options{ApplicationID: testID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newTestDB(t testing.TB) *DB {
	return mustOpen(t, filepath.Join(t.TempDir(), "a b?%.db"), oneTable)
}

func insert(n int) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO t (n) VALUES (?)", n)
		return err
	}
}

func count(t testing.TB, db *DB) (n int) {
	t.Helper()
	if err := db.Read().QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPragmas(t *testing.T) {
	db := newTestDB(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = mustOpen(t, db.path, oneTable) // what holds for a new file must hold for an old one
	for _, test := range []struct{ pragma, writer, reader string }{
		{"journal_mode", "wal", "wal"},
		{"synchronous", "2", "2"},
		{"secure_delete", "1", "1"},
		{"foreign_keys", "1", "1"},
		{"busy_timeout", "5000", "5000"},
		{"temp_store", "2", "2"},
		{"trusted_schema", "0", "0"},
		{"cell_size_check", "1", "1"},
		{"query_only", "0", "1"},
		{"application_id", fmt.Sprint(testID), fmt.Sprint(testID)},
	} {
		for name, pool := range map[string]*sql.DB{"writer": db.writer, "reader": db.reader} {
			want := map[string]string{"writer": test.writer, "reader": test.reader}[name]
			var got string
			if err := pool.QueryRow("PRAGMA " + test.pragma).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s: %s = %s, want %s", name, test.pragma, got, want)
			}
		}
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, path, oneTable)
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("x.db%s has mode %v", suffix, info.Mode())
		}
	}
}

func TestWriteCommitsAllOrNothing(t *testing.T) {
	db := newTestDB(t)
	boom := errors.New("boom")
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		return errors.Join(insert(1)(tx), boom)
	})
	if !errors.Is(err, boom) || count(t, db) != 0 {
		t.Errorf("after a failed write: %v, %d rows", err, count(t, db))
	}
	func() {
		defer func() { recover() }()
		db.Write(t.Context(), func(tx *sql.Tx) error { insert(2)(tx); panic("boom") })
	}()
	if n := count(t, db); n != 0 {
		t.Errorf("after a panic: %d rows", n)
	}
	if err := db.Write(t.Context(), insert(3)); err != nil || count(t, db) != 1 {
		t.Errorf("after a good write: %v, %d rows", err, count(t, db))
	}
}

func TestWritersWaitForEachOther(t *testing.T) {
	db := newTestDB(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := db.Write(context.Background(), func(tx *sql.Tx) error {
				var n int
				if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
					return err
				}
				return insert(n)(tx) // fails if another writer came between
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
}

func TestWaitingWriterGivesUpWithItsContext(t *testing.T) {
	db := newTestDB(t)
	err := db.Write(t.Context(), func(*sql.Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return db.Write(ctx, insert(1))
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRunningWriteOutlivesItsContext(t *testing.T) {
	db := newTestDB(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(ctx, func(tx *sql.Tx) error { cancel(); return insert(1)(tx) })
	if err != nil || count(t, db) != 1 {
		t.Errorf("got %v, %d rows", err, count(t, db))
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := newTestDB(t)
	if err := db.View(t.Context(), insert(1)); !errors.Is(err, sqldb.ErrReadOnly) {
		t.Errorf("View: %v", err)
	}
	if _, err := db.Read().Exec("INSERT INTO t (n) VALUES (1)"); err == nil {
		t.Error("Read().Exec wrote")
	}
}

func TestViewSeesOneState(t *testing.T) {
	db := newTestDB(t)
	err := db.View(t.Context(), func(tx *sql.Tx) error {
		var before, after int
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&before); err != nil {
			return err
		}
		if err := db.Write(t.Context(), insert(1)); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&after); err != nil {
			return err
		}
		if before != after {
			t.Errorf("%d rows, then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckpointLeavesNothingDeletedInAnyFile(t *testing.T) {
	db := newTestDB(t)
	secret := strings.Repeat("0123456789abcdef", 300)
	write := func(query string, args ...any) {
		t.Helper()
		err := db.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(query, args...); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	write("INSERT INTO t VALUES (1, ?)", []byte(secret))
	write("DELETE FROM t")
	if !holds(t, db.path+"-wal", secret[:64]) {
		t.Fatal("the log does not hold what was written: this test proves nothing")
	}
	if err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		if holds(t, db.path+suffix, secret[:64]) {
			t.Errorf("the deleted text is still in the file%s", suffix)
		}
	}
}

func TestCheckpointDoesNotWaitForASlowReader(t *testing.T) {
	db := newTestDB(t)
	err := db.View(t.Context(), func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
			return err
		}
		if err := db.Write(t.Context(), insert(1)); err != nil {
			return err
		}
		if err := db.Checkpoint(t.Context()); !errors.Is(err, sqldb.ErrLocked) {
			t.Errorf("beside a reader: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Checkpoint(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	var timeout int
	if err := db.writer.QueryRow("PRAGMA busy_timeout").Scan(&timeout); err != nil || timeout != 5000 {
		t.Errorf("writers now wait %d ms for a lock (%v)", timeout, err)
	}
}

func holds(t *testing.T, path, text string) bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(data), text)
}

func TestCloseLeavesOnlyTheDatabase(t *testing.T) {
	db := newTestDB(t)
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(db.path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := db.Write(t.Context(), insert(2)); err == nil {
		t.Error("a closed database was written")
	}
}
