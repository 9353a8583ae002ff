package lane

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"posd/central"
	"posd/journal"
	"posd/posmain"
)

// silent is a central and a POS main computer that take requests and never
// answer.
type silent struct{}

func (silent) Resolve(ctx context.Context, _ central.Request) (central.Answer, error) {
	<-ctx.Done()
	return central.Answer{}, ctx.Err()
}

func (silent) ResolveBatch(ctx context.Context, _ []central.Request) ([]central.Result, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) Put(ctx context.Context, _ string, _ []byte) (posmain.Receipt, error) {
	<-ctx.Done()
	return posmain.Receipt{}, ctx.Err()
}

func (silent) Manifest(ctx context.Context, _ uint64) (central.Signed, error) {
	<-ctx.Done()
	return central.Signed{}, ctx.Err()
}

func TestStopDoesNotWaitForTheOthers(t *testing.T) {
	keys, _, _ := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(journal.NewMemory(nil), Config{})
		ctx, stop := context.WithCancel(t.Context())
		l, err := New(ctx, Config{}, Deps{Journal: w.journal, Sealer: w.sealer, Central: silent{}, Main: silent{}, Clock: w.clock})
		if err != nil {
			t.Fatal(err)
		}
		w.lane = l
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		keys.Source = silent{}
		go func() { keys.Run(ctx); done <- nil }()
		w.scan("A")
		closeBasket(t, w)
		w.scan("B")
		time.Sleep(2 * time.Second) // a swipe sooner would be the last customer's
		w.swipe("00000001")
		time.Sleep(time.Second)
		if s, err := l.Status(ctx); err != nil || s.Queued != 1 || s.Pending != 1 {
			t.Fatalf("nothing is under way: %+v, %v", s, err)
		}
		began := time.Now()
		stop()
		<-done
		<-done
		if took := time.Since(began); took > 0 {
			t.Errorf("stopping took %v", took)
		}
	})
}
