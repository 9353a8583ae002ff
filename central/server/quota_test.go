package server

import (
	"testing"
	"time"
)

func TestQuota(t *testing.T) {
	q := newQuota(Rate{2, 3})
	now := time.Unix(1e9, 0)
	for i := range 3 {
		if _, ok := q.take("a", now); !ok {
			t.Fatalf("number %d of a burst of 3 was refused", i+1)
		}
	}
	if wait, ok := q.take("a", now); ok || wait != 500*time.Millisecond {
		t.Errorf("the fourth: %v, %v", wait, ok)
	}
	if wait, ok := q.peek("a", now.Add(250*time.Millisecond)); ok || wait != 250*time.Millisecond {
		t.Errorf("halfway: %v, %v", wait, ok)
	}
	if _, ok := q.take("b", now); !ok {
		t.Error("another name was refused")
	}
	if _, ok := q.take("a", now.Add(-time.Hour)); ok {
		t.Error("a clock that goes back gives more")
	}
	later := now.Add(500 * time.Millisecond)
	for range 3 {
		if _, ok := q.peek("a", later); !ok {
			t.Error("looking took something")
		}
	}
	if _, ok := q.take("a", later); !ok {
		t.Error("there was one to take")
	}
	if _, ok := q.take("a", later); ok {
		t.Error("there was only one to take")
	}
	for i := range 4 {
		if _, ok := q.take("a", later.Add(time.Hour)); ok != (i < 3) {
			t.Errorf("number %d after an hour: %v", i+1, ok)
		}
	}
}
