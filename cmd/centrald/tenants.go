package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/cli"
)

func (p *program) tenants() *cobra.Command {
	return group("tenants", "The retailers that this central serves",
		"  centrald tenants list\n  centrald tenants add bravo", p.tenantsAdd(), p.tenantsList())
}

func (p *program) tenantsAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Let another retailer use this central, with keys of its own",
		Long: `add makes a retailer with keys of its own: the same card has another household and
another pseudonym (DeIdentTID) with each retailer, and nobody can tell that they
are of one card. Its lanes and shops get certificates in its name, with which they
see nothing of another's. Quotas are each lane's own.

A centrald that runs, and each replica, answers the retailer's lanes at once. From
then on the commands want to know which retailer is meant: --tenant NAME.

NAME becomes part of every certificate and cannot be changed. The machines'
certificates all come from one CA, and all EncTIDs are sealed for one hpke key.

--json prints an object: name, created_at, stores, lanes.`,
		Example: `  centrald tenants add bravo
  centrald tokens create --tenant bravo --store 1 --lane 1`,
		Args: cobra.ExactArgs(1),
	}
	asJSON, kek := cli.JSONFlag(cmd), addKEKFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		made, err := call[admin.Tenant](cmd.Context(), p, kek, "tenants.add", admin.TenantRequest{Name: args[0]})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, made)
		}
		_, err = fmt.Fprintf(p.env.Stdout, "Retailer %[1]s is there. Next: centrald tokens create --tenant %[1]s --store 1 --lane 1\n", made.Name)
		return err
	}
	return cmd
}

func (p *program) tenantsList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the retailers, with how many shops and lanes they have",
		Long: `list shows every retailer, and how many of its shops (POS main computers) and lanes
have a good certificate now.

--json prints an array of objects: name, created_at, stores, lanes.`,
		Example: "  centrald tenants list\n  centrald tenants list --json",
		Args:    cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := call[[]admin.Tenant](cmd.Context(), p, nil, "tenants.list", admin.None{})
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, append([]admin.Tenant{}, all...))
		}
		t := cli.NewTable("RETAILER", "ADDED", "STORES", "LANES")
		for _, one := range all {
			t.Row(one.Name, moment(one.CreatedAt), one.Stores, one.Lanes)
		}
		return t.Print(p.env.Stdout)
	}
	return cmd
}
