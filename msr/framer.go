package msr

import "time"

// Control characters of the line.
const (
	stx = 0x02
	etx = 0x03
	cr  = '\r'
	lf  = '\n'
)

// Codes of a FrameError.
const (
	CodeTooLong    = "too-long"   // no end in sight
	CodeLineError  = "line-error" // a NUL, as a break or a wrong speed gives
	CodeIncomplete = "incomplete" // it broke off
	CodeLost       = "lost"       // the host lost some of it
)

// FrameError says why what a reader sent makes no frame. It repeats nothing of
// it.
type FrameError struct{ Code, Reason string }

func (e *FrameError) Error() string { return e.Code + ": " + e.Reason }

var (
	errTooLong    = FrameError{CodeTooLong, "the reader sent more than a card holds without an end: check the speed of the line and the driver"}
	errLine       = FrameError{CodeLineError, "the line is disturbed: check the plug and the speed of the line"}
	errLost       = FrameError{CodeLost, "the host was too slow and lost some of what the reader sent: swipe the card again"}
	errIncomplete = FrameError{CodeIncomplete, "the reader stopped in the middle of a card: check the plug and swipe again"}
)

const (
	// maxFrame holds what a reader that encrypts sends of three tracks of
	// ISO/IEC 7811 (79, 40 and 107 characters): masked, and in hex encrypted,
	// with the stripe's fingerprint.
	maxFrame = 1536
	// frameTimeout is the silence after which the rest of a frame will not
	// come. At 1,200 baud a character takes 9 ms.
	frameTimeout = time.Second
)

// Framer cuts the bytes of a serial card reader into frames, one a swipe. A
// frame ends with CR, LF or both; one that begins with STX ends with ETX.
//
// It holds at most one frame, in memory of its own, which it clears as soon as
// the frame was given on. The zero value is ready for use, by one goroutine. It
// must not be copied.
type Framer struct {
	// Gap is for readers that send every track in a line of its own: the frame
	// ends when nothing has come for this long after the end of a line. Zero
	// is for all others.
	Gap time.Duration
	// Silence is for readers that send nothing behind a card: the frame ends
	// when nothing has come for this long. Zero is for all others, of which half
	// a frame is an error.
	Silence time.Duration

	buf  [maxFrame]byte
	n    int
	stx  bool // the frame began with STX
	bad  bool // an error was given: the rest goes until the end
	nul  bool // an error was given for a NUL between frames
	last time.Time
}

// Push takes what was read until now and calls emit for every frame that is
// complete, and for every error. A frame is valid during the call of emit only,
// and cleared after it; so is data when Push returns. A frame that is too long or
// disturbed gives one error, and reading goes on behind its end.
func (f *Framer) Push(data []byte, now time.Time, emit func(frame []byte, err *FrameError)) {
	defer clear(data)
	f.Expire(now, emit)
	for _, c := range data {
		f.put(c, emit)
	}
	if len(data) > 0 {
		f.last = now
	}
}

// Deadline is when what waits in the framer expires, or the zero time if
// nothing waits.
func (f *Framer) Deadline() time.Time {
	switch {
	case f.n == 0 && !f.bad && !f.stx:
		return time.Time{}
	case f.lineEnded():
		return f.last.Add(f.Gap)
	case f.Silence > 0:
		return f.last.Add(f.Silence)
	}
	return f.last.Add(frameTimeout)
}

// Expire ends what has waited until its deadline: with a Gap, lines are a frame,
// and with Silence all is; else half a frame is an error.
func (f *Framer) Expire(now time.Time, emit func(frame []byte, err *FrameError)) {
	deadline := f.Deadline()
	if deadline.IsZero() || now.Before(deadline) {
		return
	}
	if f.lineEnded() || f.Silence > 0 && f.n > 0 {
		f.finish(emit)
		return
	}
	if f.n > 0 {
		f.fail(errIncomplete, emit)
	}
	f.reset()
}

// Lose says that some of what the reader sent until now was lost. What has begun
// is dropped up to its end: it may look whole, and not be.
func (f *Framer) Lose(now time.Time, emit func(frame []byte, err *FrameError)) {
	f.Expire(now, emit)
	f.fail(errLost, emit)
	f.last = now
}

// lineEnded reports whether a frame of lines may be complete.
func (f *Framer) lineEnded() bool { return f.Gap > 0 && f.n > 0 && ends(f.buf[f.n-1]) }

func (f *Framer) put(c byte, emit func([]byte, *FrameError)) {
	if c == 0 {
		f.zero(emit)
		return
	}
	f.nul = false
	switch {
	case c == stx:
		f.start(emit)
	case c == etx, ends(c) && f.Gap == 0 && !f.stx:
		f.finish(emit)
	case f.bad, ends(c) && f.n == 0:
	case f.n == len(f.buf):
		f.fail(errTooLong, emit)
	default:
		f.buf[f.n] = c
		f.n++
	}
}

func ends(c byte) bool { return c == cr || c == lf }

// zero takes a NUL. Between frames it does no harm: plugging in a reader gives
// one.
func (f *Framer) zero(emit func([]byte, *FrameError)) {
	switch {
	case f.bad || f.nul:
	case f.n == 0:
		f.nul = true
		e := errLine
		emit(nil, &e)
	default:
		f.fail(errLine, emit)
	}
}

func (f *Framer) start(emit func([]byte, *FrameError)) {
	if f.n > 0 {
		f.fail(errIncomplete, emit)
	}
	f.reset()
	f.stx = true
}

func (f *Framer) finish(emit func([]byte, *FrameError)) {
	if frame := f.buf[:f.n]; !quiet(frame) {
		emit(frame, nil)
	}
	f.reset()
}

func (f *Framer) fail(e FrameError, emit func([]byte, *FrameError)) {
	f.reset()
	f.bad = true
	emit(nil, &e)
}

func (f *Framer) reset() {
	clear(f.buf[:])
	f.n, f.stx, f.bad = 0, false, false
}

// quiet reports whether a frame says nothing of a card's tracks: it is empty, or
// an insert reader's message that a card came ("1") or went ("0").
func quiet(frame []byte) bool {
	said := 0
	for _, c := range frame {
		switch {
		case c < ' ':
		case c == '0' || c == '1':
			said++
		default:
			return false
		}
	}
	return said < 2
}
