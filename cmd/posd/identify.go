package main

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/drivers/driver"
	"posd/technician"
)

// maxSpan is how long posd lets itself be listened to.
const maxSpan = 10 * time.Minute

func identifyCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "identify",
		Short: "Scan, swipe or press now: tell which device it was and which driver reads it",
		Long: `Listen to every device and to every port that could be one, and tell of each thing
that is scanned, swiped or pressed which device it came from, which driver made
sense of it, and what the other drivers made of the same bytes. Of a port that is
not read, what to write into the configuration is told too.

Where posd runs, it listens; a basket must not be open then, since what is scanned
goes into none. Where it does not run, the ports are opened by this command. Serial
ports are tried at one speed after the other: scan again if it was garbled.`,
		Example: `  posd identify
  posd identify --seconds 60 --json`,
		Args: cobra.NoArgs,
	}
	open, asJSON := benchOf(cmd), cli.JSONFlag(cmd)
	span := secondsFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkSpan(*span); err != nil {
			return err
		}
		b, err := open(env.Logger(slog.LevelError))
		if err != nil {
			return err
		}
		defer b.close()
		out := cmd.OutOrStdout()
		heard := 0
		err = b.listen(cmd.Context(), "", *span, announce(env, *span), func(h technician.Heard) error {
			heard++
			if *asJSON {
				return cli.PrintJSONLine(out, h)
			}
			return printHeard(out, env.Colour(env.Stdout), h)
		})
		if err != nil && cmd.Context().Err() == nil {
			return err
		}
		if heard == 0 {
			return fmt.Errorf("nothing was heard: is the device on, and does its cable fit? 'posd devices' tells what is plugged in, 'posd doctor' what is in the way")
		}
		return nil
	}
	return cmd
}

// secondsFlag gives a command the flag --seconds.
func secondsFlag(cmd *cobra.Command) *time.Duration {
	d := new(time.Duration)
	*d = 30 * time.Second
	cmd.Flags().Func("seconds", "how long to listen, 1 to 600 (default 30)", func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("it must be 1 to %d", int(maxSpan.Seconds()))
		}
		*d = time.Duration(n) * time.Second
		return nil
	})
	return d
}

func checkSpan(d time.Duration) error {
	if d < time.Second || d > maxSpan {
		return cli.Usagef("--seconds must be 1 to %d", int(maxSpan.Seconds()))
	}
	return nil
}

// announce says to a person that it is their turn.
func announce(env cli.Env, span time.Duration) func() {
	return func() {
		if cli.IsTerminal(env.Stderr) {
			fmt.Fprintf(env.Stderr, "Listening for %d s (Ctrl-C ends it): scan something, swipe a test card, press keys.\n", int(span.Seconds()))
		}
	}
}

// printHeard tells of one thing that was heard.
func printHeard(w io.Writer, p cli.Palette, h technician.Heard) error {
	name := h.Device
	if name == "" {
		name = "a port that is not read"
	}
	about := strings.Join(strings.Fields(strings.Join([]string{h.Port, h.Line, h.ID, h.Product}, " ")), " ")
	fmt.Fprintf(w, "%s  %s  %s: %d bytes in %.0f ms\n", h.At.Local().Format("15:04:05"), p.Strong(name), cli.Clean(about), h.Bytes, h.Took*1000)
	if err := printMade(w, p, h); err != nil {
		return err
	}
	switch {
	case h.Best == "" && !h.Read():
		fmt.Fprintln(w, "     "+p.Bad("no driver made sense of it").String()+": another speed, parity or mode of the device may help")
	case h.Best == "":
		fmt.Fprintln(w, "     it was not read well: scan or swipe again")
	case h.Device == "":
		printSnippet(w, h)
	}
	_, err := fmt.Fprintln(w)
	return err
}

// printMade tells what each driver made of it; the arrow is at the one that made
// sense of it.
func printMade(w io.Writer, p cli.Palette, h technician.Heard) error {
	t := cli.NewTable()
	for _, m := range h.Made {
		mark := p.Faint(" ")
		if m.Driver == h.Best {
			mark = p.Good("→")
		}
		t.Row("  ", mark, m.Driver, made(p, m))
	}
	return t.Print(w)
}

// made says what a driver made of it, in a line.
func made(p cli.Palette, m technician.Made) cli.Text {
	switch {
	case m.Error != "":
		return p.Faint("cannot read it: " + m.Error)
	case m.Unlikely:
		return p.Faint("does not look like what its devices send")
	case len(m.Events) == 0:
		return p.Faint("nothing")
	}
	var parts []string
	for _, e := range m.Events {
		parts = append(parts, eventText(e))
	}
	text := strings.Join(parts, "; ")
	if m.Understood {
		return p.Good(text)
	}
	return p.Faint(text)
}

// eventText is what was read, for people.
func eventText(e driver.Event) string {
	parts := []string{string(e.Type)}
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	add(e.Action)
	add(string(e.Symbology))
	add(e.Label)
	if e.GTIN != "" && string(e.GTIN) != e.Label {
		add("GTIN " + string(e.GTIN))
	}
	add(e.Kind)
	if e.Last4 != "" {
		add("ends in " + e.Last4)
	}
	text := strings.Join(parts, " ")
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// printSnippet says what to write into the configuration for a port to be read.
func printSnippet(w io.Writer, h technician.Heard) {
	role := ""
	for _, m := range h.Made {
		if m.Driver == h.Best {
			role = m.Role
		}
	}
	fmt.Fprintf(w, "     to read it, write into the configuration:\n       [[device]]\n       name = %q\n       role = %q\n       driver = %q\n", role, role, h.Best)
	if strings.HasPrefix(h.ID, "0000:") || h.ID == "" {
		fmt.Fprintf(w, "       port = %q\n", h.Port)
	} else {
		fmt.Fprintf(w, "       id = %q\n", h.ID)
	}
	if h.Line != "" && h.Line != "9600-8N1" {
		fmt.Fprintf(w, "       line = %q\n", h.Line)
	}
}
