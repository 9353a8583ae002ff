package scanner

// Drop forgets the frame that has begun, and overwrites what frames have left in
// memory: it may have been a card's.
func (f *Framer) Drop() {
	clear(f.buf[:cap(f.buf)])
	clear(f.out[:cap(f.out)])
	f.buf, f.over, f.licence, f.prev = f.buf[:0], false, 0, 0
}
