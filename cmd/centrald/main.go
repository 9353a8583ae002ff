// Centrald is the central computer system: it knows which household a card
// belongs to. Its subcommands set it up, run it, and do an operator's work on
// its database, also while it runs.
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"posd/central/server/store"
	"posd/cli"
)

func main() { os.Exit(cli.Main(root, cli.OS())) }

const defaultDatabase = "/var/lib/centrald/central.db"

// program is what every command has.
type program struct {
	env      cli.Env
	database string

	adminSocket string
}

func root(env cli.Env) *cobra.Command {
	p := &program{env: env}
	cmd := &cobra.Command{
		Use:   "centrald",
		Short: "The central computer system: which household a card belongs to",
		Long: `centrald is the central computer system. Lanes ask it, with an encrypted card
number, which household a customer belongs to, and get back a household id
(HHID) and a pseudonym of the card (DeIdentTID).

Set it up with "centrald init", run it with "centrald serve", and let lanes and
shops enrol with "centrald tokens create". The other commands work on the same
database: through the running centrald, which keeps a record of them ("centrald
audit list"), or on the database itself where none runs.`,
		Example: `  centrald init --host central.example.com --tenant acme
  centrald serve
  centrald tokens create --store 12 --lane 3`,
	}
	cmd.PersistentFlags().StringVar(&p.database, "database", defaultDatabase, "SQLite file that holds everything but the key-encryption key")
	cmd.PersistentFlags().StringVar(&p.adminSocket, "admin-socket", "", "Unix socket at which centrald takes commands (default: admin.sock beside the database)")
	cmd.AddCommand(p.init(), p.serve(), p.tokens(), p.lanes(), p.households(), p.alarms(), p.keys(), p.audit())
	return cmd
}

// open opens the database for a command, beside a service that may be running.
func (p *program) open(ctx context.Context) (*store.SQL, store.Installation, error) {
	if _, err := os.Stat(p.database); errors.Is(err, os.ErrNotExist) {
		return nil, store.Installation{}, errors.New("there is no database " + p.database + ": run `centrald init`, or give --database")
	}
	return opened(ctx, func() (*store.SQL, error) { return store.Open(ctx, p.database, false) })
}

func opened(ctx context.Context, open func() (*store.SQL, error)) (*store.SQL, store.Installation, error) {
	st, err := open()
	if err != nil {
		return nil, store.Installation{}, err
	}
	i, err := st.Installation(ctx)
	if err != nil {
		st.Close()
		return nil, i, err
	}
	return st, i, nil
}

// folder is where the database lies.
func (p *program) folder() string { return filepath.Dir(p.database) }

// group makes a command that only holds others.
func group(use, short, example string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example}
	cmd.AddCommand(sub...)
	return cmd
}
