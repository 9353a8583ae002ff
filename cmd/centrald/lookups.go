package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/lookuplog"
	"posd/cli"
	"posd/enroll"
)

func (p *program) auditLookups() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lookups",
		Short: "List which lane asked when, for which basket, and what came of it",
		Long: `lookups lists the lookups that this centrald answered: time, lane, basket, swipe
and outcome. Which card or household it was is not kept. They are kept for a year
("centrald serve --keep-lookups"), by each centrald on its own disk.

Times are dates (2026-11-25) or instants (2026-11-25T14:00:00Z), in UTC.

--json prints an object a line: at, lane, basket, swipe, outcome.`,
		Example: "  centrald audit lookups --store 12 --lane 3 --since 2026-11-01\n  centrald audit lookups --since 2026-11-25T14:00:00Z --json",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	var f lookupFlags
	cmd.Flags().StringVar(&f.shop, "store", "", "number or name of the shop")
	cmd.Flags().StringVar(&f.lane, "lane", "", "number or name of the lane")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the retailer (only needed where there are several)")
	cmd.Flags().StringVar(&f.since, "since", "", "from then on (default: a day ago)")
	cmd.Flags().StringVar(&f.until, "until", "", "before then (default: now)")
	cmd.MarkFlagsRequiredTogether("store", "lane")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request, err := f.request(time.Now())
		if err != nil {
			return cli.Usagef("%v", err)
		}
		return p.listLookups(cmd.Context(), request, *asJSON)
	}
	return cmd
}

type lookupFlags struct{ shop, lane, tenant, since, until string }

func (f lookupFlags) request(now time.Time) (r admin.LookupsRequest, err error) {
	r.Tenant, r.Since, r.Until = f.tenant, now.AddDate(0, 0, -1), now
	if f.shop != "" {
		r.Machine = enroll.Name{Tenant: "x", Shop: f.shop, Role: enroll.Lane, Lane: f.lane}
		err = r.Machine.Check()
	}
	for _, one := range []struct {
		text string
		at   *time.Time
	}{{f.since, &r.Since}, {f.until, &r.Until}} {
		if one.text != "" {
			at, wrong := parseTime(one.text)
			*one.at, err = at, errors.Join(err, wrong)
		}
	}
	return r, err
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date such as 2026-11-25 nor an instant such as 2026-11-25T14:00:00Z", s)
}

func (p *program) listLookups(ctx context.Context, request admin.LookupsRequest, asJSON bool) error {
	c, err := p.admin(ctx, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	n := 0
	err = c.Stream(ctx, "audit.lookups", request, strings.NewReader(""), func(line []byte) error {
		var one struct {
			lookuplog.Entry
			admin.LookupsEnd
		}
		if err := json.Unmarshal(line, &one); err != nil {
			return err
		}
		if one.Outcome == "" {
			return p.skipped(one.Skipped)
		}
		n++
		return p.printLookup(one.Entry, n == 1, asJSON)
	})
	if err == nil && n == 0 && !asJSON {
		_, err = fmt.Fprintln(p.env.Stdout, "Nothing was looked up.")
	}
	return misused(err)
}

func (p *program) skipped(bytes int) error {
	if bytes > 0 {
		fmt.Fprintf(p.env.Stderr, "centrald: %d bytes of the log cannot be read: a crash left them, or they were changed\n", bytes)
	}
	return nil
}

func (p *program) printLookup(e lookuplog.Entry, first, asJSON bool) error {
	if asJSON {
		return cli.PrintJSONLine(p.env.Stdout, e)
	}
	if first {
		fmt.Fprintf(p.env.Stdout, "%-24s  %-36s  %5s  %-14s  %s\n", "AT", "BASKET", "SWIPE", "OUTCOME", "LANE")
	}
	_, err := fmt.Fprintf(p.env.Stdout, "%-24s  %-36s  %5d  %-14s  %s\n", e.At.Format("2006-01-02T15:04:05.000Z"), e.Basket, e.Swipe, e.Outcome, e.Lane)
	return err
}
