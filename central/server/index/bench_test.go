package index

import (
	"bytes"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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

// resident gives the memory that this process takes, in bytes, and hugeBytes how much
// of it is in huge pages.
func resident(tb testing.TB) int  { return ofSelf(tb, "status", "VmRSS:") }
func hugeBytes(tb testing.TB) int { return ofSelf(tb, "smaps_rollup", "AnonHugePages:") }

func ofSelf(tb testing.TB, file, name string) int {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte(name))
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
	lookups  []time.Duration
	nothings []time.Duration // how long it took to do nothing, which tells the machine's pauses
	finished chan struct{}
	ended    chan struct{}
}

func newFleet(tb testing.TB) *fleet {
	debug.FreeOSMemory()
	f := &fleet{tb: tb, table: newTable(tb), lookups: times(tb), nothings: times(tb), finished: make(chan struct{}), ended: make(chan struct{})}
	f.before = resident(tb)
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
			if size := f.table.Size(); size.Recent >= max(1<<20, size.Keys/64) || s == uint64(keys) {
				if err := f.table.Merge(f.tb.Context(), s); err != nil {
					f.tb.Fatal(err)
				}
			}
		}
	}
}

// times has room for as many times as are kept while a table grows, at the most, and
// is not in Go's heap, where it would give the garbage collector more time.
func times(tb testing.TB) []time.Duration {
	r, err := allocate(4 << 20)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { runtime.KeepAlive(r) })
	return unsafe.Slice((*time.Duration)(unsafe.Pointer(&r.words[0])), len(r.words))[:0]
}

// watch looks up a key again and again while the table grows, and notes how long
// that takes, and the most memory. What took long because the processor was given to
// another thread is not noted: it is the machine that does that.
func (f *fleet) watch() {
	defer close(f.ended)
	runtime.LockOSThread()
	for n := uint64(0); len(f.lookups) < cap(f.lookups); n++ {
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
		taken := preempted(f.tb)
		begun := time.Now()
		got := f.table.Get(keyOf(i))
		looked := time.Now()
		if spin(n) == 0 {
			f.tb.Log("spun to 0")
		}
		spun := time.Now()
		if preempted(f.tb) == taken {
			f.lookups, f.nothings = append(f.lookups, looked.Sub(begun)), append(f.nothings, spun.Sub(looked))
		}
		if got != valueOf(i) {
			f.tb.Errorf("key %d of %d has %x, want %x", i, keys, got, valueOf(i))
			return
		}
		if n%256 == 0 && keys >= int64(*fleetKeys)/2 {
			f.growing = max(f.growing, float64(resident(f.tb)-f.before)/float64(keys))
		}
	}
}

// preempted gives how often another thread was given the processor instead of this one.
func preempted(tb testing.TB) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Nivcsw
}

// spin takes about as long as a lookup, and needs no memory.
func spin(x uint64) uint64 {
	for range 512 {
		x = mix(x)
	}
	return x
}

// memory gives all that a table's lookups go to.
func (t *Table) memory() (all [][]uint64) {
	b := t.parts.Load().base
	for i := range b.segments {
		all = append(all, b.segments[i].Load().words)
	}
	return append(all, b.values.chunks...)
}

// access reads the memory of a table n times, each time where the last one says: no
// lookup that has to go there is faster.
func access(memory [][]uint64, n int) (x uint64) {
	for i := range n {
		x = mix(x + uint64(i))
		words := memory[x%segments]
		at, _ := bits.Mul64(x, uint64(len(words)))
		x = words[at]
	}
	return x
}

// cpuTime gives the processor's time that this thread has used, so that what else
// the machine does counts for little.
func cpuTime(tb testing.TB) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// stops gives how often the garbage collector has stopped all, by how long.
func stops() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// stopped gives how long it has stopped all between two times: half of the times, and
// at the most.
func stopped(before, after *metrics.Float64Histogram) (half, most time.Duration) {
	all, n := uint64(0), uint64(0)
	for i, count := range after.Counts {
		all += count - before.Counts[i]
	}
	for i, count := range after.Counts {
		if count -= before.Counts[i]; count > 0 {
			if most = time.Duration(after.Buckets[i+1] * 1e9); n < all/2 {
				half = most
			}
			n += count
		}
	}
	return half, most
}

