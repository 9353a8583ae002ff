package scanner

// Drop forgets the frame that has begun, and overwrites what frames have left in
// memory: it may have been a card's. Frames that the last Push gave are not valid
// any more. A licence goes on being dropped.
func (f *Framer) Drop() {
	clear(f.buf[:cap(f.buf)])
	clear(f.out[:cap(f.out)])
	f.buf, f.over = f.buf[:0], false
}
