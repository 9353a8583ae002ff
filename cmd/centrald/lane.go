package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"posd/central/server/admin"
	"posd/central/server/store"
	"posd/cli"
	"posd/enroll"
)

// oneMachine adds the flags that name a machine.
func oneMachine(flags *pflag.FlagSet, roles bool) *tokenFlags {
	f := &tokenFlags{role: string(enroll.Lane)}
	flags.StringVar(&f.shop, "store", "", "number or name of the shop (required)")
	flags.StringVar(&f.lane, "lane", "", "number or name of the lane")
	flags.StringVar(&f.tenant, "tenant", "", "the retailer (only needed where there are several)")
	if roles {
		flags.StringVar(&f.role, "role", string(enroll.Lane), "what it is: lane or posmain")
	}
	return f
}

func (p *program) lanesShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what central saw of a lane",
		Long: `show tells when a lane asked last, what it runs, since when it seals under its
present epoch, how far its clock is behind, how much it asks, and how many of its
lookups were of unknown cards or could not be opened at all. The store is told once
a minute; of the centrald that runs here it is what is known now.

--json prints an object as lanes list does. Its activity: seen, software, epoch,
epoch_since, clock_behind_ms, lookups, unknown, failed, per_minute, per_hour.`,
		Example: "  centrald lanes show --store 12 --lane 3",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	f := oneMachine(cmd.Flags(), true)
	cmd.MarkFlagRequired("store")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names, err := p.wanted(*f)
		if err != nil {
			return err
		}
		m, err := call[store.Machine](cmd.Context(), p, nil, "lanes.show", admin.MachineRequest{Tenant: f.tenant, Machine: names[0]})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, m)
		}
		return p.printMachine(m)
	}
	return cmd
}

func (p *program) printMachine(m store.Machine) error {
	if err := p.printMachines([]store.Machine{m}); err != nil || m.Activity == nil {
		return err
	}
	a := m.Activity
	fmt.Fprintln(p.env.Stdout)
	t := cli.NewTable()
	t.Row("runs", orUnknown(a.Software))
	t.Row("epoch", hex.EncodeToString(a.Epoch)+"... since "+moment(a.EpochSince))
	t.Row("clock", clock(a.BehindMS))
	t.Row("lookups", fmt.Sprintf("%d: %.1f a minute, %.0f an hour lately", a.Lookups, a.PerMinute, a.PerHour))
	t.Row("unknown cards", share(a.Unknown, a.Lookups))
	t.Row("failed to open", share(a.Failed, a.Lookups))
	return t.Print(p.env.Stdout)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func clock(behind int64) string {
	off := time.Duration(math.Abs(float64(behind))) * time.Millisecond
	switch {
	case off < time.Second:
		return "right"
	case behind > 0:
		return off.Round(time.Second).String() + " behind"
	}
	return off.Round(time.Second).String() + " ahead"
}

func share(n, of uint64) string {
	if of == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d (%.1f %%)", n, 100*float64(n)/float64(of))
}

// lanesQuarantine makes the command that puts a lane into quarantine, or the one that
// releases it.
func (p *program) lanesQuarantine(on bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "Answer a lane's lookups no more, until it is released",
		Long: `quarantine has every centrald refuse the lane's lookups within a second, on open
connections too. The lane goes on selling: its baskets are sent with identities that
are pending, and get them when it is released in time. Its certificate stays good.`,
		Example: "  centrald lanes quarantine --store 12 --lane 3",
		Args:    cobra.NoArgs,
	}
	if !on {
		cmd.Use, cmd.Short = "release", "Answer the lookups of a lane that was in quarantine"
		cmd.Long, cmd.Example = "release ends the quarantine of a lane. It asks again within some minutes for what\nwaits, and at once for fresh cards.", "  centrald lanes release --store 12 --lane 3"
	}
	asJSON := cli.JSONFlag(cmd)
	f := oneMachine(cmd.Flags(), false)
	cmd.MarkFlagRequired("store")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names, err := p.wanted(*f)
		if err != nil {
			return err
		}
		request := admin.QuarantineRequest{MachineRequest: admin.MachineRequest{Tenant: f.tenant, Machine: names[0]}, On: on}
		name, err := call[string](cmd.Context(), p, nil, "lanes.quarantine", request)
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, map[string]any{"lane": name, "quarantined": on})
		}
		_, err = fmt.Fprintln(p.env.Stdout, map[bool]string{true: "In quarantine: ", false: "Released: "}[on]+name)
		return err
	}
	return cmd
}
