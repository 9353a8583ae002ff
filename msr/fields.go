package msr

import "bytes"

// Field is one track as it comes from readers that have a field for each.
type Field struct {
	// Data is the track with its sentinels, and perhaps an LRC, or what is
	// between them: some readers strip them.
	Data []byte
	// Failed says that the track could not be read: CodeReaderError if the
	// reader says so, CodeLength if what it says of its length cannot be.
	Failed string
}

// ReadFields makes a swipe of the fields of tracks 1 to 3 and of JIS II, the
// front stripe of Japanese cards. form is what the reader says that the card is:
// FormAAMVA, FormCADL or FormJIS2, whose numbers are not read, FormOther if it
// could make nothing of it, or "" to go by the tracks alone. ReadFields wipes
// all data.
func (r Reader) ReadFields(fields [4]Field, form string) Swipe {
	var tracks [4]track
	for i, f := range fields {
		tracks[i].Track = Track{Number: i + 1, Status: TrackNone}
		switch {
		case f.Failed != "":
			tracks[i].set(nil, f.Failed)
		case i == 3 || form == FormJIS2:
			data, code, _ := jis(f.Data)
			tracks[i].set(data, code)
		default:
			tracks[i].set(r.fieldData(f.Data, i))
		}
	}
	s := r.swipe(tracks, examine(tracks, form == FormOther, form))
	for _, f := range fields {
		clear(f.Data)
	}
	return s
}

// fieldData gives what is between the sentinels of a track, and what is wrong
// with it.
func (r Reader) fieldData(field []byte, i int) (data []byte, code string) {
	field = bytes.TrimRightFunc(field, func(c rune) bool { return c < ' ' })
	switch {
	case len(field) == 0:
		return nil, ""
	case !begins(field[0]):
		return bare(field, i)
	}
	data, code, used := r.check(field, 1+body(field[1:], wide(field[0])), most[i])
	if code == "" && len(field)-used > 1 { // more than an LRC
		code = CodeLength
	}
	return data, code
}

// bare judges a track without sentinels. Track 3 is in either code.
func bare(data []byte, i int) (_ []byte, code string) {
	n := body(data, i != 1)
	switch {
	case string(data) == "E":
		return nil, CodeReaderError
	case n < len(data) && data[n] >= ' ': // a sentinel
		return nil, CodeStartSentinel
	case len(data) > most[i]:
		return nil, CodeLength
	case !inCode(data, i != 1):
		return nil, CodeParity
	}
	return data, ""
}
