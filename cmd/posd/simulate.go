package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers/tty"
	"posd/sim"
)

func newSimulateCommand(env cli.Env) *cobra.Command {
	var opt sim.Options
	var script, line string
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play a scanner, a card reader and a keypad",
		Long: `Play the devices of a lane on pseudo terminals, so that posd can be tried and
tested without hardware. Each device is linked at DIR/NAME: name that as port
in the configuration. Commands are lines of standard input, or of a script:

  scan LABEL           a label, as the scanner reads it
  swipe NUMBER         a bank card or loyalty card
  swipe-error          a card that cannot be read
  key NUMBER           digits and Enter
  key-clear            the Clear key
  key-close            the key that closes the basket
  press KEY            any key: a character, Enter, Clear, Close or Back
  wait TIME            nothing for a while: 500ms
  unplug DEVICE        take a device away: scanner, msr or keypad
  plug DEVICE          put it back
  send DEVICE HEX      any bytes

It ends with its input. Lines that begin with # are passed over.`,
		Example: `  posd simulate --dir /tmp/lane1
  echo 'scan 036000291452' | posd simulate --dir /tmp/lane1 --devices scanner`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opt.Line, err = tty.ParseLine(line); err != nil {
				return cli.Usagef("--line: %v", err)
			}
			return simulate(cmd, env, opt, script)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.Dir, "dir", "", "folder to link the devices in (required)")
	flags.StringVar(&script, "script", "-", "file with commands; - is standard input")
	flags.StringSliceVar(&opt.Devices, "devices", sim.Devices(), "devices to play")
	flags.StringVar(&line, "line", tty.DefaultLine().String(), "speed and form of the serial lines")
	flags.BoolVar(&opt.Fast, "fast", false, "without the pace of serial lines and people")
	flags.BoolVar(&opt.LRC, "lrc", false, "the card reader sends the check character of each track")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

func simulate(cmd *cobra.Command, env cli.Env, opt sim.Options, script string) error {
	input, name := env.Stdin, "standard input"
	if script != "-" {
		file, err := os.Open(script)
		if err != nil {
			return err
		}
		defer file.Close()
		input, name = file, script
	}
	var bad *sim.CommandError
	s, err := sim.Start(opt)
	if errors.As(err, &bad) {
		return cli.Usagef("%v", err)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	for _, device := range opt.Devices {
		fmt.Fprintln(env.Stdout, "ready", device, s.Path(device))
	}
	err = play(cmd, env, s, input, name)
	switch {
	case errors.As(err, &bad):
		return cli.Usagef("%v", err)
	case err != nil && cmd.Context().Err() != nil:
		return nil // SIGTERM is the usual end
	}
	return err
}

// play runs the script. A person at a terminal may mistype.
func play(cmd *cobra.Command, env cli.Env, s *sim.Sim, input io.Reader, name string) error {
	for {
		err := s.Run(cmd.Context(), name, input, env.Stdout)
		var bad *sim.CommandError
		if !errors.As(err, &bad) || !cli.IsTerminal(input) {
			return err
		}
		fmt.Fprintln(env.Stderr, bad)
	}
}
