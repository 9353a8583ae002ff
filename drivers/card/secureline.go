package card

import (
	"bytes"
	"time"

	"posd/drivers/driver"
	"posd/msr"
)

// secureLine decodes what ID TECH's readers send on a line: data of their own
// form when they encrypt, else tracks as text.
type secureLine struct {
	secure secureMag
	text   textReader
	framer msr.Framer
	buf    [maxSecure + secureFrame]byte
	n      int
	last   time.Time
}

func (d *secureLine) Decode(r driver.Read, emit driver.Emit) {
	defer clear(r.Data)
	d.last = r.At
	for rest := r.Data; len(rest) > 0; {
		if d.n > 0 || rest[0] == secureSTX && d.framer.Deadline().IsZero() {
			d.put(rest[0], emit)
			rest = rest[1:]
			continue
		}
		n := 1 + bytes.IndexByte(rest[1:], secureSTX)
		if n == 0 {
			n = len(rest)
		}
		d.pass(rest[:n], emit)
		rest = rest[n:]
	}
}

// put takes a byte of data in the reader's own form. What stands where their
// length does tells them from text behind STX.
func (d *secureLine) put(c byte, emit driver.Emit) {
	d.buf[d.n] = c
	d.n++
	switch {
	case d.n == 3 && c > maxSecure>>8:
		d.pass(d.buf[:d.n], emit)
		d.n = 0
	case d.n >= secureFrame && d.n == d.whole():
		emit(d.secure.frame(d.last, d.buf[:d.n]))
		d.reset()
	}
}

// whole is how long the frame is that has begun.
func (d *secureLine) whole() int { return (int(d.buf[1]) | int(d.buf[2])<<8) + secureFrame }

func (d *secureLine) pass(b []byte, emit driver.Emit) {
	d.framer.Push(b, d.last, d.text.take(d.last, emit))
}

func (d *secureLine) reset() {
	clear(d.buf[:d.n])
	d.n = 0
}

func (d *secureLine) Deadline() time.Time {
	if d.n > 0 {
		return d.last.Add(restOfSwipe)
	}
	return d.framer.Deadline()
}

func (d *secureLine) Expire(now time.Time, emit driver.Emit) {
	switch due := d.Deadline(); {
	case due.IsZero() || now.Before(due):
	case d.n > 0:
		d.reset()
		emit(driver.Failure(d.last, msr.CodeIncomplete, "the reader stopped in the middle of a card: check the plug and swipe again"))
	default:
		d.framer.Expire(now, d.text.take(d.last, emit))
	}
}
