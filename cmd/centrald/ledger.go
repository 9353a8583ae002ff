package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/store"
	"posd/cli"
	"posd/identity"
)

// change is a command that changes households, or previews that.
type change struct {
	*cobra.Command
	asJSON  *bool
	preview *bool
	tenant  *string
}

func newChange(use, short, long, example string, args cobra.PositionalArgs) change {
	cmd := &cobra.Command{Use: use, Short: short, Long: long + `

It is kept in the ledger ("centrald households ledger") and can be undone. Baskets
that were sent keep their household. --preview only says what would be done. --json
prints the entry of the ledger as "households ledger --json" does, without number
where it is a preview.`, Example: example, Args: args}
	return change{cmd, cli.JSONFlag(cmd), cmd.Flags().Bool("preview", false, "only say what would be done"),
		cmd.Flags().String("tenant", "", "the retailer (only needed where there are several)")}
}

func (p *program) householdsMerge() *cobra.Command {
	c := newChange("merge HOUSEHOLD INTO", "Make one household of two",
		`merge gives all cards of the first household to the second, which survives. The
first one's id then stands for the survivor, and so do the ids of households that
were merged into it before.`,
		"  centrald households merge hh:mfrggzdfmztwq hh:nbswy3dpeb3w6 --preview\n  centrald households merge hh:mfrggzdfmztwq hh:nbswy3dpeb3w6", cobra.ExactArgs(2))
	c.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := identity.ParseHHID(args[0])
		if err != nil {
			return cli.Usagef("%v", err)
		}
		into, err := identity.ParseHHID(args[1])
		if err != nil {
			return cli.Usagef("%v", err)
		}
		e, err := call[store.LedgerEntry](cmd.Context(), p, nil, "households.merge", admin.MergeRequest{Tenant: *c.tenant, From: from, Into: into, Preview: *c.preview})
		return p.printChange(c, e, err)
	}
	return c.Command
}

func (p *program) householdsSplit() *cobra.Command {
	c := newChange("split HOUSEHOLD", "Give some cards of a household a new household",
		`split takes the cards that --deident names out of a household; they share a new
one.`,
		"  centrald households split hh:mfrggzdfmztwq --deident d1:mfrggzdfmztwq2lknnwg23tpoa", cobra.ExactArgs(1))
	cards := c.Flags().StringArray("deident", nil, "pseudonym of a card to split off; may be given again")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := identity.ParseHHID(args[0])
		if err != nil {
			return cli.Usagef("%v", err)
		}
		if len(*cards) == 0 {
			return cli.Usagef("give the cards to split off: --deident, once for each")
		}
		r := admin.SplitRequest{Tenant: *c.tenant, HHID: id, Preview: *c.preview}
		for _, text := range *cards {
			d, err := identity.ParseDeIdentTID(text)
			if err != nil {
				return cli.Usagef("%v", err)
			}
			r.Cards = append(r.Cards, d)
		}
		e, err := call[store.LedgerEntry](cmd.Context(), p, nil, "households.split", r)
		return p.printChange(c, e, err)
	}
	return c.Command
}

func (p *program) householdsUndo() *cobra.Command {
	c := newChange("undo NUMBER", "Take a merge, split or link back",
		`undo takes an entry of the ledger back: its cards return to the household that they
were in before, its aliases to what they were. It is refused while later entries
stand that moved the same cards or households: these are named, to be undone first.`,
		"  centrald households ledger\n  centrald households undo 7", cobra.ExactArgs(1))
	c.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := strconv.ParseUint(args[0], 10, 63)
		if err != nil || n == 0 {
			return cli.Usagef("give the number of an entry of the ledger: centrald households ledger shows them")
		}
		e, err := call[store.LedgerEntry](cmd.Context(), p, nil, "households.undo", admin.UndoRequest{Tenant: *c.tenant, Number: n, Preview: *c.preview})
		return p.printChange(c, e, err)
	}
	return c.Command
}

func (p *program) printChange(c change, e store.LedgerEntry, err error) error {
	switch out := p.env.Stdout; {
	case err != nil:
		return err
	case *c.asJSON:
		return cli.PrintJSON(out, e)
	case *c.preview:
		fmt.Fprintln(out, "This would be done:")
	default:
		fmt.Fprintf(out, "Done, as entry %d of the ledger:\n", e.Number)
	}
	for _, line := range deeds(e) {
		if _, err := fmt.Fprintln(p.env.Stdout, "  "+line); err != nil {
			return err
		}
	}
	return nil
}

// deeds say what an entry did, one a line.
func deeds(e store.LedgerEntry) []string {
	var all []string
	for _, c := range e.Cards {
		to := "a new household"
		if !c.To.IsZero() {
			to = c.To.String()
		}
		all = append(all, fmt.Sprintf("%s goes from %s to %s", c.DeIdentTID, c.From, to))
	}
	for _, a := range e.Aliases {
		if a.To.IsZero() {
			all = append(all, fmt.Sprintf("%s is a household of its own again", a.HHID))
		} else {
			all = append(all, fmt.Sprintf("%s stands for %s", a.HHID, a.To))
		}
	}
	if len(all) == 0 {
		all = []string{"its cards were erased"}
	}
	return all
}

func (p *program) householdsLedger() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "List what was done to households, the oldest first",
		Long: `ledger lists merges, splits, links of cards that were known, and undos. Cards that
were erased are left out.

--json prints an object a line: number, at, actor, kind (merge, split, link, undo),
hhid (where the cards went), cards (each deident_tid, from, to), aliases (each hhid,
from, to; left out where it was or is a household), undoes or undone_by.`,
		Example: "  centrald households ledger\n  centrald households ledger --json --after 120",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	after := cmd.Flags().Uint64("after", 0, "list only what comes behind the entry of this number")
	name := cmd.Flags().String("tenant", "", "the retailer (only needed where there are several)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request := admin.LedgerRequest{Tenant: *name, After: *after, Limit: 500}
		for first := true; ; first = false {
			all, err := call[[]store.LedgerEntry](cmd.Context(), p, nil, "households.ledger", request)
			if err != nil {
				return err
			}
			if err := p.printLedger(all, first, *asJSON); err != nil {
				return err
			}
			if len(all) < request.Limit {
				return nil
			}
			request.After = all[len(all)-1].Number
		}
	}
	return cmd
}

func (p *program) printLedger(all []store.LedgerEntry, first, asJSON bool) error {
	if first && len(all) == 0 && !asJSON {
		_, err := fmt.Fprintln(p.env.Stdout, "Nothing was done to households yet.")
		return err
	}
	for _, e := range all {
		if asJSON {
			if err := cli.PrintJSONLine(p.env.Stdout, e); err != nil {
				return err
			}
			continue
		}
		what := string(e.Kind)
		switch {
		case e.Undoes != 0:
			what = fmt.Sprintf("undo of entry %d", e.Undoes)
		case e.UndoneBy != 0:
			what += fmt.Sprintf(", undone by entry %d", e.UndoneBy)
		}
		fmt.Fprintf(p.env.Stdout, "%d  %s  %s  %s\n", e.Number, moment(e.At), e.Actor, what)
		for _, line := range deeds(e) {
			if _, err := fmt.Fprintln(p.env.Stdout, "   "+line); err != nil {
				return err
			}
		}
	}
	return nil
}
