package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// contender is a server that is measured.
type contender interface {
	Name() string
	CPU() (time.Duration, error)
}

// connect opens so many connections to a contender.
func connect(ctx context.Context, c contender, n int) ([]asker, error) {
	switch c := c.(type) {
	case interface {
		connect(context.Context, int) ([]asker, error)
	}:
		return c.connect(ctx, n)
	case leanContender:
		t, lanes, err := c.lanes(ctx, n)
		if err != nil {
			return nil, err
		}
		return dialAll(ctx, t, lanes, n)
	}
	return nil, fmt.Errorf("%s cannot be connected to", c.Name())
}

// leanContender is one that lean clients can ask.
type leanContender interface {
	contender
	// lanes makes the clients of n connections, or of fewer which share them.
	lanes(ctx context.Context, n int) (target, []lane, error)
}

func dialAll(ctx context.Context, t target, lanes []lane, n int) ([]asker, error) {
	all, errs := make([]asker, n), make([]error, n)
	each(n, func(i int) {
		if c, err := t.dial(ctx, lanes[i%len(lanes)], i/len(lanes)); err != nil {
			errs[i] = err
		} else {
			all[i] = c
		}
	})
	all = slices.DeleteFunc(all, func(a asker) bool { return a == nil })
	return all, errors.Join(errs...)
}

func closeAll(all []asker) {
	for _, a := range all {
		a.Close()
	}
}

// sample is what a slot of time has shown.
type sample struct {
	elapsed   time.Duration
	latencies []time.Duration // of all answers, sorted
	shed      int             // requests that the server was too busy for
	cpu       time.Duration   // of the server
	others    float64         // share of the processors that neither clients nor server had
}

func (s sample) rate() float64 { return float64(len(s.latencies)) / s.elapsed.Seconds() }

// quantile gives the latency in ms that a share q of all answers stayed within.
func (s sample) quantile(q float64) float64 { return quantile(s.latencies, q) }

func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at]) / float64(time.Millisecond)
}

// cpuPer is the server's processor time for an answer, in µs.
func (s sample) cpuPer() float64 {
	return float64(s.cpu) / float64(time.Microsecond) / float64(max(len(s.latencies), 1))
}

// warm has each connection ask for all its keys once: a process of PostgreSQL has
// then mapped the memory that it needs, which costs it many times a lookup.
func warm(ctx context.Context, all []asker) error {
	errs := make([]error, len(all))
	each(len(all), func(i int) {
		for range pool {
			if errs[i] == nil && ctx.Err() == nil {
				errs[i] = all[i].ask()
			}
		}
	})
	return errors.Join(append(errs, ctx.Err())...)
}

// drive has all connections ask without a pause, for a time or until one of them has
// asked all that it may.
func drive(ctx context.Context, c contender, all []asker, d time.Duration) (sample, error) {
	var stop atomic.Bool
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	parts, errs := make([]sample, len(all)), make([]error, len(all))
	before, err := c.CPU()
	busy, err1 := newBusy()
	if err := errors.Join(err, err1); err != nil {
		return sample{}, err
	}
	begun := time.Now()
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	var wg sync.WaitGroup
	for i, a := range all {
		wg.Go(func() {
			parts[i], errs[i] = askOn(a, &stop)
			stop.Store(true)
		})
	}
	wg.Wait()
	s := sample{elapsed: time.Since(begun)}
	after, err := c.CPU()
	s.cpu = after - before
	others, err1 := busy.others(s.cpu)
	s.others = others
	for _, p := range parts {
		s.latencies, s.shed = append(s.latencies, p.latencies...), s.shed+p.shed
	}
	slices.Sort(s.latencies)
	if err := errors.Join(append(errs, err, err1, ctx.Err())...); err != nil {
		return s, fmt.Errorf("%s: %w", c.Name(), err)
	}
	return s, nil
}

func askOn(a asker, stop *atomic.Bool) (sample, error) {
	s := sample{latencies: make([]time.Duration, 0, 4096)}
	for from := time.Now(); !stop.Load(); {
		err := a.ask()
		now := time.Now()
		switch {
		case errors.Is(err, errSpent):
			return s, nil
		case errors.Is(err, errShed):
			s.shed++
		case err != nil:
			return s, err
		default:
			s.latencies = append(s.latencies, now.Sub(from))
		}
		from = now
	}
	return s, nil
}

// pace has all connections ask once an interval until stop is closed. A latency is
// counted from when the request was due: who waits for a slow answer is late for
// the next.
func pace(all []asker, interval time.Duration, stop <-chan struct{}) (sample, error) {
	parts, errs := make([]sample, len(all)), make([]error, len(all))
	begun := time.Now()
	var wg sync.WaitGroup
	for i, a := range all {
		due := begun.Add(interval * time.Duration(i) / time.Duration(len(all)))
		wg.Go(func() {
			for ; errs[i] == nil; due = due.Add(interval) {
				select {
				case <-stop:
					return
				case <-time.After(time.Until(due)):
				}
				switch err := a.ask(); {
				case errors.Is(err, errShed):
					parts[i].shed++
				case err != nil:
					errs[i] = err
				default:
					parts[i].latencies = append(parts[i].latencies, time.Since(due))
				}
			}
		})
	}
	wg.Wait()
	s := sample{elapsed: time.Since(begun)}
	for _, p := range parts {
		s.latencies, s.shed = append(s.latencies, p.latencies...), s.shed+p.shed
	}
	slices.Sort(s.latencies)
	return s, errors.Join(errs...)
}

// median of a round's figures, one of each round.
func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
