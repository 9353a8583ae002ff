package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is PostgreSQL with TLS, asked with a prepared SELECT through pgx.
type postgres struct {
	*process
	name   string
	keys   int
	config *pgx.ConnConfig
}

func startPostgres(ctx context.Context, dir string, certs peerCerts, keys int, say progress) (*postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "postgres")
	say("making a PostgreSQL database")
	if err := initdb(ctx, bin, data, certs); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", fmt.Sprint(portOf(address)), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "ssl=on", "-c", "ssl_cert_file=server.pem", "-c", "ssl_key_file=server.key", "-c", "ssl_ca_file=ca.pem",
		"-c", "max_connections=300", "-c", "shared_buffers=2GB", "-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "max_wal_size=8GB",
		"-c", "fsync=off") // the data is for this run; nothing that is measured writes
	unprivileged(cmd)
	cmd.Dir = data
	p, err := start(dir, "postgres", syscall.SIGINT, cmd)
	if err != nil {
		return nil, err
	}
	s := &postgres{process: p, name: "PostgreSQL" + version(filepath.Join(bin, "postgres"), "(PostgreSQL) ") + " SELECT", keys: keys}
	if s.config, err = connConfig(address, certs); err != nil {
		return s, err
	}
	if err := p.await(ctx, patience, func() error { return s.fillable(ctx) }); err != nil {
		return s, err
	}
	return s, errors.Join(s.fill(ctx, say), s.settle(ctx))
}

// postgresBin is where PostgreSQL's programs are: Debian keeps them off the path.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", errMissing{"PostgreSQL is not installed (Debian: postgresql)"}
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// initdb makes a database that lets in whoever shows the client's certificate.
func initdb(ctx context.Context, bin, data string, certs peerCerts) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", clientName, "-E", "UTF8", "--locale=C", "--no-sync")
	uid := unprivileged(cmd)
	if err := os.Chown(data, uid, -1); err != nil {
		return err
	}
	cmd.Dir = data
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a PostgreSQL database: %w: %s", err, out)
	}
	for _, from := range []string{certs.ca, certs.cert, certs.key} {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		to := filepath.Join(data, filepath.Base(from))
		if err := errors.Join(os.WriteFile(to, b, 0o600), os.Chown(to, uid, -1)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte("hostssl all "+clientName+" 127.0.0.1/32 cert\n"), 0o600)
}

func connConfig(address string, certs peerCerts) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig("postgres://" + clientName + "@" + address + "/postgres?sslmode=require")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(certs.client.Key)
	if err != nil {
		return nil, err
	}
	config.TLSConfig = &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, // as for the other servers
		Certificates: []tls.Certificate{{Certificate: certs.client.Chain, PrivateKey: key}},
	}
	return config, nil
}

func (s *postgres) Name() string { return s.name }

// fillable makes the table, as soon as the server answers.
func (s *postgres) fillable(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TABLE tids (fingerprint bytea NOT NULL, hhid bytea NOT NULL)")
	return err
}

func (s *postgres) fill(ctx context.Context, say progress) error {
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return fmt.Errorf("fill PostgreSQL: %w", err)
	}
	defer conn.Close(ctx)
	i := 0
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"tids"}, []string{"fingerprint", "hhid"}, pgx.CopyFromFunc(func() ([]any, error) {
		if i == s.keys {
			return nil, nil
		}
		k, h := peerKey(i), peerHousehold(i)
		if i++; i%10_000 == 0 {
			say("filling PostgreSQL: %d %%", 100*i/s.keys)
		}
		return []any{k[:], h[:]}, nil
	}))
	say("indexing PostgreSQL's table, and reading it into memory")
	for _, do := range []string{"SET maintenance_work_mem = '1GB'", "ALTER TABLE tids ADD PRIMARY KEY (fingerprint)", "VACUUM (FREEZE, ANALYZE) tids", "CHECKPOINT",
		"CREATE EXTENSION pg_prewarm", "SELECT pg_prewarm('tids'), pg_prewarm('tids_pkey')"} {
		if err == nil {
			_, err = conn.Exec(ctx, do)
		}
	}
	if err != nil {
		return fmt.Errorf("fill PostgreSQL: %w", err)
	}
	return nil
}

func (s *postgres) connect(ctx context.Context, n int) ([]asker, error) {
	var all []asker
	for range n {
		conn, err := pgx.ConnectConfig(ctx, s.config)
		if err != nil {
			return all, err
		}
		all = append(all, &selecting{conn: conn, ctx: ctx, keys: s.someKeys()})
		if _, err := conn.Prepare(ctx, "household", "SELECT hhid FROM tids WHERE fingerprint = $1"); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (s *postgres) someKeys() [][16]byte {
	keys := make([][16]byte, pool)
	for i := range keys {
		keys[i] = peerKey(mrand.IntN(s.keys))
	}
	return keys
}

// selecting is a connection to PostgreSQL.
type selecting struct {
	conn *pgx.Conn
	ctx  context.Context
	keys [][16]byte
	next int
	hhid []byte
}

func (s *selecting) ask() error {
	key := &s.keys[s.next%len(s.keys)]
	s.next++
	return s.conn.QueryRow(s.ctx, "household", key[:]).Scan(&s.hhid)
}

func (s *selecting) Close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Second)
	defer cancel()
	return s.conn.Close(ctx)
}

// numberBehind gives the word behind a mark, with a blank before it.
func numberBehind(text, mark string) string {
	_, rest, found := strings.Cut(text, mark)
	if fields := strings.Fields(rest); found && len(fields) > 0 {
		return " " + fields[0]
	}
	return ""
}
