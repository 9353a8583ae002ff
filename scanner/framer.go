package scanner

import (
	"bytes"
	"time"

	"posd/aamva"
)

// MaxFrame is the most bytes of one frame, without its terminator: more than
// the largest QR Code holds.
const MaxFrame = 8 << 10

// What silence on a line means, where no gap is set.
const (
	// stall is how long a frame without terminator may pause. No person scans twice
	// within that, so that what comes later is of another label.
	stall        = 700 * time.Millisecond
	defaultGap   = 100 * time.Millisecond // a frame ends, where there is no terminator
	licenceQuiet = 300 * time.Millisecond // a driving licence has ended
)

// The codes of frames that cannot be read.
const (
	CodeTooLong    = "too-long"
	CodeLine       = "line-error" // a byte arrived with wrong parity
	CodeNoPrefix   = "no-prefix"
	CodeIncomplete = "incomplete" // no terminator came
	CodePersonal   = "personal"   // a driving licence: never kept
)

// Framing says how the labels of a stream are parted.
type Framing struct {
	Terminator Terminator
	Prefix     string        // before every label; left out of the frames. If empty, a leading STX is
	Gap        time.Duration // silence that ends a frame; 0: only a terminator does
}

// Frame is what stood between two terminators: data, or why there is none.
type Frame struct {
	Data    []byte    // without prefix and terminator; valid until the next call
	At      time.Time // when its last byte was read
	Problem *Problem  // set instead of Data
}

// Framer splits a stream of bytes into frames. It is pure: the caller brings
// bytes and times. How the stream is cut into pieces does not change the
// frames. Make it with NewFramer; one goroutine may use it.
//
// Empty frames are passed over, and CR LF is one end. A frame of more than
// MaxFrame bytes is one error; the next terminator begins anew. A frame that
// holds NUL is a line error: that is how the kernel hands over a byte of wrong
// parity. A frame that is no text is an error too, and so is one that no
// terminator follows for 0.7 s, or that the prefix follows, where that is
// STX: it never joins the next label.
//
// The PDF417 of a driving licence (AAMVA) holds line ends, so that terminators
// would cut it into lines of personal data. It is recognized by its head and
// dropped as a whole, up to a silence; noise that looks like its head cannot
// drop more than MaxFrame bytes.
type Framer struct {
	framing Framing
	buf     []byte    // the frame so far
	last    time.Time // when bytes last came
	prev    byte
	over    bool // the frame is too long: dropped up to the next terminator
	licence int  // bytes of a licence that may still be dropped; 0 if none is

	out    []byte // the data of frames
	frames []Frame
}

// NewFramer begins a stream. Without terminator and gap, a gap of 100 ms is set.
func NewFramer(framing Framing) *Framer {
	if framing.Terminator == None && framing.Gap <= 0 {
		framing.Gap = defaultGap
	}
	return &Framer{
		framing: framing,
		buf:     make([]byte, 0, MaxFrame), // that do not grow leave nothing behind
		out:     make([]byte, 0, MaxFrame),
	}
}

// Push takes the bytes of one read, at the time when it returned, and gives the
// frames that they complete. They are valid until the next call.
func (f *Framer) Push(b []byte, now time.Time) []Frame {
	f.begin()
	f.silence(now)
	f.last = now
	for _, c := range b {
		f.take(c)
		f.prev = c
	}
	return f.frames
}

// Expire gives the frame that silence up to now has ended, if any. It is called
// while nothing arrives, a few times a second, and at the end of a stream.
func (f *Framer) Expire(now time.Time) []Frame {
	f.begin()
	f.silence(now)
	return f.frames
}

// Pending reports whether a frame has begun.
func (f *Framer) Pending() bool { return len(f.buf) > 0 || f.over || f.licence > 0 }

// Deadline is when silence ends what has begun, so that Expire is worth a call:
// the zero time if nothing is pending.
func (f *Framer) Deadline() time.Time {
	if !f.Pending() {
		return time.Time{}
	}
	return f.last.Add(f.patience())
}

// patience is how much silence ends what is pending.
func (f *Framer) patience() time.Duration {
	switch {
	case f.licence > 0:
		return licenceQuiet
	case f.framing.Gap > 0:
		return f.framing.Gap
	}
	return stall
}

