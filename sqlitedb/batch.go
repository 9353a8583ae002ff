package sqlitedb

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// maxBatch bounds how many functions share a commit, and so how long the first
// of them waits for the last.
const maxBatch = 128

// Batch is Write for many goroutines at once: functions that wait for the same
// disk share one commit. Each has a savepoint of its own: where one returns an
// error, only its own work is undone. Batch returns once fn's work is durable,
// or failed; it gives up with ctx only while fn has not begun.
func (db *DB) Batch(ctx context.Context, fn func(*sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	job := &job{fn: fn, done: make(chan struct{})}
	if !db.batch.add(job, db) {
		return fmt.Errorf("write %s: %w", db.path, sql.ErrConnDone)
	}
	select {
	case <-job.done:
	case <-ctx.Done():
		if db.batch.remove(job) {
			return ctx.Err()
		}
		<-job.done
	}
	if job.panicked != nil {
		panic(job.panicked)
	}
	return job.err
}

// job is one function on its way through a batch.
type job struct {
	fn       func(*sql.Tx) error
	err      error
	panicked any
	done     chan struct{}
}

// batcher collects jobs while the one before commits. Its goroutine lives only
// as long as there are any.
type batcher struct {
	mu      sync.Mutex
	waiting []*job
	running bool
	stopped bool
	idle    sync.WaitGroup
}

func (b *batcher) add(j *job, db *DB) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	b.waiting = append(b.waiting, j)
	if !b.running {
		b.running = true
		b.idle.Go(func() { b.run(db) })
	}
	return true
}

func (b *batcher) remove(j *job) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == j {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// next takes the jobs of the next commit; none are left when it ends the run.
func (b *batcher) next() []*job {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxBatch)
	jobs := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.running = n > 0
	return jobs
}

// stop refuses further jobs and waits for those taken.
func (b *batcher) stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	b.idle.Wait()
}

func (b *batcher) run(db *DB) {
	for jobs := b.next(); len(jobs) > 0; jobs = b.next() {
		err := db.Write(context.Background(), func(tx *sql.Tx) error {
			for _, j := range jobs {
				if err := j.run(tx); err != nil {
					return err
				}
			}
			return nil
		})
		for _, j := range jobs {
			if j.err == nil {
				j.err = err
			}
			j.err = db.explain("write", j.err)
			close(j.done)
		}
	}
}

// run gives the job's function a savepoint. It returns an error only if the
// whole transaction is lost with it.
func (j *job) run(tx *sql.Tx) error {
	if _, err := tx.Exec("SAVEPOINT job"); err != nil {
		return err
	}
	if j.err = j.call(tx); j.err != nil {
		if _, err := tx.Exec("ROLLBACK TO job"); err != nil {
			return err
		}
	}
	_, err := tx.Exec("RELEASE job")
	return err
}

// call hands a panic over to the goroutine that brought the function.
func (j *job) call(tx *sql.Tx) (err error) {
	defer func() {
		if j.panicked = recover(); j.panicked != nil {
			err = fmt.Errorf("panic in a transaction: %v", j.panicked)
		}
	}()
	return j.fn(tx)
}
