package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/technician"
)

func checkCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check DEVICE",
		Short: "Check a device with a person's help, and write a report to sign off",
		Long: `Check that a device does what a lane needs of it: the command says what to scan,
swipe or press, and when to unplug the device, and looks at what comes. Enter skips
a step. It ends in a report, as text and with --report as files, which --by signs
off. No number is in it but its last four digits.

Where posd runs, no basket may be open: what is scanned goes into none.`,
		Example: `  posd check front --by "A. Technician" --report front
  posd check card-reader --json`,
		Args: cobra.ExactArgs(1),
	}
	open, asJSON := benchOf(cmd), cli.JSONFlag(cmd)
	by := cmd.Flags().String("by", "", "who signs the report off")
	report := cmd.Flags().String("report", "", "write the report to NAME.txt and NAME.json")
	patience := cmd.Flags().Duration("patience", 2*time.Minute, "how long a step may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *patience < time.Second || *patience > maxSpan {
			return cli.Usagef("--patience must be 1s to %s", maxSpan)
		}
		b, err := open(env.Logger(slog.LevelError))
		if err != nil {
			return err
		}
		defer b.close()
		dev, err := deviceNamed(cmd.Context(), b, args[0])
		if err != nil {
			return err
		}
		c, err := technician.NewCheck(dev, cli.ReadVersion("posd").Version, time.Now())
		if err != nil {
			return err
		}
		files, err := newReportFiles(*report)
		if err != nil {
			return err
		}
		s := &sitting{bench: b, check: c, device: dev.Name, patience: *patience, say: env.Stderr, colour: env.Colour(env.Stderr)}
		if err := s.run(cmd.Context(), env.Stdin); err != nil {
			files.drop()
			return err
		}
		return signOff(env, c.Report(*by, time.Now()), files, *asJSON)
	}
	return cmd
}

func deviceNamed(ctx context.Context, b bench, name string) (technician.Device, error) {
	devices, err := b.devices(ctx)
	if err != nil {
		return technician.Device{}, err
	}
	var names []string
	for _, d := range devices {
		if d.Name == name {
			return technician.Device{Name: d.Name, Role: d.Role, Driver: d.Driver, ID: d.ID, Port: d.Port, Product: d.Product, State: d.State}, nil
		}
		names = append(names, d.Name)
	}
	if names == nil {
		return technician.Device{}, fmt.Errorf("there is no device %q, and no other: 'posd identify' finds what is plugged in", name)
	}
	return technician.Device{}, fmt.Errorf("there is no device %q: there are %s", name, strings.Join(names, ", "))
}

// sitting is a check with a person.
type sitting struct {
	bench    bench
	check    *technician.Check
	device   string
	patience time.Duration
	say      io.Writer
	colour   cli.Palette
}

// lookEvery is how often the device's state is asked for.
const lookEvery = 500 * time.Millisecond

// run goes through the steps.
func (s *sitting) run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard, ready, ended := make(chan technician.Heard), make(chan struct{}), make(chan error, 1)
	hear := func(h technician.Heard) error {
		select {
		case heard <- h:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	go func() { // again and again, since posd listens for so long at the most
		var err error
		for begun := sync.OnceFunc(func() { close(ready) }); err == nil && ctx.Err() == nil; {
			err = s.bench.listen(ctx, s.device, maxSpan, begun, hear)
		}
		ended <- err
	}()
	select {
	case <-ready:
	case err := <-ended:
		return err
	}
	enter := enters(ctx, in)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		prompt, optional, more := s.check.Prompt()
		if !more {
			return nil
		}
		fmt.Fprintln(s.say, s.colour.Strong(prompt)) // the error of a terminal that has gone comes from reading it
		if err := s.step(ctx, prompt, optional, heard, ended, enter, look.C); err != nil {
			return err
		}
	}
}

// step goes on until the check asks for something else.
func (s *sitting) step(ctx context.Context, prompt string, optional bool, heard <-chan technician.Heard, ended <-chan error, enter <-chan struct{}, look <-chan time.Time) error {
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	for {
		if now, _, _ := s.check.Prompt(); now != prompt {
			return nil
		}
		var remark string
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Join(errors.New("the device is not listened to any more"), err)
		case h := <-heard:
			remark = s.check.Heard(h, time.Now())
		case <-look:
			remark = s.state(ctx)
		case <-enter:
			s.check.Skip("skipped by hand", time.Now())
		case <-patience.C:
			s.check.Skip(fmt.Sprintf("nothing came of it within %s", s.patience), time.Now())
		}
		if remark != "" {
			fmt.Fprintln(s.say, "  "+cli.Clean(remark))
		}
	}
}

// state tells the check how the device is.
func (s *sitting) state(ctx context.Context) string {
	devices, err := s.bench.devices(ctx)
	if err != nil {
		return ""
	}
	for _, d := range devices {
		if d.Name == s.device {
			return s.check.State(d.State, time.Now())
		}
	}
	return s.check.State("missing", time.Now())
}

// enters tells of each line that a person ends. Where the input has ended,
// nothing is skipped by hand.
func enters(ctx context.Context, in io.Reader) <-chan struct{} {
	lines := make(chan struct{})
	go func() {
		for r := bufio.NewReader(in); ; {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			select {
			case lines <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// reportFiles are the files of a report, as text and as JSON. They are there before a
// check begins, so that nobody goes through it for nothing.
type reportFiles []*os.File

func newReportFiles(name string) (files reportFiles, err error) {
	if name == "" {
		return nil, nil
	}
	for _, suffix := range []string{".txt", ".json"} {
		f, err := os.OpenFile(name+suffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			files.drop()
		}
		if errors.Is(err, os.ErrExist) {
			return nil, cli.Usagef("%s is there already: name another report", name+suffix)
		}
		if err != nil {
			return nil, fmt.Errorf("write the report: %w", err)
		}
		files = append(files, f)
	}
	return files, nil
}

func (files reportFiles) write(contents ...string) error {
	var errs []error
	for i, f := range files {
		_, err := f.WriteString(contents[i])
		errs = append(errs, err, f.Close())
	}
	return errors.Join(errs...)
}

// drop takes the files away that nothing was written to.
func (files reportFiles) drop() {
	for _, f := range files {
		f.Close()
		os.Remove(f.Name())
	}
}

// signOff prints the report, and writes it.
func signOff(env cli.Env, r technician.Report, files reportFiles, asJSON bool) error {
	var text strings.Builder
	if err := cli.PrintJSON(&text, r); err != nil {
		return err
	}
	shown := r.Text()
	if asJSON {
		shown = text.String()
	}
	if err := files.write(r.Text(), text.String()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if _, err := io.WriteString(env.Stdout, shown); err != nil {
		return err
	}
	if !r.Passed {
		return cli.ErrFailed
	}
	return nil
}