func (f *Framer) begin() { f.frames, f.out = f.frames[:0], f.out[:0] }

func (f *Framer) take(c byte) {
	switch {
	case f.licence > 0:
		if f.licence--; f.licence == 0 {
			f.over = true // the rest of a line is no label
		}
	case f.framing.Terminator.ends(c, f.prev):
		f.end(c)
	case f.over:
	case c == stx && len(f.buf) > 0 && f.startsWithSTX():
		if len(f.buf) > 1 {
			f.fail(CodeIncomplete, "another label began before its end")
		}
		f.buf = append(f.buf[:0], c)
	case len(f.buf) == MaxFrame:
		f.over, f.buf = true, f.buf[:0]
		f.fail(CodeTooLong, "8 KiB came without a terminator: check the terminator that is set, and the speed of the line")
	default:
		f.buf = append(f.buf, c)
	}
}

// end completes a frame. c is its terminator, 0 if silence ended it.
func (f *Framer) end(c byte) {
	data := f.buf
	f.buf = f.buf[:0]
	if f.over {
		f.over = false
		return
	}
	if c == '\n' {
		data = bytes.TrimSuffix(data, []byte{'\r'})
	}
	if len(data) == 0 {
		return
	}
	if f.framing.Prefix == "" && data[0] == stx {
		data = data[1:] // it is no part of any label
	}
	prefixed := bytes.HasPrefix(data, []byte(f.framing.Prefix))
	if prefixed {
		data = data[len(f.framing.Prefix):]
	}
	switch {
	case bytes.IndexByte(data, 0) >= 0:
		f.fail(CodeLine, "a byte arrived damaged: check parity and speed of the line, and the cable")
	case !prefixed:
		f.fail(CodeNoPrefix, "the prefix that is set does not stand before it")
	case isLicenceHead(data, c):
		if c != 0 { // its other lines come now
			f.licence = MaxFrame
		}
		f.fail(CodePersonal, "a driving licence was read: it is not kept")
	case len(data) == 0:
		f.fail(CodeEmpty, "nothing stands between its ends")
	case !isText(data) && !isLatin(data):
		f.fail(CodeNotText, "it is no text: check speed and parity of the line")
	default:
		start := len(f.out)
		f.out = append(f.out, data...)
		f.frames = append(f.frames, Frame{Data: f.out[start:len(f.out):len(f.out)], At: f.last})
	}
}

// startsWithSTX reports whether STX can be nothing but the beginning of a label.
func (f *Framer) startsWithSTX() bool {
	return f.framing.Prefix == "" && f.buf[0] == stx || f.framing.Prefix == string(rune(stx))
}

// isLicenceHead reports whether a frame is the head of an AAMVA licence, cut
// off at a line end in it: "@" LF RS CR "ANSI " and six digits (AAMVA DL/ID Card
// Design Standard, annex D); FS in place of RS and "AAMVA" in that of "ANSI " on
// older ones. Scanners may leave control characters out. Identifiers may stand
// before it.
func isLicenceHead(data []byte, terminator byte) bool {
	if aamva.IsLicence(data) {
		return true
	}
	head := bytes.TrimRight(data, "\n\x1c\x1e")
	if !bytes.HasSuffix(head, []byte("@")) {
		return false
	}
	return terminator == '\n' || terminator == '\r' && (len(head) < len(data) || len(head) == 1 || len(head) == 4 && head[0] == ']')
}

func (f *Framer) fail(code, reason string) {
	f.frames = append(f.frames, Frame{At: f.last, Problem: &Problem{code, reason, -1}})
}

// silence ends what the time since the last bytes has ended.
func (f *Framer) silence(now time.Time) {
	if !f.Pending() || now.Sub(f.last) < f.patience() {
		return
	}
	switch {
	case f.licence > 0:
		f.licence = 0
	case f.over:
		f.over = false
	case f.framing.Gap > 0:
		f.end(0)
	default:
		f.buf = f.buf[:0]
		f.fail(CodeIncomplete, "no terminator came after it: check the terminator that is set")
	}
}
