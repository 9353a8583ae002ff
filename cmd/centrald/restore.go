package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"posd/central/server"
	"posd/central/server/admin"
	"posd/central/server/backup"
	"posd/central/server/store"
	"posd/cli"
	"posd/sqldb"
)

func (p *program) restore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make an empty database of a backup",
		Long: `restore makes the database of a backup: an SQLite file that is not there yet, or an
empty database on a server. All files are checked first; if anything is wrong with
them, or the key-encryption key does not open the keys, nothing is changed.

The keys' file may be that of a later backup of the same central: after a key was
changed, it holds the newer ones.

What was done since the backup is gone: households made and merged, lanes enrolled
and revoked. What was erased is erased again, as the erasure ledger says
(--erasure-ledger). With --pairs, cards that came since get the households that they had:
each line of the file is a JSON object deident_tid, hhid, at, as "posmaind export
identities" writes them in every shop. --pairs also works by itself, later, and on
a running centrald.

--json prints an object: database, manifest, erasures, pairs.`,
		Example: `  centrald restore --backup /mnt/backups/central.backup --keys /mnt/other/central.keys
  centrald restore --database postgres://central@db/central --backup central.backup
  centrald restore --pairs shop12.ndjson`,
		Args: cobra.NoArgs,
	}
	asJSON, kek := cli.JSONFlag(cmd), addKEKFlags(cmd)
	p.addErasureFlag(cmd)
	from := cmd.Flags().String("backup", "", "file of the database")
	keys := cmd.Flags().String("keys", "", "file of the keys (default: beside the database's, with the extension .keys)")
	pairs := cmd.Flags().String("pairs", "", "NDJSON file of pseudonyms and households, of POS main computers; - is standard input")
	retailer := cmd.Flags().String("tenant", "", "the retailer of the pairs (only needed where there are several)")
	cmd.MarkFlagsOneRequired("backup", "pairs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var done restored
		if *from != "" {
			// What was erased is known before anything is made, or nothing is.
			lines, err := p.erasures().Read()
			if err != nil {
				return fmt.Errorf("restore: %w", err)
			}
			v, erased, err := p.restoreBackup(cmd.Context(), kek, *from, keysFile(*keys, *from), lines)
			if err != nil {
				return fmt.Errorf("restore: %w", err)
			}
			done.Database, done.Manifest, done.Erasures = p.shown(), &v, &erased
		}
		if *pairs != "" {
			took, err := p.takePairs(cmd.Context(), *retailer, *pairs)
			if err != nil {
				return fmt.Errorf("restore: %w", err)
			}
			done.Pairs = &took
		}
		return p.printRestored(done, *asJSON)
	}
	return cmd
}

// restored is what restore tells.
type restored struct {
	Database string           `json:"database,omitempty"`
	Manifest *backup.Verified `json:"manifest,omitempty"`
	Erasures *store.Replayed  `json:"erasures,omitempty"`
	Pairs    *store.Paired    `json:"pairs,omitempty"`
}

func (p *program) restoreBackup(ctx context.Context, k *kekFlags, database, keys string, lines []store.ErasureLine) (v backup.Verified, erased store.Replayed, err error) {
	if _, ok := admin.Dial(ctx, p.socket()); ok {
		return v, erased, errors.New("a centrald is running on this database: a backup is restored into an empty one")
	}
	if v, err = verifyFiles(ctx, database, keys); err != nil {
		return v, erased, err
	}
	if v.Database.Schema > store.Newest() {
		return v, erased, fmt.Errorf("the backup was written by centrald %s, which is newer than this one: update it", v.Database.Program)
	}
	r, err := p.restoredKeys(ctx, k, keys)
	if err != nil {
		return v, erased, err
	}
	r.Schema, r.BackupAt = v.Database.Schema, v.Database.At
	created, err := p.createsDatabase()
	if err != nil {
		return v, erased, err
	}
	if err := p.fill(ctx, r, database); err != nil {
		if created {
			p.removeDatabase()
		}
		return v, erased, err
	}
	st, _, err := p.open(ctx) // brings it up to the newest schema
	if err != nil {
		return v, erased, err
	}
	act := store.Act{At: time.Now(), Actor: admin.LocalActor(), Action: "restore erasures"}
	if erased, err = st.ReplayErasures(ctx, act, lines); err == nil {
		err = st.Scrub(ctx)
	}
	if err = errors.Join(err, st.Close()); err != nil && created {
		p.removeDatabase()
	}
	return v, erased, err
}

