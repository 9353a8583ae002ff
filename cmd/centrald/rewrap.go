package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"posd/central/server"
	"posd/central/server/admin"
	"posd/central/server/vault"
	"posd/cli"
)

func (p *program) keysRewrap() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Change the key-encryption key that wraps all others",
		Long: `rewrap wraps all keys in the database under another key-encryption key, in one
transaction. The one before opens nothing in it any more. The keys themselves stay
as they are: no lane and no card notices.

--new-kek names the file of the new key; it is made if it is not there. With
--new-passphrase the new key comes from a passphrase; where both the new and the old
one are read from standard input, the new one is the first line.

A running centrald goes on, as do other replicas on the same database. Before its
next start each must be given the new key, and so must replicas before other keys are
rotated. Backups made until now still need the key before.

--json prints an object: kek and before, the ids of both keys.`,
		Example: `  centrald keys rewrap --new-kek /etc/centrald/kek.new
  centrald keys rewrap --new-passphrase`,
		Args: cobra.NoArgs,
	}
	asJSON, kek := cli.JSONFlag(cmd), addKEKFlags(cmd)
	file := cmd.Flags().String("new-kek", "", "file of the new key-encryption key, mode 0600; made if it is not there")
	passphrase := cmd.Flags().Bool("new-passphrase", false, "the new key-encryption key comes from a passphrase: prompt for it, or read one line of standard input")
	cmd.MarkFlagsMutuallyExclusive("new-kek", "new-passphrase")
	cmd.MarkFlagsOneRequired("new-kek", "new-passphrase")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := noCoreDumps(); err != nil {
			return err
		}
		request, err := p.newKEK(cmd.Context(), *file, *passphrase)
		if err != nil {
			return err
		}
		defer clear(request.KEK)
		did, err := call[server.RewrapAct](cmd.Context(), p, kek, "keys.rewrap", request)
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, did)
		}
		return p.printRewrap(did, *file)
	}
	return cmd
}

func (p *program) newKEK(ctx context.Context, file string, passphrase bool) (r admin.RewrapRequest, err error) {
	if passphrase {
		r.KEK, r.Salt, err = p.newPassphrase(ctx)
		return r, err
	}
	r.KEK, err = vault.ReadKey(file)
	if !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	if _, err = vault.CreateFile(file); err == nil {
		r.KEK, err = vault.ReadKey(file)
	}
	return r, err
}

func (p *program) printRewrap(did server.RewrapAct, file string) error {
	w := p.env.Stdout
	fmt.Fprintf(w, "All keys are wrapped under key-encryption key %s now.\n", did.KEK)
	fmt.Fprintf(w, "Key %s opens only backups made until now: keep it as long as those, or make a new backup and destroy it.\n", did.Before)
	if file == "" {
		_, err := fmt.Fprintln(w, "A centrald that runs goes on. Start it with --passphrase the next time, and take away the credential \"kek\" that it had.")
		return err
	}
	_, err := fmt.Fprintf(w, `A centrald that runs goes on. Before its next start, and that of each replica, give it the new key:
  install -m 600 %[1]s /etc/centrald/kek          where its unit has LoadCredential=kek:/etc/centrald/kek
  systemd-creds encrypt --name=kek %[1]s FILE     where it has LoadCredentialEncrypted=kek:FILE
or start it with --kek %[1]s
`, file)
	return err
}
