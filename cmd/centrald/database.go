package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"posd/central/server/store"
	"posd/postgresdb"
)

const (
	defaultFolder   = "/var/lib/centrald"
	defaultDatabase = defaultFolder + "/central.db"
)

// remote reports whether the database is on a server.
func (p *program) remote() bool { return postgresdb.IsURL(p.database) }

// folder holds what is not in the database: beside an SQLite file; with a server
// the folder that --state or systemd gives.
func (p *program) folder() string {
	if dir := p.state(); dir != "" {
		return dir
	}
	return defaultFolder
}

// state is where a service keeps what it can do without: snapshots of the index and
// the log of lookups; "": nowhere.
func (p *program) state() string {
	switch {
	case p.stateDir != "":
		return p.stateDir
	case p.remote():
		return p.getenv("STATE_DIRECTORY")
	}
	return filepath.Dir(p.database)
}

// lookupDir is where lookups are logged; "": nowhere.
func (p *program) lookupDir() string {
	if p.state() == "" {
		return ""
	}
	return filepath.Join(p.state(), "lookups")
}

// shown names the database, without a password.
func (p *program) shown() string {
	if p.remote() {
		return postgresdb.Redact(p.database)
	}
	return p.database
}

// opens is the database as it is opened: passwords may come from a systemd
// credential.
func (p *program) opens() string {
	dir := p.getenv("CREDENTIALS_DIRECTORY")
	if !p.remote() || dir == "" || p.getenv("PGPASSFILE") != "" {
		return p.database
	}
	u, err := url.Parse(p.database)
	passes := filepath.Join(dir, "pgpass")
	if _, missing := os.Stat(passes); err != nil || missing != nil || u.Query().Has("passfile") {
		return p.database
	}
	q := u.Query()
	q.Set("passfile", passes)
	u.RawQuery = q.Encode()
	return u.String()
}

// open opens the database for a command, beside a service that may be running.
func (p *program) open(ctx context.Context) (*store.SQL, store.Installation, error) {
	return p.openStore(ctx, false)
}

// openStore opens the database that holds a central; sole keeps other services
// off an SQLite file.
func (p *program) openStore(ctx context.Context, sole bool) (*store.SQL, store.Installation, error) {
	if _, err := os.Stat(p.database); !p.remote() && errors.Is(err, os.ErrNotExist) {
		return nil, store.Installation{}, errors.New("there is no database " + p.database + ": run `centrald init`, or give --database")
	}
	st, err := store.Open(ctx, p.opens(), sole)
	if err != nil {
		return nil, store.Installation{}, err
	}
	i, err := st.Installation(ctx)
	if err != nil {
		st.Close()
		return nil, i, fmt.Errorf("%s: %w", p.shown(), err)
	}
	return st, i, nil
}

// socket is where a running centrald listens for commands. A database on a server
// has one of its own on each machine, so that no command reaches the centrald of
// another.
func (p *program) socket() string {
	if p.adminSocket != "" {
		return p.adminSocket
	}
	name := "admin.sock"
	if p.remote() {
		sum := sha256.Sum256([]byte(postgresdb.Name(p.database)))
		name = fmt.Sprintf("admin-%x.sock", sum[:4])
	}
	return filepath.Join(p.folder(), name)
}

// scratch is the folder for what does not fit into memory.
func (p *program) scratch() string {
	if p.remote() {
		return os.TempDir()
	}
	return p.folder()
}
