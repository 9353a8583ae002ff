package driver

import (
	"slices"
	"testing"
	"time"
)

// clock wants to know when it begins, and then every ten seconds.
type clock struct {
	next time.Time
	told []time.Time
}

func (c *clock) Decode(r Read, _ Emit) { c.told = append(c.told, r.At) }
func (c *clock) Deadline() time.Time   { return time.Time{} }
func (c *clock) Due() time.Time        { return c.next }
func (c *clock) Commands() []Command   { return nil }
func (c *clock) Expire(now time.Time, _ Emit) {
	c.told = append(c.told, now)
	c.next = now.Add(10 * time.Second)
}

func TestFeed(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1_700_000_000, 0).Add(time.Duration(s) * time.Second) }
	c := &clock{next: Start()}
	Feed(c, Read{At: at(0)}, nil)
	Feed(c, Read{At: at(9)}, nil)
	Feed(c, Read{At: at(25), Data: []byte("x")}, nil)
	if want := []time.Time{at(0), at(10), at(20), at(25)}; !slices.Equal(c.told, want) {
		t.Errorf("got %v, want %v", c.told, want)
	}
}

// A decoder whose deadline does not move waits for something else than time.
type stuck struct{ told int }

func (s *stuck) Decode(Read, Emit)      {}
func (s *stuck) Deadline() time.Time    { return time.Unix(1, 0) }
func (s *stuck) Expire(time.Time, Emit) { s.told++ }

func TestFeedEnds(t *testing.T) {
	s := &stuck{}
	if Feed(s, Read{At: time.Unix(2, 0)}, nil); s.told != 1 {
		t.Errorf("told %d times", s.told)
	}
}
