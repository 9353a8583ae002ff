// Command bench measures central side by side with what one would take in its place,
// in one run on the same machine: lookups against Redis' GET, PostgreSQL's SELECT and
// the least that TLS costs, storms of new epochs and of reconnecting lanes, and new
// households against a bare commit.
//
// Ratios are the point. Absolute figures are of this machine, at this moment.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"posd/cli"
)

// childEnv marks a process of this program that is a part of a run.
const childEnv = "POSD_BENCH_CHILD"

func main() {
	if os.Getenv(childEnv) != "" {
		os.Exit(child(os.Args[1:]))
	}
	os.Exit(cli.Main(root, cli.OS()))
}

// bench is a run.
type bench struct {
	keys, connections, rounds, reconnects, cpus int
	slot                                        time.Duration // of a server in a round
	bin, cache                                  string
	say                                         progress

	dir                    string
	contenders             []contender // central is the last
	floor, redis, postgres int         // where they are among them; -1: nowhere
	central                *central
	closers                []io.Closer
	report                 report
}

// progress tells of long work.
type progress func(format string, args ...any)

// The parts of a run.
const (
	partLookups    = "lookups"
	partEpochs     = "epochs"
	partReconnects = "reconnects"
	partUnknown    = "unknown"
)

func parts() []string { return []string{partLookups, partEpochs, partReconnects, partUnknown} }

func root(env cli.Env) *cobra.Command {
	b := &bench{say: teller(env.Stderr)}
	cmd := &cobra.Command{
		Use:   "bench [" + strings.Join(parts(), "|") + "]...",
		Short: "Measure central side by side with Redis, PostgreSQL and bare TLS",
		Long: `bench measures centrald side by side with redis-server, PostgreSQL and a bare TLS
server, all with client certificates, in rounds in which each has its turn. What is
not installed is left out, and said so.

  lookups     known TIDs, on connections that stay
  epochs      every request brings an epoch that central does not know yet
  reconnects  thousands of lanes come back at once, after an outage
  unknown     TIDs that central has never seen: a durable household for each

Without a name it does all of them. The database of so many known TIDs is kept in
the cache folder for the next run; it takes about 300 bytes for each.

--json prints an object: keys, connections, rounds, cpus, skipped, lookups, epochs,
reconnects, unknown, and goals with what, goal, ratio, met.`,
		Example:   "  bench\n  bench --keys 100000 --rounds 3 lookups\n  bench --json > bench.json",
		ValidArgs: parts(),
		Args:      cobra.OnlyValidArgs,
	}
	asJSON := cli.JSONFlag(cmd)
	f := cmd.Flags()
	f.IntVar(&b.keys, "keys", 10_000_000, "TIDs that are known")
	f.IntVar(&b.connections, "connections", 64, "connections at once")
	f.IntVar(&b.rounds, "rounds", 5, "rounds, in each of which every server has its turn")
	f.DurationVar(&b.slot, "slot", 2*time.Second, "how long a turn is")
	f.IntVar(&b.reconnects, "reconnects", 2000, "lanes that reconnect at once")
	f.IntVar(&b.cpus, "cpus", 2, "processors that clients and server share")
	f.StringVar(&b.bin, "bin", "bin", "folder of centrald")
	f.StringVar(&b.cache, "cache", "", "folder for filled databases (default: posd-bench in the user's cache folder)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if min(b.keys, b.connections, b.rounds, b.reconnects, b.cpus) < 1 || b.slot <= 0 {
			return cli.Usagef("keys, connections, rounds, slot, reconnects and cpus must be above 0")
		}
		if len(args) == 0 {
			args = parts()
		}
		if err := b.pin(); err != nil {
			return err
		}
		if err := b.run(cmd.Context(), args); err != nil {
			return err
		}
		if *asJSON {
			return cli.PrintJSON(env.Stdout, &b.report)
		}
		return b.report.print(env.Stdout, env.Colour(env.Stdout))
	}
	return cmd
}

