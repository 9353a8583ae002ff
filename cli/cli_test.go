package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/spf13/cobra"

	"posd/cli"
	"posd/cli/clitest"
)

// program is a small program that follows the conventions.
func program(env cli.Env) *cobra.Command {
	root := &cobra.Command{Use: "till", Short: "A till", Example: "  till drawer open --count 2"}
	drawer := &cobra.Command{Use: "drawer", Short: "The drawer", Example: "  till drawer open"}
	open := &cobra.Command{Use: "open [NAME]", Short: "Open the drawer", Example: "  echo x | till drawer open front --json", Args: cobra.MaximumNArgs(1)}
	count := open.Flags().Int("count", 1, "how often")
	asJSON := cli.JSONFlag(open)
	open.RunE = func(cmd *cobra.Command, args []string) error {
		if *asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"label": "<a&b>", "count": *count})
		}
		fmt.Fprintln(cmd.OutOrStdout(), "open", *count)
		return nil
	}
	jam := &cobra.Command{Use: "jam", Short: "Fail", Example: "  till drawer jam", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return errors.Join(errors.New("open drawer: it jams"), errors.New("open drawer: \x1b[2Jkick it"))
		}}
	misuse := &cobra.Command{Use: "misuse", Short: "Be called wrongly", Example: "  till drawer misuse", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return fmt.Errorf("x: %w", cli.Usagef("not so")) }}
	quiet := &cobra.Command{Use: "quiet", Short: "Fail and say nothing", Example: "  till drawer quiet", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return cli.ErrFailed }}
	wait := &cobra.Command{Use: "wait", Short: "Wait", Example: "  till drawer wait", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error { <-cmd.Context().Done(); return cmd.Context().Err() }}
	secret := &cobra.Command{Use: "secret", Short: "Read a secret", Example: "  till drawer secret", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := env.ReadSecret(cmd.Context(), "Token: ")
			fmt.Fprintf(cmd.OutOrStdout(), "%q\n", s)
			return err
		}}
	need := &cobra.Command{Use: "need", Short: "Need a flag", Example: "  till drawer need --must x", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return nil }}
	need.Flags().String("must", "", "what it must have")
	if err := need.MarkFlagRequired("must"); err != nil {
		panic(err)
	}
	drawer.AddCommand(open, jam, misuse, quiet, wait, secret, need)
	root.AddCommand(drawer)
	return root
}

func run(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Main(program, cli.Env{Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Context: t.Context()})
	return status, out.String(), errs.String()
}

func TestMainStatuses(t *testing.T) {
	for _, tc := range []struct {
		args           string
		status         int
		stdout, stderr string // "": empty; else it is in there
	}{
		{"drawer open", 0, "open 1\n", ""},
		{"drawer open front --count 3", 0, "open 3\n", ""},
		{"drawer open --json", 0, `"label": "<a&b>"`, ""},
		{"drawer open a b", 2, "", "till: accepts at most 1 arg(s), received 2\nTry 'till drawer open --help'.\n"},
		{"drawer open --count x", 2, "", "Try 'till drawer open --help'.\n"},
		{"drawer open --colour", 2, "", "till: unknown flag: --colour\nTry 'till drawer open --help'.\n"},
		{"drawer need", 2, "", `till: required flag(s) "must" not set`},
		{"drawer opne", 2, "", "till: there is no command \"till drawer opne\": did you mean open?\nTry 'till drawer --help'.\n"},
		{"drwer", 2, "", `till: there is no command "till drwer": did you mean drawer?`},
		{"drawer", 2, "", "till: say which command to run\nTry 'till drawer --help'.\n"},
		{"", 2, "", "till: say which command to run\nTry 'till --help'.\n"},
		{"drawer misuse", 2, "", "till: x: not so\nTry 'till drawer misuse --help'.\n"},
		{"drawer jam", 1, "", "till: open drawer: it jams\ntill: open drawer: \\x1b[2Jkick it\n"},
		{"drawer quiet", 1, "", ""},
		{"drawer --help", 0, "Usage:", ""},
		{"help drawer open", 0, "Open the drawer", ""},
		{"version", 0, "till ", ""},
		{"--version", 0, "till ", ""},
		{"--verbose", 2, "", "unknown flag: --verbose"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			status, stdout, stderr := run(t, "", strings.Fields(tc.args)...)
			if status != tc.status || !holds(stdout, tc.stdout) || !holds(stderr, tc.stderr) {
				t.Errorf("status %d, stdout %q, stderr %q; want %d, %q, %q", status, stdout, stderr, tc.status, tc.stdout, tc.stderr)
			}
		})
	}
}

