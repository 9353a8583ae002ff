package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/store"
	"posd/cli"
	"posd/enroll"
)

func (p *program) lanes() *cobra.Command {
	return group("lanes", "Enrolled lanes and POS main computers",
		"  centrald lanes list\n  centrald lanes revoke --store 12 --lane 3", p.lanesList(), p.lanesShow(), p.lanesRevoke(), p.lanesQuarantine(true), p.lanesQuarantine(false))
}

func (p *program) lanesList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List lanes and POS main computers with the state of their certificates",
		Long: `list shows every machine that a token was ever made for. Its state is invited
(a token, no certificate yet), enrolled, expired or revoked, or quarantined for
a lane whose lookups are not answered (lanes quarantine).

--json prints an array of objects: tenant, store, role, lane (of a lane), state,
created_at, certificates (how many it ever had), ends (of the present one),
quarantined, and of a lane that has asked activity: see lanes show.`,
		Example: "  centrald lanes list\n  centrald lanes list --json",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := call[[]store.Machine](cmd.Context(), p, nil, "lanes.list", admin.None{})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, append([]store.Machine{}, all...))
		}
		return p.printMachines(all)
	}
	return cmd
}

func (p *program) printMachines(all []store.Machine) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(p.env.Stdout, "No machine is enrolled. Make a token with `centrald tokens create`.")
		return err
	}
	colour := p.env.Colour(p.env.Stdout)
	t := cli.NewTable("TENANT", "STORE", "ROLE", "LANE", "STATE", "LAST SEEN", "CERTIFICATE ENDS", "RENEWED")
	for _, m := range all {
		state := colour.Good(string(m.State))
		switch m.State {
		case store.Invited:
			state = colour.Faint(string(m.State))
		case store.Expired:
			state = colour.Doubtful(string(m.State))
		case store.Revoked:
			state = colour.Bad(string(m.State))
		}
		if m.Quarantined && m.State != store.Revoked {
			state = colour.Bad("quarantined")
		}
		ends, seen := "", ""
		if !m.Ends.IsZero() {
			ends = moment(m.Ends)
		}
		if m.Activity != nil {
			seen = moment(m.Activity.Seen)
		}
		t.Row(m.Tenant, m.Shop, m.Role, m.Lane, state, seen, ends, max(0, m.Certificates-1))
	}
	return t.Print(p.env.Stdout)
}

func (p *program) lanesRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Revoke the certificates of a lane or POS main computer, and its unused token",
		Long: `revoke takes effect within a second on a running centrald. The machine can be
enrolled again with a new token.

The shop's POS main computer hears of it at once too, or as soon as it reaches central
again, and refuses the lane's baskets from then on.`,
		Example: "  centrald lanes revoke --store 12 --lane 3\n  centrald lanes revoke --store 12 --role posmain",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	var f tokenFlags
	cmd.Flags().StringVar(&f.shop, "store", "", "number or name of the shop (required)")
	cmd.Flags().StringVar(&f.lane, "lane", "", "number or name of the lane")
	cmd.Flags().StringVar(&f.role, "role", string(enroll.Lane), "what is revoked: lane or posmain")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the retailer (only needed where there are several)")
	cmd.MarkFlagRequired("store")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names, err := p.wanted(f)
		if err != nil {
			return err
		}
		n, err := call[string](cmd.Context(), p, nil, "lanes.revoke", admin.MachineRequest{Tenant: f.tenant, Machine: names[0]})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, map[string]string{"revoked": n})
		}
		_, err = fmt.Fprintf(p.env.Stdout, "Revoked %s.\n", n)
		return err
	}
	return cmd
}

func (p *program) alarms() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List alarms: copied certificates, tokens that came twice",
		Long: `list shows all alarms, the oldest first; the same one within an hour only once:

  clone         a certificate that was renewed before came to renew again: its
                machine's disk was copied
  token-reused  a token that was used before came again, from another machine

--json prints an array of objects: id, at, type, name (of the machine), detail.`,
		Example: `  centrald alarms list
  centrald alarms list --json`,
		Args: cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := call[[]store.Alarm](cmd.Context(), p, nil, "alarms.list", admin.None{})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, append([]store.Alarm{}, all...))
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(p.env.Stdout, "No alarms.")
			return err
		}
		colour := p.env.Colour(p.env.Stdout)
		t := cli.NewTable("AT", "ALARM", "MACHINE", "WHAT HAPPENED")
		for _, a := range all {
			t.Row(moment(a.At), colour.Bad(a.Type), a.Name, a.Detail)
		}
		return t.Print(p.env.Stdout)
	}
	return group("alarms", "What a person must look at", "  centrald alarms list", cmd)
}

// moment is an instant as a person reads it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
