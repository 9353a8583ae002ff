package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers"
	"posd/drivers/driver"
	"posd/drivers/recording"
	"posd/sim"
	"posd/technician"
)

func recordCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record DEVICE FILE",
		Short: "Record what a device sends, without the numbers of cards",
		Long: `Record what a device sends, as text that 'posd replay' plays and 'posd decode'
decodes. FILE may be - for standard output. What is scanned goes on into the basket
as ever.

The digits of cards and of persons' numbers are masked: what a card reader or keypad
sends altogether, of a scanner the labels that are such numbers. With --test-cards
the numbers that card schemes publish for tests stay, where there is no other number
beside them.`,
		Example: `  posd record front scanner.rec
  posd record card-reader swipe.rec --seconds 60 --test-cards`,
		Args: cobra.ExactArgs(2),
	}
	open, span := benchOf(cmd), secondsFlag(cmd)
	test := cmd.Flags().Bool("test-cards", false, "leave published test numbers in the recording")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkSpan(*span); err != nil {
			return err
		}
		b, err := open(env.Logger(slog.LevelError))
		if err != nil {
			return err
		}
		defer b.close()
		out, done, err := recordingFile(env, args[1])
		if err != nil {
			return err
		}
		n := 0
		err = b.record(cmd.Context(), args[0], *test, *span, announce(env, *span), func(text []byte) error {
			wrote, err := out.Write(text)
			n += wrote
			return err
		})
		if cmd.Context().Err() != nil {
			err = nil // interrupting it is how it ends
		}
		return done(n, err)
	}
	return cmd
}

// recordingFile makes the file of a recording. done ends it: one without a
// recording is taken away.
func recordingFile(env cli.Env, name string) (out io.Writer, done func(n int, err error) error, err error) {
	empty := func(n int, err error) error {
		if err == nil && n == 0 {
			return errors.New("the device sent nothing: nothing is recorded")
		}
		return err
	}
	if name == "-" {
		return env.Stdout, empty, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, cli.Usagef("%s is there already: name another file", name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("write the recording: %w", err)
	}
	return f, func(n int, err error) error {
		err = errors.Join(empty(n, err), f.Close())
		if n == 0 {
			os.Remove(name)
		}
		return err
	}, nil
}

func replayCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Play a recording as the device that it is of, or through the drivers",
		Long: `Play a recording. Without --through the drivers read it in this process, and
what they make of it is told; the status is 1 if something could not be read. With
it a device is made that sends what was recorded, at the pace of the recording, for
posd or another program to read:

  pty     a serial line, linked at --link
  uhid    a HID device of the kernel, which has a hidraw node (as root)
  uinput  a keyboard of the kernel (as root)`,
		Example: `  posd replay scanner.rec
  posd replay scanner.rec --through pty --link /tmp/scanner
  sudo posd replay hid.rec --through uhid`,
		Args: cobra.ExactArgs(1),
	}
	through := cmd.Flags().String("through", "", "pty, uhid or uinput; without it the drivers in this process")
	link := cmd.Flags().String("link", "", "where the pty is linked (default /tmp/posd-replay)")
	fast := cmd.Flags().Bool("fast", false, "without the pauses of the recording")
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rec, name, err := readRecording(env, args)
		if err != nil {
			return err
		}
		if *through == "" && (*link != "" || *fast) {
			return cli.Usagef("--link and --fast are for --through")
		}
		if *through != "" && *asJSON {
			return cli.Usagef("--json tells what drivers make of a recording, and --through plays it to others")
		}
		switch sim.Through(*through) {
		case "":
			return replayHere(env, rec, name, *asJSON)
		case sim.ThroughPTY, sim.ThroughUHID, sim.ThroughUInput:
		default:
			return cli.Usagef("--through %q is none of pty, uhid, uinput", *through)
		}
		if *link == "" {
			*link = "/tmp/posd-replay"
		}
		return sim.Play(cmd.Context(), rec, sim.PlayOptions{Through: sim.Through(*through), Link: *link, Fast: *fast, Ready: func(where string) error {
			_, err := fmt.Fprintln(env.Stdout, "playing", len(rec.Entries), "reads on", where)
			return err
		}})
	}
	return cmd
}

// replayHere tells what each driver makes of a recording.
func replayHere(env cli.Env, rec recording.Recording, name string, asJSON bool) error {
	best, err := drivers.Replay(rec, drivers.Auto)
	if err != nil {
		return cli.Usagef("%s: %v", name, err)
	}
	if asJSON {
		return decode(env.Stdout, best.Driver, rec, name)
	}
	all, err := drivers.ReplayEach(rec)
	if err != nil {
		return cli.Usagef("%s: %v", name, err)
	}
	fmt.Fprintf(env.Stdout, "%s: %d reads in %s, %s\n", cli.Clean(name), len(rec.Entries), lasted(rec), cli.Clean(transportText(rec)))
	if err := printMade(env.Stdout, env.Colour(env.Stdout), technician.Heard{Best: best.Driver, Made: technician.MadeOf("", all)}); err != nil {
		return err
	}
	if slices.ContainsFunc(best.Events, driver.Event.Failed) {
		return cli.ErrFailed
	}
	return nil
}

func lasted(rec recording.Recording) time.Duration {
	return (rec.Entries[len(rec.Entries)-1].At - rec.Entries[0].At).Round(time.Millisecond)
}

func transportText(rec recording.Recording) string {
	return strings.Join(strings.Fields(rec.Transport+" "+rec.Line+" "+rec.Name), " ")
}
