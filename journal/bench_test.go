package journal

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/basket"
)

// BenchmarkAppendLine gives the median time in which a scanned line is durable,
// and its ratio to the floor: a preallocated 4 KiB write and fdatasync that
// alternates with it.
func BenchmarkAppendLine(b *testing.B) {
	j := mustOpen(b, filepath.Join(b.TempDir(), "journal.db"))
	id := basket.NewID()
	if err := j.Open(b.Context(), basket.Basket{ID: id, Kind: basket.Sale, OpenedAt: time.Now()}, 0); err != nil {
		b.Fatal(err)
	}
	n := 0
	alternate(b, func() error {
		n++
		return j.AppendLine(b.Context(), id, line(n), time.Duration(n))
	})
}

// BenchmarkSale is a whole basket: opened, ten lines, one card, answered, closed
// and acknowledged.
func BenchmarkSale(b *testing.B) {
	j := mustOpen(b, filepath.Join(b.TempDir(), "journal.db"))
	alternate(b, func() error {
		s := newSealed(seeded())
		if err := j.Open(b.Context(), basket.Basket{ID: s.Basket, Kind: basket.Sale, OpenedAt: time.Now()}, 0); err != nil {
			return err
		}
		for n := range 10 {
			if err := j.AppendLine(b.Context(), s.Basket, line(n+1), 0); err != nil {
				return err
			}
		}
		if err := j.AppendIdentity(b.Context(), s, 0); err != nil {
			return err
		}
		answered(b, j, s)
		if _, err := j.Close(b.Context(), s.Basket, basket.Closed, time.Now(), 0); err != nil {
			return err
		}
		q, err := j.Queued(b.Context(), 0, 1)
		if err != nil {
			return err
		}
		_, err = j.Acknowledge(b.Context(), s.Basket, 1, basket.Receipt{LogID: "log", Digest: q[0].Digest}, 0)
		return err
	})
}

func alternate(b *testing.B, op func() error) {
	floor := newFloor(b)
	var ops, floors []time.Duration
	for b.Loop() {
		floors = append(floors, floor(len(floors)))
		start := time.Now()
		if err := op(); err != nil {
			b.Fatal(err)
		}
		ops = append(ops, time.Since(start))
	}
	median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2].Microseconds()) }
	b.ReportMetric(median(floors), "floor-µs")
	b.ReportMetric(median(ops), "op-µs")
	b.ReportMetric(median(ops)/median(floors), "x-floor")
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
