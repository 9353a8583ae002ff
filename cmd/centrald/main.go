// Centrald is the central computer system: it knows which household a card
// belongs to. Its subcommands set it up, run it, and do an operator's work on
// its database, also while it runs.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"posd/cli"
)

func main() { os.Exit(cli.Main(root, cli.OS())) }

// program is what every command has.
type program struct {
	env      cli.Env
	database string

	adminSocket string
	stateDir    string

	erasureLedger string
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
audit list"), or on the database itself where none runs.

--database is a file, which one centrald serves, or the URL of a database on a
PostgreSQL server, postgres://user@host/central?sslmode=verify-full, which any
number of centralds serve: they need that database and the key-encryption key,
and nothing else. With several hosts in the URL, each use goes to the one that
can be written. The password comes from PGPASSWORD, the file that PGPASSFILE
names, ~/.pgpass, or the systemd credential "pgpass" (a file of that form).`,
		Example: `  centrald init --host central.example.com --tenant acme
  centrald serve
  centrald tokens create --store 12 --lane 3
  centrald serve --database 'postgres://centrald@pg1,pg2/central?sslmode=verify-full'`,
	}
	cmd.PersistentFlags().StringVar(&p.database, "database", defaultDatabase, "SQLite file or postgres:// URL of what holds everything but the key-encryption key")
	cmd.PersistentFlags().StringVar(&p.stateDir, "state", "", "folder of what this machine keeps for itself: snapshots of the index, the log of lookups (default: beside an SQLite database, or $STATE_DIRECTORY)")
	cmd.PersistentFlags().StringVar(&p.adminSocket, "admin-socket", "", "Unix socket at which centrald takes commands (default: in the folder of --state)")
	cmd.AddCommand(p.init(), p.serve(), p.tokens(), p.lanes(), p.households(), p.importCommand(), p.exportCommand(), p.erase(), p.backup(), p.restore(), p.alarms(), p.keys(), p.tenants(), p.audit())
	return cmd
}

// group makes a command that only holds others.
func group(use, short, example string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example}
	cmd.AddCommand(sub...)
	return cmd
}
