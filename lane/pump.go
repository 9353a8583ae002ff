package lane

import (
	"context"
	"math/rand/v2"
	"time"
)

// pump repeats a pass over work that waits in the journal: at once when woken,
// after a jittered, doubling delay as long as passes fail, and not at all when
// there is nothing to do.
type pump struct {
	pass func(context.Context) error
	now  chan struct{} // there is new work, or the other side is back
	soon chan struct{} // something failed elsewhere: try after the delay
}

// The delays between passes that fail.
const (
	minDelay = time.Second
	maxDelay = time.Minute
)

func newPump(pass func(context.Context) error) *pump {
	return &pump{pass: pass, now: make(chan struct{}, 1), soon: make(chan struct{}, 1)}
}

func (p *pump) wake()  { signal(p.now) }
func (p *pump) retry() { signal(p.soon) }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (p *pump) run(ctx context.Context) {
	delay := minDelay
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.soon:
			if delay == minDelay {
				timer.Reset(jitter(delay))
			}
			continue
		case <-p.now:
		case <-timer.C:
		}
		if p.pass(ctx) == nil {
			delay = minDelay
			timer.Stop()
			continue
		}
		timer.Reset(jitter(delay))
		delay = min(2*delay, maxDelay)
	}
}

// jitter gives a random time between half of d and d, so that the lanes of a
// chain do not come back all at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }
