package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"posd/cli"
	"posd/config"
	"posd/drivers"
	"posd/journal"
	"posd/lane"
	"posd/lane/api"
	"posd/unixsocket"
)

func runCommand(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the lane",
		Long: `Run the lane until SIGTERM or SIGINT. A basket that is open then is gone on with
at the next start.

A lane that is not enrolled runs, keeps scans, and refuses cards and numbers; one
whose central or POS main computer is away goes on, and sends what waits when they
are back. A device that is missing is read as soon as it is there.

Under systemd posd tells when it is ready and how it is, feeds the watchdog, and
takes its socket from posd.socket.`,
		Example: `  posd run
  posd run --config ./posd.toml`,
		Args: cobra.NoArgs,
	}
	path := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := guardMemory(); err != nil {
			return err
		}
		c, err := loadConfig(*path)
		if err != nil {
			return err
		}
		return run(cmd.Context(), c, env.Logger(slog.LevelInfo))
	}
	return cmd
}

// guardMemory keeps card numbers and keys out of core dumps, and other programs
// of the same user out of this one's memory.
func guardMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("guard the memory: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}

// posd is the running daemon: what it is wired from.
type posd struct {
	log     *slog.Logger
	started time.Time
	journal *journal.SQLite
	remote  *remote
	lane    *lane.Lane
	devices *drivers.Manager
	socket  net.Listener
	metrics net.Listener // nil: the socket alone tells them
	server  *api.Server
}

// run runs the daemon until ctx ends.
func run(ctx context.Context, c config.Config, log *slog.Logger) (err error) {
	d := &posd{log: log, started: time.Now()}
	if err := makeStateDir(c.StateDir); err != nil {
		return err
	}
	if d.journal, err = journal.Open(ctx, filepath.Join(c.StateDir, journalName), c.Basket.Priority); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.journal.CloseFile()) }()
	if d.remote, err = connect(c, log); err != nil {
		return err
	}
	defer d.remote.close()
	if err := d.wire(ctx, c); err != nil {
		return err
	}
	if d.socket, err = listen(c.API.Socket); err != nil {
		return err
	}
	if c.API.Metrics != "" {
		if d.metrics, err = net.Listen("tcp", c.API.Metrics); err != nil {
			d.socket.Close()
			return fmt.Errorf("serve metrics: %w: correct api.metrics in the configuration", err)
		}
	}
	log.Info("running", "lane", d.remote.name(), "socket", c.API.Socket, "devices", len(c.Devices))
	err = d.serve(ctx)
	log.Info("stopped")
	return err
}

// wire puts the lane, its devices and its API together.
func (d *posd) wire(ctx context.Context, c config.Config) (err error) {
	deps := lane.Deps{Journal: d.journal, Log: d.log}
	d.remote.provide(&deps)
	if d.lane, err = lane.New(ctx, laneConfig(c), deps); err != nil {
		return err
	}
	if d.devices, err = drivers.New(drivers.Config{
		Devices: deviceConfigs(c), Discover: c.Discover, Rules: rules(c), Sink: offer(d.lane), Log: d.log,
		Statistics: filepath.Join(c.StateDir, statisticsName),
	}); err != nil {
		return err
	}
	program := api.Program{
		Version: cli.ReadVersion("posd").Version, StartedAt: d.started.UTC(),
		Devices:   func() []api.Device { return devicesOf(d.devices) },
		Enrolment: d.remote.enrolment,
	}
	d.technicians(&program, rules(c))
	d.server = api.New(d.lane, program, d.log)
	return nil
}

// listen takes the socket of systemd where it passes one.
func listen(path string) (net.Listener, error) {
	passed, err := activation.Listeners()
	switch {
	case err != nil:
		return nil, fmt.Errorf("take systemd's socket: %w", err)
	case len(passed) > 1:
		return nil, fmt.Errorf("systemd passes %d sockets: posd.socket must have one ListenStream= only", len(passed))
	case len(passed) == 1 && passed[0] != nil:
		return passed[0], nil
	}
	return unixsocket.Listen(path)
}

// serve runs everything until ctx ends. The devices and the API stop first, so
// that the lane commits what they handed over.
func (d *posd) serve(ctx context.Context) error {
	front, stopFront := context.WithCancelCause(ctx)
	back, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	var fronts, backs sync.WaitGroup
	part := func(wg *sync.WaitGroup, ctx context.Context, what string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				stopFront(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	part(&backs, back, "the lane", d.lane.Run)
	part(&backs, back, "the connections", d.remote.run)
	part(&fronts, front, "the devices", d.devices.Run)
	part(&fronts, front, "the API", func(ctx context.Context) error { return d.server.Serve(ctx, d.socket) })
	if d.metrics != nil {
		part(&fronts, front, "the metrics", func(ctx context.Context) error { return d.server.ServeMetrics(ctx, d.metrics) })
	}
	part(&fronts, front, "systemd", func(ctx context.Context) error { d.supervise(ctx); return nil })
	<-front.Done()
	fronts.Wait()
	stopBack()
	backs.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(front)
}
