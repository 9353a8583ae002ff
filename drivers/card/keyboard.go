package card

import (
	"bytes"
	"time"
	"unicode/utf8"

	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
	"posd/msr"
	"posd/tid"
)

const (
	// lineGap is how long after Enter a reader that ends each track with it may
	// take for the next track.
	lineGap = 50 * time.Millisecond
	// typingEnds is the silence that ends a card without Enter.
	typingEnds = 500 * time.Millisecond
)

// Keyboard reads card readers that play a keyboard.
func Keyboard() driver.Driver {
	return driver.Driver{
		Name: "keyboard-msr", Role: driver.MSR, Transports: []driver.Transport{driver.Evdev},
		Doc:  "card readers that play a keyboard: %track 1?;track 2?+track 3? and Enter, or what encrypting ones type in their place",
		Mode: "keyboard emulation, which most readers come with, for the keyboard layout that is set here. ID TECH: product 2030. MagTek: property 0x10 (interface type) is 1",
		Beep: "the reader; the host cannot give it",
		Settings: []driver.Setting{
			{Key: "layout", Values: keyboard.LayoutNames(), Default: "us", Doc: "the keyboard layout that the reader types for"},
			{Key: "lrc", Values: "true, false", Default: "false", Doc: "the reader sends the LRC behind each end sentinel"},
			cipherSetting(),
			{Key: "gap", Values: "time span", Default: "50ms", Doc: "silence after Enter that ends a swipe: readers may end each track with it"},
		},
		Claim: func(a driver.Attributes) bool {
			return a.Transport == driver.Evdev && (a.Keys == nil || keyboard.IsKeyboard(a.Keys))
		},
		Fits: typesTrack,
		Open: openKeyboard,
	}
}

func openKeyboard(_ driver.Attributes, s driver.Settings, rules tid.Rules) (driver.Decoder, error) {
	layout, err := keyboard.ParseLayout(s.Get("layout"))
	if err != nil {
		return nil, driver.Bad("layout", err)
	}
	lrc, err := s.Flag("lrc")
	if err != nil {
		return nil, err
	}
	gap, err := s.Span("gap", lineGap)
	if err != nil {
		return nil, err
	}
	secure, err := secureOf(s, rules)
	if err != nil {
		return nil, err
	}
	return &typedDecoder{
		typist: keyboard.NewTypist(layout, nil),
		framer: msr.Framer{Gap: gap, Silence: typingEnds},
		text:   textReader{secure: secure, lrc: lrc},
	}, nil
}

// typedDecoder decodes swipes that are typed.
type typedDecoder struct {
	typist *keyboard.Typist
	framer msr.Framer
	text   textReader
	last   time.Time
}

func (d *typedDecoder) Decode(r driver.Read, emit driver.Emit) {
	defer clear(r.Data)
	frame := d.frame(emit)
	for e := range recording.Events(r.Data) {
		stroke, ok := d.typist.Type(e)
		switch {
		case !ok:
		case stroke.Lost:
			d.last = r.At
			d.framer.Lose(r.At, frame)
		default:
			d.last = r.At
			var b [8]byte
			d.framer.Push(typed(stroke.Append(b[:0])), r.At, frame)
		}
	}
}

func (d *typedDecoder) Deadline() time.Time { return d.framer.Deadline() }

func (d *typedDecoder) Expire(now time.Time, emit driver.Emit) {
	d.framer.Expire(now, d.frame(emit))
}

// frame gives the function that makes readings of frames, as of the time when
// their last key was pressed.
func (d *typedDecoder) frame(emit driver.Emit) func([]byte, *msr.FrameError) {
	return func(frame []byte, err *msr.FrameError) {
		capitals(frame)
		d.text.take(d.last, emit)(frame, err)
	}
}

// typed gives what was typed in the characters of cards. On layouts where ^ is a
// dead key, a reader may not press the space bar behind it: then it stands on the
// letter that follows. Of any other character a card has none: it becomes one
// that no track has, so that the track is in error.
func typed(text []byte) []byte {
	if len(text) == 1 {
		return text
	}
	var out [4]byte
	n := 0
	for _, c := range string(text) {
		letter := bytes.IndexRune([]byte("ÂÊÎÔÛâêîôû"), c)
		switch {
		case c < utf8.RuneSelf:
			out[n] = byte(c)
			n++
		case letter >= 0:
			n += copy(out[n:], []byte{'^', "AEIOUaeiou"[letter/2]})
		default:
			out[n] = 0xff
			n++
		}
	}
	return append(text[:0], out[:n]...)
}

// capitals puts letters right that Caps Lock at the host has turned round: a card
// has capitals only.
func capitals(frame []byte) {
	if bytes.ContainsFunc(frame, func(c rune) bool { return c >= 'A' && c <= 'Z' }) {
		return
	}
	for i, c := range frame {
		if c >= 'a' && c <= 'z' {
			frame[i] = c - 'a' + 'A'
		}
	}
}

// typesTrack reports whether keys look like tracks on some layout.
func typesTrack(reads []driver.Read) bool {
	for _, l := range keyboard.Layouts() {
		t := keyboard.NewTypist(l, nil)
		size := 0
		for _, r := range reads {
			size += len(r.Data) // no event gives more bytes than it has
		}
		text := make([]byte, 0, size)
		for _, r := range reads {
			for e := range recording.Events(r.Data) {
				if stroke, ok := t.Type(e); ok {
					text = stroke.Append(text)
				}
			}
		}
		fits := looksLikeTracks(text) || secureAt(text) >= 0
		clear(text)
		if fits {
			return true
		}
	}
	return false
}
