package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/posmain/server"
)

func lanesCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lanes",
		Short: "Show every lane: when it was last seen and whether baskets are missing",
		Long: `Show every lane that has sent a basket: when it was last seen, the incarnation of
its journal, the last sequence number, and numbers that are missing. A lane whose
journal was replaced shows a line for each incarnation, the latest first.

--json prints an array of objects: tenant, shop, lane, software, first_seen,
last_seen, and incarnations, each with incarnation, first_seen, last_seen, baskets,
last, watermark (every number up to it is logged), missing (how many are not), and
gaps (the first 100, each from and to).`,
		Example: `  posmaind lanes
  posmaind lanes --json`,
		Args: cobra.NoArgs,
	}
	database, asJSON := databaseFlag(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []server.LaneStatus
		err := reading(cmd.Context(), *database, func(s server.Store) (err error) {
			all, err = s.Lanes(cmd.Context())
			return err
		})
		switch out := cmd.OutOrStdout(); {
		case err != nil:
			return err
		case *asJSON:
			return cli.PrintJSON(out, all)
		default:
			return printLanes(out, env.Colour(out), all)
		}
	}
	return cmd
}

func printLanes(w io.Writer, colour cli.Palette, all []server.LaneStatus) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No lane has sent a basket yet.")
		return err
	}
	t := cli.NewTable("LANE", "SOFTWARE", "LAST SEEN", "INCARNATION", "LAST NUMBER", "BASKETS", "MISSING")
	for _, l := range all {
		for i, inc := range l.Incarnations {
			name, software := "", ""
			if i == 0 {
				name, software = l.Shop+"/"+l.Lane.Lane, orDash(l.Software)
			}
			t.Row(name, software, second(inc.LastSeen), inc.Incarnation, inc.Last, inc.Baskets, missing(colour, inc))
		}
		if len(l.Incarnations) == 0 { // it has only sent what was refused
			t.Row(l.Shop+"/"+l.Lane.Lane, orDash(l.Software), second(l.LastSeen), "-", "-", 0, "-")
		}
	}
	return t.Print(w)
}

func missing(colour cli.Palette, inc server.IncarnationStatus) cli.Text {
	if len(inc.Gaps) == 0 {
		return colour.Good("none")
	}
	return colour.Doubtful(ranges(inc.Gaps, inc.Missing))
}

func alarmsCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alarms",
		Short: "Show what a person must look at, newest first",
		Long: `Show what a person must look at, newest first:

  sequence-fork      two baskets with the same number: a lane's journal was copied or set back
  revision-conflict  a lane sent other content for a revision that is logged
  basket-conflict    a basket came from another lane, or under another number
  card-number        a lane sent something that looks like a card number; it was not kept

--json prints an array of objects: tenant, shop, lane, kind, basket, revision,
incarnation, sequence, digest, detail, count, first_at, last_at.`,
		Example: `  posmaind alarms
  posmaind alarms --limit 10 --json`,
		Args: cobra.NoArgs,
	}
	database, asJSON := databaseFlag(cmd), cli.JSONFlag(cmd)
	limit := cmd.Flags().Int("limit", 100, "how many to show")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 1 {
			return cli.Usagef("--limit must be 1 or more")
		}
		var all []server.Alarm
		err := reading(cmd.Context(), *database, func(s server.Store) (err error) {
			all, err = s.Alarms(cmd.Context(), *limit)
			return err
		})
		switch out := cmd.OutOrStdout(); {
		case err != nil:
			return err
		case *asJSON:
			return cli.PrintJSON(out, all)
		default:
			return printAlarms(out, env.Colour(out), all)
		}
	}
	return cmd
}

func printAlarms(w io.Writer, colour cli.Palette, all []server.Alarm) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No alarms.")
		return err
	}
	t := cli.NewTable("LAST", "ALARM", "LANE", "TIMES", "BASKET", "DETAIL")
	for _, a := range all {
		t.Row(second(a.LastAt), colour.Bad(a.Kind), a.Shop+"/"+a.Lane.Lane, a.Count, a.Basket, a.Detail)
	}
	return t.Print(w)
}
