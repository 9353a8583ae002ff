package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/store"
	"posd/cli"
)

func (p *program) audit() *cobra.Command {
	return group("audit", "What operators did, and what lanes asked",
		"  centrald audit list\n  centrald audit verify\n  centrald audit lookups --store 12 --lane 3 --since 2026-11-01", p.auditList(), p.auditVerify(), p.auditLookups())
}

func (p *program) auditList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what operators did, the oldest first",
		Long: `list shows the audit log: who did what and when. Every act is in it, in the
transaction of what it did: where the log cannot be written, nothing is done.

--json prints an object a line: number, at, actor (a user of central's machine),
action, detail, and hash, which covers the record and the one before.`,
		Example: "  centrald audit list\n  centrald audit list --json --after 120",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	after := cmd.Flags().Uint64("after", 0, "list only what comes behind the record of this number")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.listAudit(cmd.Context(), *after, *asJSON)
	}
	return cmd
}

func (p *program) listAudit(ctx context.Context, after uint64, asJSON bool) error {
	request := admin.AuditRequest{After: after, Limit: 500}
	for first := true; ; first = false {
		records, err := call[[]store.Record](ctx, p, nil, "audit.list", request)
		if err != nil {
			return err
		}
		if err := p.printAudit(records, first, asJSON); err != nil {
			return err
		}
		if len(records) < request.Limit {
			return nil
		}
		request.After = records[len(records)-1].Number
	}
}

func (p *program) printAudit(records []store.Record, first, asJSON bool) error {
	if asJSON {
		for _, r := range records {
			if err := cli.PrintJSONLine(p.env.Stdout, r); err != nil {
				return err
			}
		}
		return nil
	}
	t := cli.NewTable()
	if first {
		t = cli.NewTable("NUMBER", "AT                     ", "WHO", "WHAT", "OF WHAT")
	}
	for _, r := range records {
		t.Row(fmt.Sprintf("%6d", r.Number), moment(r.At), r.Actor, r.Action, string(r.Detail))
	}
	return t.Print(p.env.Stdout)
}

func (p *program) auditVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that no record of the audit log was changed or removed",
		Long: `verify reads the whole audit log, in which every record's hash covers the one
before, and prints its head: the number and hash of the last record.

Whoever can write the database could write the whole log anew. Note the head
elsewhere from time to time; --head then checks that the log still holds it.

--json prints an object: records, head.`,
		Example: "  centrald audit verify\n  centrald audit verify --head 120:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	head := cmd.Flags().String("head", "", "a head that was noted earlier, NUMBER:HASH")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request, err := notedHead(*head)
		if err != nil {
			return cli.Usagef("%v", err)
		}
		v, err := call[admin.Verified](cmd.Context(), p, nil, "audit.verify", request)
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, v)
		}
		_, err = fmt.Fprintf(p.env.Stdout, "The audit log is whole. Its head is %d:%x\n", v.Records, v.Head)
		return err
	}
	return cmd
}

func notedHead(s string) (r admin.VerifyRequest, err error) {
	if s == "" {
		return r, nil
	}
	number, hash, ok := strings.Cut(s, ":")
	if r.Number, err = strconv.ParseUint(number, 10, 63); !ok || err != nil || r.Number == 0 {
		return r, errors.New("--head is a number, a colon and a hash, as verify prints it")
	}
	return r, r.Hash.UnmarshalText([]byte(hash))
}
