package journal

import (
	"path/filepath"
	"testing"
	"time"

	"posd/basket"
)

// TestPurgeHoldsUpNobody has more baskets due at once than go at once.
func TestPurgeHoldsUpNobody(t *testing.T) {
	j := mustOpen(t, filepath.Join(memoryDir(t), "journal.db"))
	for range maxPurged + 1 {
		b := basket.Basket{ID: basket.NewID(), Kind: basket.Training, OpenedAt: time.Now()}
		if err := j.Open(t.Context(), b, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Close(t.Context(), b.ID, basket.Closed, time.Now(), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{maxPurged, 1, 0} {
		if gone, err := j.Purge(t.Context(), 0); gone != want || err != nil {
			t.Errorf("%d baskets went, %v; want %d", gone, err, want)
		}
	}
}
