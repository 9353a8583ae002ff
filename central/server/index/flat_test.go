package index

import (
	"math/rand/v2"
	"testing"
)

func TestLoadStaysBelow85Percent(t *testing.T) {
	table, r := &flat{}, rand.New(rand.NewPCG(1, 2))
	for range 300_000 {
		table.put(r.Uint64(), 1)
	}
	n, bytes := table.size()
	if per := float64(bytes) / float64(n); per < 16/0.85 || per > 16/0.64 {
		t.Errorf("%.1f bytes a key", per)
	}
	for i := range table.shards {
		if s, slots := &table.shards[i], *table.shards[i].slots.Load(); int(s.used.Load())*100 > len(slots)*85 {
			t.Errorf("shard %d: %d of %d slots", i, s.used.Load(), len(slots))
		}
	}
}
