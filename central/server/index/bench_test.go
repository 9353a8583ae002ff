package index

import (
	"bytes"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

var fleetKeys = flag.Int("keys", 1_000_000, "how many keys BenchmarkFleet puts into the table")

// keyOf and valueOf make keys, and values that two keys and a half have each, without
// a table of them beside the one that is measured.
func keyOf(i uint64) uint64   { return mix(i) }
func valueOf(i uint64) uint64 { return mix(i*2/5+1<<60) | 1 }

// mix spreads numbers (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// resident gives the memory that this process takes, in bytes.
func resident(tb testing.TB) int {
	tb.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kib int
	if _, err := fmt.Sscan(string(rest), &kib); err != nil {
		tb.Fatal(err)
	}
	return kib << 10
}

// fleet is a table that grows to as many keys as -keys says.
type fleet struct {
	tb     testing.TB
	table  *Table
	keys   atomic.Int64
	before int // bytes that the process took

	growing  float64 // the most bytes a key while it grew, once it was large
	slowest  time.Duration
	finished chan struct{}
	ended    chan struct{}
}

func newFleet(tb testing.TB) *fleet {
	debug.FreeOSMemory()
	f := &fleet{tb: tb, table: newTable(tb), before: resident(tb), finished: make(chan struct{}), ended: make(chan struct{})}
	go f.watch()
	f.grow(*fleetKeys)
	close(f.finished)
	<-f.ended
	return f
}

// grow puts keys in, and merges as a directory does.
func (f *fleet) grow(keys int) {
	for i := range uint64(keys) {
		f.table.Put(keyOf(i), valueOf(i))
		f.keys.Store(int64(i) + 1)
		if s := i + 1; s&(1<<16-1) == 0 || s == uint64(keys) {
			if size := f.table.Size(); size.Recent >= max(1<<20, size.Keys/32) || s == uint64(keys) {
				if err := f.table.Merge(f.tb.Context(), s); err != nil {
					f.tb.Fatal(err)
				}
			}
		}
	}
}

// watch looks up a key again and again while the table grows, and notes the slowest
// lookup and the most memory.
func (f *fleet) watch() {
	defer close(f.ended)
	for n := uint64(0); ; n++ {
		select {
		case <-f.finished:
			return
		case <-time.After(200 * time.Microsecond):
		}
		keys := f.keys.Load()
		if keys == 0 {
			continue
		}
		i, _ := bits.Mul64(mix(n), uint64(keys))
		begun := time.Now()
		got := f.table.Get(keyOf(i))
		f.slowest = max(f.slowest, time.Since(begun))
		if got != valueOf(i) {
			f.tb.Errorf("key %d of %d has %x, want %x", i, keys, got, valueOf(i))
			return
		}
		if n%256 == 0 && keys >= int64(*fleetKeys)/2 {
			f.growing = max(f.growing, float64(resident(f.tb)-f.before)/float64(keys))
		}
	}
}

// BenchmarkFleet measures a table at the size of a chain: what it takes of memory
// while it grows and then, how long a lookup takes, at the most too, and how long it
// takes to be there again after a restart.
func BenchmarkFleet(b *testing.B) {
	f := newFleet(b)
	begun := time.Now()
	table, _ := reopen(b, f.table)
	ready := time.Since(begun)
	f.table = nil
	if err := table.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	debug.FreeOSMemory()
	keys := uint64(*fleetKeys)
	rest := float64(resident(b)-f.before) / float64(keys)
	b.ResetTimer()
	n := uint64(0)
	for b.Loop() {
		i, _ := bits.Mul64(mix(n), keys)
		if n++; table.Get(keyOf(i)) == 0 {
			b.Fatal("lost")
		}
	}
	b.StopTimer()
	begun = time.Now()
	for i := range uint64(1_000_000) {
		if table.Get(keyOf(keys+i)) != 0 {
			b.Fatal("an unknown key is known")
		}
	}
	b.ReportMetric(float64(time.Since(begun).Nanoseconds())/1e6, "ns/miss")
	b.ReportMetric(rest, "B/key")
	b.ReportMetric(f.growing, "B/key-growing")
	b.ReportMetric(float64(f.slowest.Microseconds())/1e3, "ms-slowest")
	b.ReportMetric(float64(ready.Microseconds())/1e3, "ms-ready")
}
