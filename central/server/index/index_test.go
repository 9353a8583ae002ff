package index

import (
	"context"
	"errors"
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

// TestBytes holds the snapshot to what it may take. That each section begins at a
// page counts for little at a hundred million keys.
func TestBytes(t *testing.T) {
	for _, c := range []struct {
		keys, households int
		most             float64
	}{{100_000_000, 40_000_000, 11.6}, {10_000_000, 4_000_000, 11.8}, {100_000_000, 100_000_000, 16.7}} {
		h := head{keys: uint64(c.keys), values: uint64(c.households)}
		h.bucketBits, h.valueBits = geometry(c.keys, c.households)
		l := h.layout()
		if per := float64(l.sums.at+l.sums.bytes) / float64(c.keys); per > c.most {
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
		if err == nil && at >= headBytes {
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
	whole[headBytes] ^= 1
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
