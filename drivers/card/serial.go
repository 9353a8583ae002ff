package card

import (
	"bytes"
	"math"
	"time"

	"posd/drivers/driver"
	"posd/msr"
	"posd/tid"
)

// Serial reads magnetic-stripe readers that send tracks as text.
func Serial() driver.Driver {
	return driver.Driver{
		Name: "serial-msr", Role: driver.MSR, Transports: []driver.Transport{driver.TTY},
		Doc:  "magnetic-stripe readers on a serial port: %track 1?;track 2?+track 3? and CR, or what MagneSafe ones send in their place",
		Mode: "as it comes: readers for RS-232, port-powered ones, and those that are a USB serial port. SecureMag has a driver of its own, idtech-msr",
		Beep: "the reader; one that waits for the host's answer gets what ack and nak say",
		Settings: append([]driver.Setting{
			{Key: "lrc", Values: "true, false", Default: "false", Doc: "the reader sends the LRC behind each end sentinel"},
			{Key: "gap", Values: "time span", Doc: "silence that ends a swipe, for readers that send each track in a line of its own"},
		}, driver.SignalSettings()...),
		Claim:   func(a driver.Attributes) bool { return a.Transport == driver.TTY },
		Fits:    sendsTracks,
		Signals: driver.LineSignals,
		Open: func(_ driver.Attributes, s driver.Settings, rules tid.Rules) (driver.Decoder, error) {
			lrc, err := s.Flag("lrc")
			if err != nil {
				return nil, err
			}
			gap, err := s.Span("gap", 0)
			if err != nil {
				return nil, err
			}
			text := textReader{secure: secureMag{reader: msr.Reader{Rules: rules}, cipher: msr.TDES}, lrc: lrc}
			return &cardDecoder{framer: msr.Framer{Gap: gap}, text: text}, nil
		},
	}
}

// sendsTracks reports whether reads look like tracks, and not like what an
// encrypting reader of ID TECH's sends.
func sendsTracks(reads []driver.Read) bool {
	all := beginning(reads, math.MaxInt)
	defer clear(all)
	if len(all) > 2 && all[0] == secureSTX && all[2] <= maxSecure>>8 {
		return false
	}
	return looksLikeTracks(all)
}

// looksLikeTracks reports whether the first printable character of a text, but
// for the digit of a card sensor, is a start sentinel, and what a track has
// stands behind it; or one track follows another, where the first has lost its
// start.
func looksLikeTracks(text []byte) bool {
	text = bytes.TrimLeftFunc(text, func(c rune) bool { return c <= ' ' })
	if len(text) > 1 && (text[0] == '0' || text[0] == '1') {
		text = text[1:]
	}
	began := len(text) > 0 && bytes.IndexByte([]byte("%;+"), text[0]) >= 0
	return began && bytes.ContainsAny(text, "?^=") || bytes.Contains(text, []byte("?;"))
}

// cardDecoder decodes a stream of swipes.
type cardDecoder struct {
	framer msr.Framer
	text   textReader
	last   time.Time
}

func (d *cardDecoder) Decode(r driver.Read, emit driver.Emit) {
	d.framer.Push(r.Data, r.At, d.text.take(r.At, emit))
	d.last = r.At
}

func (d *cardDecoder) Deadline() time.Time { return d.framer.Deadline() }

func (d *cardDecoder) Expire(now time.Time, emit driver.Emit) {
	d.framer.Expire(now, d.text.take(d.last, emit))
}
