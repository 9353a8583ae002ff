package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/identity"
	"posd/posmain/server"
)

func historyCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history {--household HHID | --shopper DEIDENT_TID}",
		Short: "Show what a household or a shopper has bought",
		Long: `Show what a household (HHID) or the holder of one card or number (DeIdentTID)
has bought, oldest first.

A basket belongs to one household at most: the one that the card or number that
counts for it belongs to now, as central tells. So baskets follow when households are
merged, when a card is split off, and when a card is moved; a household that was merged
is answered with its survivor. --as-recorded goes by the household that was sent with
the basket, and by nothing else. A basket shows up for every shopper whose card or
number was shown. One that was with the household by an earlier revision and is with
another one now is shown with a note. Times are when a basket was closed, in this
machine's zone.

--json prints an array of objects as export writes them.`,
		Example: `  posmaind history --household hh:mfrggzdfmztwq
  posmaind history --household hh:mfrggzdfmztwq --as-recorded
  posmaind history --shopper d1:mfrggzdfmztwq2lknnwg23tpoa --json`,
		Args: cobra.NoArgs,
	}
	database, asJSON := databaseFlag(cmd), cli.JSONFlag(cmd)
	household := cmd.Flags().String("household", "", "household id (hh:...)")
	shopper := cmd.Flags().String("shopper", "", "pseudonym of a card or number (d1:...)")
	recorded := cmd.Flags().Bool("as-recorded", false, "go by the household that was sent with a basket")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := parseQuery(*household, *shopper)
		if err != nil {
			return err
		}
		q.AsRecorded = *recorded
		asked, found := q.HHID, []server.Logged{}
		err = reading(cmd.Context(), *database, func(s server.Store) (err error) {
			if !q.HHID.IsZero() && !q.AsRecorded {
				if q.HHID, err = s.Survivor(cmd.Context(), q.HHID); err != nil {
					return err
				}
			}
			return s.History(cmd.Context(), q, func(g server.Logged) error { found = append(found, g); return nil })
		})
		switch out := cmd.OutOrStdout(); {
		case err != nil:
			return err
		case *asJSON:
			return cli.PrintJSON(out, found)
		default:
			if asked != q.HHID {
				fmt.Fprintf(out, "%s was merged into %s.\n", asked, q.HHID)
			}
			return printHistory(out, env.Colour(out), q, found)
		}
	}
	return cmd
}

func parseQuery(household, shopper string) (q server.Query, err error) {
	if (household == "") == (shopper == "") {
		return q, cli.Usagef("give either --household or --shopper")
	}
	if household != "" {
		q.HHID, err = identity.ParseHHID(household)
	} else {
		q.DeIdentTID, err = identity.ParseDeIdentTID(shopper)
	}
	if err != nil {
		return q, cli.Usagef("%v", err)
	}
	return q, nil
}

func printHistory(w io.Writer, colour cli.Palette, q server.Query, found []server.Logged) error {
	who, other := "Household "+q.HHID.String(), "PSEUDONYM"
	if q.DeIdentTID != "" {
		who, other = "Shopper "+string(q.DeIdentTID), "HOUSEHOLD"
	}
	fmt.Fprintf(w, "%s: %s\n", who, summary(q, found))
	if len(found) == 0 {
		return nil
	}
	t := cli.NewTable("TIME", "LANE", "QTY", "ITEM", other, "BASKET", "NOTE")
	for _, g := range found {
		addBasket(t, colour, q, g)
	}
	fmt.Fprintln(w)
	return t.Print(w)
}

// summary is how many baskets there are, of how many shoppers, and when. Those
// that have gone to another household are counted apart.
func summary(q server.Query, found []server.Logged) string {
	shoppers := map[identity.DeIdentTID]bool{}
	var days []string
	for _, g := range found {
		if !q.HHID.IsZero() && householdOf(g) != q.HHID {
			continue
		}
		shoppers[g.Basket.DeIdentTID] = true
		days = append(days, g.Basket.ClosedAt.Local().Format(time.DateOnly))
	}
	text := "no basket in this log"
	if len(days) > 0 {
		text = plural(len(days), "basket")
		if !q.HHID.IsZero() {
			text += ", " + plural(len(shoppers), "shopper")
		}
		text += ", " + days[0]
		if last := days[len(days)-1]; last != days[0] {
			text += " to " + last
		}
	}
	if gone := len(found) - len(days); gone > 0 {
		text += fmt.Sprintf("; %s with another household now", plural(gone, "basket"))
	}
	return text
}

// addBasket adds as many rows as the longest of a basket's columns has.
func addBasket(t *cli.Table, colour cli.Palette, q server.Query, g server.Logged) {
	quantities, names := items(g.Basket)
	whose := pseudonyms(g.Basket)
	if q.DeIdentTID != "" {
		whose = []string{orDash(householdOf(g).String())}
	}
	notes := notes(q, g)
	cell := func(column []string, i int) string {
		if i < len(column) {
			return column[i]
		}
		return ""
	}
	for i := range max(len(names), len(whose), len(notes)) {
		when, lane, id := "", "", ""
		if i == 0 {
			when, lane, id = minute(g.Basket.ClosedAt), g.Shop+"/"+g.Lane.Lane, g.Basket.ID.String()
		}
		t.Row(when, lane, cell(quantities, i), cell(names, i), cell(whose, i), colour.Faint(id), colour.Doubtful(cell(notes, i)))
	}
}

// householdOf is the household that a basket belongs to.
func householdOf(g server.Logged) identity.HHID {
	if !g.HHIDNow.IsZero() {
		return g.HHIDNow
	}
	return g.Basket.HHID
}

// notes are what is out of the ordinary about a basket.
func notes(q server.Query, g server.Logged) []string {
	var all []string
	b := g.Basket
	if kind := describe(b); kind != "sale" {
		all = append(all, kind)
	}
	if now := householdOf(g); !q.HHID.IsZero() && now != q.HHID {
		all = append(all, "now "+owner(server.Tag{State: b.State, HHID: now}))
	} else if now != b.HHID {
		all = append(all, "recorded as "+owner(server.Tag{State: b.State, HHID: b.HHID}))
	}
	for _, e := range g.Earlier {
		if owner(e) != owner(server.Tag{State: b.State, HHID: b.HHID}) {
			all = append(all, fmt.Sprintf("was %s by revision %d", owner(e), e.Revision))
		}
	}
	if g.Blanked {
		all = append(all, "identity erased")
	}
	if g.Alarm != "" {
		all = append(all, "alarm: "+g.Alarm)
	}
	return all
}
