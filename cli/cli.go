// Package cli holds the conventions that the commands of posd, centrald and
// posmaind share, so that a person who knows one program knows all three:
//
//   - Exit status 0 for success, 1 for failure, 2 for misuse. Misuse is told
//     with a hint to --help.
//   - Errors go to standard error as "PROGRAM: what failed: why".
//   - Results go to standard output: tables for people, JSON with --json.
//   - Colour only on a terminal, and not under NO_COLOR.
//   - Secrets are asked for without echo on a terminal, and are one line of
//     standard input otherwise; they never come from a flag.
//   - SIGTERM and SIGINT end the context of a command; a second one kills it.
//   - Every command has a line of help and an example that works.
//
// A program is one function that builds its tree of cobra commands from an Env,
// and a main that hands it to Main. Commands set RunE, never Run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// The exit statuses of every program.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitMisuse  = 2
)

// Env is what a program has from the outside. Tests give their own.
type Env struct {
	Args    []string // without the program's name
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string // nil: an empty environment
	Context context.Context     // nil: one that ends with SIGTERM or SIGINT
}

// OS is the Env of the running process.
func OS() Env {
	return Env{Args: hidePasswords(os.Args[1:]), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
}

func (e Env) getenv(key string) string {
	if e.Getenv == nil {
		return ""
	}
	return e.Getenv(key)
}

// UsageError says that the command was called wrongly. Commands return one for
// what cobra cannot check by itself.
type UsageError struct{ Reason string }

func (e *UsageError) Error() string { return e.Reason }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// ErrFailed makes the program exit with ExitFailure and print nothing: the
// command has said what is wrong.
var ErrFailed = errors.New("failed")

// Main runs the program whose commands root builds, and returns its exit
// status.
func Main(root func(Env) *cobra.Command, env Env) int {
	ctx, stop := env.context()
	defer stop()
	cmd := root(env)
	began := prepare(cmd, env)
	ran, err := misdirected(cmd, env.Args)
	if err == nil {
		ran, err = cmd.ExecuteContextC(ctx)
	}
	if err == nil {
		return ExitOK
	}
	var usage *UsageError
	switch {
	case errors.As(err, &usage) || !*began:
		complain(env.Stderr, cmd.Name(), err)
		fmt.Fprintf(env.Stderr, "Try '%s --help'.\n", ran.CommandPath())
		return ExitMisuse
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		err = errors.New("interrupted")
	case errors.Is(err, ErrFailed):
		return ExitFailure
	}
	complain(env.Stderr, cmd.Name(), err)
	return ExitFailure
}

// context ends with the first SIGTERM or SIGINT; a second one has its usual
// effect.
func (e Env) context() (context.Context, context.CancelFunc) {
	if e.Context != nil {
		return context.WithCancel(e.Context)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// complain prints an error, each line of it under the program's name.
func complain(w io.Writer, program string, err error) {
	for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintln(w, strings.TrimRight(program+": "+Clean(line), " "))
	}
}

// prepare gives the tree the common behaviour. *began is true once a command
// itself runs: every error before that comes from a wrong call.
func prepare(root *cobra.Command, env Env) (began *bool) {
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.Version = ReadVersion(root.Name()).String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(versionCommand(root.Name()))
	began = new(bool)
	wrap(root, began)
	return began
}

func wrap(c *cobra.Command, began *bool) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*began = true
			return run(c, args)
		}
	} else {
		c.Args, c.SuggestionsMinimumDistance = cobra.ArbitraryArgs, 2
	}
	for _, sub := range c.Commands() {
		wrap(sub, began)
	}
}

// misdirected reports a call that stops at a command which only holds others:
// cobra would print help and call it a success.
func misdirected(root *cobra.Command, args []string) (*cobra.Command, error) {
	c, rest, err := root.Find(args)
	if err == nil && c.Name() == "help" && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		if _, left, err := root.Find(rest); err != nil || len(left) > 0 {
			return c, Usagef("there is no command %q", root.Name()+" "+strings.Join(rest, " "))
		}
	}
	if err != nil || c.Runnable() {
		return c, nil // cobra will find the same
	}
	if len(rest) == 0 {
		c.SetOut(c.ErrOrStderr())
		c.Help() // it goes where the error goes
		return c, Usagef("say which command to run")
	}
	if name := rest[0]; !strings.HasPrefix(name, "-") && name != "help" && name != "completion" && !strings.HasPrefix(name, "__") {
		hint := ""
		if near := c.SuggestionsFor(name); len(near) > 0 {
			hint = fmt.Sprintf(": did you mean %s?", strings.Join(near, " or "))
		}
		return c, Usagef("there is no command %q%s", c.CommandPath()+" "+name, hint)
	}
	return c, nil
}
