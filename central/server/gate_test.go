package server

import (
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posd/central"
)

// occupy takes all room of a gate, and makes it think that everybody stays for each.
func (g *gate) occupy(each time.Duration) (leave func()) {
	var begun []time.Time
	for range g.room {
		at, _ := g.enter(live)
		begun = append(begun, at)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.each = each
	return func() {
		g.mu.Lock()
		g.each = 0
		g.mu.Unlock()
		for _, at := range begun {
			g.leave(at)
		}
	}
}

func TestGateLetsLiveGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Hour, time.Hour)
		leave := g.occupy(0)
		var mu sync.Mutex
		var order []string
		ask := func(name string, c class) {
			go func() {
				begun, ok := g.enter(c)
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				if !ok {
					t.Errorf("%s was turned away", name)
				}
				g.leave(begun)
			}()
			synctest.Wait()
		}
		ask("batch 1", deferred)
		ask("live 1", live)
		ask("batch 2", deferred)
		ask("live 2", live)
		go func() {
			begun := g.again()
			mu.Lock()
			order = append(order, "half done")
			mu.Unlock()
			g.leave(begun)
		}()
		synctest.Wait()
		leave()
		synctest.Wait()
		if want := []string{"half done", "live 1", "live 2", "batch 1", "batch 2"}; !slices.Equal(order, want) {
			t.Errorf("order %q, want %q", order, want)
		}
		if begun, ok := g.enter(deferred); !ok || !begun.Equal(time.Now()) {
			t.Error("an empty gate lets nobody in")
		}
	})
}

func TestGateTurnsAwayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, 100*time.Millisecond, 300*time.Millisecond)
		leave := g.occupy(50 * time.Millisecond)
		in := make(chan time.Time)
		enter := func(c class) {
			begun, ok := g.enter(c)
			if !ok {
				t.Error("turned away, though there was time")
			}
			in <- begun
		}
		for range 4 { // of 50 ms each, two at a time
			go enter(live)
		}
		synctest.Wait()
		begun := time.Now()
		if _, ok := g.enter(live); ok || !time.Now().Equal(begun) {
			t.Errorf("the fifth: let in %v after %v", ok, time.Since(begun))
		}
		go enter(deferred)
		synctest.Wait()
		leave()
		for range 5 {
			g.leave(<-in)
		}
		if g.free != 2 {
			t.Errorf("room for %d, want 2", g.free)
		}
	})
}

// Those inside may be stuck.
func TestGateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 100*time.Millisecond, time.Second)
		leave := g.occupy(0)
		begun := time.Now()
		if _, ok := g.enter(live); ok || time.Since(begun) != 200*time.Millisecond {
			t.Errorf("let in %v after %v", ok, time.Since(begun))
		}
		leave()
		if _, ok := g.enter(live); !ok {
			t.Error("whoever has given up keeps its place")
		}
	})
}

// New epochs and new households that would have to wait are refused; what is known
// passes them by.
func TestKnownCardsPassByWhatWaits(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	known := lane.resolve(visa, 1)
	busy := func(req central.Request) {
		t.Helper()
		begun := time.Now()
		w := h.want(503, central.ProblemUnavailable, lane, "POST", central.ResolvePath, req)
		if n, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || n < 1 || n > 10 || time.Since(begun) > 5*time.Second {
			t.Errorf("Retry-After %d, %v, after %v", n, err, time.Since(begun))
		}
	}
	leaveEpochs, leaveHouseholds := h.s.epochs.occupy(time.Hour), h.s.households.occupy(time.Hour)
	busy(lane.seal(visa, 2))
	busy(short(lane.seal(mastercard, 3)))
	h.want(200, "", lane, "POST", central.ResolvePath, short(lane.seal(visa, 4)))
	if n := h.s.Status().TIDs; n != 1 {
		t.Errorf("%d TIDs are known", n)
	}
	leaveEpochs()
	leaveHouseholds()
	if got := lane.resolve(visa, 5); got.HHID != known.HHID {
		t.Errorf("afterwards: %+v", got)
	}
	lane.resolve(mastercard, 6)
}

// A handshake that would have to wait is refused, and connections that are there go on.
func TestHandshakesTakeTurns(t *testing.T) {
	h := start(t)
	f := h.front
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan error)
	go func() { done <- f.serve(l, h.s.LookupTLS()) }()
	dial := func() error {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err
	}
	leave := f.turns.occupy(time.Hour)
	if err := dial(); err == nil {
		t.Error("a handshake was made where there was no room for it")
	}
	leave()
	if err := dial(); err != nil {
		t.Error(err)
	}
	f.mu.Lock()
	f.most = 0
	f.mu.Unlock()
	if err := dial(); err == nil {
		t.Error("one connection too many")
	}
	must(t, f.stop(t.Context()))
	must(t, <-done)
}
