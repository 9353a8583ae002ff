package barcode

import (
	"fmt"
	"time"

	"posd/drivers/driver"
	"posd/drivers/keyboard"
	"posd/drivers/recording"
	"posd/scanner"
	"posd/tid"
)

const (
	// defaultPace is how fast a scanner presses keys, at the least. USB scanners
	// take 16 ms for a key, press and release; a person who types well, 100 ms.
	defaultPace = 50 * time.Millisecond
	// afterLoss is how much silence parts what is whole again from what is not. A
	// terminator does not: that of a driving licence is followed by its next line.
	afterLoss = 300 * time.Millisecond
)

// Keyboard reads scanners that play a keyboard.
func Keyboard() driver.Driver {
	return driver.Driver{
		Name: "keyboard-scanner", Role: driver.Scanner, Transports: []driver.Transport{driver.Evdev},
		Doc: "bar code scanners that play a keyboard (keyboard wedges)",
		Mode: "keyboard emulation, in which most scanners come: set the scanner's keyboard country to the layout that is set here, and Enter or Tab as its suffix. " +
			"Control characters such as GS: Ctrl with a key, or Alt with digits, are understood; where the scanner sends function keys for them, function_keys tells which",
		Beep: "the scanner; the host cannot give it",
		Settings: append([]driver.Setting{
			{Key: "layout", Values: keyboard.LayoutNames(), Default: "us", Doc: "the keyboard layout that the scanner types for"},
			{Key: "function_keys", Values: "pairs such as DOWN=GS F7=0x1C", Doc: "the control characters that the scanner sends as keys which are none by themselves"},
			{Key: "pace", Values: "time span, none", Default: "50ms", Doc: "keys that come slower on average are typed by a person, and no label"},
		}, labelSettings()...),
		Claim: func(a driver.Attributes) bool {
			return a.Transport == driver.Evdev && (a.Keys == nil || keyboard.IsKeyboard(a.Keys))
		},
		Open: openKeyboard,
	}
}

func openKeyboard(_ driver.Attributes, s driver.Settings, _ tid.Rules) (driver.Decoder, error) {
	layout, err := keyboard.ParseLayout(s.Get("layout"))
	if err != nil {
		return nil, driver.Bad("layout", err)
	}
	functions, err := keyboard.ParseFunctionKeys(s.Get("function_keys"))
	if err != nil {
		return nil, driver.Bad("function_keys", err)
	}
	d := &keyDecoder{typist: keyboard.NewTypist(layout, functions), layout: layout}
	if d.labelDecoder, err = newLabelDecoder(s); err != nil {
		return nil, err
	}
	if s.Get("pace") != "none" {
		d.pace, err = s.Span("pace", defaultPace)
	}
	return d, err
}

// keyDecoder decodes labels that are typed.
type keyDecoder struct {
	labelDecoder
	typist *keyboard.Typist
	layout keyboard.Layout
	pace   time.Duration // 0: any

	keys        int // pressed for the label so far
	first, last time.Time
	lost        bool // what comes up to a silence is no label
}

func (d *keyDecoder) Decode(r driver.Read, emit driver.Emit) {
	for e := range recording.Events(r.Data) {
		if e.Type == keyboard.EvKey && e.Value == keyboard.Pressed {
			d.press(r.At)
		}
		stroke, ok := d.typist.Type(e)
		switch {
		case !ok:
		case stroke.Lost:
			d.lose(r.At)
			emit(driver.Failure(r.At, "keys-lost", "keys came faster than they were read, and some are lost: scan it again"))
		case stroke.Unknown:
			d.unknown(r.At, emit)
		default:
			var b [8]byte
			d.frames(d.framer.Push(stroke.Append(b[:0]), r.At), emit)
		}
	}
}

func (d *keyDecoder) Expire(now time.Time, emit driver.Emit) {
	d.frames(d.framer.Expire(now), emit)
}

// press notes when keys are pressed.
func (d *keyDecoder) press(at time.Time) {
	if d.lost && at.Sub(d.last) >= afterLoss {
		d.framer.Drop()
		d.lost = false
	}
	if !d.framer.Pending() {
		d.keys, d.first = 0, at
	}
	d.keys++
	d.last = at
}

// lose drops what was begun, and what comes up to a silence.
func (d *keyDecoder) lose(at time.Time) {
	d.framer.Drop()
	d.last, d.lost = at, true
}

// unknown refuses the label that a key without meaning is in.
func (d *keyDecoder) unknown(at time.Time, emit driver.Emit) {
	if !d.lost {
		emit(driver.Failure(at, "unknown-key", fmt.Sprintf("a key was pressed that is no character on keyboard layout %s: check layout, and function_keys where the scanner sends control characters so", d.layout)))
	}
	d.lose(at)
}

// frames gives the readings of frames. What is no label is forgotten: a person
// may have typed the number of a card.
func (d *keyDecoder) frames(frames []scanner.Frame, emit driver.Emit) {
	forget := false
	for _, f := range frames {
		switch {
		case d.lost:
			forget = true
		case f.Problem == nil && d.typed():
			forget = true
			emit(driver.Failure(f.At, "typed", "it came at the pace of a person who types, and is no label: is this a keyboard? a scanner that is slow needs another pace"))
		default:
			forget = d.label(f, emit) || forget
		}
	}
	if forget {
		d.framer.Drop()
	}
}

// typed reports whether keys came at the pace of a person. Of a single key it
// cannot be told.
func (d *keyDecoder) typed() bool {
	return d.pace > 0 && (d.keys < 2 || d.last.Sub(d.first) > time.Duration(d.keys-1)*d.pace)
}
