// Package clitest holds the commands of a program to the conventions of
// package cli.
package clitest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"posd/cli"
)

// Tree fails t for every command without help or a working example, with
// another way to run than RunE, with arguments left unchecked, or with a flag
// that does not say what it is for. A command that prints JSON has a bool flag
// --json.
func Tree(t *testing.T, root func(cli.Env) *cobra.Command) {
	t.Helper()
	if err := CheckTree(root); err != nil {
		t.Error(err)
	}
}

// CheckTree is Tree without a test.
func CheckTree(root func(cli.Env) *cobra.Command) error {
	var errs []error
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if err := check(root, c); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.CommandPath(), err))
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root(env()))
	return errors.Join(errs...)
}

func env() cli.Env {
	return cli.Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}
}

func check(root func(cli.Env) *cobra.Command, c *cobra.Command) error {
	var errs []error
	must := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	must(c.Short != "" && !strings.HasSuffix(c.Short, "."), "Short must be one line of help without a full stop")
	must(strings.TrimSpace(c.Example) != "", "it has no Example")
	must(c.Run == nil, "Run is set: use RunE")
	if !c.HasSubCommands() {
		must(c.RunE != nil, "RunE is missing")
		must(c.Args != nil, "Args is missing: say which arguments it takes")
	}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		must(f.Usage != "", "flag --"+f.Name+" does not say what it is for")
		must(f.Name != "json" || f.Value.Type() == "bool", "--json is not a bool flag")
	})
	if c.Runnable() {
		errs = append(errs, checkExamples(root, c))
	}
	return errors.Join(errs...)
}

// checkExamples sees that each call of the program in the example is one that
// the program would take, and that one of them is of this command.
func checkExamples(root func(cli.Env) *cobra.Command, c *cobra.Command) error {
	program, shown := c.Root().Name(), false
	for line := range strings.SplitSeq(c.Example, "\n") {
		for part := range strings.SplitSeq(line, "|") {
			words := Words(part)
			if len(words) > 0 && words[0] == "sudo" {
				words = words[1:]
			}
			if len(words) == 0 || words[0] != program {
				continue
			}
			found, err := Resolve(root, words[1:])
			if err != nil {
				return fmt.Errorf("the example %q does not work: %w", strings.TrimSpace(line), err)
			}
			shown = shown || found == c.CommandPath()
		}
	}
	if !shown && c.Example != "" {
		return errors.New("the Example does not show the command")
	}
	return nil
}

// Line fails t unless the program would take args; the command does not run.
func Line(t *testing.T, root func(cli.Env) *cobra.Command, args ...string) {
	t.Helper()
	if _, err := Resolve(root, args); err != nil {
		t.Errorf("%q: %v", args, err)
	}
}

// Resolve gives the path of the command that args call, if its flags and
// arguments are in order.
func Resolve(root func(cli.Env) *cobra.Command, args []string) (path string, err error) {
	c, rest, err := root(env()).Find(args)
	if err != nil {
		return "", err
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err != nil {
		return "", err
	}
	if err := c.ValidateRequiredFlags(); err != nil {
		return "", err
	}
	if err := c.ValidateFlagGroups(); err != nil {
		return "", err
	}
	if !c.Runnable() {
		return "", fmt.Errorf("%s does nothing by itself", c.CommandPath())
	}
	return c.CommandPath(), c.ValidateArgs(c.Flags().Args())
}

// Words splits a line as a shell does with single and double quotes, up to a
// comment, a redirection or another command.
func Words(line string) []string {
	var words []string
	var word strings.Builder
	quote, in := rune(0), false
	end := func() {
		if in {
			words = append(words, word.String())
		}
		word.Reset()
		in = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ' || r == '\t':
			end()
		case (r == '#' && !in) || r == '>' || r == '<' || r == ';' || r == '&':
			end()
			return words
		default:
			in = true
			word.WriteRune(r)
		}
	}
	end()
	return words
}
