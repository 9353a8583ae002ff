package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/store"
	"posd/cli"
	"posd/identity"
)

func (p *program) households() *cobra.Command {
	return group("households", "Households and the cards that belong to them",
		"  centrald households list\n  centrald households show hh:mfrggzdfmztwq", p.householdsList(), p.householdsShow(), p.householdsLink(),
		p.householdsMerge(), p.householdsSplit(), p.householdsUndo(), p.householdsLedger())
}

func (p *program) householdsList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all households, in the order of their ids",
		Long:    "list shows all households. --json prints an object a line, as show --json does.",
		Example: "  centrald households list\n  centrald households list --json | wc -l",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	name := cmd.Flags().String("tenant", "", "the retailer (only needed where there are several)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.listHouseholds(cmd.Context(), *name, *asJSON)
	}
	return cmd
}

// listHouseholds prints page by page: there may be millions.
func (p *program) listHouseholds(ctx context.Context, retailer string, asJSON bool) error {
	request := admin.HouseholdsRequest{Tenant: retailer, Limit: 500}
	for first := true; ; first = false {
		all, err := call[[]store.Household](ctx, p, nil, "households.list", request)
		if err != nil {
			return err
		}
		if first && len(all) == 0 && !asJSON {
			_, err := fmt.Fprintln(p.env.Stdout, "No household is known yet.")
			return err
		}
		if err := p.printHouseholds(all, first, asJSON); err != nil {
			return err
		}
		if len(all) < request.Limit {
			return nil
		}
		request.After = all[len(all)-1].HHID
	}
}

func (p *program) printHouseholds(all []store.Household, first, asJSON bool) error {
	if asJSON {
		for _, h := range all {
			if err := cli.PrintJSONLine(p.env.Stdout, h); err != nil {
				return err
			}
		}
		return nil
	}
	t := cli.NewTable()
	if first {
		t = cli.NewTable("HOUSEHOLD       ", "SINCE                  ", "CARDS", "KINDS")
	}
	for _, h := range all {
		t.Row(h.HHID, moment(h.CreatedAt), fmt.Sprintf("%5d", len(h.Cards)), kinds(h.Cards))
	}
	return t.Print(p.env.Stdout)
}

func kinds(cards []store.Card) string {
	var words []string
	for _, c := range cards {
		words = append(words, string(c.Kind))
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}

func (p *program) householdsShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show HOUSEHOLD",
		Short: "Show the cards and numbers of a household, by their pseudonyms",
		Long: `show tells which cards and numbers belong to a household, by their pseudonyms. A
household that was merged into another one is answered with that one.

--json prints an object: hhid, tenant, created_at, cards, each with deident_tid,
kind, created_at, and opted_out where it is so, and merged: the ids of households
that were merged into it.`,
		Example: "  centrald households show hh:mfrggzdfmztwq",
		Args:    cobra.ExactArgs(1),
	}
	asJSON := cli.JSONFlag(cmd)
	name := cmd.Flags().String("tenant", "", "the retailer (only needed where there are several)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := identity.ParseHHID(args[0])
		if err != nil {
			return cli.Usagef("%v", err)
		}
		h, err := call[store.Household](cmd.Context(), p, nil, "households.show", admin.HouseholdRequest{Tenant: *name, HHID: id})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, h)
		}
		return p.printHousehold(id, h)
	}
	return cmd
}

func (p *program) printHousehold(asked identity.HHID, h store.Household) error {
	if asked != h.HHID {
		fmt.Fprintf(p.env.Stdout, "%s was merged into %s.\n\n", asked, h.HHID)
	}
	fmt.Fprintf(p.env.Stdout, "%s  household of %s since %s\n\n", p.env.Colour(p.env.Stdout).Strong(h.HHID.String()), h.Tenant, moment(h.CreatedAt))
	for _, m := range h.Merged {
		fmt.Fprintf(p.env.Stdout, "%s was merged into it.\n", m)
	}
	if len(h.Cards) == 0 {
		_, err := fmt.Fprintln(p.env.Stdout, "No card belongs to it any more.")
		return err
	}
	t := cli.NewTable("CARD (DEIDENTTID)", "KIND", "SINCE", "")
	for _, c := range h.Cards {
		note := ""
		if c.OptedOut {
			note = "opted out"
		}
		t.Row(c.DeIdentTID, c.Kind, moment(c.CreatedAt), note)
	}
	return t.Print(p.env.Stdout)
}
