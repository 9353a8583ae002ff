package store

import (
	"flag"
	"io/fs"
	"os"
	"slices"
	"testing"

	"posd/postgresdb/postgrestest"
)

var postgres postgrestest.Cluster

func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "20") // each of thirty commits; -rapid.checks gives another number
	os.Exit(postgres.Main(m))
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	conform(t, func(t *testing.T) func() Store {
		t.Parallel()
		url := postgres.Database(t)
		return func() Store { return opened(t, url) }
	}, func(t *testing.T) Store { return opened(t, postgres.Database(t)) })
}

func TestBothDialectsHaveTheSameMigrations(t *testing.T) {
	names := func(dialect string) []string {
		all, err := fs.Glob(schema(dialect), "*.sql")
		must(t, err)
		return all
	}
	if a, b := names("sqlite"), names("postgres"); !slices.Equal(a, b) {
		t.Errorf("SQLite has %v, PostgreSQL has %v", a, b)
	}
}
