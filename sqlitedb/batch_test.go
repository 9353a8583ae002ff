package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
)

func TestBatchSharesCommits(t *testing.T) {
	db := newTestDB(t)
	const jobs = 300
	inside, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // holds the disk until the others wait
		db.Write(t.Context(), func(*sql.Tx) error { close(inside); <-release; return nil })
	})
	<-inside
	odd := errors.New("odd")
	for i := range jobs {
		wg.Go(func() {
			err := db.Batch(t.Context(), func(tx *sql.Tx) error {
				if err := insert(i)(tx); err != nil || i%2 == 0 {
					return err
				}
				return odd
			})
			if want := map[int]error{0: nil, 1: odd}[i%2]; !errors.Is(err, want) {
				t.Errorf("job %d: %v", i, err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := count(t, db); n != jobs/2 {
		t.Errorf("%d rows, want %d", n, jobs/2)
	}
}

func TestBatchHandsPanicsToTheirCaller(t *testing.T) {
	db := newTestDB(t)
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v", r)
			}
		}()
		db.Batch(t.Context(), func(tx *sql.Tx) error { insert(1)(tx); panic("boom") })
	}()
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows kept of a panic", n)
	}
}

func TestBatchGivesUpOnlyBeforeItBegins(t *testing.T) {
	db := newTestDB(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Batch(ctx, func(tx *sql.Tx) error {
		waiting, stop := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- db.Batch(waiting, insert(1)) }()
		stop()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("a job that waits: %v", err)
		}
		cancel()
		return insert(2)(tx)
	})
	if err != nil || count(t, db) != 1 {
		t.Errorf("a job that runs: %v, %d rows", err, count(t, db))
	}
}

func TestBatchAfterClose(t *testing.T) {
	db := newTestDB(t)
	db.Close()
	if err := db.Batch(t.Context(), insert(1)); err == nil {
		t.Error("a closed database was written")
	}
}