// restoredKeys reads the keys, and makes sure that the key-encryption key opens them.
func (p *program) restoredKeys(ctx context.Context, k *kekFlags, path string) (r store.Restored, err error) {
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer f.Close()
	keys, err := backup.ReadKeys(f)
	if err != nil {
		return r, err
	}
	if r.Installation, err = keys.Installation(); err != nil {
		return r, err
	}
	if err := noCoreDumps(); err != nil {
		return r, err
	}
	kek, err := k.read(ctx, p, r.Installation)
	if err != nil {
		return r, err
	}
	r.Keys = keys.Keys
	return r, server.Opens(kek, r.Installation, r.Keys)
}

// createsDatabase reports whether there is no SQLite file yet.
func (p *program) createsDatabase() (bool, error) {
	if p.remote() {
		return false, nil
	}
	_, err := os.Stat(p.database)
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, os.MkdirAll(p.folder(), 0o700)
}

func (p *program) removeDatabase() {
	for _, end := range []string{"", "-wal", "-shm", ".lock"} {
		os.Remove(p.database + end)
	}
}

func (p *program) fill(ctx context.Context, r store.Restored, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	d, err := backup.OpenDatabase(f)
	if err != nil {
		return err
	}
	st, err := store.OpenAt(ctx, p.opens(), r.Schema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	act := store.Act{At: time.Now(), Actor: admin.LocalActor(), Action: "restore", Detail: map[string]any{"backup_at": d.At, "change": d.Change, "audit_records": d.Records}}
	err = st.Restore(ctx, act, r, func(add sqldb.Loader) error { return d.Each(add) })
	if errors.Is(err, store.ErrNotEmpty) {
		err = fmt.Errorf("%s: %w", p.shown(), err)
	}
	return err
}

// pairsAtOnce is how many pairs are taken in a transaction.
const pairsAtOnce = 1000

func (p *program) takePairs(ctx context.Context, retailer, path string) (all store.Paired, err error) {
	in, err := p.input(path)
	if err != nil {
		return all, err
	}
	defer in.Close()
	read := json.NewDecoder(bufio.NewReader(in))
	for number, more := 1, true; more; {
		request := admin.PairsRequest{Tenant: retailer}
		for len(request.Pairs) < pairsAtOnce {
			var pair store.Pair
			err := read.Decode(&pair)
			if errors.Is(err, io.EOF) {
				more = false
				break
			}
			if err != nil {
				return all, fmt.Errorf("%s: pair %d: %w", path, number, err)
			}
			request.Pairs = append(request.Pairs, pair)
			number++
		}
		took, err := call[store.Paired](ctx, p, nil, "restore.pairs", request)
		if err != nil {
			return all, fmt.Errorf("pairs before number %d: %w", number, err)
		}
		all.Add(took)
	}
	return all, nil
}

func (p *program) printRestored(done restored, asJSON bool) error {
	if asJSON {
		return cli.PrintJSON(p.env.Stdout, done)
	}
	out := p.env.Stdout
	if v := done.Manifest; v != nil {
		fmt.Fprintf(out, "%s was made of the backup of %s: %d cards, %d households.\n", done.Database, moment(v.Database.At), v.Rows["tids"], v.Rows["households"])
		fmt.Fprint(out, `What was done since is gone. Before centrald serves again, see the runbook (restore.md):
  - lanes that were revoked since must be revoked again
  - households that came since: centrald restore --pairs FILE, of each shop
`)
	}
	if e := done.Erasures; e != nil {
		fmt.Fprintf(out, "Erased again: %d cards and %d ids of households; %d were erased in the backup, %d came back since.\n", e.Erased, e.Ids, e.Same, e.Lifted)
		if e.Erased+e.Ids+e.Same+e.Lifted == 0 && p.erasures().Path != "" {
			fmt.Fprintf(out, "%s holds no erasure: if any was done, give the ledger with --erasure-ledger and restore again.\n", p.erasures().Path)
		}
	}
	if t := done.Pairs; t != nil {
		fmt.Fprintf(out, "Pairs: %d wait for their cards, %d cards moved back, %d are there, %d older than the database, %d of another retailer, %d erased.\n",
			t.Expected, t.Moved, t.Same, t.Older, t.Foreign, t.Erased)
	}
	return nil
}