// collectNothing has the garbage collector run again and again, while there is next
// to nothing to do and a goroutine that counts: what it stops then is the machine's.
func collectNothing(n int) {
	done, ended := make(chan struct{}), make(chan uint64)
	go func() {
		for x := uint64(0); ; x = spin(x) {
			select {
			case <-done:
				ended <- x
				return
			default:
			}
		}
	}()
	for range n {
		runtime.GC()
	}
	close(done)
	<-ended
}

// BenchmarkFleet measures a table at the size of a chain: what it takes of memory
// while it grows and then, how long a lookup takes, at the most too, and how long it
// takes to be there again after a restart.
// How long the garbage collector stops all is beside what it takes when there is next
// to nothing, and the slowest lookup beside the slowest of as many that did nothing.
//
// Lookups are measured as they come (ns/hit), with each of them in need of
// the answer of the last (ns/hit-alone), and for keys that are unknown (ns/miss), by
// turns with accesses to the same memory that need the answer of the last (ns/access).
func BenchmarkFleet(b *testing.B) {
	start := stops()
	collectNothing(500)
	idle := stops()
	f := newFleet(b)
	grown := stops()
	begun := time.Now()
	table, _ := reopen(b, f.table)
	ready := time.Since(begun)
	f.table = nil
	if err := table.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	debug.FreeOSMemory()
	rest := float64(resident(b)-f.before) / float64(*fleetKeys)
	f.lookUp(b, table)
	b.ReportMetric(rest, "B/key")
	b.ReportMetric(float64(hugeBytes(b))/float64(resident(b)), "huge-share")
	b.ReportMetric(f.growing, "B/key-growing")
	for name, all := range map[string][]time.Duration{"lookup": f.lookups, "nothing": f.nothings} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)-1].Microseconds())/1e3, "ms-slowest-"+name)
		b.ReportMetric(float64(all[len(all)*9999/10000].Microseconds())/1e3, "ms-p99.99-"+name)
	}
	half, most := stopped(idle, grown)
	b.ReportMetric(float64(half.Nanoseconds())/1e3, "µs-stopped-p50")
	b.ReportMetric(float64(most.Nanoseconds())/1e3, "µs-stopped-most")
	half, most = stopped(start, idle)
	b.ReportMetric(float64(half.Nanoseconds())/1e3, "µs-stopped-p50-idle")
	b.ReportMetric(float64(most.Nanoseconds())/1e3, "µs-stopped-most-idle")
	b.ReportMetric(float64(ready.Microseconds())/1e3, "ms-ready")
}

// lookUp measures lookups, by turns with what they are held against.
func (f *fleet) lookUp(b *testing.B, table *Table) {
	const turn = 100_000
	keys, memory := uint64(*fleetKeys), table.memory()
	var hit, alone, miss, floor time.Duration
	n, turns, x := uint64(0), 0, uint64(0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	timed := func(total *time.Duration, do func(i uint64)) {
		begun := cpuTime(b)
		for i := range uint64(turn) {
			do(n + i)
		}
		*total += cpuTime(b) - begun
	}
	for begun := time.Now(); time.Since(begun) < 3*time.Second; turns++ {
		timed(&hit, func(i uint64) {
			at, _ := bits.Mul64(mix(i), keys)
			if table.Get(keyOf(at)) == 0 {
				b.Fatal("lost")
			}
		})
		timed(&alone, func(i uint64) {
			at, _ := bits.Mul64(mix(i^x), keys)
			x = table.Get(keyOf(at))
		})
		timed(&miss, func(i uint64) {
			if table.Get(keyOf(keys+i)) != 0 {
				b.Fatal("an unknown key is known")
			}
		})
		begun := cpuTime(b)
		x += access(memory, turn)
		floor += cpuTime(b) - begun
		n += turn
	}
	for name, d := range map[string]time.Duration{"hit": hit, "hit-alone": alone, "miss": miss, "access": floor} {
		b.ReportMetric(float64(d.Nanoseconds())/float64(turns*turn), "ns/"+name)
	}
	b.ReportMetric(float64(hit)/float64(floor), "hit/access")
	b.ReportMetric(float64(alone)/float64(floor), "hit-alone/access")
	b.ReportMetric(0, "ns/op")
}
