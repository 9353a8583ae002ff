package barcode

import (
	"time"

	"posd/drivers/driver"
	"posd/scanner"
)

// parts joins the parts of a label that comes in several reports.
type parts struct {
	text []byte
	last time.Time // when the last part came
	more bool      // the label goes on
	skip bool      // it is too long or spoiled: dropped up to its last part
}

func newParts() parts { return parts{text: make([]byte, 0, scanner.MaxFrame)} }

// add adds a part. After the last one it gives the label, which is valid until the
// next part; false if there is none yet, or it is too long.
func (p *parts) add(text []byte, more bool, at time.Time, emit driver.Emit) (whole []byte, ok bool) {
	switch {
	case p.skip:
	case len(p.text)+len(text) > scanner.MaxFrame:
		p.skip = true
		clear(p.text)
		emit(driver.Failure(at, scanner.CodeTooLong, "8 KiB came without the end of the label"))
	default:
		p.text = append(p.text, text...)
	}
	p.last, p.more = at, more
	if more {
		return nil, false
	}
	return p.end()
}

// end gives what there is of a label, as add does.
func (p *parts) end() (whole []byte, ok bool) {
	whole, ok = p.text, !p.skip
	p.drop()
	return whole, ok
}

func (p *parts) drop() { p.text, p.more, p.skip = p.text[:0], false, false }

// spoil tells of a part that could not be read: what is left of its label is no
// label. What came of it is overwritten, since it may be of a card.
func (p *parts) spoil() {
	p.skip = p.more
	clear(p.text)
}

// expire drops a label whose rest did not come, in time or readable.
func (p *parts) expire(emit driver.Emit) {
	clear(p.text)
	if !p.skip {
		emit(driver.Failure(p.last, "incomplete", "the rest of a label in several reports did not come"))
	}
	p.drop()
}
