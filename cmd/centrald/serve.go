package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"posd/central/server"
	"posd/central/server/lookuplog"
	"posd/cli"
)

// The names of systemd sockets (FileDescriptorName=).
const (
	lookupSocket     = "lookups"
	operationsSocket = "operations"
)

type serveFlags struct {
	listen, opsListen        string
	lookupURL, operationsURL string
	keepLookups              int
	responseFloor            time.Duration
}

func (p *program) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the central computer system",
		Long: `serve answers lanes on one listener (lookups: mutual TLS) and enrolment, health
and metrics on another (operations: TLS). Both take a socket from systemd
instead, named "lookups" and "operations".

Machines are told the addresses of both when they enrol and renew: the first
host that init was given with the listeners' ports, unless --lookup-url and
--operations-url say otherwise.`,
		Example: `  centrald serve
  centrald serve --database ./central.db --listen 127.0.0.1:8443 --ops-listen 127.0.0.1:8444
  centrald serve --database 'postgres://centrald@pg1,pg2/central?sslmode=verify-full' --kek /etc/centrald/kek
  centrald serve --lookup-url https://central.example.com --operations-url https://enrol.example.com`,
		Args: cobra.NoArgs,
	}
	kek := addKEKFlags(cmd)
	var f serveFlags
	p.addErasureFlag(cmd)
	cmd.Flags().StringVar(&f.listen, "listen", ":8443", "address of the listener for lookups")
	cmd.Flags().StringVar(&f.opsListen, "ops-listen", ":8444", "address of the listener for enrolment, health and metrics")
	cmd.Flags().IntVar(&f.keepLookups, "keep-lookups", 366, "for how many days it is kept which lane asked when (see audit lookups); 0: not at all")
	cmd.Flags().DurationVar(&f.responseFloor, "response-floor", 0, "keep households back for so long after they were asked for, so that the time does not tell whether a card was known (5ms, say: longer than most commits take); 0: not at all")
	cmd.Flags().StringVar(&f.lookupURL, "lookup-url", "", "https address that machines are told for lookups")
	cmd.Flags().StringVar(&f.operationsURL, "operations-url", "", "https address that machines are told for enrolment and renewal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, u := range []string{f.lookupURL, f.operationsURL} {
			if parsed, err := url.Parse(u); u != "" && (err != nil || parsed.Scheme != "https" || parsed.Host == "") {
				return cli.Usagef("%q is not an address of the form https://host:port", u)
			}
		}
		if f.responseFloor < 0 || f.responseFloor > time.Second {
			return cli.Usagef("--response-floor must be between 0 and 1s, not %v", f.responseFloor)
		}
		return p.run(cmd.Context(), kek, f)
	}
	return cmd
}

func (p *program) run(ctx context.Context, kek *kekFlags, f serveFlags) error {
	if err := noCoreDumps(); err != nil {
		return err
	}
	log := p.env.Logger(slog.LevelInfo)
	st, i, err := p.openStore(ctx, true)
	if err != nil {
		return err
	}
	defer st.Close()
	key, err := kek.read(ctx, p, i)
	if err != nil {
		return err
	}
	keys, err := server.OpenKeys(ctx, st, key)
	if err != nil {
		return err
	}
	lookups, operations, err := f.listeners()
	if err != nil {
		return err
	}
	defer lookups.Close()
	defer operations.Close()
	opt := server.Options{Store: st, Keys: keys, IndexDir: p.state(), Log: log, LookupURL: f.lookupURL, OperationsURL: f.operationsURL, ResponseFloor: f.responseFloor}
	if opt.LookupURL == "" {
		opt.LookupURL = keys.PublicURL(lookups.Addr())
	}
	if opt.OperationsURL == "" {
		opt.OperationsURL = keys.PublicURL(operations.Addr())
	}
	if f.keepLookups > 0 && p.lookupDir() != "" {
		if opt.Lookups, err = lookuplog.Open(lookuplog.Options{Dir: p.lookupDir(), Days: f.keepLookups}); err != nil {
			return err
		}
	}
	return p.answer(ctx, opt, lookups, operations)
}

func (p *program) answer(ctx context.Context, opt server.Options, lookups, operations net.Listener) error {
	s, err := server.New(opt)
	if err != nil {
		return err
	}
	opt.Log.Info("listening", "lookups", lookups.Addr().String(), "operations", operations.Addr().String(),
		"lookup_url", opt.LookupURL, "operations_url", opt.OperationsURL)
	stopAdmin := p.serveAdmin(s, opt)
	defer stopAdmin()
	supervisor := newSupervisor(s, opt.Log)
	err = s.Run(ctx, lookups, operations, func() {
		opt.Log.Info("answering lookups")
		supervisor.ready(ctx)
	})
	supervisor.stopping()
	if err == nil {
		opt.Log.Info("stopped")
	}
	return err
}

// listeners gives both listeners, from systemd where it passes them.
func (f serveFlags) listeners() (lookups, operations net.Listener, err error) {
	passed, err := activation.ListenersWithNames()
	if err != nil {
		return nil, nil, fmt.Errorf("take sockets from systemd: %w", err)
	}
	if lookups, err = listen(passed[lookupSocket], f.listen); err != nil {
		return nil, nil, err
	}
	if operations, err = listen(passed[operationsSocket], f.opsListen); err != nil {
		lookups.Close()
		return nil, nil, err
	}
	return lookups, operations, nil
}

func listen(passed []net.Listener, address string) (net.Listener, error) {
	if len(passed) > 0 && passed[0] != nil {
		return passed[0], nil
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another program holds that port; end it, or choose another with --listen and --ops-listen", address)
	}
	return l, err
}

// noCoreDumps keeps keys and card numbers out of core files, and other processes
// of the same user out of this one's memory.
func noCoreDumps() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}
