package lane

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"posd/problem"
)

// pump repeats a pass over work that waits in the journal: at once when woken,
// after a jittered, doubling delay as long as passes fail, and not at all when
// there is nothing to do. If the other side asks to be left alone for some time,
// it is.
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
	var quiet time.Time // until then the other side wants to hear nothing
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
			if time.Now().Before(quiet) {
				continue // the timer runs
			}
		case <-timer.C:
		}
		err := p.pass(ctx)
		if err == nil {
			delay = minDelay
			timer.Stop()
			continue
		}
		quiet = time.Now().Add(retryAfter(err))
		timer.Reset(retryAfter(err) + jitter(delay))
		delay = min(2*delay, maxDelay)
	}
}

// jitter gives a random time between half of d and d, so that the lanes of a
// chain do not come back all at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// retryAfter is how long the other side asks to be left alone, 0 if it does not.
func retryAfter(err error) time.Duration {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p.RetryAfter
	}
	return 0
}

const giveUpAfter = 3 // failures in a row end a pass: the other side is away

// sweep makes passes over what waits in the journal, oldest first. A pass that
// gives up is gone on with behind what it failed on, so that nothing waits for
// the few that fail every time.
type sweep[T any] struct {
	list  func(ctx context.Context, after int64, limit int) ([]T, error)
	limit int
	order func(T) int64
	// do does a page, and tells how that went with each item, in their order. It may
	// stop behind one that failed.
	do   func(context.Context, []T) []error
	from int64 // the next pass begins behind this
}

// oneByOne does one item after the other, as far as that goes well.
func oneByOne[T any](do func(context.Context, T) error) func(context.Context, []T) []error {
	return func(ctx context.Context, page []T) (errs []error) {
		for _, item := range page {
			err := do(ctx, item)
			if errs = append(errs, err); err != nil {
				break
			}
		}
		return errs
	}
}

func (s *sweep[T]) pass(ctx context.Context) error {
	from := s.from
	s.from = 0
	err := s.between(ctx, from, math.MaxInt64)
	if s.from != 0 || from == 0 {
		return err
	}
	return errors.Join(err, s.between(ctx, 0, from))
}

// between does what has an order above after, up to last.
func (s *sweep[T]) between(ctx context.Context, after, last int64) (failed error) {
	for inRow := 0; ; {
		page, err := s.list(ctx, after, s.limit)
		page = slices.DeleteFunc(page, func(item T) bool { return s.order(item) > last })
		if err != nil || len(page) == 0 {
			return errors.Join(failed, err)
		}
		for _, err := range s.do(ctx, page) {
			after = s.order(page[0])
			page = page[1:]
			if err == nil {
				inRow = 0
				continue
			}
			failed = err
			if inRow++; inRow == giveUpAfter || retryAfter(err) > 0 || ctx.Err() != nil {
				s.from = after
				return failed
			}
		}
	}
}
