package sqlitedb

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkCommit gives the median of one row's commit as a ratio to the floor:
// a preallocated 4 KiB write and fdatasync, alternating with it.
func BenchmarkCommit(b *testing.B) {
	db := newTestDB(b)
	floor := newFloor(b)
	var commits, floors []time.Duration
	for n := 0; b.Loop(); n++ {
		floors = append(floors, floor(n))
		start := time.Now()
		if err := db.Write(b.Context(), insert(n)); err != nil {
			b.Fatal(err)
		}
		commits = append(commits, time.Since(start))
	}
	median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2].Microseconds()) }
	b.ReportMetric(median(floors), "floor-µs")
	b.ReportMetric(median(commits), "commit-µs")
	b.ReportMetric(median(commits)/median(floors), "x-floor")
}

func newFloor(b *testing.B) func(n int) time.Duration {
	const blocks = 256
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	block := make([]byte, 4096)
	for n := range blocks {
		if _, err := f.WriteAt(block, int64(n)*4096); err != nil {
			b.Fatal(err)
		}
	}
	f.Sync()
	return func(n int) time.Duration {
		start := time.Now()
		if _, err := f.WriteAt(block, int64(n%blocks)*4096); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
}
