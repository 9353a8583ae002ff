package postgresdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sys/unix"

	"posd/sqldb"
)

// How long this waits for a server. One that has died is noticed by its kernel
// or ours; patience is for one that has not, and does not answer.
const (
	connectTimeout   = 3 * time.Second
	statementTimeout = 10 * time.Second
	patience         = statementTimeout + 5*time.Second
	deadPeer         = 4 * time.Second
)

const warningKey = "posd: on warning"

// IsURL reports whether name is the URL of a database rather than a file.
func IsURL(name string) bool {
	return strings.HasPrefix(name, "postgres://") || strings.HasPrefix(name, "postgresql://")
}

// Redact gives a URL as it may be shown: without its password.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "postgres://..."
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for _, secret := range []string{"password", "sslpassword"} {
		q.Del(secret)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Name gives the hosts and the database of a URL, and nothing else.
func Name(raw string) string {
	cfg, err := parse(raw, Options{})
	if err != nil {
		return "postgres://..."
	}
	return name(cfg)
}

// parse reads a URL, and what the environment adds to it (PGPASSWORD, PGSSLMODE
// and the like).
func parse(raw string, opt Options) (*pgx.ConnConfig, error) {
	u, err := url.Parse(raw)
	if err != nil || !IsURL(raw) {
		return nil, errors.New("the database's URL is not of the form postgres://user@host:port/database?sslmode=verify-full") // err holds the password
	}
	query := u.Query()
	if strings.Contains(u.Host+query.Get("host"), ",") && !query.Has("target_session_attrs") {
		query.Set("target_session_attrs", "read-write")
	}
	u.RawQuery = query.Encode()
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %s", reason(err))
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = opt.Program
	}
	cfg.OnNotice = func(c *pgconn.PgConn, n *pgconn.Notice) {
		if warn, ok := c.CustomData()[warningKey].(func()); ok && warn != nil && strings.HasPrefix(n.Code, "01") {
			warn()
		}
	}
	return cfg, nil
}

// reason is what is wrong with a URL, without the URL.
func reason(err error) string {
	var e *pgconn.ParseConfigError
	if !errors.As(err, &e) {
		return "it cannot be parsed"
	}
	text := strings.ReplaceAll(e.Error(), "`"+e.ConnString+"`", "it")
	if _, after, ok := strings.Cut(text, "`: "); ok {
		text = after
	}
	return text
}

// name is the URL of a configuration without user, password and settings.
func name(cfg *pgx.ConnConfig) string {
	var hosts []string
	seen := map[string]bool{}
	add := func(host string, port uint16) {
		at := net.JoinHostPort(host, strconv.Itoa(int(port)))
		if strings.HasPrefix(host, "/") {
			at = host
		}
		if !seen[at] {
			seen[at] = true
			hosts = append(hosts, at)
		}
	}
	add(cfg.Host, cfg.Port)
	for _, f := range cfg.Fallbacks {
		add(f.Host, f.Port)
	}
	return "postgres://" + strings.Join(hosts, ",") + "/" + cfg.Database
}

// dialing is cfg with connections that notice when the other end is gone.
func dialing(cfg *pgx.ConnConfig, patience time.Duration) *pgx.ConnConfig {
	own := cfg.Copy()
	dialer := &net.Dialer{
		Timeout:         cfg.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 2},
		Control:         noticeDeadPeers,
	}
	own.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patient{Conn: conn, patience: patience}, nil
	}
	return own
}

// pool gives a pool of connections on which settings were executed. Nothing is
// opened yet.
func pool(cfg *pgx.ConnConfig, size int, patience time.Duration, settings string) *sql.DB {
	begin := func(ctx context.Context, c *pgx.Conn) error {
		err := prepareSession(ctx, c, settings)
		if err != nil {
			c.Close(context.WithoutCancel(ctx))
		}
		return err
	}
	noPing := func(context.Context, stdlib.ShouldPingParams) bool { return false }
	p := stdlib.OpenDB(*dialing(cfg, patience), stdlib.OptionAfterConnect(begin), stdlib.OptionResetSession(stillThere), stdlib.OptionShouldPing(noPing))
	p.SetMaxOpenConns(size)
	p.SetMaxIdleConns(size)
	p.SetConnMaxIdleTime(5 * time.Minute)
	return p
}

// prepareSession makes commits wait for the disk, and for a synchronous standby
// where the server has one. What is stricter already stays.
func prepareSession(ctx context.Context, c *pgx.Conn, settings string) error {
	var commit string
	if err := c.QueryRow(ctx, "SHOW synchronous_commit").Scan(&commit); err != nil && !unknownSetting(err) {
		return err
	}
	switch commit {
	case "off", "local", "remote_write":
		settings += "; SET synchronous_commit = on"
	}
	_, err := c.Exec(ctx, settings)
	return err
}

// unknownSetting says that a database has not all of PostgreSQL's settings.
func unknownSetting(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "42704"
}

// session is what every session of a service is told. A writer that is cut off
// must not keep its turn.
func session() string {
	return fmt.Sprintf("SET statement_timeout = %d; SET idle_in_transaction_session_timeout = %[1]d", statementTimeout.Milliseconds())
}

// noticeDeadPeers has the kernel give a connection up whose other end does not
// acknowledge what it is sent.
func noticeDeadPeers(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer.Milliseconds()))
	}); e != nil {
		return e
	}
	return err
}

// durable refuses a server that does not write to its disk.
func durable(ctx context.Context, q *sql.DB) error {
	for _, setting := range []string{"fsync", "full_page_writes"} {
		var on string
		if err := q.QueryRowContext(ctx, "SHOW "+setting).Scan(&on); err != nil && !unknownSetting(err) {
			return err
		}
		if on == "off" {
			return fmt.Errorf("the server runs with %s=off and would lose what it has confirmed: turn it on", setting)
		}
	}
	return nil
}

// checkOwner refuses the database of another program.
func checkOwner(ctx context.Context, q *sql.DB, program string) (exists bool, err error) {
	const tables = `SELECT count(*), coalesce(sum(CASE WHEN table_name = 'writer' THEN 1 ELSE 0 END), 0)
		FROM information_schema.tables WHERE table_schema = current_schema()`
	var all, ours int
	if err := q.QueryRowContext(ctx, tables).Scan(&all, &ours); err != nil || all == 0 {
		return false, err
	}
	if ours == 0 {
		return false, fmt.Errorf("%w (it has %d tables, none of which is %s's)", sqldb.ErrForeign, all, program)
	}
	var have string
	err = q.QueryRowContext(ctx, "SELECT program FROM writer").Scan(&have)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil // another replica makes it just now
	case err == nil && have != program:
		return false, fmt.Errorf("%w (it is %s's, not %s's)", sqldb.ErrForeign, have, program)
	}
	return err == nil, err
}
