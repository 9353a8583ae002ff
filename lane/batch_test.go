package lane

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"posd/basket"
	"posd/enctid"
	"posd/identity"
	"posd/tid"
)

// missed has the lane sell to so many customers while central is away.
func missed(t *testing.T, w *world, customers int) (all []basket.ID) {
	t.Helper()
	w.central.set(func() { w.central.away = true })
	for n := range customers {
		w.scan("A")
		w.swipe("0000000" + string(rune('1'+n)))
		all = append(all, closeBasket(t, w).ID)
		time.Sleep(3 * time.Second) // a swipe right behind a close is the last customer's
	}
	w.central.set(func() { w.central.away = false })
	w.central.asked.Store(0)
	w.central.batch.Store(0)
	return all
}

func resolved(t *testing.T, w *world, all []basket.ID) {
	t.Helper()
	for _, id := range all {
		trace, err := w.lane.Trace(t.Context(), id)
		if err != nil || trace.Basket.State != identity.Resolved {
			t.Errorf("basket %v is %s, %v", id, trace.Basket.State, err)
		}
	}
}

func TestBacklogIsAskedForInBatches(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		all := missed(t, w, 9)
		time.Sleep(2 * time.Minute)
		resolved(t, w, all)
		// A pass goes on behind what the one before has failed on, and then from the beginning.
		n := w.central.batch.Load()
		if n > 2 || w.central.asked.Load() != 9 {
			t.Errorf("%d batches, %d requests in all", n, w.central.asked.Load())
		}
		time.Sleep(time.Minute)
		w.scan("A")
		w.swipe("00000042")
		if w.central.batch.Load() != n || w.central.asked.Load() != 10 || openBasket(t, w).State != identity.Resolved {
			t.Errorf("a card just shown: %d batches, %d requests in all", n, w.central.asked.Load())
		}
	})
}

// A central that knows no batches is asked one by one, and for a batch again when it
// may have been replaced.
func TestOldCentralIsAskedOneByOne(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.central.set(func() { w.central.old = true })
		all := missed(t, w, 9)
		time.Sleep(2 * time.Minute)
		resolved(t, w, all)
		if n := w.central.batch.Load(); n != 1 || w.central.asked.Load() != 9 {
			t.Errorf("%d batches, %d requests in all", n, w.central.asked.Load())
		}
		all = missed(t, w, 3)
		time.Sleep(2 * time.Minute)
		resolved(t, w, all)
		if n := w.central.batch.Load(); n != 0 {
			t.Errorf("%d batches within the hour", n)
		}
		time.Sleep(batchAgain)
		w.central.set(func() { w.central.old = false })
		all = missed(t, w, 3)
		time.Sleep(2 * time.Minute)
		resolved(t, w, all)
		if n := w.central.batch.Load(); n != 1 {
			t.Errorf("%d batches after the hour", n)
		}
	})
}

// What central refuses of a batch is final for that item alone.
func TestRefusalsWithinABatch(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		all := missed(t, w, 4)
		w.central.set(func() { w.central.never = all[1] })
		time.Sleep(2 * time.Minute)
		for i, id := range all {
			trace, err := w.lane.Trace(t.Context(), id)
			want := identity.Resolved
			if i == 1 {
				want = identity.Unresolved
			}
			if err != nil || trace.Basket.State != want {
				t.Errorf("basket %d is %s, want %s", i, trace.Basket.State, want)
			}
		}
	})
}

// Each epoch that central does not know is taught to it once.
func TestBatchTeachesEachEpochOnce(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		c := &epochCentral{testCentral: w.central, known: map[enctid.EpochID]bool{}}
		w.lane.deps.Central = c
		var page []basket.Sealed
		var which []int
		for range 3 {
			key, err := newTestKey()
			if err != nil {
				t.Fatal(err)
			}
			e, err := enctid.NewEpoch(key, enctid.Binding{Tenant: "t", Lane: "1/1"})
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				id, err := tid.NewLoyalty("0001", []byte("00000001"))
				if err != nil {
					t.Fatal(err)
				}
				wire, err := e.Seal(id, enctid.Context{})
				if err != nil {
					t.Fatal(err)
				}
				which = append(which, len(page))
				page = append(page, basket.Sealed{Basket: basket.ID(uuid.New()), EncTID: wire, Epoch: e.ID(), Enc: e.Enc()})
			}
		}
		results, err := w.lane.resolver.requestAll(t.Context(), page, which)
		if err != nil || c.withEnc != 3 || c.plain != 12 {
			t.Errorf("%d with enc, %d of epochs not known; %v", c.withEnc, c.plain, err)
		}
		for i, r := range results {
			if r.Err != nil || r.Answer.Basket != uuid.UUID(page[i].Basket) {
				t.Errorf("item %d: %+v", i, r)
			}
		}
	})
}
