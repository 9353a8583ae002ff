package msr

import "bytes"

// Sentinels of ISO/IEC 7811, and what readers send in their place so that track
// 3 can be told from track 2.
const (
	wideStart   = '%' // 7-bit code: track 1
	narrowStart = ';' // 5-bit code: track 2, and track 3 by the standard
	wide2       = '@' // MagTek: track 2 in the 7-bit code
	end         = '?'
	starts      = "%;+#&!" // "+" stands for ";" on track 3, "#&!" for "%"
	jisSentinel = 0x7f     // JIS X 6302 type II: at both ends
)

// begins reports whether a character begins a track of ISO/IEC 7811.
func begins(c byte) bool { return c == wide2 || bytes.IndexByte([]byte(starts), c) >= 0 }

// most is how many characters a track has between its sentinels: 79, 40 and 107
// by ISO/IEC 7811, less the sentinels and the LRC.
var most = [...]int{79 - 3, 40 - 3, 107 - 3}

// maxJIS is how many characters JIS X 6302 type II has between its sentinels.
const maxJIS = 69

// track is a track as it was sent. data is what is between the sentinels, and
// points into the frame; nil unless the track could be read.
type track struct {
	Track
	data []byte
}

func (t *track) set(data []byte, code string) {
	switch {
	case t.Status != TrackNone: // a track comes once
		t.Status, t.Code, t.data = TrackError, CodeStartSentinel, nil
	case code != "":
		t.Status, t.Code = TrackError, code
	case len(data) > 0:
		t.Status, t.data = TrackOK, data
	}
}

// split finds the tracks of a frame. noise reports whether there is more in it
// than tracks and the digit of a card sensor.
func (r Reader) split(frame []byte) (tracks [4]track, noise bool) {
	for i := range tracks {
		tracks[i].Track = Track{Number: i + 1, Status: TrackNone}
	}
	for len(frame) > 0 {
		switch {
		case begins(frame[0]):
			n := 1 + body(frame[1:], wide(frame[0]))
			t := &tracks[position(frame[0], &tracks)]
			data, code, used := r.check(frame, n, most[t.Number-1])
			t.set(data, code)
			frame = frame[used:]
		case frame[0] == jisSentinel:
			data, code, used := jis(frame)
			tracks[3].set(data, code)
			frame = frame[used:]
		default:
			n := stray(frame, &tracks)
			noise = noise || n > 1
			frame = frame[n:]
		}
	}
	return tracks, noise
}

// jis judges a track of JIS X 6302 type II, with its sentinels or without. It is
// not looked into: its characters are of many codes. used is how much of the
// field belongs to it.
func jis(field []byte) (data []byte, code string, used int) {
	at := bytes.IndexByte(field, jisSentinel)
	switch {
	case at < 0:
		data, used = field, len(field)
	case at > 0:
		return nil, CodeStartSentinel, len(field)
	default:
		n := bytes.IndexByte(field[1:], jisSentinel)
		if n < 0 {
			return nil, CodeEndSentinel, len(field)
		}
		data, used = field[1:1+n], n+2
	}
	if len(data) > maxJIS {
		return nil, CodeLength, used
	}
	return data, "", used
}

// wide reports whether a start sentinel begins a track in the 7-bit code.
func wide(start byte) bool { return start != narrowStart && start != '+' }

// position is the index of the track that a start sentinel begins. A second
// track 1 or 2 is track 3: not every reader changes its sentinel.
func position(start byte, tracks *[4]track) int {
	switch {
	case start == wideStart && tracks[0].Status == TrackNone:
		return 0
	case (start == narrowStart || start == wide2) && tracks[1].Status == TrackNone:
		return 1
	}
	return 2
}

// body is how many characters go before the end sentinel, or before whatever
// shows that it is missing.
func body(b []byte, wide bool) int {
	stops := "?" + starts
	if wide {
		stops = "?%;+" // the others may be data here
	}
	for i, c := range b {
		if c < ' ' || bytes.IndexByte([]byte(stops), c) >= 0 {
			return i
		}
	}
	return len(b)
}

// check judges the track at the front of frame, whose end sentinel is at n if it
// is there. used is how much of the frame belongs to it.
func (r Reader) check(frame []byte, n, most int) (data []byte, code string, used int) {
	data = frame[1:n]
	if n == len(frame) || frame[n] != end {
		return nil, CodeEndSentinel, n
	}
	used = n + 1
	switch {
	case string(data) == "E":
		return nil, CodeReaderError, used
	case len(data) == 0:
	case len(data) > most:
		code = CodeLength
	case !inCode(data, wide(frame[0])):
		code = CodeParity
	}
	if !r.LRC || len(data) == 0 {
		return data, code, used
	}
	if used == len(frame) || frame[used] < ' ' {
		return data, CodeLRC, used
	}
	if code == "" && LRC(frame[:used]) != frame[used] {
		code = CodeLRC
	}
	return data, code, used + 1
}

// inCode reports whether the code of a track has all the characters. A reader
// that does not check parity sends others.
func inCode(data []byte, wide bool) bool {
	first, last := byte('0'), byte('?')
	if wide {
		first, last = ' ', '_'
	}
	for _, c := range data {
		if c < first || c > last {
			return false
		}
	}
	return true
}

// LRC computes the longitudinal redundancy check character (ISO/IEC 7811) of a
// track in ASCII, from its start sentinel through its end sentinel. It makes the
// ones in each column of bits even, parity bits apart, in the code of the track.
func LRC(track []byte) byte {
	if len(track) == 0 {
		return 0
	}
	first, mask := byte('0'), byte(0x0f)
	start := byte(narrowStart)
	if wide(track[0]) {
		first, mask, start = ' ', 0x3f, wideStart
	}
	sum := start - first // what is on the card, whatever the reader sends for it
	for _, c := range track[1:] {
		sum ^= c - first
	}
	return first + sum&mask
}

// stray gives how many characters to pass over at the front of frame that are no
// track: a control character, the digit of a card sensor, or a track whose start
// sentinel is lost.
func stray(frame []byte, tracks *[4]track) int {
	n := 0
	for n < len(frame) && frame[n] >= ' ' && bytes.IndexByte([]byte("?%;+\x7f"), frame[n]) < 0 {
		n++
	}
	if n == 0 || n == len(frame) || frame[n] != end {
		return max(n, 1)
	}
	for _, i := range lost(frame[:n]) {
		if tracks[i].Status == TrackNone {
			tracks[i].set(nil, CodeStartSentinel)
			break
		}
	}
	return n + 1
}

// lost gives the tracks that data without a start sentinel may be of.
func lost(data []byte) []int {
	if bytes.IndexByte(data, '^') >= 0 {
		return []int{0}
	}
	return []int{1, 2}
}
