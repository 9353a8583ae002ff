package server

import (
	"sync"
	"time"
)

// class says who goes first where there is not room for all.
type class int

const (
	live     class = iota // somebody waits for the answer
	deferred              // a lane catches up
	classes
)

// gate lets in so many at once to work that costs much, and turns away at once who
// would have to wait too long: what is refused in time can be asked for again, and
// what is answered late has cost as much and is of no use. Within a class it is
// first come, first served.
type gate struct {
	patience [classes]time.Duration // how long one may wait

	mu      sync.Mutex
	free    int
	room    int
	each    time.Duration // how long one stays inside, on average of late
	waiting [classes][]*waiter
}

type waiter struct {
	in   chan struct{} // closed when it is let in
	gone bool          // it has given up
}

func newGate(room int, patience, deferredPatience time.Duration) *gate {
	return &gate{patience: [classes]time.Duration{live: patience, deferred: deferredPatience}, free: room, room: room}
}

// enter waits to be let in, and tells when that was. With ok false the caller is
// turned away; otherwise it calls leave with that time.
func (g *gate) enter(c class) (begun time.Time, ok bool) {
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return time.Now(), true
	}
	before := 0
	for ahead := live; ahead <= c; ahead++ {
		before += len(g.waiting[ahead])
	}
	if time.Duration(before+1)*g.each/time.Duration(g.room) > g.patience[c] {
		g.mu.Unlock()
		return time.Time{}, false
	}
	w := &waiter{in: make(chan struct{})}
	g.waiting[c] = append(g.waiting[c], w)
	g.mu.Unlock()
	return g.wait(w, g.patience[c])
}

// wait waits for longer than it should take, and no more: those inside may be stuck.
func (g *gate) wait(w *waiter, patience time.Duration) (time.Time, bool) {
	timer := time.NewTimer(2 * patience)
	defer timer.Stop()
	select {
	case <-w.in:
		return time.Now(), true
	case <-timer.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.in: // just now
		return time.Now(), true
	default:
		w.gone = true
		return time.Time{}, false
	}
}

// again lets in who was inside before and has work half done: before all others, and
// without a refusal.
func (g *gate) again() (begun time.Time) {
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return time.Now()
	}
	w := &waiter{in: make(chan struct{})}
	g.waiting[live] = append([]*waiter{w}, g.waiting[live]...)
	g.mu.Unlock()
	<-w.in
	return time.Now()
}

// leave lets the next one in.
func (g *gate) leave(begun time.Time) {
	stayed := time.Since(begun)
	g.mu.Lock()
	defer g.mu.Unlock()
	// One that was held up by chance says little about the next.
	g.each += (min(stayed, 4*g.each+time.Millisecond) - g.each) / 16
	for c := range g.waiting {
		for len(g.waiting[c]) > 0 {
			w := g.waiting[c][0]
			g.waiting[c][0] = nil
			g.waiting[c] = g.waiting[c][1:]
			if !w.gone {
				close(w.in)
				return
			}
		}
	}
	g.free++
}
