package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"posd/basket"
	"posd/cli"
	"posd/posmain/server"
)

func traceCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace BASKET",
		Short: "Show all that came of one basket, and check it against its receipts",
		Long: `Show every revision of a basket, when it came and whose the basket was by it. The
digest of each is computed again: where it is not the one of the receipt, the log
was changed, and the exit status is 1.

--json prints an object: basket, tenant, shop, lane, incarnation, sequence, current
(the revision that counts), alarms, same_number, and revisions, each with receipt,
revision, state, hhid, deident_tid, intact and body.`,
		Example: `  posmaind trace 0193592f-3c11-7a52-8f8e-2f6c1f0e9a01
  posmaind trace 0193592f-3c11-7a52-8f8e-2f6c1f0e9a01 --json`,
		Args: cobra.ExactArgs(1),
	}
	database, asJSON := databaseFlag(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := basket.ParseID(args[0])
		if err != nil {
			return cli.Usagef("%v", err)
		}
		var t server.Trace
		err = reading(cmd.Context(), *database, func(s server.Store) error {
			t, err = s.Trace(cmd.Context(), id)
			return err
		})
		if errors.Is(err, server.ErrUnknown) {
			return fmt.Errorf("%w: %s", err, id)
		}
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			err = cli.PrintJSON(out, traceJSON(id, t))
		} else {
			err = printTrace(out, env.Colour(out), id, t)
		}
		return errors.Join(err, intact(t))
	}
	return cmd
}

func intact(t server.Trace) error {
	for _, r := range t.Revisions {
		if !r.Intact() {
			return fmt.Errorf("revision %d is not what its receipt was given for: the log was changed", r.Revision)
		}
	}
	return nil
}

// traced is a trace with what only this program adds to it.
type traced struct {
	Basket basket.ID `json:"basket"`
	server.Trace
	Revisions []tracedRevision `json:"revisions"`
}

type tracedRevision struct {
	server.Revision
	Intact bool            `json:"intact"`
	Body   json.RawMessage `json:"body"`
}

func traceJSON(id basket.ID, t server.Trace) traced {
	out := traced{Basket: id, Trace: t}
	for _, r := range t.Revisions {
		body := json.RawMessage(r.Body)
		if !json.Valid(body) { // only if the log was changed
			body = nil
		}
		out.Revisions = append(out.Revisions, tracedRevision{r, r.Intact(), body})
	}
	return out
}

func printTrace(w io.Writer, colour cli.Palette, id basket.ID, t server.Trace) error {
	head := cli.NewTable()
	head.Row("basket", id)
	head.Row("lane", t.Shop+"/"+t.Lane.Lane)
	head.Row("number", fmt.Sprintf("%d of incarnation %s", t.Sequence, t.Incarnation))
	for _, twin := range t.SameNumber {
		head.Row("same number", colour.Bad(twin.String()))
	}
	for _, a := range t.Alarms {
		head.Row("alarm", colour.Bad(fmt.Sprintf("%s %s: %s", second(a.LastAt), a.Kind, a.Detail)))
	}
	err := head.Print(w)
	for _, r := range t.Revisions {
		fmt.Fprintln(w)
		err = errors.Join(err, printRevision(w, colour, r, r.Revision == t.Current))
	}
	return err
}

func printRevision(w io.Writer, colour cli.Palette, r server.Revision, current bool) error {
	title := fmt.Sprintf("revision %d", r.Revision)
	if current {
		title += ", which counts"
	}
	fmt.Fprintln(w, colour.Strong(title))
	t := cli.NewTable()
	t.Row("  logged", second(r.Receipt.LoggedAt))
	digest := colour.Good(r.Receipt.Digest + " (checked)")
	if r.Blanked != "" {
		digest = colour.Good(r.Receipt.Digest + " (of what was sent; identities were erased since)")
	}
	if !r.Intact() {
		digest = colour.Bad(r.Receipt.Digest + " IS NOT THE DIGEST OF WHAT IS KEPT")
	}
	t.Row("  digest", digest)
	t.Row("  household", owner(r.Tag))
	b, err := basket.Parse(r.Body)
	if err != nil {
		t.Row("  content", colour.Bad("cannot be read any more"))
		return t.Print(w)
	}
	t.Row("  kind", describe(b))
	t.Row("  closed", second(b.ClosedAt))
	for _, about := range [][2]string{{"  transaction", b.Transaction}, {"  business date", b.BusinessDate}, {"  operator", b.Operator}} {
		if about[1] != "" {
			t.Row(about[0], about[1])
		}
	}
	for _, p := range pseudonyms(b) {
		t.Row("  pseudonym", p)
	}
	quantities, names := items(b)
	for i := range names {
		t.Row("  item", strings.TrimPrefix(quantities[i]+" x "+names[i], " x "))
	}
	return t.Print(w)
}

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write baskets as NDJSON, one a line",
		Long: `Write every basket at its highest revision as NDJSON: one JSON object a line, in
the order in which they were logged. --since and --until go by the time at which
that revision was logged, so that exports of adjoining spans miss nothing; a
basket whose household becomes known later comes again in a later span. A date or
time without a zone is one of this machine's. What is being logged at the very
moment may bear an earlier time: let --until lie a minute back.

An object holds id, tenant, shop, lane, revision, state, hhid, deident_tid, digest,
logged_at (UTC), the basket as it was sent, and, where they apply, alarm, hhid_now: the
household that its card belongs to by now, blanked: somebody was erased from it since
it was sent (it then comes again, in a later span), and earlier: whose it was by its
earlier revisions.`,
		Example: `  posmaind export > baskets.ndjson
  posmaind export --since 2026-11-23 --until 2026-11-24 > monday.ndjson`,
		Args: cobra.NoArgs,
	}
	database := databaseFlag(cmd)
	since := cmd.Flags().String("since", "", "only what was logged at or after this date or time")
	until := cmd.Flags().String("until", "", "only what was logged before this date or time")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := parseTime("since", *since)
		if err != nil {
			return err
		}
		to, err := parseTime("until", *until)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(cmd.OutOrStdout())
		err = reading(cmd.Context(), *database, func(s server.Store) error {
			return s.Export(cmd.Context(), from, to, func(g server.Logged) error { return cli.PrintJSONLine(out, g) })
		})
		return errors.Join(err, out.Flush())
	}
	cmd.AddCommand(exportIdentitiesCommand())
	return cmd
}

func exportIdentitiesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "identities",
		Short: "Write which household each card had of late, as NDJSON",
		Long: `Write each card or number that was shown, by its pseudonym, with the household that
it had when it was shown last: objects with deident_tid, hhid and at. A central that
had to be restored from a backup takes them with "centrald restore --pairs", so
that cards which came after the backup get the same households again.`,
		Example: "  posmaind export identities > shop12.ndjson",
		Args:    cobra.NoArgs,
	}
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := bufio.NewWriter(cmd.OutOrStdout())
		err := reading(cmd.Context(), *database, func(s server.Store) error {
			return s.Identities(cmd.Context(), func(i server.Identity) error { return cli.PrintJSONLine(out, i) })
		})
		return errors.Join(err, out.Flush())
	}
	return cmd
}
