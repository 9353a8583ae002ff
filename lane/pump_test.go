package lane

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posd/central"
	"posd/enctid"
	"posd/identity"
	"posd/posmain"
)

// numbers is work that waits: its items from 1 to n, some of which fail.
func numbers(n int64, failing func(int64) error, done *[]int64) *sweep[int64] {
	return &sweep[int64]{
		limit: 2,
		list: func(_ context.Context, after int64, limit int) (page []int64, err error) {
			for i := after + 1; i <= n && len(page) < limit; i++ {
				page = append(page, i)
			}
			return page, nil
		},
		order: func(i int64) int64 { return i },
		do: oneByOne(func(_ context.Context, i int64) error {
			*done = append(*done, i)
			return failing(i)
		}),
	}
}

func TestNothingWaitsBehindWhatFailsEveryTime(t *testing.T) {
	var done []int64
	s := numbers(8, func(i int64) error {
		if i <= 4 {
			return errAway
		}
		return nil
	}, &done)
	for n, want := range [][]int64{{1, 2, 3}, {4, 5, 6, 7, 8, 1, 2, 3}, {4, 5, 6, 7, 8, 1, 2, 3}} {
		done = nil
		if err := s.pass(t.Context()); !errors.Is(err, errAway) || !slices.Equal(done, want) {
			t.Errorf("pass %d did %v, %v; want %v", n+1, done, err, want)
		}
	}
	done = nil
	s.do = oneByOne(func(_ context.Context, i int64) error { done = append(done, i); return nil })
	if err := s.pass(t.Context()); err != nil || len(done) != 8 {
		t.Errorf("the pass after the last did %v, %v", done, err)
	}
}

func TestPassEndsWhereItIsAskedTo(t *testing.T) {
	var done []int64
	s := numbers(8, func(int64) error { return &central.Problem{Status: 429, RetryAfter: time.Minute} }, &done)
	if err := s.pass(t.Context()); err == nil || len(done) != 1 {
		t.Errorf("it did %v, %v", done, err)
	}
}

func TestPumpLeavesTheOtherSideAlone(t *testing.T) {
	for _, problem := range []error{&central.Problem{Status: 503, RetryAfter: 10 * time.Minute}, &posmain.Problem{Status: 507, RetryAfter: 10 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			var passes atomic.Int64
			p := newPump(func(context.Context) error { passes.Add(1); return problem })
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go p.run(ctx)
			for range 9 {
				time.Sleep(time.Minute)
				p.wake()
				p.retry()
				synctest.Wait()
			}
			if n := passes.Load(); n != 1 {
				t.Errorf("%T: %d passes within the time, want 1", problem, n)
			}
			time.Sleep(2 * time.Minute)
			if n := passes.Load(); n != 2 {
				t.Errorf("%T: %d passes after the time, want 2", problem, n)
			}
		})
	}
}

// A log whose id changes with every receipt, as of two POS main computers behind
// one name, keeps the lane sending the same again: not without a pause.
func TestChangingLogIDsAreNoHotLoop(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		m := &restlessMain{testMain: w.main}
		w.lane.deps.Main = m
		for range 3 {
			w.scan("A")
			closeBasket(t, w)
		}
		time.Sleep(time.Hour)
		if n := m.puts.Load(); n < 60 || n > 600 {
			t.Errorf("%d deliveries in an hour", n)
		}
	})
}

// restlessMain stops after a while, so that a lane that sends without a pause
// fails the test and does not hang it.
type restlessMain struct {
	*testMain
	puts atomic.Int64
}

func (m *restlessMain) Put(ctx context.Context, id string, body []byte) (posmain.Receipt, error) {
	if m.puts.Add(1) > 10_000 {
		return posmain.Receipt{}, errAway
	}
	m.restore()
	return m.testMain.Put(ctx, id, body)
}

// What is found waiting in the journal is pending, whoever asks for it: then the
// lane's memory must not open it.
func TestEpochIsGivenUpForWhatThePassesFind(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.central.set(func() { w.central.slow = time.Second })
		w.scan("A")
		s := w.lane.resolver
		ref := swipeRef{openBasket(t, w).ID, 1}
		s.begin(ref) // a pass got hold of it first
		w.swipe("00000001")
		if w.sealer.rotated != 0 {
			t.Fatal("the epoch was given up before anything was pending")
		}
		s.end(ref)
		s.backlog.wake()
		synctest.Wait()
		if w.sealer.rotated != 1 {
			t.Errorf("the epoch was given up %d times, want once", w.sealer.rotated)
		}
	})
}

func TestRetiredKeyIsReplacedAtOnce(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		k := &retiredKeys{}
		w.lane.deps.Keys = k
		w.scan("A")
		w.swipe("00000001")
		w.central.set(func() { w.central.refuse = central.ProblemEncTIDRejected })
		w.swipe("00000002")
		if len(k.told) != 0 {
			t.Errorf("keys %v were called retired", k.told)
		}
		w.central.set(func() { w.central.refuse = central.ProblemKeyRetired })
		w.swipe("00000003")
		if b := openBasket(t, w); b.Identities[2].State != identity.Unresolved || !slices.Equal(k.told, []enctid.KeyID{7}) {
			t.Errorf("the identity is %s, keys %v were called retired, want 7", b.Identities[2].State, k.told)
		}
	})
}

type retiredKeys struct{ told []enctid.KeyID }

func (k *retiredKeys) Retired(_ context.Context, key enctid.KeyID) { k.told = append(k.told, key) }

func TestKeysAreFetchedWhenTheOneInUseIsRetired(t *testing.T) {
	k, s, used := newKeys(t)
	k.Retired(t.Context(), 0) // no key is known yet, so none is in use
	if err := k.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.m = manifest(t, 6)
	k.Retired(t.Context(), 4) // an old one
	k.Retired(t.Context(), 5)
	k.Retired(t.Context(), 5) // by the next of those that were sealed with it
	if !slices.Equal(*used, []enctid.KeyID{5, 6}) || s.asked.Load() != 2 {
		t.Errorf("the keys used are %v, after asking %d times", *used, s.asked.Load())
	}
}
