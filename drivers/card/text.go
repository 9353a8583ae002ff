package card

import (
	"bytes"
	"encoding/hex"
	"time"

	"posd/drivers/driver"
	"posd/msr"
)

// textReader makes readings of what readers send as text: tracks, or what those
// that encrypt send in their place.
type textReader struct {
	secure secureMag
	lrc    bool // behind each track
}

const (
	// maxPreamble is how much readers may be set to send before a card and
	// behind it (ID TECH: 15 characters; MagTek: 15).
	maxPreamble = 15
	// separator is what stands between the parts of what MagneSafe readers send.
	separator = '|'
	// sentinels begin tracks; DEL ends them too.
	sentinels = "%;+#&!@\x7f"
	del       = 0x7f
	maxTrack  = 107

	codeNoise = "noise" // more was sent than tracks
)

// take gives the function that makes readings of a framer's frames.
func (t textReader) take(at time.Time, emit driver.Emit) func([]byte, *msr.FrameError) {
	return func(frame []byte, err *msr.FrameError) {
		if err != nil {
			emit(driver.Failure(at, err.Code, err.Reason))
			return
		}
		emit(t.read(at, frame))
	}
}

// read gives the reading of a frame, and wipes it. In the text of a reader that
// encrypts the tracks are masked, and a mask may look like a number: only text
// that cannot be of such a reader is taken for tracks.
func (t textReader) read(at time.Time, frame []byte) driver.Reading {
	defer clear(frame)
	if i := secureAt(frame); i >= 0 {
		return t.secure.readText(at, frame[i:])
	}
	if bytes.IndexByte(frame, separator) >= 0 {
		return t.magneSafe(at, frame)
	}
	if noisy(frame) {
		return driver.Failure(at, codeNoise, "the reader sends more than tracks. If it encrypts, its separator must be the one that it is made with, |")
	}
	reader := t.secure.reader
	reader.LRC = t.lrc
	return swiped(at, reader.Read(frame))
}

// noisy reports whether more stands behind the tracks of a frame than readers may
// be set to send there, and than the beginning of one more track.
func noisy(frame []byte) bool {
	ends, dels := bytes.Count(frame, []byte{'?'}), bytes.Count(frame, []byte{del})
	if ends > 6 || dels > 2 { // three tracks, each with an LRC that looks like an end
		return true
	}
	end := bytes.LastIndexByte(frame, '?')
	if dels%2 == 0 {
		end = max(end, bytes.LastIndexByte(frame, del))
	}
	behind := bytes.TrimRightFunc(frame[end+1:], control)
	if end < 0 || len(behind) <= maxPreamble {
		return false
	}
	at := bytes.IndexAny(behind, sentinels)
	if at < 0 || len(behind)-at > maxTrack {
		return true
	}
	return len(bytes.TrimFunc(behind[:at], control)) > 1 // an LRC
}

func control(c rune) bool { return c < ' ' }

// secureAt gives where the text of ID TECH's encrypting readers begins, behind a
// preamble; -1 if there is none.
func secureAt(frame []byte) int {
	for i := range min(maxPreamble, len(frame)) + 1 {
		if beginsSecure(frame[i:]) {
			return i
		}
	}
	return -1
}

// The parts of what MagneSafe V5 readers send as text, with "|" between them
// (99875475, "Card data (KB)"): masked tracks, then, in hex, the
// encryption status, tracks 1 to 3 and the MagnePrint with its status, then the
// serial number of the reader, and again in hex the session id and the key
// serial number, then what is not needed. Tracks that are not encrypted stand
// there as they are (its appendix D, example 5).
const (
	partMasked = iota
	partStatus
	partTrack1
	partTrack2
	partTrack3
	partPrintStatus
	partPrint
	partSerial
	partSession
	partKSN
	safeParts
)

// magneSafe gives the reading of the text of a MagneSafe reader.
func (t textReader) magneSafe(at time.Time, frame []byte) driver.Reading {
	var parts [safeParts][]byte
	n := 0
	for rest, more := frame, true; more && n < safeParts; n++ {
		parts[n], rest, more = bytes.Cut(rest, []byte{separator})
	}
	if n < safeParts || !unhexParts(&parts) {
		return driver.Failure(at, codeReport, "the reader sends parts between |, and not those of a MagneSafe V5 reader")
	}
	shown := maskedTracks(parts[partMasked])
	var tracks [4]msr.Field
	for i := range shown {
		tracks[i].Data = parts[partTrack1+i]
		if len(shown[i]) == 3 && shown[i][1] == 'E' {
			tracks[i].Failed = msr.CodeReaderError
		}
	}
	var status uint32
	for _, c := range parts[partStatus] {
		status |= uint32(c)
	}
	reader := t.secure.reader
	switch {
	case status&usedUp == usedUp && empty(tracks):
		return driver.Failure(at, codeExhausted, exhausted)
	case !encrypting(status):
		return swiped(at, reader.ReadFields(tracks, ""))
	}
	e := msr.Encrypted{
		Scheme: msr.MagneSafe, Cipher: msr.TDES, Serial: text(parts[partSerial]),
		MagnePrint: msr.NewSecret(parts[partPrint]), Session: msr.NewSecret(parts[partSession]),
	}
	copy(e.KSN[:], parts[partKSN])
	state := states()
	for i := range state {
		seal(&e, &state[i], tracks[i])
	}
	return encrypted(at, reader, e, state, formOf(shown), [2][]byte(shown[:2]))
}

// unhexParts turns what is in hex into bytes, in place.
func unhexParts(parts *[safeParts][]byte) bool {
	for i, p := range parts {
		if i == partMasked || i == partSerial || clearTrack(i, p) {
			continue
		}
		n, err := hex.Decode(p, p)
		if err != nil {
			return false
		}
		parts[i] = p[:n]
	}
	return true
}

// clearTrack reports whether a part is a track that is not encrypted: it begins
// with a start sentinel, which is no hex digit.
func clearTrack(i int, p []byte) bool {
	return i >= partTrack1 && i <= partTrack3 && len(p) > 0 && bytes.IndexByte([]byte(sentinels), p[0]) >= 0
}

// maskedTracks gives the masked tracks of a text, with their sentinels.
func maskedTracks(b []byte) (tracks [3][]byte) {
	for {
		from := bytes.IndexAny(b, "%;@+#&")
		if from < 0 {
			return tracks
		}
		b = b[from:]
		i, n := 2, bytes.IndexByte(b, '?')
		switch {
		case n < 0:
			return tracks
		case b[0] == '%':
			i = 0
		case b[0] == ';' || b[0] == '@':
			i = 1
		}
		tracks[i], b = b[:n+1], b[n+1:]
	}
}

// formOf tells a bank's card by its masked tracks: the format code is never
// masked, and track 2 alone has the standard's sentinel.
func formOf(shown [3][]byte) string {
	one, two := shown[0], shown[1]
	if len(one) > 3 && one[1] == 'B' || len(one) <= 3 && len(two) > 3 && two[0] == ';' {
		return msr.FormISO
	}
	return msr.FormOther
}
