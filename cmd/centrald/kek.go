package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"posd/central/server"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/cli"
)

// kekFlags say where the key-encryption key comes from.
type kekFlags struct {
	file       string
	passphrase bool
}

func addKEKFlags(cmd *cobra.Command) *kekFlags {
	k := &kekFlags{}
	cmd.Flags().StringVar(&k.file, "kek", "", "file of the key-encryption key, mode 0600 (default: the systemd credential \"kek\", else \"kek\" beside the database)")
	cmd.Flags().BoolVar(&k.passphrase, "passphrase", false, "the key-encryption key comes from a passphrase: prompt for it, or read one line of standard input")
	cmd.MarkFlagsMutuallyExclusive("kek", "passphrase")
	return k
}

// said repeats the flags for another command.
func (k *kekFlags) said() string {
	switch {
	case k.passphrase:
		return " --passphrase"
	case k.file != "":
		return " --kek " + k.file
	}
	return ""
}

// path is the file of the key-encryption key, and whether systemd keeps it.
func (k *kekFlags) path(p *program) (path string, credential bool) {
	if k.file != "" {
		return k.file, false
	}
	if dir := p.getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path := filepath.Join(dir, "kek")
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return filepath.Join(p.folder(), "kek"), false
}

func (p *program) getenv(name string) string {
	if p.env.Getenv == nil {
		return ""
	}
	return p.env.Getenv(name)
}

// read gives the key-encryption key of an installation.
func (k *kekFlags) read(ctx context.Context, p *program, i store.Installation) (vault.KEK, error) {
	if k.passphrase {
		if len(i.Salt) != vault.SaltSize {
			return vault.KEK{}, errors.New("this central was not set up with a passphrase: leave --passphrase out")
		}
		secret, err := p.env.ReadSecret(ctx, "Passphrase of the key-encryption key: ")
		if err != nil {
			return vault.KEK{}, err
		}
		return vault.FromPassphrase(secret, [vault.SaltSize]byte(i.Salt))
	}
	if i.Salt != nil {
		return vault.KEK{}, errors.New("this central was set up with a passphrase: give --passphrase")
	}
	return k.readFile(p)
}

// open unwraps the keys of an installation.
func (k *kekFlags) open(ctx context.Context, p *program, st store.Store, i store.Installation) (*server.Keys, error) {
	if err := noCoreDumps(); err != nil {
		return nil, err
	}
	kek, err := k.read(ctx, p, i)
	if err != nil {
		return nil, err
	}
	return server.OpenKeys(ctx, st, kek)
}

func (k *kekFlags) readFile(p *program) (vault.KEK, error) {
	path, credential := k.path(p)
	if credential {
		return vault.ReadCredential(path)
	}
	return vault.ReadFile(path)
}

// make gives the key-encryption key of a central to be. A file that is not there
// is made; salt and file tell where the key came from.
func (k *kekFlags) make(ctx context.Context, p *program) (kek vault.KEK, salt []byte, file string, err error) {
	if k.passphrase {
		kek, salt, err = p.choosePassphrase(ctx)
		return kek, salt, "", err
	}
	file, _ = k.path(p)
	kek, err = k.readFile(p)
	if errors.Is(err, os.ErrNotExist) {
		kek, err = vault.CreateFile(file)
	}
	return kek, nil, file, err
}

func (p *program) choosePassphrase(ctx context.Context) (vault.KEK, []byte, error) {
	key, salt, err := p.newPassphrase(ctx)
	if err != nil {
		return vault.KEK{}, nil, err
	}
	kek, err := vault.New(key)
	return kek, salt, err
}

// newPassphrase gives the key of a new passphrase, and its salt. The caller wipes
// the key.
func (p *program) newPassphrase(ctx context.Context) (key, salt []byte, err error) {
	secret, err := p.env.ReadSecret(ctx, "New passphrase of the key-encryption key: ")
	if err != nil {
		return nil, nil, err
	}
	if cli.IsTerminal(p.env.Stdin) {
		again, err := p.env.ReadSecret(ctx, "The same again: ")
		if err != nil {
			return nil, nil, err
		}
		defer clear(again)
		if !bytes.Equal(secret, again) {
			clear(secret)
			return nil, nil, errors.New("the two passphrases differ")
		}
	}
	salt = make([]byte, vault.SaltSize)
	rand.Read(salt)
	if key, err = vault.Derive(secret, [vault.SaltSize]byte(salt)); err != nil {
		return nil, nil, fmt.Errorf("choose passphrase: %w", err)
	}
	return key, salt, nil
}
