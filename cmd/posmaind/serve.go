package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"posd/cli"
	"posd/enroll"
	"posd/posmain/server"
)

const (
	statusEvery       = 10 * time.Second
	operationsTimeout = 10 * time.Second
)

func serveCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Take baskets from the lanes and log them",
		Long: `Take baskets from the lanes of this shop and log them, until SIGTERM or SIGINT.
The certificate is renewed by itself. Under systemd the socket may be passed in
(socket activation), then --listen is not used.

Meanwhile central is asked what has become of households and cards: baskets follow
merges and splits ("posmaind history"), whoever was erased at central is taken out of
all baskets, and a lane that was revoked is refused. Without central, baskets are taken
all the same.

Baskets are kept for ever, or for as long as --keep-baskets says after they were
closed: "26 months", "2 years", "13 weeks", "90 days"; 30 days at least.`,
		Example: `  posmaind serve
  posmaind serve --listen 10.0.12.2:9443 --state-dir /srv/posmaind --database /srv/posmaind/posmaind.db
  posmaind serve --keep-baskets "26 months" --ops-listen 127.0.0.1:9444`,
		Args: cobra.NoArgs,
	}
	listen := cmd.Flags().String("listen", ":9443", "address to take baskets on")
	opsListen := cmd.Flags().String("ops-listen", "", "address of health and metrics over plain HTTP, such as 127.0.0.1:9444 (default: only on --listen, for who has a certificate)")
	stateDir := cmd.Flags().String("state-dir", defaultStateDir, "folder of the certificate and its key, and of the log where --database is not given")
	database := cmd.Flags().String("database", "", "the log, an SQLite database (default "+databaseName+" in the state directory)")
	keep := cmd.Flags().String("keep-baskets", "", `for how long baskets are kept, as "26 months" (default for ever)`)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *database == "" {
			*database = filepath.Join(*stateDir, databaseName)
		}
		s := &service{log: env.Logger(slog.LevelInfo), operations: *opsListen}
		if *keep != "" {
			var err error
			if s.keep, err = server.ParseKeep(*keep); err != nil {
				return cli.Usagef("--keep-baskets: %v", err)
			}
		}
		return s.run(cmd.Context(), *listen, *stateDir, *database)
	}
	return cmd
}

// service is posmaind while it serves.
type service struct {
	log        *slog.Logger
	operations string // address of health and metrics, "" for none
	keep       server.Keep
	server     *server.Server
	store      *server.SQLite
}

func (s *service) run(ctx context.Context, listen, stateDir, database string) error {
	credentials, err := enroll.Load(filepath.Join(stateDir, credentialsName))
	if errors.Is(err, enroll.ErrNotEnrolled) {
		return fmt.Errorf("%w: run posmaind enroll --central URL --state-dir %s", enroll.ErrNotEnrolled, stateDir)
	}
	if err != nil {
		return err
	}
	if s.store, err = server.Open(ctx, database); err != nil {
		return err
	}
	defer s.store.Close()
	if s.server, err = server.New(server.Config{Credentials: credentials, Store: s.store, Keep: s.keep, Log: s.log}); err != nil {
		return err
	}
	ln, err := listener(ctx, listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	if s.operations != "" {
		stop, err := s.serveOperations(ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	s.log.Info("serving", "name", credentials.Current().Name, "listen", ln.Addr(), "database", database)
	err = s.serve(ctx, ln, credentials)
	return errors.Join(err, s.store.Close())
}

// serve takes baskets until ctx ends, beside renewal and systemd's watchdog.
func (s *service) serve(ctx context.Context, ln net.Listener, credentials *enroll.Store) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var aside sync.WaitGroup
	aside.Go(func() {
		if err := enroll.NewRenewer(credentials, s.log).Run(ctx); err != nil {
			s.log.Error("renew certificate", "err", err)
		}
	})
	feed := &centralFeed{credentials: credentials}
	defer feed.Close()
	aside.Go(func() { s.server.Follow(ctx, feed) })
	aside.Go(func() { s.server.Expire(ctx) })
	s.notify(daemon.SdNotifyReady)
	aside.Go(func() { s.report(ctx) })
	defer context.AfterFunc(ctx, func() { s.notify(daemon.SdNotifyStopping) })()
	err := s.server.Serve(ctx, ln)
	cancel()
	aside.Wait()
	return err
}

// serveOperations serves health and metrics until stop is called.
func (s *service) serveOperations(ctx context.Context) (stop func(), err error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", s.operations)
	if err != nil {
		return nil, fmt.Errorf("listen for health and metrics: %w: check --ops-listen", err)
	}
	srv := &http.Server{Handler: s.server.OperationsHandler(), ReadTimeout: operationsTimeout, WriteTimeout: operationsTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	var serving sync.WaitGroup
	serving.Go(func() { srv.Serve(ln) })
	s.log.Info("health and metrics", "listen", ln.Addr())
	return func() {
		srv.Close()
		serving.Wait()
	}, nil
}

// listener is systemd's where it passes one.
func listener(ctx context.Context, address string) (net.Listener, error) {
	passed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take systemd's socket: %w", err)
	}
	if len(passed) > 1 {
		return nil, fmt.Errorf("systemd passes %d sockets: the socket unit must have one ListenStream= only", len(passed))
	}
	if len(passed) == 1 && passed[0] != nil {
		return passed[0], nil
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for lanes: %w: check --listen, and whether posmaind runs already", err)
	}
	return ln, nil
}

// report tells systemd how it goes, and that this process lives as long as the
// log answers.
func (s *service) report(ctx context.Context) {
	every := statusEvery
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Error("read systemd's watchdog interval", "err", err)
	}
	if watchdog > 0 {
		every = min(every, watchdog/2)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		s.alive(ctx, every)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *service) alive(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if _, err := s.store.LogID(ctx); err != nil {
		if !errors.Is(err, context.Canceled) {
			s.log.Error("look at the log", "err", err)
		}
		return
	}
	baskets, refused, last := s.server.Counts()
	status := fmt.Sprintf("%d baskets taken, %d refused since the start", baskets, refused)
	if !last.IsZero() {
		status += ", the last at " + last.Format(time.TimeOnly)
	}
	s.notify(daemon.SdNotifyWatchdog + "\nSTATUS=" + status)
}

// notify does nothing where there is no systemd.
func (s *service) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("tell systemd", "err", err)
	}
}

func restoredCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restored",
		Short: "Say that the log was restored from a backup",
		Long: `Say that the log was restored from a backup. Run it once after the restore and
before posmaind serve: the log gets a new id, by which the lanes notice that it
may have lost baskets. They then send again all that they still keep (14 days).
It does no harm to run it without need.`,
		Example: `  systemctl stop posmaind
  cp /backup/posmaind.db /var/lib/posmaind/posmaind.db
  posmaind restored`,
		Args: cobra.NoArgs,
	}
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := os.Stat(*database); err != nil {
			return noLog(*database, err) // and do not make a new one
		}
		store, err := server.Open(cmd.Context(), *database)
		if err != nil {
			return err
		}
		id, err := store.Restored(cmd.Context())
		if err = errors.Join(err, store.Close()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "The log has the new id %s.\nThe lanes send again what they keep as soon as posmaind serves.\n", id)
		return nil
	}
	return cmd
}