// child is a part of a run that is a process of its own.
func child(args []string) int {
	var err error
	switch args[0] {
	case "floor":
		err = serveFloor(args[1], args[2], args[3], args[4])
	case "storm":
		err = serveStorm(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return cli.ExitFailure
	}
	return cli.ExitOK
}

// teller writes one line that changes, and only on a terminal.
func teller(w io.Writer) progress {
	if !cli.IsTerminal(w) {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) { fmt.Fprintf(w, "\r\x1b[K"+format, args...) }
}

// pin keeps this process, and with it all its children, on so many processors.
func (b *bench) pin() error {
	b.cpus = min(b.cpus, runtime.NumCPU())
	if runtime.NumCPU() == b.cpus {
		return nil
	}
	runtime.LockOSThread()
	var have, want unix.CPUSet
	if err := unix.SchedGetaffinity(0, &have); err != nil {
		return fmt.Errorf("choose processors: %w", err)
	}
	for cpu := 0; want.Count() < b.cpus; cpu++ {
		if have.IsSet(cpu) {
			want.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &want); err != nil {
		return fmt.Errorf("choose processors: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The Go runtime has counted its processors already: begin anew.
	return syscall.Exec(self, os.Args, os.Environ())
}

func (b *bench) run(ctx context.Context, parts []string) (err error) {
	if b.dir, err = os.MkdirTemp("", "posd-bench-"); err != nil {
		return err
	}
	defer func() {
		for _, c := range slices.Backward(b.closers) {
			err = errors.Join(err, c.Close())
		}
		err = errors.Join(err, os.RemoveAll(b.dir))
		if ctx.Err() != nil {
			err = ctx.Err() // whatever else went wrong came of it
		}
		b.say("")
	}()
	b.report = report{Keys: b.keys, Connections: b.connections, Rounds: b.rounds, CPUs: b.cpus, Goals: []goal{}}
	if err := b.start(ctx, slices.Contains(parts, partLookups), slices.Contains(parts, partReconnects)); err != nil {
		return err
	}
	debug.SetGCPercent(400) // the clients are to cost little
	debug.FreeOSMemory()
	for _, p := range []struct {
		name string
		do   func(context.Context) error
	}{{partLookups, b.lookups}, {partEpochs, b.epochStorm}, {partReconnects, b.reconnectStorm}, {partUnknown, b.unknownTIDs}} {
		if slices.Contains(parts, p.name) {
			if err := p.do(ctx); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return nil
}

// start starts the servers: all for lookups, those of lean clients for reconnects.
func (b *bench) start(ctx context.Context, lookups, reconnects bool) error {
	// PostgreSQL, which is another user's, passes through.
	if err := os.Chmod(b.dir, 0o711); err != nil {
		return err
	}
	certs, err := makeCerts(b.dir)
	if err != nil {
		return err
	}
	folder, err := b.folder(ctx)
	if err != nil {
		return err
	}
	b.floor, b.redis, b.postgres = -1, -1, -1
	if lookups || reconnects {
		p, err := startFloor(ctx, b.dir, certs)
		if b.floor, err = enter(b, p, err); err != nil {
			return err
		}
		r, err := startRedis(ctx, b.dir, certs, b.keys, b.say)
		if b.redis, err = enter(b, r, err); err != nil {
			return err
		}
	}
	if lookups {
		p, err := startPostgres(ctx, b.dir, certs, b.keys, b.say)
		if b.postgres, err = enter(b, p, err); err != nil {
			return err
		}
	}
	b.central, err = startCentral(ctx, b.centrald(), folder, b.dir, b.keys, b.say)
	_, err = enter(b, b.central, err)
	return err
}

// enter makes a server that was started one of the contenders, and gives its place.
// One that the machine does not have is left out.
func enter[C interface {
	comparable
	contender
	io.Closer
}](b *bench, c C, err error) (int, error) {
	var none C
	if c != none {
		b.closers = append(b.closers, c)
	}
	if missing, ok := errors.AsType[errMissing](err); ok {
		b.report.Skipped = append(b.report.Skipped, missing.what)
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	b.contenders = append(b.contenders, c)
	return len(b.contenders) - 1, nil
}

func (b *bench) centrald() string { return filepath.Join(b.bin, "centrald") }

// folder gives the folder of a central that knows the TIDs.
func (b *bench) folder(ctx context.Context) (string, error) {
	if b.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("choose a cache folder: %w: give --cache", err)
		}
		b.cache = filepath.Join(user, "posd-bench")
	}
	if err := os.MkdirAll(b.cache, 0o700); err != nil {
		return "", err
	}
	if _, err := os.Stat(b.centrald()); err != nil {
		return "", fmt.Errorf("%w: run `make build`, or give --bin", err)
	}
	return centralFolder(ctx, b.centrald(), b.cache, b.keys, b.say)
}
