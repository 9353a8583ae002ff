// Package technician is what a technician's commands do: find out what a device
// is, check that it works, record what it sends, and look for what is in its
// way.
//
// People see the last four digits of a number at the most. A recording leaves
// this package without the digits of a card.
package technician

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
)

// Burst is what a source sent between two silences: a label, a swipe, a key.
type Burst struct {
	Source drivers.Source
	Reads  []driver.Read
	cut    bool // there is more of it in the burst before or behind it
}

// wipe clears what was read, which may have been a card.
func (b *Burst) wipe() {
	for _, r := range b.Reads {
		clear(r.Data)
	}
}

func (b *Burst) silence() time.Duration {
	if b.Source.Role == driver.Keypad {
		return hesitation
	}
	return silence
}

// says reports whether the device said something. The lights of a keyboard, which
// it tells when it is opened, are nothing.
func (b *Burst) says() bool {
	if b.Source.Attributes.Transport != driver.Evdev {
		return true
	}
	return slices.ContainsFunc(b.Reads, func(r driver.Read) bool {
		for e := range recording.Events(r.Data) {
			if e.Type == keyboard.EvKey {
				return true
			}
		}
		return false
	})
}

// size is how many bytes were read.
func (b *Burst) size() (n int) {
	for _, r := range b.Reads {
		n += len(r.Data)
	}
	return n
}

const (
	// silence ends a burst: longer than any device pauses within a label or a
	// card, shorter than a person between two.
	silence = 700 * time.Millisecond
	// hesitation ends a burst of a keypad: longer than a person takes from one
	// key to the next.
	hesitation = 3 * time.Second
	// maxBurst ends a burst of a device that does not pause.
	maxBurst = 64 << 10
)

// Listen is how sources are listened to: drivers.Manager's Listen for a device,
// or for all. It calls ready when nothing is missed from then on.
type Listen func(ctx context.Context, ready func(), hear drivers.Listener) error

// bursts gives take every burst until ctx ends. It is wiped when take returns.
// ready is called first, and on the same goroutine: both may write to one place.
func bursts(ctx context.Context, listen Listen, ready func(), take func(*Burst)) error {
	c := collector{open: map[string]*Burst{}, cut: map[string]bool{}, take: take, more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- listen(ctx, func() { close(listening) }, c.hear) }()
	select {
	case <-listening:
	case err := <-ended:
		ended <- err
	}
	select {
	case <-listening:
		ready()
	default: // it failed before
	}
	for {
		timer := time.NewTimer(c.flush(time.Now()))
		select {
		case err := <-ended:
			timer.Stop()
			c.flush(time.Now().Add(hesitation))
			c.close()
			return err
		case <-c.more:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// collector puts reads together to bursts.
type collector struct {
	take func(*Burst)
	more chan struct{} // something was heard

	mu   sync.Mutex
	open map[string]*Burst // by path; nil when nobody listens any more
	cut  map[string]bool   // the last burst of a path was cut
}

func (c *collector) hear(s drivers.Source, r driver.Read) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		return
	}
	b := c.open[s.Path]
	if b == nil {
		b = &Burst{Source: s}
		c.open[s.Path] = b
	}
	b.Reads = append(b.Reads, driver.Read{At: r.At, Data: bytes.Clone(r.Data)})
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// close forgets what came too late. A device may have been about to tell of it.
func (c *collector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.open {
		b.wipe()
	}
	c.open = nil
}

// idle is how long to wait where nothing is open.
const idle = time.Hour

// flush takes the bursts that have ended, and says how long it is to the end of
// the next.
func (c *collector) flush(now time.Time) time.Duration {
	c.mu.Lock()
	var ended []*Burst
	next := idle
	for path, b := range c.open {
		left := b.Reads[len(b.Reads)-1].At.Add(b.silence()).Sub(now)
		long := b.size() >= maxBurst
		if left > 0 && !long {
			next = min(next, left)
			continue
		}
		delete(c.open, path)
		b.cut = long || c.cut[path]
		c.cut[path] = long
		ended = append(ended, b)
	}
	c.mu.Unlock()
	for _, b := range ended {
		if b.says() {
			c.take(b)
		}
		b.wipe()
	}
	return next
}