func holds(got, want string) bool {
	if want == "" {
		return got == ""
	}
	return strings.Contains(got, want)
}

func TestHelpIsQuietAboutCompletion(t *testing.T) {
	_, stdout, _ := run(t, "", "--help")
	if strings.Contains(stdout, "completion") {
		t.Errorf("the help lists what nobody asked for:\n%s", stdout)
	}
	if status, stdout, _ := run(t, "", "completion", "bash"); status != 0 || !strings.Contains(stdout, "bash completion") {
		t.Errorf("completion bash: status %d", status)
	}
}

func TestVersionJSON(t *testing.T) {
	_, stdout, _ := run(t, "", "version", "--json")
	var v cli.Version
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Program != "till" || v.Go == "" || v.Platform == "" {
		t.Errorf("version --json = %q (%v)", stdout, err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	status := cli.Main(program, cli.Env{Args: []string{"drawer", "wait"}, Stdout: io.Discard, Stderr: &errs, Context: ctx})
	if status != 1 || errs.String() != "till: interrupted\n" {
		t.Errorf("status %d, %q", status, errs.String())
	}
}

func TestReadSecret(t *testing.T) {
	for _, tc := range []struct {
		stdin  string
		status int
		out    string
	}{
		{"abc\nrest\n", 0, `"abc"`},
		{"abc\r\n", 0, `"abc"`},
		{"abc", 0, `"abc"`},
		{"", 1, `""`},
		{"\n", 1, `""`},
		{strings.Repeat("x", 5000), 1, `""`},
	} {
		status, out, stderr := run(t, tc.stdin, "drawer", "secret")
		if status != tc.status || out != tc.out+"\n" {
			t.Errorf("%.10q: status %d, out %q, stderr %q", tc.stdin, status, out, stderr)
		}
		if status != 0 && !strings.Contains(stderr, "till: read the secret: ") {
			t.Errorf("%.10q: stderr %q", tc.stdin, stderr)
		}
	}
}

func TestReadSecretLeavesTheRest(t *testing.T) {
	in := strings.NewReader("first\nsecond\n")
	if _, err := (cli.Env{Stdin: in}).ReadSecret(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(in)
	if string(rest) != "second\n" {
		t.Errorf("left %q", rest)
	}
}

// terminal gives both ends of a pseudo-terminal.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

func TestReadSecretOnATerminal(t *testing.T) {
	master, slave := terminal(t)
	got := make(chan string, 1)
	go func() {
		s, err := cli.Env{Stdin: slave, Stderr: slave}.ReadSecret(t.Context(), "Token: ")
		got <- fmt.Sprint(string(s), err)
	}()
	seen := readUntil(t, master, "Token: ")
	if _, err := master.WriteString("hidden\n"); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "hidden<nil>" {
		t.Errorf("read %q", s)
	}
	if seen += readUntil(t, master, "\n"); strings.Contains(seen, "hidden") {
		t.Errorf("the secret was echoed: %q", seen)
	}
}

func TestConfirm(t *testing.T) {
	master, slave := terminal(t)
	for typed, want := range map[string]error{"yes": nil, "y": cli.ErrNotConfirmed, "": cli.ErrNotConfirmed} {
		got := make(chan error, 1)
		go func() { got <- cli.Env{Stdin: slave, Stderr: slave}.Confirm(t.Context(), "Destroy it?") }()
		readUntil(t, master, "Destroy it? Type yes: ")
		if _, err := master.WriteString(typed + "\n"); err != nil {
			t.Fatal(err)
		}
		if err := <-got; !errors.Is(err, want) {
			t.Errorf("%q: %v", typed, err)
		}
	}
	err := cli.Env{Stdin: strings.NewReader("yes\n"), Stderr: io.Discard}.Confirm(t.Context(), "Destroy it?")
	if _, usage := errors.AsType[*cli.UsageError](err); !usage || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("without a terminal: %v", err)
	}
}

func TestReadSecretEndsWithItsContext(t *testing.T) {
	master, slave := terminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := cli.Env{Stdin: slave, Stderr: slave}.ReadSecret(ctx, "Token: ")
		got <- err
	}()
	readUntil(t, master, "Token: ")
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if _, err := master.WriteString("\n"); err != nil { // lets the reader go
		t.Fatal(err)
	}
}

func readUntil(t *testing.T, r io.Reader, end string) string {
	t.Helper()
	var seen []byte
	var b [1]byte
	for !strings.HasSuffix(string(seen), end) {
		if _, err := r.Read(b[:]); err != nil {
			t.Fatalf("read %q, then %v", seen, err)
		}
		seen = append(seen, b[0])
	}
	return string(seen)
}

func TestColour(t *testing.T) {
	_, slave := terminal(t)
	env := func(vars map[string]string) cli.Env {
		return cli.Env{Getenv: func(k string) string { return vars[k] }}
	}
	for _, tc := range []struct {
		name string
		vars map[string]string
		w    io.Writer
		on   bool
	}{
		{"terminal", nil, slave, true},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1"}, slave, false},
		{"NO_COLOR empty", map[string]string{"NO_COLOR": ""}, slave, true},
		{"dumb", map[string]string{"TERM": "dumb"}, slave, false},
		{"buffer", nil, &bytes.Buffer{}, false},
	} {
		got := env(tc.vars).Colour(tc.w).Bad("x").String()
		if on := got != "x"; on != tc.on {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

func TestTable(t *testing.T) {
	_, slave := terminal(t)
	p := cli.Env{}.Colour(slave)
	table := cli.NewTable("NAME", "STATE", "N")
	table.Row("scanner", p.Good("ok"), 12)
	table.Row("Ä\x1b[2J", "", 3)
	table.Row("z", p.Bad("missing"))
	var b strings.Builder
	if err := table.Print(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME      STATE    N\n" +
		"scanner   \x1b[32mok\x1b[0m       12\n" +
		"Ä\\x1b[2J           3\n" +
		"z         \x1b[31mmissing\x1b[0m\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain äö":   "plain äö",
		"a\x1b[2Jb":  `a\x1b[2Jb`,
		"a\xffb":     `a\xffb`,
		"GS\x1d10":   `GS\x1d10`,
		"\u202eabc":  `\u202eabc`,
		"tab\tnl\n":  `tab\tnl\n`,
		"rune �here": "rune �here",
	} {
		if got := cli.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	cli.Env{Stderr: &b}.Logger(0).Info("x")
	if !strings.HasPrefix(b.String(), "time="+time.Now().Format("2006")) {
		t.Errorf("logged %q", b.String())
	}
	b.Reset()
	cli.Env{Stderr: &b, Getenv: func(string) string { return "9:1" }}.Logger(0).Info("x")
	if b.String() != "level=INFO msg=x\n" {
		t.Errorf("under systemd logged %q", b.String())
	}
}

func TestConventions(t *testing.T) {
	clitest.Tree(t, program)
	clitest.Line(t, program, "drawer", "open", "--count", "3")
}

// TestConventionsAreChecked breaks each convention once.
func TestConventionsAreChecked(t *testing.T) {
	for want, spoil := range map[string]func(c *cobra.Command){
		"it has no Example":              func(c *cobra.Command) { c.Example = "" },
		"Short must be":                  func(c *cobra.Command) { c.Short = "" },
		"without a full stop":            func(c *cobra.Command) { c.Short += "." },
		"use RunE":                       func(c *cobra.Command) { c.Run = func(*cobra.Command, []string) {} },
		"RunE is missing":                func(c *cobra.Command) { c.RunE = nil },
		"Args is missing":                func(c *cobra.Command) { c.Args = nil },
		"does not say what it is for":    func(c *cobra.Command) { c.Flags().Bool("x", false, "") },
		"--json is not a bool":           func(c *cobra.Command) { c.ResetFlags(); c.Flags().String("json", "", "json") },
		"does not show the command":      func(c *cobra.Command) { c.Example = "  till drawer quiet" },
		"unknown flag: --fast":           func(c *cobra.Command) { c.Example = "  till drawer open --fast" },
		"received 2":                     func(c *cobra.Command) { c.Example = "  till drawer open a 'b c' # no" },
		`required flag(s) "must"`:        func(c *cobra.Command) { c.Example = "  till drawer need" },
		"till drawer does nothing by it": func(c *cobra.Command) { c.Example = "  sudo till drawer" },
	} {
		err := clitest.CheckTree(func(env cli.Env) *cobra.Command {
			root := program(env)
			c, _, _ := root.Find([]string{"drawer", "open"})
			spoil(c)
			return root
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
