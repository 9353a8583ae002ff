package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/identity"
)

// BenchmarkNewHouseholds has many ask for new households at once, on SQLite. It prints
// how many were durable in a second and how many shared a commit, and the time that one
// took as a multiple of the p50 of a bare commit: a preallocated 4 KiB write and
// fdatasync, measured before and after on the same disk.
func BenchmarkNewHouseholds(b *testing.B) {
	const (
		callers = 256 // as many as central lets in
		phase   = 2 * time.Second
	)
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "central.db"), true)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Init(b.Context(), Act{}, Installation{KEK: "k", Hosts: []string{"h"}, CreatedAt: time.Now()}, "acme", nil); err != nil {
		b.Fatal(err)
	}
	commits := &counting{database: s.db}
	s.db = commits
	var mu sync.Mutex
	var times, floors []time.Duration
	var took, cpu time.Duration
	for b.Loop() {
		floors = append(floors, bareCommits(b, 200)...)
		before, begun := usage(b), time.Now()
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				var mine []time.Duration
				for last := begun; last.Sub(begun) < phase; {
					if _, created, err := s.Add(context.Background(), newTID()); err != nil || !created {
						b.Error(created, err)
						return
					}
					now := time.Now()
					mine = append(mine, now.Sub(last))
					last = now
				}
				mu.Lock()
				defer mu.Unlock()
				times = append(times, mine...)
			})
		}
		wg.Wait()
		took += time.Since(begun)
		cpu += usage(b) - before
		floors = append(floors, bareCommits(b, 200)...)
	}
	slices.Sort(times)
	slices.Sort(floors)
	bare := floors[len(floors)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(times))/took.Seconds(), "households/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(len(times)), "cpu-µs/household")
	b.ReportMetric(float64(len(times))/float64(commits.n.Load()), "rows/commit")
	b.ReportMetric(float64(took.Microseconds())/float64(commits.n.Load()), "commit-µs")
	b.ReportMetric(float64(bare.Microseconds()), "bare-commit-µs")
	b.ReportMetric(float64(times[len(times)/2])/float64(bare), "p50-x-bare")
	b.ReportMetric(float64(times[len(times)*99/100])/float64(bare), "p99-x-bare")
	b.ReportMetric(float64(times[len(times)*99/100])*float64(commits.n.Load())/float64(took), "p99-in-commits")
}

// counting counts the transactions of batches.
type counting struct {
	database
	n    atomic.Int64
	last *sql.Tx // of the goroutine that runs them
}

func (c *counting) Batch(ctx context.Context, fn func(*sql.Tx) error) error {
	return c.database.Batch(ctx, func(tx *sql.Tx) error {
		if c.last != tx {
			c.last = tx
			c.n.Add(1)
		}
		return fn(tx)
	})
}

// newTID is one that nobody has seen, with what a real one has in the database.
func newTID() TID {
	var r [36]byte
	rand.Read(r[:])
	return TID{Tenant: 1, Fingerprint: [16]byte(r[:16]), FingerprintKey: 1, Sealed: slices.Concat(r[:], r[:24]), DeIdent: [16]byte(r[16:32]), DeIdentVersion: 1,
		Kind: identity.Payment, CreatedAt: time.UnixMilli(int64(binary.BigEndian.Uint32(r[32:])))}
}

func bareCommits(b *testing.B, n int) (times []time.Duration) {
	f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	write := func(i int) {
		if _, err := f.WriteAt(block, int64(i%64)*4096); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 64 {
		write(i)
	}
	for i := range n {
		begun := time.Now()
		write(i)
		times = append(times, time.Since(begun))
	}
	return times
}

// usage is the processor time of this process so far.
func usage(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
