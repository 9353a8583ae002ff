package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// maxBatch bounds how many functions share a commit, and so how long the first
// of them waits for the last.
const maxBatch = 128

// Batcher lets functions that wait for the same database share one transaction
// and its commit. Make one with NewBatcher.
type Batcher struct {
	db      Writer
	mu      sync.Mutex
	waiting []*job
	running bool
	stopped bool
	idle    sync.WaitGroup
}

// Writer is the database that a Batcher commits to.
type Writer interface {
	// Write runs fn in a transaction; it may call fn again, for the whole of it.
	Write(ctx context.Context, fn func(*sql.Tx) error) error
	// Lost reports whether after err nothing of a transaction can be kept, also
	// not what came before a savepoint.
	Lost(err error) bool
	// Explain says what err is about.
	Explain(op string, err error) error
}

// NewBatcher gives a Batcher for db.
func NewBatcher(db Writer) *Batcher { return &Batcher{db: db} }

// Do is Write for many goroutines at once. Each function has a savepoint of its
// own: where one returns an error, only its own work is undone. Do returns once
// fn's work is durable, or failed; it gives up with ctx only while fn has not
// begun.
func (b *Batcher) Do(ctx context.Context, fn func(*sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	job := &job{fn: fn, done: make(chan struct{})}
	if !b.add(job) {
		return b.db.Explain("write", sql.ErrConnDone)
	}
	select {
	case <-job.done:
	case <-ctx.Done():
		if b.remove(job) {
			return ctx.Err()
		}
		<-job.done
	}
	if job.panicked != nil {
		panic(job.panicked)
	}
	return job.err
}

// Stop refuses further functions and waits for those taken.
func (b *Batcher) Stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	b.idle.Wait()
}

// job is one function on its way through a batch.
type job struct {
	fn       func(*sql.Tx) error
	err      error
	panicked any
	done     chan struct{}
}

// add has a job wait while the batch before it commits. The goroutine that
// commits lives only as long as there are jobs.
func (b *Batcher) add(j *job) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	b.waiting = append(b.waiting, j)
	if !b.running {
		b.running = true
		b.idle.Go(b.run)
	}
	return true
}

func (b *Batcher) remove(j *job) bool {
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
func (b *Batcher) next() []*job {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxBatch)
	jobs := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.running = n > 0
	return jobs
}

func (b *Batcher) run() {
	for jobs := b.next(); len(jobs) > 0; jobs = b.next() {
		err := b.db.Write(context.Background(), func(tx *sql.Tx) error { return b.runAll(tx, jobs) })
		for _, j := range jobs {
			if j.err == nil {
				j.err = err
			}
			j.err = b.db.Explain("write", j.err)
			close(j.done)
		}
	}
}

// runAll gives each job a savepoint. It returns an error only if the whole
// transaction is lost with it.
func (b *Batcher) runAll(tx *sql.Tx, jobs []*job) error {
	begin := "SAVEPOINT job"
	for _, j := range jobs {
		j.err = nil
		if _, err := tx.Exec(begin); err != nil {
			return err
		}
		begin = "RELEASE SAVEPOINT job; SAVEPOINT job"
		if j.err = j.call(tx); j.err == nil {
			continue
		}
		if b.db.Lost(j.err) {
			return j.err
		}
		if _, err := tx.Exec("ROLLBACK TO SAVEPOINT job"); err != nil {
			return err
		}
	}
	return nil
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
