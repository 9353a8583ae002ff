package server

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"

	"posd/central/server/store"
	"posd/enroll"
)

// quarantine is the lanes that are in it.
type quarantine struct {
	change uint64 // owned by the goroutine that follows the store
	lanes  atomic.Pointer[map[enroll.Name]bool]
}

func (q *quarantine) has(n enroll.Name) bool {
	lanes := q.lanes.Load()
	return lanes != nil && len(*lanes) > 0 && (*lanes)[n]
}

// size is how many they are.
func (q *quarantine) size() int {
	if lanes := q.lanes.Load(); lanes != nil {
		return len(*lanes)
	}
	return 0
}

// follow takes over who was put into quarantine, or released.
func (q *quarantine) follow(ctx context.Context, st store.Store) error {
	const page = 1000
	for {
		all, err := st.Quarantines(ctx, q.change, page)
		if err != nil {
			return fmt.Errorf("follow quarantine: %w", err)
		}
		if len(all) > 0 {
			q.take(all)
		}
		if len(all) < page {
			return nil
		}
	}
}

func (q *quarantine) take(changes []store.Quarantine) {
	lanes := map[enroll.Name]bool{}
	if before := q.lanes.Load(); before != nil {
		maps.Copy(lanes, *before)
	}
	for _, c := range changes {
		if q.change = c.Change; c.On {
			lanes[c.Machine] = true
		} else {
			delete(lanes, c.Machine)
		}
	}
	q.lanes.Store(&lanes)
}
