package scanner

import (
	"bytes"
	"testing"
	"time"
)

func TestDrop(t *testing.T) {
	f := NewFramer(Framing{})
	now := time.Unix(0, 0)
	f.Push([]byte(";4111111111111111=30121010?\r"), now)
	f.Push([]byte(";41111111"), now)
	f.Drop()
	if f.Pending() || !f.Deadline().IsZero() {
		t.Error("something is pending")
	}
	for _, b := range [][]byte{f.buf[:cap(f.buf)], f.out[:cap(f.out)]} {
		if bytes.ContainsAny(b, "1") {
			t.Errorf("it holds %q", b)
		}
	}
	if frames := f.Push([]byte("96385074\r"), now); len(frames) != 1 || string(frames[0].Data) != "96385074" {
		t.Errorf("got %+v", frames)
	}
	f.Push(bytes.Repeat([]byte("x"), MaxFrame+1), now)
	f.Drop()
	if frames := f.Push([]byte("96385074\r"), now); len(frames) != 1 || frames[0].Problem != nil {
		t.Errorf("behind a long one: %+v", frames)
	}
	f.Push([]byte("@\n"), now)
	f.Drop()
	if frames := f.Push([]byte("ANSI 636000\rDCSSAMPLE\r"), now); len(frames) > 0 {
		t.Errorf("of a licence: %+v", frames)
	}
	// The LF of a CR LF is still its second half.
	f = NewFramer(Framing{Terminator: CR})
	f.Push([]byte("96385074\r"), now)
	f.Drop()
	if frames := f.Push([]byte("\n5901234123457\r"), now); len(frames) != 1 || string(frames[0].Data) != "5901234123457" {
		t.Errorf("between CR and LF: %+v", frames)
	}
}
