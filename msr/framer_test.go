package msr

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// collector gathers what a framer gives, in one line a frame or error.
type collector struct{ got []string }

func (c *collector) emit(frame []byte, err *FrameError) {
	if err != nil {
		c.got = append(c.got, "!"+err.Code)
		return
	}
	c.got = append(c.got, string(frame))
}

func (c *collector) String() string { return strings.Join(c.got, "|") }

// holdsNothing checks that nothing of a frame is left in a framer.
func holdsNothing(t *testing.T, f *Framer) {
	t.Helper()
	if f.buf != [maxFrame]byte{} || f.n != 0 {
		t.Errorf("%d bytes are left, and the buffer is not clear", f.n)
	}
}

// push pushes text in pieces of size and checks that they were wiped.
func push(t *testing.T, f *Framer, text string, size int, now time.Time, c *collector) {
	t.Helper()
	for len(text) > 0 {
		piece := []byte(text[:min(size, len(text))])
		text = text[len(piece):]
		f.Push(piece, now, c.emit)
		if !bytes.Equal(piece, make([]byte, len(piece))) {
			t.Error("what was pushed was not wiped")
		}
	}
}

func TestFramer(t *testing.T) {
	card := one(visa) + two(visa) + three
	for _, c := range []struct{ name, in, want string }{
		{"CR", card + "\r", card},
		{"LF", card + "\n", card},
		{"CR LF", card + "\r\n", card},
		{"two swipes", card + "\r" + two(mc) + "\r", card + "|" + two(mc)},
		{"nothing yet", card, ""},
		{"empty lines", "\r\r\n\n\r", ""},
		{"STX and ETX", "\x02" + card + "\x03", card},
		{"STX, CR and ETX", "\x02" + card + "\r\x03" + "\x02" + card + "\r\x03", card + "\r|" + card + "\r"},
		{"insert reader", "\x02\x1b" + card + "0\r\x03", "\x1b" + card + "0\r"},
		{"insert reader, lines", "\x02" + one(visa) + "\r" + two(visa) + "\r\x03", one(visa) + "\r" + two(visa) + "\r"},
		{"ETX without STX", card + "\x03", card},
		{"card comes and goes", "\x02\x1b1\r\x03\x02\x1b0\r\x031\r0\r\x1b1\r", ""},
		{"second STX", "\x02" + two(mc) + "\x02" + card + "\x03", "!incomplete|" + card},
		{"STX in a line", two(mc) + "\x02" + card + "\x03", "!incomplete|" + card},
		{"NUL within", two(mc)[:9] + "\x00" + two(mc)[9:] + "\r" + card + "\r", "!line-error|" + card},
		{"NUL before", "\x00\x00\x00" + card + "\r", "!line-error|" + card},
		{"NUL before each", "\x00" + card + "\r\x00" + card + "\r", "!line-error|" + card + "|!line-error|" + card},
		{"digits only", "01\r11\r", "01|11"},
		{"NUL within, STX", "\x02" + two(mc)[:9] + "\x00" + two(mc)[9:] + "\r\x03\x02" + card + "\x03", "!line-error|" + card},
		{"512 bytes", strings.Repeat("7", maxFrame) + "\r" + card + "\r", strings.Repeat("7", maxFrame) + "|" + card},
		{"513 bytes", strings.Repeat("7", maxFrame+1) + "\r" + card + "\r", "!too-long|" + card},
		{"too long, STX", "\x02" + strings.Repeat("7", 2000) + "\x03\x02" + card + "\x03", "!too-long|" + card},
		{"too long, without ETX", "\x02" + strings.Repeat("7", 2000) + "\x02" + card + "\x03", "!too-long|" + card},
	} {
		for _, size := range []int{1, 2, 3, 7, 64, 1 << 20} {
			var f Framer
			var got collector
			push(t, &f, c.in, size, start, &got)
			if got.String() != c.want {
				t.Errorf("%s by %d: got %q, want %q", c.name, size, got.String(), c.want)
			}
			if c.name != "nothing yet" {
				holdsNothing(t, &f)
				if !f.Deadline().IsZero() {
					t.Errorf("%s: a deadline with nothing waiting", c.name)
				}
			}
		}
	}
}

