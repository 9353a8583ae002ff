package postgresdb

import (
	"database/sql"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"posd/postgresdb/postgrestest"
	"posd/sqldb"
)

// server is a server of a test's own, which runs.
func server(t *testing.T) *postgrestest.Server {
	t.Helper()
	postgrestest.Require(t)
	s, err := postgrestest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Remove)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServerRestarts(t *testing.T) {
	s := server(t)
	db, other := mustOpen(t, s.URL("postgres"), steps(table)), mustOpen(t, s.URL("postgres"), steps(table))
	changed := make(chan struct{}, 100)
	var wg sync.WaitGroup
	wg.Go(func() { db.Listen(t.Context(), func() { changed <- struct{}{} }) })
	<-changed // it listens
	for n := range 3 {
		if err := other.Write(t.Context(), insert(n)); err != nil {
			t.Fatal(err)
		}
		<-changed
		for _, db := range []*DB{db, other} { // connections that will be lost
			if err := errors.Join(db.Batch(t.Context(), insert(10*n+100+count(t, db)))); err != nil {
				t.Fatal(err)
			}
		}
		s.Kill()
		if err := db.Write(t.Context(), insert(1000)); !errors.Is(err, sqldb.ErrUnreachable) {
			t.Errorf("a server that is down: %v", err)
		}
		for len(changed) > 0 {
			<-changed
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		<-changed // it listens again, and may have missed something
	}
	if err := db.Write(t.Context(), insert(1000)); err != nil || count(t, db) != 10 {
		t.Errorf("%v, %d rows", err, count(t, db))
	}
}

// TestLostConnectionsAreMadeAgain: a use does not fail because the connections that
// the pool had were lost in the meantime.
func TestLostConnectionsAreMadeAgain(t *testing.T) {
	s := server(t)
	db := mustOpen(t, s.URL("postgres"), steps(table))
	for n := range 5 {
		if err := db.Write(t.Context(), insert(n)); err != nil || count(t, db) != n+1 {
			t.Fatal(err)
		}
		if err := s.Exec("postgres", "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'test'"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTransactionThatLosesItsConnectionIsNotRunAgain(t *testing.T) {
	s := server(t)
	db := mustOpen(t, s.URL("postgres"), steps(table))
	calls := 0
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		calls++
		if err := insert(1)(tx); err != nil {
			return err
		}
		_, err := tx.Exec("SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	if !errors.Is(err, sqldb.ErrUnreachable) || calls != 1 || count(t, db) != 0 {
		t.Errorf("%v, %d calls, %d rows", err, calls, count(t, db))
	}
}

// TestServerThatHangs stops the server's processes: its kernel answers, it does not.
func TestServerThatHangs(t *testing.T) {
	s := server(t)
	db := mustOpen(t, s.URL("postgres"), steps(table))
	cfg, err := parse(s.URL("postgres"), ours)
	if err != nil {
		t.Fatal(err)
	}
	impatient := &DB{name: db.name, reader: db.reader, writer: pool(cfg, 1, 300*time.Millisecond, session())}
	defer impatient.writer.Close()
	if err := impatient.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	var pid int
	err = impatient.Write(t.Context(), func(tx *sql.Tx) error {
		if err := tx.QueryRow("SELECT pg_backend_pid()").Scan(&pid); err != nil {
			return err
		}
		syscall.Kill(pid, syscall.SIGSTOP)
		return insert(2)(tx)
	})
	syscall.Kill(pid, syscall.SIGCONT)
	if !errors.Is(err, sqldb.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if err := s.Await("SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'idle in transaction'"); err != nil {
		t.Error(err)
	}
	if err := impatient.Write(t.Context(), insert(3)); err != nil || count(t, db) != 2 {
		t.Errorf("afterwards: %v, %d rows", err, count(t, db))
	}
}

// TestCommitThatIsNotReplicated: a server that is told to stop waiting for its
// standby answers COMMIT all the same.
func TestCommitThatIsNotReplicated(t *testing.T) {
	primary := server(t)
	standby, err := primary.Standby("standby")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Remove)
	if err := errors.Join(standby.Start(), primary.Synchronous("standby")); err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, primary.URL("postgres"), steps(table))
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	standby.Kill()
	result := make(chan error)
	go func() { result <- db.Write(t.Context(), insert(2)) }()
	if err := primary.Await("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"); err != nil {
		t.Fatal(err)
	}
	if err := primary.Exec("postgres", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, sqldb.ErrUnreachable) || !errors.Is(err, errNotReplicated) {
		t.Errorf("got %v", err)
	}
}

func TestStandbyIsNotWritten(t *testing.T) {
	primary := server(t)
	mustOpen(t, primary.URL("postgres"), steps(table)).Close()
	standby, err := primary.Standby("standby")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Remove)
	if err := errors.Join(standby.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), standby.URL("postgres"), steps(table), ours); !errors.Is(err, sqldb.ErrReadOnly) {
		t.Errorf("a standby alone: %v", err)
	}
	both := "postgres://postgres@/postgres?host=" + standby.Host() + "," + primary.Host()
	db := mustOpen(t, both, steps(table))
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Errorf("a standby before its primary: %v", err)
	}
	primary.Kill()
	if err := db.Write(t.Context(), insert(2)); !errors.Is(err, sqldb.ErrUnreachable) {
		t.Errorf("a standby and no primary: %v", err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), insert(3)); err != nil {
		t.Errorf("a standby that was promoted: %v", err)
	}
}
