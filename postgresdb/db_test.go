package postgresdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"posd/postgresdb/postgrestest"
	"posd/sqldb"
)

var postgres postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// steps gives a file system of migrations, one for each text.
func steps(texts ...string) fs.FS {
	fsys := fstest.MapFS{}
	for i, text := range texts {
		fsys[fmt.Sprintf("%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

const table = "CREATE TABLE t (n BIGINT PRIMARY KEY, v BYTEA);"

var ours = Options{Program: "test"}

func mustOpen(t testing.TB, url string, migrations fs.FS) *DB {
	t.Helper()
	db, err := Open(t.Context(), url, migrations, ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newTestDB(t testing.TB) *DB { return mustOpen(t, postgres.Database(t), steps(table)) }

func insert(n int) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO t (n) VALUES ($1)", n)
		return err
	}
}

// raise fails as the server does, with a code of its.
func raise(code string) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec("DO $$ BEGIN RAISE SQLSTATE '" + code + "'; END $$")
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

func TestWriteIsAllOrNothing(t *testing.T) {
	db := newTestDB(t)
	boom := errors.New("boom")
	if err := db.Write(t.Context(), func(tx *sql.Tx) error { return errors.Join(insert(1)(tx), boom) }); !errors.Is(err, boom) || count(t, db) != 0 {
		t.Errorf("failed: %v, %d rows", err, count(t, db))
	}
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was lost")
			}
		}()
		db.Write(t.Context(), func(tx *sql.Tx) error { insert(1)(tx); panic("boom") })
	}()
	if err := db.Write(t.Context(), insert(2)); err != nil || count(t, db) != 1 {
		t.Errorf("afterwards: %v, %d rows", err, count(t, db))
	}
	ignored := func(tx *sql.Tx) error { insert(3)(tx); insert(2)(tx); return nil }
	if err := db.Write(t.Context(), ignored); err == nil || count(t, db) != 1 {
		t.Errorf("an error that fn kept to itself: %v, %d rows", err, count(t, db))
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := newTestDB(t)
	if _, err := db.Read().Exec("INSERT INTO t (n) VALUES (1)"); classify(err) != sqldb.ErrReadOnly {
		t.Errorf("Read: %v", err)
	}
	if err := db.View(t.Context(), insert(1)); !errors.Is(err, sqldb.ErrReadOnly) {
		t.Errorf("View: %v", err)
	}
}

func TestViewSeesOneState(t *testing.T) {
	db := newTestDB(t)
	err := db.View(t.Context(), func(tx *sql.Tx) error {
		for range 2 {
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
				t.Errorf("%d rows, %v", n, err)
			}
			if err := db.Write(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.Exec("INSERT INTO t (n) SELECT coalesce(max(n), 0) + 1 FROM t")
				return err
			}); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil || count(t, db) != 2 {
		t.Errorf("%v, %d rows", err, count(t, db))
	}
}

// TestWritersTakeTurns: what a writer has read stays so until it has committed,
// however many there are.
func TestWritersTakeTurns(t *testing.T) {
	url := postgres.Database(t)
	const replicas, each = 6, 25
	var wg sync.WaitGroup
	var last *DB
	for r := range replicas {
		db := mustOpen(t, url, steps(table))
		last = db
		add := func(tx *sql.Tx) error {
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
				return err
			}
			return insert(n)(tx)
		}
		for i := range each {
			wg.Go(func() {
				write := db.Batch
				if (r+i)%3 == 0 {
					write = db.Write
				}
				if err := write(t.Context(), add); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := count(t, last); n != replicas*each {
		t.Errorf("%d rows, want %d", n, replicas*each)
	}
}

// TestTurnsAreTakenInOrder: who has just written does not come before those who
// waited for it.
func TestTurnsAreTakenInOrder(t *testing.T) {
	url := postgres.Database(t)
	near, far := mustOpen(t, url, steps(table)), mustOpen(t, url, steps(table))
	turn := func(n *int) func(*sql.Tx) error {
		return func(tx *sql.Tx) error { return tx.QueryRow("SELECT turn FROM writer").Scan(n) }
	}
	for range 20 {
		var waited, again int
		done := make(chan error)
		err := near.Write(t.Context(), func(*sql.Tx) error {
			go func() { done <- far.Write(t.Context(), turn(&waited)) }()
			for waiting := 0; waiting == 0; {
				if err := near.Read().QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting); err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(err, near.Write(t.Context(), turn(&again)), <-done); err != nil || waited > again {
			t.Fatalf("turn %d for the one that waited, %d for the one that came after: %v", waited, again, err)
		}
	}
}

func TestWhoWaitsForATurnCanGiveUp(t *testing.T) {
	db := newTestDB(t)
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- db.Write(ctx, insert(1)) }()
		cancel()
		if err := <-result; err == nil {
			t.Error("written out of turn")
		}
		return insert(2)(tx)
	})
	if err != nil || count(t, db) != 1 {
		t.Errorf("%v, %d rows", err, count(t, db))
	}
}

func TestConflictsAreTriedAgain(t *testing.T) {
	db := newTestDB(t)
	for n, write := range []func(context.Context, func(*sql.Tx) error) error{db.Write, db.Batch} {
		calls := 0
		err := write(t.Context(), func(tx *sql.Tx) error {
			if err := insert(n)(tx); err != nil {
				return err
			}
			if calls++; calls < 3 {
				return raise([]string{"40001", "40P01"}[calls-1])(tx)
			}
			return nil
		})
		if err != nil || calls != 3 || count(t, db) != n+1 {
			t.Errorf("%v after %d calls, %d rows", err, calls, count(t, db))
		}
	}
	if err := db.Write(t.Context(), raise("40001")); !errors.Is(err, sqldb.ErrLocked) {
		t.Errorf("a conflict that stays: %v", err)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	db := newTestDB(t)
	for code, want := range map[string]error{
		"53100": sqldb.ErrFull, "25006": sqldb.ErrReadOnly, "55P03": sqldb.ErrLocked, "XX001": sqldb.ErrDamaged, "57P03": sqldb.ErrUnreachable,
	} {
		for _, err := range []error{db.Write(t.Context(), raise(code)), db.Batch(t.Context(), raise(code))} {
			if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "write "+db.String()+": "+want.Error()) {
				t.Errorf("%s: %v", code, err)
			}
		}
	}
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestMigrationsOfManyAtOnce(t *testing.T) {
	url := postgres.Database(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := Open(t.Context(), url, steps(table, "ALTER TABLE t ADD COLUMN w TEXT", "INSERT INTO t (n) VALUES (1)"), ours)
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	wg.Wait()
	if n := count(t, mustOpen(t, url, steps(table))); n != 1 {
		t.Errorf("%d rows, want 1: a migration was applied twice", n)
	}
}

func TestMigrationThatFailsLeavesNothing(t *testing.T) {
	url := postgres.Database(t)
	_, err := Open(t.Context(), url, steps(table, "CREATE TABLE u (n BIGINT); CREATE TABLE t (n BIGINT)"), ours)
	if err == nil || !strings.Contains(err.Error(), "0002_step.sql") {
		t.Fatalf("got %v", err)
	}
	db := mustOpen(t, url, steps(table))
	if _, err := db.Read().Exec("SELECT * FROM u"); err == nil {
		t.Error("half a migration was kept")
	}
}

func TestSchemasOfOtherVersions(t *testing.T) {
	url := postgres.Database(t)
	opens := []func(fs.FS) (*DB, error){
		func(m fs.FS) (*DB, error) { return Open(t.Context(), url, m, ours) },
		func(m fs.FS) (*DB, error) { return OpenReadOnly(t.Context(), url, m, ours) },
	}
	if _, err := opens[1](steps(table)); !errors.Is(err, sqldb.ErrOlder) {
		t.Errorf("empty: %v", err)
	}
	mustOpen(t, url, steps(table)).Close()
	if _, err := opens[1](steps(table, "CREATE TABLE u (n BIGINT)")); !errors.Is(err, sqldb.ErrOlder) {
		t.Errorf("older: %v", err)
	}
	mustOpen(t, url, steps(table, "CREATE TABLE u (n BIGINT)")).Close()
	for _, open := range opens {
		db, err := open(steps(table))
		if err != nil {
			t.Fatalf("a later one that only adds: %v", err)
		}
		db.Close()
	}
	mustOpen(t, url, steps(table, "CREATE TABLE u (n BIGINT)", "-- min_reader: 3\nDROP TABLE u")).Close()
	for _, open := range opens {
		_, err := open(steps(table))
		if !errors.Is(err, sqldb.ErrNewer) || !strings.Contains(err.Error(), "at schema 3") || !strings.Contains(err.Error(), "knows up to 1") || !strings.Contains(err.Error(), "postgres://") {
			t.Errorf("a later one: %v", err)
		}
	}
	if _, err := Open(t.Context(), url, steps("CREATE TABLE other (n BIGINT)", "CREATE TABLE u (n BIGINT)", "-- min_reader: 3\nDROP TABLE u"), ours); err == nil || !strings.Contains(err.Error(), "schema 1") {
		t.Errorf("a migration that was changed: %v", err)
	}
}

func TestDatabasesOfOthers(t *testing.T) {
	url := postgres.Database(t)
	mustOpen(t, url, steps(table)).Close()
	if _, err := Open(t.Context(), url, steps(table), Options{Program: "posmaind"}); !errors.Is(err, sqldb.ErrForeign) || !strings.Contains(err.Error(), "it is test's, not posmaind's") {
		t.Errorf("another of our programs: %v", err)
	}
	url = postgres.Database(t)
	other, err := sql.Open("pgx", url)
	if err == nil {
		_, err = other.Exec("CREATE TABLE customers (n BIGINT)")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, open := range []func(context.Context, string, fs.FS, Options) (*DB, error){Open, OpenReadOnly} {
		if _, err := open(t.Context(), url, steps(table), ours); !errors.Is(err, sqldb.ErrForeign) {
			t.Errorf("somebody else's: %v", err)
		}
	}
	var tables int
	if err := other.QueryRow("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").Scan(&tables); err != nil || tables != 1 {
		t.Errorf("%d tables afterwards (%v): it was changed", tables, err)
	}
}

func TestCommitsAreDurable(t *testing.T) {
	url := postgres.Database(t)
	mustOpen(t, url, steps(table)).Close()
	db := mustOpen(t, url+"&synchronous_commit=off", steps(table))
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		var got string
		if err := tx.QueryRow("SHOW synchronous_commit").Scan(&got); err != nil || got != "on" {
			t.Errorf("synchronous_commit is %s, %v", got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := postgrestest.New("fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Remove()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), server.URL("postgres"), steps(table), ours); err == nil || !strings.Contains(err.Error(), "fsync=off") {
		t.Errorf("a server that does not write to its disk: %v", err)
	}
}

func TestNothingTellsThePassword(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, url := range []string{
		"postgres://user:" + secret + "@127.0.0.1:1/central",
		"postgres://user:" + secret + "@127.0.0.1:1,127.0.0.1:2/central?sslmode=disable",
		"postgres://user@127.0.0.1:1/central?password=" + secret,
		"postgres://user:" + secret + "@127.0.0.1:port/central",
		"postgres://user:" + secret + "%@127.0.0.1/central",
		"postgres://user:" + secret + "@127.0.0.1:1/central?sslmode=x",
		"postgres://user@127.0.0.1:1/central?sslpassword=" + secret + "&sslkey=/none&sslcert=/none",
		"postgres://user:" + secret + "@127.0.0.1:1/central?connect_timeout=x",
		"postgres://user:" + secret + "@127.0.0.1:1/central?sslrootcert=/none",
	} {
		_, err := Open(t.Context(), url, steps(table), ours)
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(Redact(url)+Name(url), secret) {
			t.Errorf("%v, %s, %s", err, Redact(url), Name(url))
		}
	}
	_, err := Open(t.Context(), "postgres://user:"+secret+"@127.0.0.1:1/central", steps(table), ours)
	if !errors.Is(err, sqldb.ErrUnreachable) || !strings.Contains(err.Error(), "postgres://127.0.0.1:1/central: it does not answer; check host") {
		t.Errorf("got %v", err)
	}
}
