package keypad

import "time"

const (
	stx = 0x02
	etx = 0x03

	frameExpiry = 2 * time.Second
)

// frame collects what stands between STX and ETX. The LRC behind it is the
// exclusive or of the bytes behind STX, ETX included (ISO 1155).
type frame struct {
	lrc   bool
	state frameState
	buf   [64]byte
	n     int
	long  bool // longer than any entry: dropped up to its end
	sum   byte
	last  time.Time
}

type frameState uint8

const (
	frameOut frameState = iota
	frameIn
	frameEnd // the LRC is to come
)

// frameEvent is what came of a byte.
type frameEvent uint8

const (
	framePart   frameEvent = iota
	frameBeside            // it is in no frame
	frameWhole             // it is the last of a frame
	frameBad               // the frame is no good
)

func (f *frame) take(c byte, at time.Time) frameEvent {
	f.last = at
	switch f.state {
	case frameOut:
		if c != stx {
			return frameBeside
		}
		f.begin()
	case frameEnd:
		return f.end(c == f.sum)
	default:
		return f.add(c)
	}
	return framePart
}

func (f *frame) add(c byte) frameEvent {
	f.sum ^= c
	switch {
	case c == stx:
		f.begin()
		return frameBad // the one before, which has no end
	case c == etx && f.lrc:
		f.state = frameEnd
	case c == etx:
		return f.end(true)
	case f.long:
	case f.n == len(f.buf):
		f.long = true
		return frameBad
	default:
		f.buf[f.n] = c
		f.n++
	}
	return framePart
}

// end ends the frame. One that is too long has been told of.
func (f *frame) end(good bool) frameEvent {
	f.state = frameOut
	switch {
	case f.long:
		f.drop()
		return framePart
	case !good:
		f.drop()
		return frameBad
	}
	return frameWhole
}

func (f *frame) begin() {
	f.drop()
	f.state = frameIn
}

// drop forgets the frame.
func (f *frame) drop() {
	clear(f.buf[:])
	f.state, f.n, f.long, f.sum = frameOut, 0, false, 0
}
