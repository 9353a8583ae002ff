package msr

// stripeCode is a code of ISO/IEC 7811-2: characters of so many bits, the lowest
// first and one of odd parity behind them, from first on.
type stripeCode struct {
	bits         int
	first, start byte
}

var (
	wideCode   = stripeCode{7, ' ', wideStart}
	narrowCode = stripeCode{5, '0', narrowStart}
)

// Stripe reads a track from the bits of the stripe, the first of which is the
// lowest of the first byte: readers of the HID class send that (HID Point of Sale
// Usage Tables 1.02, section 5.2.1). Clocking zeros stand around it, and a card
// may have been swiped backwards. number is that of the track, 1 to 3; the third
// is in either code.
//
// The track is written to text as characters, with its sentinels and without LRC,
// and nothing else is left there. One without a single one is empty; what is wrong
// with another is its code.
func Stripe(bits []byte, number int, text []byte) (track []byte, code string) {
	codes := [][]stripeCode{1: {wideCode}, 2: {narrowCode}, 3: {narrowCode, wideCode}}[number]
	first, last := ones(bits)
	if first > last {
		return nil, ""
	}
	code = CodeStartSentinel
	for _, c := range codes {
		for _, s := range []stripe{{bits, first, 1}, {bits, last, -1}} {
			n, wrong := c.read(s, text)
			if wrong == "" {
				clear(text[n:])
				return text[:n], ""
			}
			if wrong != CodeStartSentinel {
				code = wrong
			}
		}
	}
	clear(text)
	return nil, code
}

// ones gives the places of the first and the last bit that is 1; the first is
// behind the last if there is none.
func ones(bits []byte) (first, last int) {
	first, last = len(bits)*8, -1
	for i := range len(bits) * 8 {
		if bits[i/8]>>(i%8)&1 != 0 {
			first, last = min(first, i), i
		}
	}
	return first, last
}

// stripe is bits that are read from a place on, in a direction.
type stripe struct {
	bits     []byte
	at, step int
}

// next gives the next character, without its parity bit. It is not ok if parity
// is even; there is no more if the bits end within it.
func (s *stripe) next(size int) (value byte, ok, more bool) {
	sum := byte(0)
	for i := range size {
		if s.at < 0 || s.at >= len(s.bits)*8 {
			return 0, false, false
		}
		b := s.bits[s.at/8] >> (s.at % 8) & 1
		s.at += s.step
		sum ^= b
		if i < size-1 {
			value |= b << i
		}
	}
	return value, sum == 1, true
}

// read writes the characters of a track to text, from its start sentinel to its
// end sentinel, and checks parity, LRC and that nothing comes behind that: bits
// that are read the wrong way round may begin as a track.
func (c stripeCode) read(s stripe, text []byte) (n int, code string) {
	sum := byte(0)
	for n < len(text) {
		v, ok, more := s.next(c.bits)
		switch {
		case !more:
			return 0, CodeEndSentinel
		case n == 0 && (!ok || c.first+v != c.start):
			return 0, CodeStartSentinel
		case !ok:
			return 0, CodeParity
		}
		sum ^= v
		text[n] = c.first + v
		if n++; text[n-1] == end {
			return n, s.check(c.bits, sum)
		}
	}
	return 0, CodeLength
}

// check reads the LRC, which makes the ones of each column even.
func (s *stripe) check(size int, sum byte) string {
	if v, ok, _ := s.next(size); !ok || v != sum {
		return CodeLRC
	}
	if first, last := ones(s.bits); s.step > 0 && s.at <= last || s.step < 0 && s.at >= first {
		return CodeLength
	}
	return ""
}
