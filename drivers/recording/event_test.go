package recording

import (
	"bytes"
	"slices"
	"testing"
)

func TestEventBytes(t *testing.T) {
	events := []Event{{1, 28, 1}, {0x1122, 0x3344, -2}, {0, 0, 0}}
	var b []byte
	for _, e := range events {
		b = e.Append(b)
	}
	want := []byte{
		1, 0, 28, 0, 1, 0, 0, 0,
		0x22, 0x11, 0x44, 0x33, 0xfe, 0xff, 0xff, 0xff,
		0, 0, 0, 0, 0, 0, 0, 0,
	}
	if !bytes.Equal(b, want) || len(b) != len(events)*EventSize {
		t.Errorf("got % x", b)
	}
	if got := slices.Collect(Events(append(b, 1, 0, 28, 0, 1, 0, 0))); !slices.Equal(got, events) {
		t.Errorf("got %v", got)
	}
	for e := range Events(b) {
		if e != events[0] {
			t.Errorf("got %v first", e)
		}
		break
	}
}

func TestEventsAllocateNothing(t *testing.T) {
	b := Event{1, 30, 1}.Append(nil)
	sum := 0
	if n := testing.AllocsPerRun(100, func() {
		for e := range Events(b) {
			sum += int(e.Code)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
