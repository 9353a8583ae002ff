package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"posd/central/server/store"
)

// rowsFile writes n rows, three of them bad.
func rowsFile(t *testing.T, n int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "rows.csv")
	var b strings.Builder
	b.WriteString("family,kind,tid\n")
	for i := range n {
		kind := "loyalty"
		if i == 10 || i == n/2 || i == n-1 {
			kind = "coupon"
		}
		fmt.Fprintf(&b, "f%d,%s,0001%010d\n", i/2, kind, i)
	}
	must(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

func rejectsOf(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.HasPrefix(string(text), "family,kind,tid\n") {
		t.Errorf("rejects begin with %.30q", text)
	}
	return strings.Count(string(text), ",coupon,")
}

// TestAMillionRowsWithThreeBadOnes imports into an empty database.
func TestAMillionRowsWithThreeBadOnes(t *testing.T) {
	n := 20_000
	if os.Getenv("POSD_TEST_ALL") == "1" {
		n = 1_000_000
	} else {
		t.Logf("%d rows stand for a million: set POSD_TEST_ALL=1", n)
	}
	dir := t.TempDir()
	database, bad := filepath.Join(dir, "central.db"), filepath.Join(dir, "bad.csv")
	ok(t, "init", "--database", database, "--host", "localhost", "--tenant", "acme")
	status, stdout, stderr := centrald(t, "import", "--database", database, rowsFile(t, n), "--rejects", bad)
	want := fmt.Sprintf("%d added, 0 moved, 0 there already, 3 rejected: ", n-3)
	if status != 1 || !strings.HasPrefix(stdout, want) || strings.Count(stderr, "\n") != 3 || rejectsOf(t, bad) != 3 {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	t.Log(stdout)
}

// TestKilledImportGoesOn kills an import into a database with cards.
func TestKilledImportGoesOn(t *testing.T) {
	t.Parallel()
	const n = 12_000
	dir := t.TempDir()
	database, bad := filepath.Join(dir, "central.db"), filepath.Join(dir, "bad.csv")
	ok(t, "init", "--database", database, "--host", "localhost", "--tenant", "acme")
	first := filepath.Join(dir, "first.ndjson")
	must(t, os.WriteFile(first, []byte(`{"family":"a","kind":"payment","tid":"4111111111111111"}`), 0o600))
	ok(t, "import", "--database", database, first)
	args := []string{"import", "--database", database, rowsFile(t, n), "--rejects", bad}
	killed := exec.Command("centrald", append(args, "--rate", "8000")...)
	must(t, killed.Start())
	st, err := store.OpenReadOnly(t.Context(), database)
	must(t, err)
	defer st.Close()
	count := func() (cards int) {
		must(t, st.Export(context.Background(), 1, func(*store.ExportedTID) error { cards++; return nil }))
		return cards
	}
	eventually(t, func() error {
		if count() < 2 {
			return errors.New("no row is stored")
		}
		return nil
	})
	must(t, killed.Process.Signal(syscall.SIGKILL))
	if err := killed.Wait(); err == nil {
		t.Fatal("it was faster")
	}
	stored := count()
	if stored == 1 || stored >= n-2 {
		t.Fatalf("killed with %d cards", stored)
	}
	status, stdout, stderr := centrald(t, args...)
	want := fmt.Sprintf("%d added, 0 moved, 0 there already, 3 rejected: ", n-3)
	if status != 1 || !strings.HasPrefix(stdout, want) || !strings.Contains(stderr, "going on where an earlier import was stopped") {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	if count() != n-3+1 || rejectsOf(t, bad) != 3 {
		t.Errorf("%d cards, %d rejects", count(), rejectsOf(t, bad))
	}
}
