package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posd/drivers/recording"
)

// Through is how a recording is played.
type Through string

// The ways to play a recording. All but a pty need the right to make devices,
// which root has.
const (
	ThroughPTY    Through = "pty"    // a serial line
	ThroughUHID   Through = "uhid"   // a HID device of the kernel, which has a hidraw node
	ThroughUInput Through = "uinput" // a keyboard of the kernel
)

// ThroughFor gives the way to play a recording of a transport.
func ThroughFor(transport string) (Through, error) {
	switch transport {
	case recording.TTY:
		return ThroughPTY, nil
	case recording.HIDRaw, recording.USBFS:
		return ThroughUHID, nil
	case recording.Evdev:
		return ThroughUInput, nil
	}
	return "", fmt.Errorf("play a recording: it does not say of what transport it is")
}

// stage is a device that a recording is played on.
type stage interface {
	// open makes the device, and says where it is.
	open(ctx context.Context, rec recording.Recording) (where string, err error)
	send(ctx context.Context, e recording.Entry) error
	close() error
}

// PlayOptions says how to play a recording.
type PlayOptions struct {
	Through Through // "": what fits the transport
	Link    string  // of a pty: where it is linked
	Fast    bool    // without the pauses of the recording
	// Ready is called when the device is there; what was recorded is played when
	// it returns.
	Ready func(where string) error
}

// Play makes the device that a recording is of, and plays what it sent, at the
// pace of the recording. What the host says to it is taken and not looked at.
func Play(ctx context.Context, rec recording.Recording, o PlayOptions) (err error) {
	fits, err := ThroughFor(rec.Transport)
	switch {
	case err != nil:
		return err
	case o.Through == "":
		o.Through = fits
	case o.Through != fits:
		return fmt.Errorf("play a recording of %s: it goes through %s, and not through %s", rec.Transport, fits, o.Through)
	}
	s := map[Through]func() stage{
		ThroughPTY:    func() stage { return &line{wire: wire{link: o.Link}} },
		ThroughUHID:   func() stage { return &uhidStage{} },
		ThroughUInput: newUInput,
	}[o.Through]()
	where, err := s.open(ctx, rec)
	if err != nil {
		return fmt.Errorf("play a recording: %w", err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if o.Ready != nil {
		if err := o.Ready(where); err != nil {
			return err
		}
	}
	if err := play(ctx, s, rec.Entries, o.Fast); err != nil || o.Through == ThroughPTY {
		return err
	}
	sleep(ctx, linger)
	return ctx.Err()
}

// linger is how long a device of the kernel stays when all was sent: one that is
// taken away at once may not have been read.
const linger = time.Second

func play(ctx context.Context, s stage, entries []recording.Entry, fast bool) error {
	var at time.Duration
	for _, e := range entries {
		if !fast && !sleep(ctx, e.At-at) {
			return ctx.Err()
		}
		at = e.At
		if e.ToDevice {
			continue
		}
		if err := s.send(ctx, e); err != nil {
			return fmt.Errorf("play a recording: %w", err)
		}
	}
	return nil
}

// line plays on a pty.
type line struct{ wire }

func (l *line) open(context.Context, recording.Recording) (string, error) { return l.link, l.plug() }

func (l *line) send(ctx context.Context, e recording.Entry) error { return l.wire.send(ctx, e.Data) }

func (l *line) close() error { return l.unplug(context.Background()) }
