package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/lane"
	"posd/lane/api"
)

func monitorCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Follow what happens on the lane, as it happens",
		Long: `Follow what happens on the lane until it is interrupted. Of cards and numbers no
more than the last four digits are shown. With --json each event is a line.`,
		Example: `  posd monitor
  posd monitor --json`,
		Args: cobra.NoArgs,
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		out, palette := cmd.OutOrStdout(), env.Colour(env.Stdout)
		var last lane.Event
		err = c.Events(cmd.Context(), nil, func(e lane.Event) error {
			last = e
			if *asJSON {
				return cli.PrintJSONLine(out, e)
			}
			_, err := fmt.Fprintln(out, eventLine(palette, e))
			return err
		})
		switch {
		case errors.Is(err, context.Canceled) && cmd.Context().Err() != nil:
			return nil // interrupting it is how it ends
		case errors.Is(err, api.ErrCutOff) && last.Reason != "":
			return fmt.Errorf("%w: %s", err, last.Reason)
		}
		return err
	}
	return cmd
}

// eventLine is an event for people.
func eventLine(p cli.Palette, e lane.Event) string {
	parts := []string{e.At.Local().Format("15:04:05.000"), eventType(p, e.Type), cli.Clean(e.Device)}
	if e.Device == "" {
		parts = parts[:2]
	}
	return strings.Join(append(parts, details(e)...), "  ")
}

func eventType(p cli.Palette, typ string) string {
	padded := fmt.Sprintf("%-13s", typ)
	switch typ {
	case lane.EventRefused, lane.EventFault, lane.EventAlarm, api.EventDropped:
		return p.Bad(padded).String()
	case lane.EventOpened, lane.EventClosed:
		return p.Strong(padded).String()
	}
	return padded
}

// details are what else an event says, each as a few words.
func details(e lane.Event) []string {
	var d []string
	add := func(ok bool, format string, args ...any) {
		if ok {
			d = append(d, cli.Clean(fmt.Sprintf(format, args...)))
		}
	}
	if l := e.Line; l != nil {
		add(true, "%s", label(*l))
		add(l.GTIN != "", "GTIN %s", l.GTIN)
		add(l.Symbology != "", "%s", l.Symbology)
		add(l.Quantity != 1, "%d pieces", l.Quantity)
		add(l.Problem != "", "doubtful: %s", l.Problem)
	}
	add(e.Kind != "" && e.Last4 != "", "%s number ending in %s", e.Kind, e.Last4)
	add(e.Kind != "" && e.Last4 == "", "%s", e.Kind)
	for _, t := range e.Tracks {
		add(t.Code != "", "track %d: %s", t.Number, t.Code)
	}
	add(e.Swipe > 0, "identity %d", e.Swipe)
	add(e.State != "", "%s", e.State)
	add(!e.HHID.IsZero(), "household %s", e.HHID)
	add(e.Outcome != "", "%s", e.Outcome)
	add(e.Sequence > 0, "number %d", e.Sequence)
	add(e.Revision > 0, "revision %d", e.Revision)
	add(e.Code != "", "%s", e.Code)
	add(e.Reason != "", "%s", e.Reason)
	add(e.Basket != nil && len(d) == 0, "%v", e.Basket)
	return d
}