// A megabyte without an end gives one error, and the next swipe is read.
func TestFramerResynchronises(t *testing.T) {
	for name, junk := range map[string]string{"text": "x", "NUL": "\x00", "NUL and text": "x\x00", "high": "\xff"} {
		var f Framer
		var got collector
		push(t, &f, strings.Repeat(junk, 1<<20/len(junk)), 4096, start, &got)
		want := map[bool]string{true: "!line-error", false: "!too-long"}[strings.Contains(junk, "\x00")]
		if got.String() != want {
			t.Errorf("%s: got %.100q, want %s", name, got.String(), want)
		}
		holdsNothing(t, &f)
		push(t, &f, "\r"+two(visa)+"\r", 5, start, &got)
		if got.String() != want+"|"+two(visa) {
			t.Errorf("%s: then got %.100q", name, got.String())
		}
	}
}

// While a frame is with its taker it is in the framer's buffer; then it is gone,
// also from a slice that the taker kept.
func TestFramerWipesEveryFrame(t *testing.T) {
	var f Framer
	var kept [][]byte
	f.Push([]byte(one(visa)+"\r"+two(visa)+"\r"), start, func(frame []byte, err *FrameError) {
		if err != nil || &frame[0] != &f.buf[0] {
			t.Errorf("error %v, or a frame of other memory", err)
		}
		kept = append(kept, frame)
	})
	if len(kept) != 2 {
		t.Fatalf("%d frames", len(kept))
	}
	for _, frame := range kept {
		if !bytes.Equal(frame, make([]byte, len(frame))) {
			t.Errorf("a frame is left: %q", frame)
		}
	}
	holdsNothing(t, &f)
}

func TestFramerForgetsHalfAFrame(t *testing.T) {
	for _, head := range []string{"", "\x02"} {
		var f Framer
		var got collector
		push(t, &f, head+one(visa)[:30], 30, start, &got)
		if want := start.Add(frameTimeout); f.Deadline() != want {
			t.Errorf("deadline %v, want %v", f.Deadline(), want)
		}
		f.Expire(start.Add(frameTimeout-1), got.emit)
		f.Push(nil, start.Add(frameTimeout-1), got.emit) // nothing read puts nothing off
		if got.String() != "" {
			t.Errorf("too early: %q", got.String())
		}
		f.Expire(start.Add(frameTimeout), got.emit)
		if got.String() != "!incomplete" {
			t.Errorf("got %q", got.String())
		}
		holdsNothing(t, &f)
		if !f.Deadline().IsZero() {
			t.Error("a deadline with nothing waiting")
		}
		f.Expire(start.Add(time.Hour), got.emit)
		push(t, &f, head+two(visa)+"\r\x03", 3, start.Add(time.Hour), &got)
		if got.String() != "!incomplete|"+two(visa)+strings.Repeat("\r", len(head)) {
			t.Errorf("then got %q", got.String())
		}
	}
}

// STX alone waits, and goes without a word.
func TestFramerForgetsSTX(t *testing.T) {
	var f Framer
	var got collector
	push(t, &f, "\x02", 1, start, &got)
	if want := start.Add(frameTimeout); f.Deadline() != want {
		t.Errorf("deadline %v, want %v", f.Deadline(), want)
	}
	push(t, &f, two(mc)+"\r", 4, start.Add(frameTimeout), &got)
	if got.String() != two(mc) {
		t.Errorf("got %q", got.String())
	}
}

// Also where nobody calls Expire, a swipe is not glued to the half before it.
func TestFramerPushExpires(t *testing.T) {
	var f Framer
	var got collector
	push(t, &f, one(visa)[:30], 30, start, &got)
	push(t, &f, two(mc)+"\r", 30, start.Add(2*frameTimeout), &got)
	if got.String() != "!incomplete|"+two(mc) {
		t.Errorf("got %q", got.String())
	}
	// What was being dropped ends with silence, too.
	got = collector{}
	push(t, &f, strings.Repeat("x", 2000), 30, start, &got)
	push(t, &f, two(mc)+"\r", 30, start.Add(2*frameTimeout), &got)
	if got.String() != "!too-long|"+two(mc) {
		t.Errorf("got %q", got.String())
	}
}

