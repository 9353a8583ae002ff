package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/posmain/server"
)

// state is what status shows.
type state struct {
	LogID string            `json:"log_id"`
	Feed  server.FeedStatus `json:"feed"`
}

func statusCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the log's id, and how far central's changes were followed",
		Long: `Show the log's id, and how far central's feed of changes was followed: merged
households, cards that have moved, ids that were erased, lanes that were revoked.

--json prints an object: log_id, and feed: feed (its name), position, complete (it
was read to its end), due (the last change that was told), acknowledged (what central
was told to be done), heard_at, and how many there are: merged, moved, erased,
to_erase (still in baskets), revoked.`,
		Example: `  posmaind status
  posmaind status --json`,
		Args: cobra.NoArgs,
	}
	database, asJSON := databaseFlag(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var st state
		err := reading(cmd.Context(), *database, func(s server.Store) error {
			var idErr, feedErr error
			st.LogID, idErr = s.LogID(cmd.Context())
			st.Feed, feedErr = s.FeedStatus(cmd.Context())
			return errors.Join(idErr, feedErr)
		})
		switch out := cmd.OutOrStdout(); {
		case err != nil:
			return err
		case *asJSON:
			return cli.PrintJSON(out, st)
		default:
			return printState(out, env.Colour(out), st, time.Now())
		}
	}
	return cmd
}

func printState(w io.Writer, colour cli.Palette, st state, now time.Time) error {
	t := cli.NewTable()
	t.Row("log id", st.LogID)
	f := st.Feed
	switch {
	case f.HeardAt.IsZero():
		t.Row("central", colour.Doubtful("has not told of any change yet: does posmaind serve, and is central reached?"))
		return t.Print(w)
	case now.Sub(f.HeardAt) > server.QuietAfter:
		t.Row("central", colour.Doubtful("heard at "+second(f.HeardAt)+": its changes are not followed since"))
	default:
		t.Row("central", colour.Good("heard at "+second(f.HeardAt)))
	}
	progress := colour.Good(fmt.Sprintf("followed up to %d, acknowledged up to %d", f.Position, f.Acknowledged))
	if !f.Complete || f.Due > f.Acknowledged {
		progress = colour.Doubtful(fmt.Sprintf("followed up to %d, acknowledged up to %d, of %d at least", f.Position, f.Acknowledged, f.Due))
	}
	t.Row("changes", progress)
	t.Row("households", fmt.Sprintf("%d merged into others, %s moved", f.Merged, plural(f.Moved, "card")))
	erased := colour.Good(plural(f.Erased, "id"))
	if f.Unerased > 0 {
		erased = colour.Doubtful(fmt.Sprintf("%s, and %d still in baskets", plural(f.Erased, "id"), f.Unerased))
	}
	t.Row("erased", erased)
	t.Row("revoked", plural(f.Revoked, "certificate")+" of lanes")
	return t.Print(w)
}
