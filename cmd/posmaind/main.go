// Command posmaind is the POS main computer of a shop: it logs the baskets of
// all lanes and tells what was bought by whom, in terms of household ids and
// pseudonyms. It never sees a card number.
//
// It is set up with "posmaind enroll" and a token from central, runs as
// "posmaind serve", and is asked with the other commands, which read the log
// while it is served.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/posmain/server"
)

const (
	defaultStateDir = "/var/lib/posmaind"
	databaseName    = "posmaind.db"
	credentialsName = "credentials" // folder within the state directory
)

func main() { os.Exit(cli.Main(root, cli.OS())) }

func root(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "posmaind",
		Short: "Log the baskets of a shop's lanes, by household and pseudonym",
		Long: `posmaind is the POS main computer of a shop. It logs the baskets that the
lanes send, tagged with household ids (HHID) and pseudonyms of the cards and
numbers shown (DeIdentTID), and answers questions about them. It never sees a
card number.`,
		Example: `  posmaind enroll --central https://central.example:8444
  posmaind serve
  posmaind history --household hh:mfrggzdfmztwq`,
	}
	cmd.AddCommand(enrollCommand(env), serveCommand(env), restoredCommand(), historyCommand(env), lanesCommand(env), statusCommand(env),
		traceCommand(env), exportCommand(), alarmsCommand(env))
	return cmd
}

// databaseFlag gives a command the flag --database.
func databaseFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("database", filepath.Join(defaultStateDir, databaseName), "the log, an SQLite database")
}

// reading opens the log for the length of read, which cannot change it.
func reading(ctx context.Context, path string, read func(server.Store) error) error {
	store, err := server.OpenReadOnly(ctx, path)
	if err != nil {
		return noLog(path, err)
	}
	return errors.Join(read(store), store.Close())
}

// noLog says it in plain words where there is none; other errors pass.
func noLog(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no log at %s: check --database; posmaind serve makes the log when it first runs", path)
	}
	return err
}

// parseTime reads what a person gives for --since and --until: a date or a time,
// of the local zone where none is given. Empty is the zero time.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, cli.Usagef("--%s %q is no time: give 2026-11-23, 2026-11-23T18:30 or 2026-11-23T18:30:00Z", flag, text)
}