func TestFramerGap(t *testing.T) {
	const gap = 50 * time.Millisecond
	f := Framer{Gap: gap}
	var got collector
	now := start
	for _, line := range []string{"\r\n", one(visa) + "\r\n", two(visa) + "\r\n", three + "\r\n"} {
		push(t, &f, line, 8, now, &got)
		now = now.Add(gap - 1)
		f.Expire(now, got.emit)
	}
	if got.String() != "" {
		t.Fatalf("too early: %q", got.String())
	}
	now = now.Add(1)
	if f.Deadline() != now {
		t.Errorf("deadline %v, want %v", f.Deadline(), now)
	}
	f.Expire(now, got.emit)
	whole := one(visa) + "\r\n" + two(visa) + "\r\n" + three + "\r\n"
	if got.String() != whole {
		t.Errorf("got %q", got.String())
	}
	holdsNothing(t, &f)
	if s := outcome(read(t, Reader{Rules: rules}, whole)); s != "1ok 2ok 3ok B payment "+visa {
		t.Error(s)
	}
	// In the middle of a line it is patient.
	got = collector{}
	push(t, &f, one(visa)[:20], 8, now, &got)
	push(t, &f, one(visa)[20:]+"\r", 8, now.Add(10*gap), &got)
	push(t, &f, two(mc)+"\r", 8, now.Add(12*gap), &got)
	f.Expire(now.Add(13*gap), got.emit)
	if got.String() != one(visa)+"\r|"+two(mc)+"\r" {
		t.Errorf("got %q", got.String())
	}
	// Half a line is an error after the time-out.
	got = collector{}
	push(t, &f, one(visa)[:20], 8, now, &got)
	f.Expire(now.Add(frameTimeout), got.emit)
	if got.String() != "!incomplete" {
		t.Errorf("got %q", got.String())
	}
	holdsNothing(t, &f)
}

func TestFrameErrorsRepeatNothing(t *testing.T) {
	var f Framer
	for _, in := range []string{strings.Repeat(visa, 100), "\r" + visa + "\x00"} {
		f.Push([]byte(in), start, func(_ []byte, err *FrameError) {
			if err != nil && (strings.ContainsAny(err.Error(), "0123456789") || strings.Contains(fmt.Sprintf("%+v", *err), visa[:4])) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Silence ends a card that nothing stands behind; a line ends sooner.
func TestFramerSilence(t *testing.T) {
	const silence = 300 * time.Millisecond
	f := Framer{Gap: 50 * time.Millisecond, Silence: silence}
	var got collector
	push(t, &f, two(visa), 8, start, &got)
	if f.Deadline() != start.Add(silence) {
		t.Errorf("deadline %v", f.Deadline())
	}
	f.Expire(start.Add(silence-1), got.emit)
	if got.String() != "" {
		t.Errorf("too early: %q", got.String())
	}
	push(t, &f, two(mc)+"\r", 8, start.Add(silence), &got)
	if f.Deadline() != start.Add(silence+f.Gap) {
		t.Errorf("deadline of a line %v", f.Deadline())
	}
	f.Expire(start.Add(2*silence), got.emit)
	if got.String() != two(visa)+"|"+two(mc)+"\r" {
		t.Errorf("got %q", got.String())
	}
	holdsNothing(t, &f)
	// Too much, or a disturbed line, is not made good by silence.
	got = collector{}
	push(t, &f, strings.Repeat("7", 2000), 64, start.Add(time.Minute), &got)
	f.Expire(start.Add(time.Hour), got.emit)
	if got.String() != "!too-long" {
		t.Errorf("got %q", got.String())
	}
}

// What was lost takes the card with it, also when its beginning was lost.
func TestFramerLose(t *testing.T) {
	for _, begun := range []string{"", one(visa)[:30]} {
		var f Framer
		var got collector
		push(t, &f, begun, 8, start, &got)
		f.Lose(start, got.emit)
		holdsNothing(t, &f)
		push(t, &f, one(visa)[40:]+two(visa)+"\r"+two(mc)+"\r", 8, start, &got)
		if got.String() != "!lost|"+two(mc) {
			t.Errorf("behind %q: got %q", begun, got.String())
		}
		got = collector{}
		f.Lose(start, got.emit) // of which nothing more comes
		f.Expire(start.Add(frameTimeout), got.emit)
		push(t, &f, two(mc)+"\r", 8, start.Add(frameTimeout), &got)
		if got.String() != "!lost|"+two(mc) {
			t.Errorf("after silence: got %q", got.String())
		}
	}
}
