package index

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var owner = [ownerBytes]byte{1, 2, 3}

func newTable(t testing.TB) *Table {
	t.Helper()
	return New(filepath.Join(t.TempDir(), "index"), owner)
}

// reopen begins anew with the snapshot of a table.
func reopen(t testing.TB, old *Table) (*Table, uint64) {
	t.Helper()
	table := New(old.path, old.owner)
	change, err := table.Open()
	if err != nil {
		t.Fatal(err)
	}
	return table, change
}

// TestAgainstAMap plays random operations on keys that crowd few places, with merges
// between them.
func TestAgainstAMap(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(dir, "index")
		os.Remove(path)
		table, model := New(path, owner), map[uint64]uint64{}
		key := rapid.Custom(func(t *rapid.T) uint64 {
			shard := rapid.SampledFrom([]uint64{0, 1, shards / 2, shards - 1}).Draw(t, "shard")
			place := rapid.SampledFrom([]uint64{0, 1, 2, 1<<53 - 1, 1<<54 - 1, 1<<54 - 2}).Draw(t, "place")
			return shard<<(64-shardBits) | (place+rapid.Uint64Range(0, 40).Draw(t, "offset"))&(1<<54-1)
		})
		value := rapid.OneOf(rapid.Uint64Range(1, 5), rapid.Uint64Range(1, Apart), rapid.Just(Apart))
		merged := map[uint64]uint64{}
		change := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), value.Draw(t, "value")
				table.Put(k, v)
				model[k] = v
			},
			"put if absent": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), value.Draw(t, "value")
				if model[k] == 0 {
					model[k] = v
				}
				if got := table.PutIfAbsent(k, v); got != model[k] {
					t.Fatalf("PutIfAbsent(%x) = %x, want %x", k, got, model[k])
				}
			},
			"merge": func(t *rapid.T) {
				change++
				if err := table.Merge(context.Background(), change); err != nil {
					t.Fatal(err)
				}
				clear(merged)
				for k, v := range model {
					merged[k] = v
				}
			},
			"a merge that fails": func(t *rapid.T) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if err := table.Merge(ctx, change+1); !errors.Is(err, context.Canceled) || len(table.parts.Load().frozen) > 1 {
					t.Fatal(err)
				}
			},
			"load": func(t *rapid.T) {
				if err := table.Load(context.Background()); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(t *rapid.T) {
				table = New(path, owner)
				got, err := table.Open()
				if change == 0 {
					if !errors.Is(err, fs.ErrNotExist) {
						t.Fatal(err)
					}
				} else if err != nil || got != change {
					t.Fatalf("change %d, %v", got, err)
				}
				clear(model)
				for k, v := range merged {
					model[k] = v
				}
				var apart []uint64
				for k, v := range model {
					if v == Apart {
						apart = append(apart, k)
					}
				}
				slices.Sort(apart)
				if got := table.Apart(); !slices.Equal(got, apart) {
					t.Fatalf("apart are %x, want %x", got, apart)
				}
			},
			"": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if got := table.Get(k); got != model[k] {
					t.Fatalf("Get(%x) = %x, want %x", k, got, model[k])
				}
				if s := table.Size(); s.Keys != len(model) {
					t.Fatalf("%d keys, want %d", s.Keys, len(model))
				}
			},
		})
		for k, v := range model {
			if got := table.Get(k); got != v {
				t.Fatalf("Get(%x) = %x, want %x", k, got, v)
			}
		}
	})
}

// many gives keys of which some have the same value.
func many(n int) (keys, values []uint64) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	households := make([]uint64, n*2/5+1)
	for i := range households {
		households[i] = r.Uint64()
	}
	for range n {
		keys, values = append(keys, r.Uint64()), append(values, households[r.IntN(len(households))])
	}
	return keys, values
}

