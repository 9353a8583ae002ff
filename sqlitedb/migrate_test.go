package sqlitedb

import (
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"posd/sqldb"
)

func TestMigrationsAreAppliedOnceAndInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := mustOpen(t, path, oneTable)
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	db.Close()
	two := steps("CREATE TABLE t (n INTEGER PRIMARY KEY, v BLOB) STRICT;", "ALTER TABLE t ADD COLUMN w TEXT; CREATE TABLE u (n INTEGER) STRICT;")
	for range 2 {
		db = mustOpen(t, path, two)
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows, want the one written before", n)
		}
		var versions int
		if err := db.Read().QueryRow("SELECT count(w) + (SELECT count(*) FROM u) + (SELECT count(*) FROM schema) FROM t").Scan(&versions); err != nil || versions != 2 {
			t.Errorf("%d migrations recorded, want 2 (%v)", versions, err)
		}
		db.Close()
	}
}

func TestMigrationThatFailsLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	bad := steps("CREATE TABLE t (n INTEGER PRIMARY KEY, v BLOB) STRICT;", "CREATE TABLE u (n INTEGER); CREATE TABLE t (n INTEGER);")
	_, err := Open(t.Context(), path, bad, Options{ApplicationID: testID})
	if err == nil || !strings.Contains(err.Error(), "0002_step.sql") {
		t.Fatalf("got %v", err)
	}
	db := mustOpen(t, path, oneTable)
	if err := db.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec("SELECT * FROM u"); return err }); err == nil {
		t.Error("half a migration was kept")
	}
}

func TestNewerSchemas(t *testing.T) {
	table := "CREATE TABLE t (n INTEGER PRIMARY KEY, v BLOB) STRICT;"
	for name, test := range map[string]struct {
		second string
		want   error
	}{
		"additive is served":        {"CREATE TABLE u (n INTEGER);", nil},
		"what breaks us is refused": {"-- min_reader: 2\nDROP TABLE t;", sqldb.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			mustOpen(t, path, steps(table, test.second)).Close()
			for _, open := range []func() (*DB, error){
				func() (*DB, error) { return Open(t.Context(), path, oneTable, Options{ApplicationID: testID}) },
				func() (*DB, error) {
					return OpenReadOnly(t.Context(), path, oneTable, Options{ApplicationID: testID})
				},
			} {
				db, err := open()
				if !errors.Is(err, test.want) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				if err == nil {
					db.Close()
					continue
				}
				for _, word := range []string{path, "schema 2", "knows up to 1"} {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q does not say %q", err, word)
					}
				}
			}
		})
	}
}

func TestChangedMigrationIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	mustOpen(t, path, oneTable).Close()
	_, err := Open(t.Context(), path, steps("CREATE TABLE t (other TEXT);"), Options{ApplicationID: testID})
	if err == nil || !strings.Contains(err.Error(), "schema 1") {
		t.Errorf("got %v", err)
	}
}

func TestTwoProgramsMigrateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := Open(t.Context(), path, oneTable, Options{ApplicationID: testID})
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	wg.Wait()
}

func TestOpenReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	opt := Options{ApplicationID: testID}
	if _, err := OpenReadOnly(t.Context(), path, oneTable, opt); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	service := mustOpen(t, path, oneTable)
	look, err := OpenReadOnly(t.Context(), path, oneTable, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	if err := service.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, look); n != 1 {
		t.Errorf("%d rows seen beside the service, want 1", n)
	}
	if look.Write(t.Context(), insert(2)) == nil || look.Checkpoint(t.Context()) == nil {
		t.Error("a database opened for reading was written")
	}
	two := steps("CREATE TABLE t (n INTEGER PRIMARY KEY, v BLOB) STRICT;", "CREATE TABLE u (n INTEGER);")
	if _, err := OpenReadOnly(t.Context(), path, two, opt); !errors.Is(err, sqldb.ErrOlder) {
		t.Errorf("older schema: %v", err)
	}
}
