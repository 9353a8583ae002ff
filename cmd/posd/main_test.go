package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"posd/cli/clitest"
	"posd/lane/api"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"posd": main})
}

// cleaning removes the programs that the end-to-end tests have built.
type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	defer func() {
		if dir, err := binaries.made(); err == nil {
			os.RemoveAll(dir)
		}
	}()
	return c.M.Run()
}

func TestCommands(t *testing.T) { clitest.Tree(t, root) }

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"here": here, "answers": answers, "either": either},
	})
}

// either runs a program whose status depends on the machine.
func either(ts *testscript.TestScript, _ bool, args []string) {
	if err := ts.Exec(args[0], args[1:]...); err != nil {
		ts.Logf("%v", err)
	}
}

// here writes the script's folder for $WORK in files.
func here(ts *testscript.TestScript, _ bool, files []string) {
	for _, name := range files {
		path := ts.MkAbs(name)
		text, err := os.ReadFile(path)
		ts.Check(err)
		text = []byte(os.Expand(string(text), func(key string) string {
			if key == "WORK" {
				return ts.Getenv("WORK")
			}
			return "$" + key
		}))
		ts.Check(os.WriteFile(path, text, 0o600))
	}
}

// answers waits until a posd answers at a socket.
func answers(ts *testscript.TestScript, _ bool, args []string) {
	client := api.NewClient(ts.MkAbs(args[0]))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var err error
	for range 4000 {
		if _, err = client.Status(testContext); err == nil {
			return
		}
		<-tick.C
	}
	ts.Fatalf("nobody answers: %v", err)
}

// TestExampleConfiguration reads the configuration that is shipped, as it is and with
// what is commented out.
func TestExampleConfiguration(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "systemd", "posd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	all := filepath.Join(t.TempDir(), "posd.toml")
	if err := os.WriteFile(all, regexp.MustCompile(`(?m)^#([a-z_\[])`).ReplaceAll(text, []byte("$1")), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, devices := range map[string]int{filepath.Join("..", "..", "systemd", "posd.toml"): 0, all: 4} {
		c, err := loadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Devices) != devices || c.Posmain.URL == "" {
			t.Errorf("%+v", c)
		}
	}
}