// Of all sizes around those at which the geometry changes every key is found, and no
// other.
func TestSizes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 63, 64, 65, 127, 128, 191, 192, 193, 383, 384, 385, 1000, 50_000, 300_000} {
		table := newTable(t)
		keys, values := many(n)
		for i, k := range keys {
			table.Put(k, values[i])
		}
		if err := table.Merge(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		table, _ = reopen(t, table)
		for i, k := range keys {
			if got := table.Get(k); got != values[i] {
				t.Fatalf("%d keys: Get(%x) = %x, want %x", n, k, got, values[i])
			}
			for _, other := range []uint64{k + 1, k - 1, k ^ 1<<63, ^k} {
				if got := table.Get(other); got != 0 {
					t.Fatalf("%d keys: Get(%x) = %x", n, other, got)
				}
			}
		}
		if s := table.Size(); s.Keys != n || s.Recent != 0 {
			t.Errorf("size is %+v", s)
		}
		if err := table.Load(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestBytes holds a table to what it may take, by one of its segments.
func TestBytes(t *testing.T) {
	for _, c := range []struct {
		keys, households int
		most             float64
	}{{100_000_000, 40_000_000, 11.8}, {10_000_000, 4_000_000, 12}, {60_000_000, 24_000_000, 12.2}, {100_000_000, 100_000_000, 17.1}} {
		r, keys := rand.New(rand.NewPCG(1, 2)), make([]uint64, c.keys/segments)
		for i := range keys {
			keys[i] = r.Uint64() >> segmentBits
		}
		slices.Sort(keys)
		var b builder
		b.begin(geometryFor(len(keys), c.households))
		for _, key := range keys {
			b.add(key, 0)
		}
		words, err := b.end()
		if err != nil {
			t.Fatal(err)
		}
		if per := float64(8*(len(words)*segments+c.households)) / float64(c.keys); per > c.most {
			t.Errorf("%d keys of %d values: %.2f bytes a key", c.keys, c.households, per)
		}
	}
}

// A snapshot in which anything is changed is found out: at once, when what is changed
// is used, or by Load. It never has a wrong value.
func TestDamage(t *testing.T) {
	keys, values := many(20_000)
	table := newTable(t)
	for i, k := range keys {
		table.Put(k, values[i])
	}
	table.Put(keys[0], Apart)
	values[0] = Apart
	if err := table.Merge(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(table.path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		at, bit := r.IntN(len(whole)), byte(1)<<r.IntN(8)
		whole[at] ^= bit
		broken := New(filepath.Join(t.TempDir(), "index"), owner)
		if err := os.WriteFile(broken.path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		whole[at] ^= bit
		_, err := broken.Open()
		if err != nil && !errors.Is(err, ErrSnapshot) {
			t.Fatal(err)
		}
		for i, k := range keys {
			if got := broken.Get(k); got != values[i] && got != 0 {
				t.Fatalf("byte %d: Get(%x) = %x, want %x", at, k, got, values[i])
			}
		}
		if err == nil && at >= pageBytes {
			err = broken.Load(t.Context())
		}
		if !errors.Is(err, ErrSnapshot) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	for name, text := range map[string][]byte{"cut": whole[:len(whole)-1], "empty": nil, "longer": append(whole, 0)} {
		if err := os.WriteFile(table.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(table.path, owner).Open(); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(table.path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(table.path, [ownerBytes]byte{9}).Open(); !errors.Is(err, ErrSnapshot) {
		t.Errorf("of another key: %v", err)
	}
}

// A snapshot of another version is not used, however well it is written.
func TestOtherVersion(t *testing.T) {
	table := newTable(t)
	table.Put(1<<40, 5)
	if err := table.Merge(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(table.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"hhidx 1\n", "hhidx 3\n", "\n2 xdihh"} {
		copy(whole, version)
		binary.NativeEndian.PutUint32(whole[pageBytes-4:], crc32.Checksum(whole[:pageBytes-4], castagnoli))
		if err := os.WriteFile(table.path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(table.path, owner).Open(); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%q: %v", version, err)
		}
	}
	if err := table.Merge(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if _, change := reopen(t, table); change != 2 {
		t.Errorf("change %d", change)
	}
}

// halfway is a context that is over when it has been asked some times.
type halfway struct {
	context.Context
	left *int
}

func (h halfway) Err() error {
	if *h.left--; *h.left < 0 {
		return context.Canceled
	}
	return nil
}

// A merge that fails halfway has changed nothing that can be seen, and the next one
// goes on from there: with other values, and with new ones of the same keys.
func TestMergeFailsHalfway(t *testing.T) {
	table, model := newTable(t), map[uint64]uint64{}
	keys, values := many(30_000)
	fill := func(from, to, shift int) {
		for i := from; i < to; i++ {
			model[keys[i]] = values[(i+shift)%len(values)]
			table.Put(keys[i], model[keys[i]])
		}
	}
	check := func(when string) {
		t.Helper()
		for k, v := range model {
			if got := table.Get(k); got != v {
				t.Fatalf("%s: Get(%x) = %x, want %x", when, k, got, v)
			}
		}
	}
	fill(0, 10_000, 0)
	if err := table.Merge(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for round, left := range []int{0, 1, 30, 60, 63} {
		fill(2_000*round, 2_000*round+12_000, 7*round)
		if err := table.Merge(halfway{t.Context(), &left}, 2); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		check("after a failure")
		if _, change := reopen(t, table); change != 1 {
			t.Errorf("change %d", change)
		}
	}
	fill(25_000, 30_000, 3)
	if err := table.Merge(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	check("after a merge")
	if s := table.Size(); s.Keys != len(model) || s.Recent != 0 {
		t.Errorf("size %+v, want %d keys", s, len(model))
	}
	table, _ = reopen(t, table)
	check("after a restart")
	if err := table.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("when loaded")
}

// Values that no key has any more are not in the next snapshot, and take no room when
// that is loaded.
func TestValuesThatAreGone(t *testing.T) {
	table := newTable(t)
	keys, values := many(50_000)
	for _, shift := range []uint64{0, 1} {
		for i, k := range keys {
			if shift == 0 || values[i]%3 != 0 {
				table.Put(k, values[i]+shift)
			}
		}
		if err := table.Merge(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
	}
	left := map[uint64]bool{}
	check := func() {
		t.Helper()
		for i, k := range keys {
			want := values[i]
			if want%3 != 0 {
				want++
			}
			if left[want] = true; table.Get(k) != want {
				t.Fatalf("Get(%x) = %x, want %x", k, table.Get(k), want)
			}
		}
	}
	check()
	before := table.parts.Load().base.values.n
	table, _ = reopen(t, table)
	for _, chunk := range table.parts.Load().base.values.chunks {
		for _, value := range chunk {
			if value != 0 && !left[value] {
				t.Fatalf("value %x is in the snapshot", value)
			}
		}
	}
	check()
	if err := table.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	if n := table.parts.Load().base.values.n; n != len(left) || n >= before {
		t.Errorf("%d values, want %d; they were %d", n, len(left), before)
	}
	table.Put(keys[0], values[1])
	if err := table.Merge(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	if got := table.Get(keys[0]); got != values[1] {
		t.Errorf("Get = %x, want %x", got, values[1])
	}
}

// Values keep their places, and none has two, however many are added.
func TestValuesKeepTheirPlaces(t *testing.T) {
	r, v, placed := rand.New(rand.NewPCG(3, 4)), &values{}, map[uint64]uint32{}
	for _, n := range []int{1, 1000, chunkValues - 1001, 10, 2*chunkValues + 3, 0, 500} {
		fresh := make([]uint64, n)
		for i := range fresh {
			fresh[i] = r.Uint64()>>1 | 1
		}
		for value := range placed { // some are not new
			if fresh = append(fresh, value); len(fresh) >= n*3/2 {
				break
			}
		}
		slices.Sort(fresh)
		fresh = slices.Compact(fresh)
		var places []uint32
		var err error
		if v, places, err = v.with(fresh); err != nil {
			t.Fatal(err)
		}
		for i, value := range fresh {
			if at, ok := placed[value]; ok && at != places[i] {
				t.Fatalf("%x is at %d, was at %d", value, places[i], at)
			}
			placed[value] = places[i]
		}
		if v.n != len(placed) {
			t.Errorf("%d values, want %d", v.n, len(placed))
		}
		for value, at := range placed {
			if got := v.at(uint64(at)); got != value {
				t.Fatalf("at %d is %x, want %x", at, got, value)
			}
		}
	}
}

// What is damaged is not merged into the next snapshot.
func TestDamageIsNotCopied(t *testing.T) {
	table := newTable(t)
	table.Put(1<<40, 5)
	if err := table.Merge(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(table.path)
	if err != nil {
		t.Fatal(err)
	}
	whole[pageBytes] ^= 1
	if err := os.WriteFile(table.path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	table, _ = reopen(t, table)
	table.Put(1<<41, 6)
	if err := table.Merge(t.Context(), 2); !errors.Is(err, ErrSnapshot) {
		t.Errorf("got %v", err)
	}
	if got := table.Get(1 << 41); got != 6 {
		t.Errorf("what is recent is lost: %d", got)
	}
}

func TestKeysThatAreNotSpread(t *testing.T) {
	table := newTable(t)
	for i := range uint64(1000) {
		table.Put(i+1, i+1)
	}
	if err := table.Merge(t.Context(), 1); err == nil {
		t.Error("they were taken")
	}
	if got := table.Get(500); got != 500 {
		t.Errorf("Get = %d", got)
	}
	if entries, err := os.ReadDir(filepath.Dir(table.path)); err != nil || len(entries) > 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestReadersWhileItMerges(t *testing.T) {
	table := newTable(t)
	keys, _ := many(40_000)
	var wg, merges sync.WaitGroup
	done := make(chan struct{})
	merges.Go(func() {
		for n := uint64(1); ; n++ {
			if err := table.Merge(t.Context(), n); err != nil {
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < len(keys); i += 4 {
				table.Put(keys[i], keys[i]|1)
				if got := table.Get(keys[i]); got != keys[i]|1 {
					t.Errorf("Get = %x right after Put of %x", got, keys[i]|1)
				}
			}
		})
		wg.Go(func() {
			for _, k := range keys {
				if got := table.Get(k); got != 0 && got != k|1 {
					t.Errorf("Get = %x, want 0 or %x", got, k|1)
				}
			}
		})
	}
	wg.Wait()
	close(done)
	merges.Wait()
	if err := table.Merge(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if s := table.Size(); s.Keys != len(keys) {
		t.Errorf("%d keys, want %d", s.Keys, len(keys))
	}
	table, _ = reopen(t, table)
	for _, k := range keys {
		if got := table.Get(k); got != k|1 {
			t.Fatalf("Get = %x, want %x", got, k|1)
		}
	}
}

func TestValueZeroIsAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("0 was taken")
		}
	}()
	newTable(t).Put(1, 0)
}

func BenchmarkGet(b *testing.B) {
	keys, values := many(1_000_000)
	for name, merge := range map[string]bool{"snapshot": true, "recent": false} {
		table := newTable(b)
		for i, k := range keys {
			table.Put(k, values[i])
		}
		if merge {
			if err := table.Merge(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if at := (i * 7919) % len(keys); table.Get(keys[at]) != values[at] {
					b.Fatal("lost")
				}
			}
		})
	}
}
