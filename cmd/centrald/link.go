package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/cli"
	"posd/identity"
)

func (p *program) householdsLink() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Put a card into a household",
		Long: `link puts a card that was seen before, told by its DeIdentTID, into a household.
"centrald import" puts any number of cards, known or not, into theirs.

Households are not linked backwards: baskets that were sent keep their household.
A running centrald answers with the new household within a second. --json prints
an object: household.`,
		Example: "  centrald households link --household hh:mfrggzdfmztwq --deident d1:mfrggzdfmztwq2lknnwg23tpoa",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	var household, deident, retailer string
	cmd.Flags().StringVar(&household, "household", "", "the household that the card is to belong to (required)")
	cmd.Flags().StringVar(&deident, "deident", "", "the card's pseudonym (DeIdentTID) (required)")
	cmd.Flags().StringVar(&retailer, "tenant", "", "the retailer (only needed where there are several)")
	cmd.MarkFlagRequired("household")
	cmd.MarkFlagRequired("deident")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request := admin.LinkRequest{Tenant: retailer}
		var err error
		if request.HHID, err = identity.ParseHHID(household); err == nil {
			request.DeIdentTID, err = identity.ParseDeIdentTID(deident)
		}
		if err != nil {
			return cli.Usagef("%v", err)
		}
		return p.link(cmd.Context(), request, *asJSON)
	}
	return cmd
}

func (p *program) link(ctx context.Context, request admin.LinkRequest, asJSON bool) error {
	id, err := call[identity.HHID](ctx, p, nil, "households.link", request)
	if err != nil {
		return err
	}
	if asJSON {
		return cli.PrintJSON(p.env.Stdout, map[string]identity.HHID{"household": id})
	}
	_, err = fmt.Fprintf(p.env.Stdout, "%s now belongs to %s.\n", request.DeIdentTID, id)
	return err
}
