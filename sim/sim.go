// Package sim plays the devices of a lane: a scanner, a card reader and a
// keypad, each on a pty that is linked at a path that stays. The daemon opens
// them as it opens any serial port, and does not know that they are played.
//
// Commands are lines:
//
//	scan 036000291452       a label, as the scanner reads it
//	swipe 4111111111111111  a card: tracks 1 and 2 of a bank card, or of a loyalty card
//	swipe-error             a card that the reader could not read
//	key 5551234567          digits and Enter
//	key-clear               the Clear key
//	key-close               the key that closes the basket
//	press X                 any key: a character, Enter, Clear, Close or Back
//	wait 500ms              nothing for a while
//	unplug scanner          takes a device away
//	plug scanner            and puts it back
//	send scanner 30 0D      any bytes, in hex
//
// Blank lines and lines that begin with # are passed over. A number is wiped
// from memory when it has been played, and is never repeated but for its last
// four digits.
package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"posd/drivers/tty"
)

// The devices. Their names are those of their links.
const (
	Scanner = "scanner"
	MSR     = "msr"
	Keypad  = "keypad"
)

// Devices gives the names of all devices.
func Devices() []string { return []string{Scanner, MSR, Keypad} }

// Options says what to play.
type Options struct {
	Dir     string   // where the links are made
	Devices []string // nil: all
	Line    tty.Line // zero: 9600-8N1
	Fast    bool     // without the pace of lines and people
	LRC     bool     // the card reader sends the LRC of each track
}

// keyTime is how long a person takes to press a key.
const keyTime = 120 * time.Millisecond

// Sim plays devices. One goroutine at a time may give it commands.
type Sim struct {
	opt   Options
	wires map[string]*wire
}

// Start plugs the devices in. Close ends them. The error of a device that is
// not known is a *CommandError.
func Start(opt Options) (*Sim, error) {
	if opt.Devices == nil {
		opt.Devices = Devices()
	}
	if opt.Line == (tty.Line{}) {
		opt.Line = tty.DefaultLine()
	}
	if err := os.MkdirAll(opt.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	s := &Sim{opt: opt, wires: map[string]*wire{}}
	for _, name := range opt.Devices {
		if !slices.Contains(Devices(), name) {
			return nil, errors.Join(misuse("device %q is none of %s", name, strings.Join(Devices(), ", ")), s.Close())
		}
		w := &wire{link: s.Path(name)}
		if !opt.Fast {
			w.byteTime = time.Duration(opt.Line.ByteBits()) * time.Second / time.Duration(opt.Line.Baud)
		}
		if err := w.plug(); err != nil {
			return nil, errors.Join(fmt.Errorf("simulate %s: %w", name, err), s.Close())
		}
		s.wires[name] = w
	}
	return s, nil
}

// Path gives the port of a device, as a configuration names it.
func (s *Sim) Path(device string) string { return filepath.Join(s.opt.Dir, device) }

// Received gives what the daemon sent to a device: its acknowledgements.
func (s *Sim) Received(device string) []byte {
	w := s.wires[device]
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.received)
}

// Close takes the devices away, as soon as what they sent has been read.
func (s *Sim) Close() error {
	var wg sync.WaitGroup
	for _, w := range s.wires {
		wg.Go(func() { _ = w.unplug(context.Background()) }) // an unplugged one is gone already
	}
	wg.Wait()
	return nil
}

// Send sends any bytes from a device, and wipes them.
func (s *Sim) Send(ctx context.Context, device string, b []byte) error {
	play, err := s.sending(device, b)
	if err != nil {
		return err
	}
	return play(ctx)
}
