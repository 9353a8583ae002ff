package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/enroll"
)

func enrollCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll --central URL",
		Short: "Get this machine's certificate from central, with a one-time token",
		Long: `Get this machine's certificate from central. The token comes from whoever runs
central (centrald tokens create --role posmain); it is asked for, or read as one
line of standard input. It is valid for an hour and once. The private key is made
here and never leaves this machine.`,
		Example: `  posmaind enroll --central https://central.example:8444
  posmaind enroll --central https://central.example:8444 < token.txt`,
		Args: cobra.NoArgs,
	}
	central := cmd.Flags().String("central", "", "URL of central's operations listener (required)")
	stateDir := cmd.Flags().String("state-dir", defaultStateDir, "folder for the certificate and its key")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *central == "" {
			return cli.Usagef("--central must be given: the URL of central's operations listener, as https://central.example:8444")
		}
		text, err := env.ReadSecret(cmd.Context(), "Token: ")
		if err != nil {
			return err
		}
		token, err := enroll.ParseToken(string(text))
		if err != nil {
			return err
		}
		name, err := enroll.Enroll(cmd.Context(), *central, token, enroll.POSMain, filepath.Join(*stateDir, credentialsName))
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "This machine is the POS main computer of shop %s of %s.\nStart it with: posmaind serve\n", name.Shop, name.Tenant)
		return nil
	}
	return cmd
}
