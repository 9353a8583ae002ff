package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"posd/cli"
	"posd/config"
	"posd/enroll"
)

// tokenCredential is the name of a systemd credential that holds a token.
const tokenCredential = "token"

func enrollCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll --central URL",
		Short: "Get this lane's certificate from central, with a one-time token",
		Long: `Get this lane's certificate from central. The token comes from whoever runs
central (centrald tokens create); it is asked for, or read as one line of
standard input, or taken from the systemd credential "token" if there is one. It
is valid for an hour and once, and says which lane this is. The private key is
made here and never leaves this machine.`,
		Example: `  posd enroll --central https://central.example:8444
  posd enroll --central https://central.example:8444 < token.txt`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	central := cmd.Flags().String("central", "", "URL of central's operations listener (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *central == "" {
			return cli.Usagef("--central must be given: the URL of central's operations listener, as https://central.example:8444")
		}
		c, err := loadConfig(*path)
		if err != nil {
			return err
		}
		token, err := readToken(cmd.Context(), env)
		if err != nil {
			return err
		}
		return enrol(cmd, c, *central, token, env.Logger(slog.LevelWarn))
	}
	return cmd
}

func enrol(cmd *cobra.Command, c config.Config, central string, token enroll.Token, log *slog.Logger) error {
	if err := makeStateDir(c.StateDir); err != nil {
		return err
	}
	name, err := enroll.Enroll(cmd.Context(), central, token, enroll.Lane, credentialsDir(c))
	if err != nil {
		return err
	}
	if err := fetchKeys(cmd.Context(), c); err != nil {
		log.Warn("central's keys could not be fetched: posd run tries again", "err", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "This machine is lane %s of shop %s of %s.\nStart it with 'systemctl restart posd' or 'posd run'; a posd that runs already must be restarted.\n",
		name.Lane, name.Shop, name.Tenant)
	return nil
}

// fetchKeys keeps central's keys on this machine already now: the first swipe can
// be sealed, with or without a network then.
func fetchKeys(ctx context.Context, c config.Config) error {
	r, err := connect(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer r.close()
	return r.keys.Refresh(ctx)
}

// readToken takes the token from systemd where it passes one, else from the
// person.
func readToken(ctx context.Context, env cli.Env) (enroll.Token, error) {
	text, err := credential(env, tokenCredential)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = env.ReadSecret(ctx, "Token: ")
	}
	if err != nil {
		return enroll.Token{}, err
	}
	defer clear(text)
	return enroll.ParseToken(string(bytes.TrimSpace(text)))
}

// credential reads a systemd credential; fs.ErrNotExist if there is none.
func credential(env cli.Env, name string) ([]byte, error) {
	if env.Getenv == nil || env.Getenv("CREDENTIALS_DIRECTORY") == "" {
		return nil, fs.ErrNotExist
	}
	return os.ReadFile(filepath.Join(env.Getenv("CREDENTIALS_DIRECTORY"), name))
}

func makeStateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w: make it by hand, or name another as state_dir", err)
	}
	return nil
}
