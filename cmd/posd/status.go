package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"posd/basket"
	"posd/cli"
	"posd/lane"
	"posd/lane/api"
)

func statusCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how the running lane, its devices and connections are",
		Long: `Tell how the running lane is, and what a person should look at. The exit status
is 0 if posd answers, whatever it says.`,
		Example: `  posd status
  posd status --json`,
		Args: cobra.NoArgs,
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		st, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), st)
		}
		return printStatus(cmd.OutOrStdout(), env.Colour(env.Stdout), st)
	}
	return cmd
}

func printStatus(w io.Writer, p cli.Palette, st api.Status) error {
	t := cli.NewTable()
	t.Row("lane", laneName(st.Enrolment, p))
	t.Row("running", "since "+local(st.StartedAt)+", version "+st.Version)
	t.Row("basket", openBasket(st.Lane.Basket))
	t.Row("last number", fmt.Sprintf("%d of journal %s", st.Lane.LastSequence, st.Lane.Incarnation))
	t.Row("central", linkText(p, st.Lane.Central), fmt.Sprintf("%d identities pending", st.Lane.Pending))
	t.Row("POS main", linkText(p, st.Lane.Main), fmt.Sprintf("%d baskets to send, all up to %d are there", st.Lane.Queued, st.Lane.Watermark))
	if err := t.Print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printDevices(w, p, st.Devices); err != nil {
		return err
	}
	if st.OK {
		_, err := fmt.Fprintln(w, "\n"+p.Good("Nothing needs to be looked at.").String())
		return err
	}
	fmt.Fprintln(w, "\n"+p.Bad("To be looked at:").String())
	for _, problem := range st.Problems {
		fmt.Fprintln(w, "  "+cli.Clean(problem))
	}
	return nil
}

func laneName(e api.Enrolment, p cli.Palette) any {
	if !e.Enrolled {
		return p.Bad("not enrolled: run posd enroll")
	}
	return e.Name + ", certificate until " + local(e.ValidUntil)
}

func openBasket(b *lane.Summary) string {
	if b == nil {
		return "none is open"
	}
	return fmt.Sprintf("%s, %s since %s, %d lines, %s", b.ID, b.Kind, local(b.OpenedAt), b.Lines, b.State)
}

func linkText(p cli.Palette, l lane.Link) cli.Text {
	text := l.State
	if !l.Since.IsZero() {
		text += " since " + local(l.Since)
	}
	switch l.State {
	case "up":
		return p.Good(text)
	case "failing":
		return p.Bad(text)
	}
	return p.Doubtful(text)
}

func joined(reason, remedy string) string {
	if remedy == "" {
		return reason
	}
	return reason + ": " + remedy
}

func outboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "outbox",
		Short:   "Tell which baskets the POS main computer does not have yet",
		Example: "  posd outbox\n  posd outbox --json",
		Args:    cobra.NoArgs,
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client()
		if err != nil {
			return err
		}
		out, err := c.Outbox(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), out)
		}
		return printOutbox(cmd.OutOrStdout(), out)
	}
	return cmd
}

func printOutbox(w io.Writer, out basket.Outbox) error {
	fmt.Fprintf(w, "%d to send, %d refused, %d sent and kept, %d identities wait for central; the POS main computer has all up to number %d.\n",
		out.Queued, out.Refused, out.Acknowledged, out.Pending, out.Watermark)
	if len(out.Deliveries) == 0 {
		return nil
	}
	t := cli.NewTable("NUMBER", "REVISION", "STATE", "SINCE", "BASKET", "WHY")
	for _, d := range out.Deliveries {
		t.Row(d.Sequence, d.Revision, d.State, local(d.CreatedAt), d.Basket, d.Reason)
	}
	return t.Print(w)
}

func traceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "trace BASKET",
		Short:   "Tell the history of a basket that this lane still has",
		Example: "  posd trace 0193592f-3c11-7a52-8f8e-2f6c1f0e9a01",
		Args:    cobra.ExactArgs(1),
	}
	client, asJSON := socketOf(cmd), cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := basket.ParseID(args[0])
		if err != nil {
			return cli.Usagef("%v", err)
		}
		c, err := client()
		if err != nil {
			return err
		}
		trace, err := c.Trace(cmd.Context(), id)
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), trace)
		}
		return printTrace(cmd.OutOrStdout(), trace)
	}
	return cmd
}

func printTrace(w io.Writer, trace basket.Trace) error {
	if err := printBasket(w, trace.Basket); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t := cli.NewTable("AT", "EVENT", "")
	for _, e := range trace.Events {
		t.Row(e.At.Local().Format("2006-01-02 15:04:05.000"), e.Event, e.Detail)
	}
	return t.Print(w)
}

// local is a time for people.
func local(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}
