package lane

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"posd/basket"
	"posd/journal"
)

// TestCallerThatGaveUp is one for the race detector: a call may run on after its
// caller has gone with nothing in hand.
func TestCallerThatGaveUp(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.scan("A")
		ctx, giveUp := context.WithCancel(t.Context())
		type result struct {
			b   basket.Basket
			err error
		}
		closed, started := make(chan result), make(chan result)
		go func() {
			b, err := w.lane.Close(ctx)
			closed <- result{b, err}
		}()
		synctest.Wait() // the close is waiting for stragglers
		giveUp()
		got := <-closed
		w.settled()
		if !errors.Is(got.err, context.Canceled) || got.b.ID != (basket.ID{}) {
			t.Errorf("the close gave %v, %v", got.b.ID, got.err)
		}
		if _, ok, err := w.lane.Current(t.Context()); ok || err != nil {
			t.Errorf("the close was not carried out: %v, %v", ok, err)
		}

		w.scan("B")
		ctx, giveUp = context.WithCancel(t.Context())
		go func() {
			b, err := w.lane.Start(ctx, Header{})
			started <- result{b, err}
		}()
		synctest.Wait()
		giveUp()
		if got := <-started; !errors.Is(got.err, context.Canceled) || len(got.b.Lines) != 0 {
			t.Errorf("the start gave %+v, %v", got.b, got.err)
		}
		w.settled()
	})
}

func TestLaneIsAliveBeforeItsFirstTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(journal.NewMemory(nil), Config{})
		w.clock.start = w.clock.start.Add(-24 * time.Hour) // the machine was booted long ago
		l, err := New(t.Context(), Config{}, Deps{Journal: w.journal, Clock: w.clock})
		if err != nil || l.Alive() != 0 {
			t.Errorf("a lane just made has been stuck for %v, %v", l.Alive(), err)
		}
	})
}
