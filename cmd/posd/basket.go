package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"posd/basket"
	"posd/cli"
	"posd/identity"
	"posd/lane"
	"posd/lane/api"
)

func basketCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "basket",
		Short: "Look at the open basket, and do what a POS program does",
		Example: `  posd basket show
  posd basket close`,
	}
	cmd.AddCommand(basketShow(), basketStart(), basketAdd(), basketVoidLine(),
		basketEnd("close", "End the open basket as paid for", (*api.Client).Close),
		basketEnd("void", "End the open basket as given up", (*api.Client).Void))
	return cmd
}

// onBasket makes the RunE of a command that ends on a basket.
func onBasket(cmd *cobra.Command, do func(ctx context.Context, c *api.Client, args []string) (basket.Basket, error)) {
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		b, err := do(cmd.Context(), c, args)
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), b)
		}
		return printBasket(cmd.OutOrStdout(), b)
	}
}

func basketShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the open basket",
		Long:    "Show the open basket. If none is open, that is what it says; with --json, null.",
		Example: "  posd basket show\n  posd basket show --json",
		Args:    cobra.NoArgs,
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		b, open, err := c.Basket(cmd.Context())
		switch {
		case err != nil:
			return err
		case *asJSON && !open:
			return cli.PrintJSON(cmd.OutOrStdout(), nil)
		case *asJSON:
			return cli.PrintJSON(cmd.OutOrStdout(), b)
		case !open:
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "No basket is open.")
			return err
		}
		return printBasket(cmd.OutOrStdout(), b)
	}
	return cmd
}

func basketStart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Open a basket",
		Example: `  posd basket start
  posd basket start --kind return --transaction T-1017 --business-date 2026-11-23 --operator 7`,
		Args: cobra.NoArgs,
	}
	var h lane.Header
	cmd.Flags().StringVar((*string)(&h.Kind), "kind", string(basket.Sale), "sale, return, exchange or training")
	cmd.Flags().StringVar(&h.Transaction, "transaction", "", "the POS program's own number")
	cmd.Flags().StringVar(&h.BusinessDate, "business-date", "", "business date, as 2026-11-23")
	cmd.Flags().StringVar(&h.Operator, "operator", "", "who works at the lane")
	onBasket(cmd, func(ctx context.Context, c *api.Client, _ []string) (basket.Basket, error) { return c.Start(ctx, h) })
	return cmd
}

func basketAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add LABEL",
		Short: "Add a label to the open basket, as if it were scanned",
		Example: `  posd basket add 036000291452
  posd basket add 4006381333931 --quantity 3`,
		Args: cobra.ExactArgs(1),
	}
	quantity := cmd.Flags().Int("quantity", 0, "pieces, negative for what comes back (default one, as the basket's kind has it)")
	onBasket(cmd, func(ctx context.Context, c *api.Client, args []string) (basket.Basket, error) {
		if args[0] == "" {
			return basket.Basket{}, cli.Usagef("the label is empty")
		}
		return c.AddLine(ctx, api.NewLine{Label: args[0], Quantity: *quantity})
	})
	return cmd
}

func basketVoidLine() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "void-line N",
		Short:   "Void one line of the open basket",
		Example: "  posd basket void-line 2",
		Args:    cobra.ExactArgs(1),
	}
	onBasket(cmd, func(ctx context.Context, c *api.Client, args []string) (basket.Basket, error) {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 {
			return basket.Basket{}, cli.Usagef("%q is no line's number: posd basket show tells them", args[0])
		}
		return c.VoidLine(ctx, n)
	})
	return cmd
}

func basketEnd(name, short string, end func(*api.Client, context.Context) (basket.Basket, error)) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Example: "  posd basket " + name, Args: cobra.NoArgs}
	onBasket(cmd, func(ctx context.Context, c *api.Client, _ []string) (basket.Basket, error) { return end(c, ctx) })
	return cmd
}

func printBasket(w io.Writer, b basket.Basket) error {
	state := "open"
	if b.Outcome != basket.Open {
		state = string(b.Outcome)
	}
	fmt.Fprintf(w, "basket %s, %s, %s", b.ID, b.Kind, state)
	if b.Sequence > 0 {
		fmt.Fprintf(w, ", number %d", b.Sequence)
	}
	fmt.Fprintf(w, "\nopened %s", local(b.OpenedAt))
	if !b.ClosedAt.IsZero() {
		fmt.Fprintf(w, ", closed %s", local(b.ClosedAt))
	}
	for _, about := range [][2]string{{"transaction", b.Transaction}, {"business date", b.BusinessDate}, {"operator", b.Operator}} {
		if about[1] != "" {
			fmt.Fprintf(w, ", %s %s", about[0], cli.Clean(about[1]))
		}
	}
	fmt.Fprintf(w, "\n%s\n", whose(b.State, b.HHID, b.DeIdentTID))
	if err := printIdentities(w, b.Identities); err != nil {
		return err
	}
	return printLines(w, b.Lines)
}

func whose(s identity.State, h identity.HHID, d identity.DeIdentTID) string {
	if s != identity.Resolved {
		return string(s)
	}
	return fmt.Sprintf("household %s, shopper %s", h, d)
}

func printIdentities(w io.Writer, ids []basket.Identity) error {
	if len(ids) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := cli.NewTable("SHOWN", "AT", "STATE")
	for _, id := range ids {
		t.Row(id.Kind, local(id.At), whose(id.State, id.HHID, id.DeIdentTID))
	}
	return t.Print(w)
}

func printLines(w io.Writer, lines []basket.Line) error {
	if len(lines) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := cli.NewTable("LINE", "LABEL", "GTIN", "SYMBOLOGY", "QTY", "")
	for _, l := range lines {
		note := l.Problem
		if l.Kind == basket.Coupon {
			note = "coupon " + note
		}
		if l.VoidedAt != nil {
			note = "void"
		}
		t.Row(l.Number, label(l), l.GTIN, l.Symbology, l.Quantity, note)
	}
	return t.Print(w)
}

func label(l basket.Line) string {
	if l.AddOn == "" {
		return l.UPC
	}
	return l.UPC + " +" + l.AddOn
}
