package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/central/server/admin"
	"posd/central/server/backup"
	"posd/cli"
)

func (p *program) backup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Write the database and its keys to two files",
		Long: `backup writes two files, of one moment, also while centrald serves: the database,
in which card numbers are sealed, and its keys, wrapped under the key-encryption
key. Neither is of use without the other, nor both without that key: keep the three
apart. Backups are the same for SQLite and PostgreSQL, and can be restored into
either.

--output names the file of the database, or a folder, in which both files are named
by the time. The keys' file is beside it, with the extension .keys, unless --keys
says otherwise. Both have mode 0600, and are there only once they are whole. No
existing file is overwritten.

--json prints an object: database, keys (the names of the files), and manifest.`,
		Example: `  centrald backup --output /mnt/backups
  centrald backup --output /mnt/backups/central.backup --keys /mnt/other/central.keys
  centrald backup verify /mnt/backups/central.backup /mnt/other/central.keys`,
		Args: cobra.NoArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	output := cmd.Flags().String("output", "", "file of the database, or a folder (required)")
	keys := cmd.Flags().String("keys", "", "file of the keys (default: beside the database's, with the extension .keys)")
	cmd.MarkFlagRequired("output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		database := *output
		if info, err := os.Stat(database); err == nil && info.IsDir() {
			database = filepath.Join(database, "central-"+time.Now().UTC().Format("20060102T150405Z")+".backup")
		}
		return p.writeBackup(cmd.Context(), database, keysFile(*keys, database), *asJSON)
	}
	cmd.AddCommand(p.backupVerify())
	return cmd
}

// keysFile names the file of the keys: beside the database's, if it is not said.
func keysFile(said, database string) string {
	if said != "" {
		return said
	}
	return strings.TrimSuffix(database, filepath.Ext(database)) + ".keys"
}

func (p *program) writeBackup(ctx context.Context, database, keys string, asJSON bool) error {
	if database == keys {
		return cli.Usagef("the keys need a file of their own")
	}
	c, err := p.admin(ctx, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	request := admin.BackupRequest{Program: cli.ReadVersion("centrald").Version}
	err = p.writeWhole(keys, func(keysTo io.Writer) error {
		return p.writeWhole(database, func(databaseTo io.Writer) error {
			return c.Pour(ctx, "backup", request, &backup.Parted{Keys: keysTo, Database: databaseTo})
		})
	})
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	v, err := verifyFiles(ctx, database, keys)
	if err != nil {
		return fmt.Errorf("backup: what was written does not read back: %w", err)
	}
	if asJSON {
		return cli.PrintJSON(p.env.Stdout, map[string]any{"database": database, "keys": keys, "manifest": v})
	}
	fmt.Fprintf(p.env.Stdout, "Database: %s\nKeys:     %s (wrapped under key-encryption key %s)\n\n", database, keys, v.KEK)
	return p.printVerified(v)
}

func (p *program) backupVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify DATABASE [KEYS]",
		Short: "Check that a backup is whole, without restoring it",
		Long: `verify reads both files of a backup to their ends: checksums, counts, the chain of
the audit log, and that keys and database fit. It needs no key and no database.

--json prints an object: database (its manifest), keys_at, kek, rows of each table.`,
		Example: `  centrald backup verify /mnt/backups/central.backup
  centrald backup verify /mnt/backups/central.backup /mnt/other/central.keys --json`,
		Args: cobra.RangeArgs(1, 2),
	}
	asJSON := cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		keys := keysFile("", args[0])
		if len(args) == 2 {
			keys = args[1]
		}
		v, err := verifyFiles(cmd.Context(), args[0], keys)
		if err != nil {
			return fmt.Errorf("verify backup: %w", err)
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, v)
		}
		fmt.Fprintln(p.env.Stdout, "The backup is whole.")
		return p.printVerified(v)
	}
	return cmd
}

func verifyFiles(ctx context.Context, database, keys string) (backup.Verified, error) {
	k, err := os.Open(keys)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: say where the file of the keys is", err)
		}
		return backup.Verified{}, err
	}
	defer k.Close()
	d, err := os.Open(database)
	if err != nil {
		return backup.Verified{}, err
	}
	defer d.Close()
	return backup.Verify(ctx, k, d)
}

func (p *program) printVerified(v backup.Verified) error {
	m := v.Database
	t := cli.NewTable()
	t.Row("Of", moment(m.At))
	t.Row("Installation", fmt.Sprintf("%s, of %s", strings.Join(m.Hosts, ","), moment(m.CreatedAt)))
	t.Row("Written by", fmt.Sprintf("centrald %s, schema %d", m.Program, m.Schema))
	t.Row("Cards", v.Rows["tids"])
	t.Row("Households", v.Rows["households"])
	t.Row("Machines", v.Rows["machines"])
	t.Row("Last change", m.Change)
	t.Row("Audit log", fmt.Sprintf("%d:%s", m.Records, m.Head))
	t.Row("Keys of", moment(v.KeysAt))
	t.Row("Opened by", "key-encryption key "+v.KEK)
	return t.Print(p.env.Stdout)
}
