package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"posd/central/server"
	"posd/central/server/store"
	"posd/cli"
)

func (p *program) init() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Set up a new central: database, keys and certificate authority",
		Long: `init makes the database with all keys in it, wrapped under one key-encryption
key. That key is made too, as a file of mode 0600 beside the database, unless
--kek or the systemd credential "kek" gives one, or --passphrase is said.

Keep a copy of the key-encryption key apart from the database and its backups:
without it they are worthless, to a thief and to you.

A database on a PostgreSQL server must be there already, and be empty:
"createdb --template=template0 --locale=C central", owned by the user in the URL.

--json prints an object: database, kek_file, tenant, hosts, ca_sha256.`,
		Example: `  centrald init --host central.example.com,10.0.0.5 --tenant acme
  centrald init --database /srv/centrald/central.db --host localhost --tenant acme --passphrase
  centrald init --database 'postgres://centrald@pg1/central?sslmode=verify-full' --kek /etc/centrald/kek --host central.example.com --tenant acme`,
		Args: cobra.NoArgs,
	}
	asJSON, kek := cli.JSONFlag(cmd), addKEKFlags(cmd)
	var s server.Setup
	cmd.Flags().StringSliceVar(&s.Hosts, "host", nil, "host names and IP addresses of this central, the first of which lanes are told (required)")
	cmd.Flags().StringVar(&s.Tenant, "tenant", "", "name of the retailer (required)")
	cmd.MarkFlagRequired("host")
	cmd.MarkFlagRequired("tenant")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s.Now = time.Now()
		made, err := p.setUp(cmd.Context(), s, kek)
		if err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(p.env.Stdout, made)
		}
		fmt.Fprintf(p.env.Stdout, "Central of %s is set up in %s.\n", made.Tenant, made.Database)
		if made.KEKFile != "" {
			fmt.Fprintf(p.env.Stdout, "Its key-encryption key is %s: keep a copy apart from the database.\n", made.KEKFile)
		}
		fmt.Fprintf(p.env.Stdout, "Next: centrald serve --database %s%s\n", quoted(made.Database), kek.said())
		return nil
	}
	return cmd
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if strings.ContainsAny(word, " ?&*$;'\"`()<>|\\") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// made is what init tells.
type made struct {
	Database string   `json:"database"`
	KEKFile  string   `json:"kek_file,omitempty"`
	Tenant   string   `json:"tenant"`
	Hosts    []string `json:"hosts"`
	CASHA256 string   `json:"ca_sha256"`
}

func (p *program) setUp(ctx context.Context, s server.Setup, k *kekFlags) (made, error) {
	if err := s.Check(); err != nil {
		return made{}, cli.Usagef("%v", err)
	}
	if !p.remote() || k.file == "" && !k.passphrase {
		if err := os.MkdirAll(p.folder(), 0o700); err != nil {
			return made{}, fmt.Errorf("make folder: %w", err)
		}
	}
	st, err := store.Open(ctx, p.opens(), true)
	if err != nil {
		return made{}, err
	}
	defer st.Close()
	if _, err := st.Installation(ctx); err == nil {
		return made{}, fmt.Errorf("%s: %w", p.shown(), store.ErrInitialised)
	} else if !errors.Is(err, store.ErrNotInitialised) {
		return made{}, err
	}
	kek, salt, file, err := k.make(ctx, p)
	if err != nil {
		return made{}, err
	}
	s.Salt = salt
	if err := server.Init(ctx, st, kek, s); err != nil {
		return made{}, err
	}
	keys, err := st.Keys(ctx)
	if err != nil {
		return made{}, err
	}
	m := made{Database: p.shown(), KEKFile: file, Tenant: s.Tenant, Hosts: s.Hosts}
	for _, key := range keys {
		if key.Purpose == store.CA {
			sum := sha256.Sum256(key.Public)
			m.CASHA256 = hex.EncodeToString(sum[:])
		}
	}
	return m, nil
}
