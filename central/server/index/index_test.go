package index

import (
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestAgainstAMap plays random operations on keys that crowd few slots.
func TestAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, model := &Table{}, map[uint64]uint64{}
		key := rapid.Custom(func(t *rapid.T) uint64 {
			shard := rapid.SampledFrom([]uint64{0, 1, shards - 1}).Draw(t, "shard")
			place := rapid.SampledFrom([]uint64{0, 1, 2, 1<<53 - 1, 1<<54 - 1, 1<<54 - 2}).Draw(t, "place")
			return shard<<(64-shardBits) | (place+rapid.Uint64Range(0, 40).Draw(t, "offset"))&(1<<54-1)
		})
		value := rapid.Uint64Range(1, ^uint64(0))
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
			"": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if got := table.Get(k); got != model[k] {
					t.Fatalf("Get(%x) = %x, want %x", k, got, model[k])
				}
				if n, _ := table.Size(); n != len(model) {
					t.Fatalf("%d keys, want %d", n, len(model))
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

func TestLoadStaysBelow85Percent(t *testing.T) {
	table, r := &Table{}, rand.New(rand.NewPCG(1, 2))
	for range 300_000 {
		table.Put(r.Uint64(), 1)
	}
	n, bytes := table.Size()
	if per := float64(bytes) / float64(n); per < 16/0.85 || per > 16/0.64 {
		t.Errorf("%.1f bytes a key", per)
	}
	for i := range table.shards {
		if s := &table.shards[i]; s.used*100 > len(s.keys)*85 {
			t.Errorf("shard %d: %d of %d slots", i, s.used, len(s.keys))
		}
	}
}

func TestReadersWhileItGrows(t *testing.T) {
	table := &Table{}
	r := rand.New(rand.NewPCG(3, 4))
	keys := make([]uint64, 20_000)
	for i := range keys {
		keys[i] = r.Uint64()
	}
	var wg sync.WaitGroup
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
	if n, _ := table.Size(); n != len(keys) {
		t.Errorf("%d keys, want %d", n, len(keys))
	}
}

func TestValueZeroIsAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("0 was taken")
		}
	}()
	new(Table).Put(1, 0)
}

func BenchmarkGet(b *testing.B) {
	table, r := &Table{}, rand.New(rand.NewPCG(5, 6))
	keys := make([]uint64, 1_000_000)
	for i := range keys {
		keys[i] = r.Uint64()
		table.Put(keys[i], 1)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if table.Get(keys[(i*7919)%len(keys)]) != 1 {
			b.Fatal("lost")
		}
	}
}
