package barcode

import (
	"time"

	"posd/drivers/driver"
)

// bccDecoder decodes labels of a line with a block check character behind the
// terminator: the exclusive or of all bytes before it but the prefix (NCR 7870
// manual, RS-232 Parameters 2), which may be any byte. So the terminator is kept
// from the framer until it has come.
type bccDecoder struct {
	labelDecoder
	end  [1]byte // the terminator
	n    int     // bytes of the label so far
	sum  byte
	wait bool // for the check character
}

func (d *bccDecoder) Decode(r driver.Read, emit driver.Emit) {
	for i, c := range r.Data {
		switch {
		case d.wait:
			d.check(c, r.At, emit)
		case c == d.end[0] && d.framer.Pending():
			d.sum ^= c
			d.wait = true
		default:
			d.add(c)
			d.labels(d.framer.Push(r.Data[i:i+1], r.At), emit)
			d.settle()
		}
	}
}

// settle begins anew where nothing has begun.
func (d *bccDecoder) settle() {
	if !d.framer.Pending() {
		d.begin()
	}
}

// add adds a byte to the sum. Without a prefix that is set, a leading STX is one.
func (d *bccDecoder) add(c byte) {
	prefix := d.framing.Prefix
	if prefix == "" {
		prefix = "\x02"
	}
	if d.n >= len(prefix) || c != prefix[d.n] {
		d.sum ^= c
	}
	d.n++
}

// check takes the check character, and lets the framer have the terminator.
func (d *bccDecoder) check(c byte, at time.Time, emit driver.Emit) {
	good := c == d.sum
	d.begin()
	if good {
		d.labels(d.framer.Push(d.end[:], at), emit)
		return
	}
	d.framer.Drop()
	emit(driver.Failure(at, "bcc", "the block check character is wrong: check the setting bcc, and parity and speed of the line"))
}

func (d *bccDecoder) begin() { d.n, d.sum, d.wait = 0, 0, false }

func (d *bccDecoder) Expire(now time.Time, emit driver.Emit) {
	d.labels(d.framer.Expire(now), emit)
	d.settle()
}
