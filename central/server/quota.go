package server

import (
	"sync"
	"time"
)

// Rate is a token bucket: so many a second on average, so many at once.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// Limits say how much one lane may ask.
type Limits struct {
	Lookups  Rate // of each lane: what it may cost
	Failures Rate // EncTIDs of each lane that do not open
	TIDs     Rate // EncTIDs of each lane that do open, for each kind of TID: what it may learn
	Enrol    Rate // enrolments of all machines together, and as many renewals
}

// DefaultLimits let a lane ask at once for all that it has kept during a day's
// outage, two lookups for each, and then for six cards a minute without end. A
// stolen lane learns the pseudonyms of 8,640 numbers of a kind a day, and 3,000
// at first: for the ten million card numbers behind 8 digits it needs 3 years.
func DefaultLimits() Limits {
	return Limits{
		Lookups:  Rate{50, 6000},
		Failures: Rate{10.0 / 3600, 10},
		TIDs:     Rate{0.1, 3000},
		Enrol:    Rate{200, 2000},
	}
}

// quota keeps one bucket for each name. There are no more names than
// certificates were issued for.
type quota struct {
	rate    Rate
	mu      sync.RWMutex
	buckets map[string]*bucket
}

// bucket is what one name may still take. Each has a lock of its own: those who ask
// at the same time have other names.
type bucket struct {
	rate Rate

	mu    sync.Mutex
	level float64
	at    time.Time // zero: nobody has taken anything yet
}

func newQuota(r Rate) *quota { return &quota{rate: r, buckets: map[string]*bucket{}} }

// bucket gives the bucket of a name.
func (q *quota) bucket(name string) *bucket {
	q.mu.RLock()
	b := q.buckets[name]
	q.mu.RUnlock()
	if b != nil {
		return b
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if b = q.buckets[name]; b == nil {
		b = &bucket{rate: q.rate}
		q.buckets[name] = b
	}
	return b
}

// take takes one from a name's bucket. If it is empty it reports after which
// time there will be one.
func (q *quota) take(name string, now time.Time) (wait time.Duration, ok bool) {
	return q.bucket(name).take(now)
}

// take takes one. If there is none it reports after which time there will be.
func (b *bucket) take(now time.Time) (wait time.Duration, ok bool) { return b.draw(now, 1) }

// peek is take without taking.
func (b *bucket) peek(now time.Time) (wait time.Duration, ok bool) { return b.draw(now, 0) }

func (b *bucket) draw(now time.Time, amount float64) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.level, b.at = b.rate.Burst, now
	}
	if elapsed := now.Sub(b.at).Seconds(); elapsed > 0 {
		b.level, b.at = min(b.rate.Burst, b.level+elapsed*b.rate.PerSecond), now
	}
	// A millionth less than one is one: seconds do not divide evenly.
	if missing := 1 - b.level; missing > 1e-6 {
		return time.Duration(missing / b.rate.PerSecond * float64(time.Second)), false
	}
	b.level -= amount
	return 0, true
}
