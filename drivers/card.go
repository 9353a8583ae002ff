package drivers

import (
	"bytes"
	"time"

	"posd/msr"
	"posd/tid"
)

// serialMSR reads magnetic-stripe readers that send tracks as text.
func serialMSR() Driver {
	return Driver{
		Name: "serial-msr", Role: RoleMSR, Transport: TransportTTY,
		Doc: "magnetic-stripe readers on a serial port: %track 1?;track 2?+track 3? and CR",
		Settings: append([]Setting{
			{"lrc", "true, false", "false", "the reader sends the LRC behind each end sentinel"},
			{"gap", "time span", "", "silence that ends a swipe, for readers that send each track in a line of its own"},
		}, signals()...),
		Claim: claims(TransportTTY),
		Fits:  beginsAsTrack,
		Open: func(_ Attributes, s Settings, rules tid.Rules) (Decoder, error) {
			lrc, err := s.flag("lrc")
			if err != nil {
				return nil, err
			}
			gap, err := s.span("gap", 0)
			if err != nil {
				return nil, err
			}
			return &cardDecoder{framer: msr.Framer{Gap: gap}, reader: msr.Reader{Rules: rules, LRC: lrc}}, nil
		},
	}
}

// beginsAsTrack reports whether reads look like tracks: the first printable
// character, but for the digit of a card sensor, is a start sentinel, and what a
// track has stands behind it; or one track follows another, where the first has
// lost its start.
func beginsAsTrack(reads []Read) bool {
	var all []byte
	for _, r := range reads {
		all = append(all, r.Data...)
	}
	defer clear(all)
	text := bytes.TrimLeftFunc(all, func(c rune) bool { return c <= ' ' })
	if len(text) > 1 && (text[0] == '0' || text[0] == '1') {
		text = text[1:]
	}
	began := len(text) > 0 && bytes.IndexByte([]byte("%;+"), text[0]) >= 0
	return began && bytes.ContainsAny(text, "?^=") || bytes.Contains(text, []byte("?;"))
}

// cardDecoder decodes a stream of swipes.
type cardDecoder struct {
	framer msr.Framer
	reader msr.Reader
	last   time.Time
}

func (d *cardDecoder) Decode(r Read) []Reading {
	var readings []Reading
	d.framer.Push(r.Data, r.At, d.take(r.At, &readings))
	d.last = r.At
	return readings
}

func (d *cardDecoder) Deadline() time.Time { return d.framer.Deadline() }

func (d *cardDecoder) Expire(now time.Time) []Reading {
	var readings []Reading
	d.framer.Expire(now, d.take(d.last, &readings))
	return readings
}

// take makes readings of frames.
func (d *cardDecoder) take(at time.Time, to *[]Reading) func([]byte, *msr.FrameError) {
	return func(frame []byte, err *msr.FrameError) {
		r := Reading{At: at}
		if err != nil {
			r.Err = &ReadError{err.Code, err.Reason}
		} else {
			swipe := d.reader.Read(frame)
			r.Swipe = &swipe
		}
		*to = append(*to, r)
	}
}
