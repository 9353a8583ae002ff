package main

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"posd/central/server/store"
	"posd/cli/clitest"
	"posd/identity"
	"posd/postgresdb/postgrestest"
)

var postgres postgrestest.Cluster

// tests are all of them, with the PostgreSQL server that some need.
type tests struct{ m *testing.M }

func (t tests) Run() int { return postgres.Main(t.m) }

func TestMain(m *testing.M) { testscript.Main(tests{m}, map[string]func(){"centrald": main}) }

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(cond string) (bool, error) {
			return cond == "root" && os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ids": ids},
	})
}

// TestScriptsOnPostgreSQL gives each script a database at $DATABASE and an empty
// one at $OTHER.
func TestScriptsOnPostgreSQL(t *testing.T) {
	t.Parallel()
	postgrestest.Require(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/postgres",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"DATABASE", "OTHER"} {
				e.Setenv(name, postgres.Database(t))
			}
			e.Setenv("STATE_DIRECTORY", e.WorkDir+"/state")
			return nil
		},
	})
}

func TestCommandsKeepTheConventions(t *testing.T) { clitest.Tree(t, root) }

// ids sets $big and $small to the households of c.db with most and fewest cards,
// and $smallcard to the pseudonym of a card of the latter.
func ids(ts *testscript.TestScript, _ bool, _ []string) {
	st, err := store.Open(context.Background(), ts.MkAbs("c.db"), false)
	ts.Check(err)
	defer st.Close()
	all, err := st.Households(context.Background(), 1, identity.HHID{}, 100)
	ts.Check(err)
	slices.SortFunc(all, func(a, b store.Household) int { return len(a.Cards) - len(b.Cards) })
	small, big := all[0], all[len(all)-1]
	ts.Setenv("big", big.HHID.String())
	ts.Setenv("small", small.HHID.String())
	ts.Setenv("smallcard", string(small.Cards[0].DeIdentTID))
}
