package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"posd/identity"
	"posd/sqldb"
	"posd/sqlitedb"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	conform(t, func(t *testing.T) func() Store {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "central.db")
		return func() Store { return opened(t, path) }
	}, func(t *testing.T) Store { return opened(t, filepath.Join(t.TempDir(), "other.db")) })
}

func opened(t *testing.T, path string) *SQL {
	t.Helper()
	s, err := Open(t.Context(), path, false)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func initialised(t *testing.T, path string) *SQL {
	t.Helper()
	s := opened(t, path)
	must(t, s.Init(t.Context(), act(start), Installation{CreatedAt: start}, "acme", nil))
	return s
}

func TestTakenHouseholdIDIsNotUsedAgain(t *testing.T) {
	s := initialised(t, filepath.Join(t.TempDir(), "central.db"))
	draw := []identity.HHID{{1}, {1}, {1}, {2}}
	s.newHHID = func() identity.HHID {
		h := draw[0]
		draw = draw[1:]
		return h
	}
	if a, b := add(t, s, 1), add(t, s, 2); a.HHID == b.HHID || len(draw) != 0 {
		t.Errorf("%v and %v", a.HHID, b.HHID)
	}
	s.newHHID = func() identity.HHID { return identity.HHID{1} }
	if _, _, err := s.Add(t.Context(), sample(3)); err == nil {
		t.Error("a taken id was given twice")
	}
}

func TestOnlyOneService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "central.db")
	s, err := Open(t.Context(), path, true)
	must(t, err)
	defer s.Close()
	if _, err := Open(t.Context(), path, true); !errors.Is(err, sqldb.ErrLocked) {
		t.Errorf("a second service: %v", err)
	}
	initialised(t, path) // a command beside it
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "central.db")
	add(t, initialised(t, path), 1)
	s, err := OpenReadOnly(t.Context(), path)
	must(t, err)
	defer s.Close()
	if all, err := s.Households(t.Context(), 1, identity.HHID{}, 10); err != nil || len(all) != 1 {
		t.Errorf("households %+v, %v", all, err)
	}
	if _, _, err := s.Add(t.Context(), sample(2)); err == nil {
		t.Error("added to a database opened for reading")
	}
	if _, err := OpenReadOnly(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no database: %v", err)
	}
}

func TestAnotherProgramsDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sqlitedb.Open(t.Context(), path, schema("sqlite"), sqlitedb.Options{ApplicationID: 1})
	must(t, err)
	must(t, db.Close())
	if _, err := Open(t.Context(), path, true); !errors.Is(err, sqldb.ErrForeign) {
		t.Errorf("got %v", err)
	}
}

// TestKilledBulkImportLeavesNoIndexOut opens a database whose bulk import never ended.
func TestKilledBulkImportLeavesNoIndexOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "central.db")
	s := initialised(t, path)
	there := func() (n int) {
		must(t, s.db.Read().QueryRow(`SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'tids' AND sql IS NOT NULL`).Scan(&n))
		return n
	}
	before := there()
	begin(t, s, 1, true)
	if there() != before-3 {
		t.Errorf("%d indices while rows are loaded, %d before", there(), before)
	}
	service, err := Open(t.Context(), path, true)
	must(t, err)
	defer service.Close()
	if there() != before {
		t.Errorf("%d indices for a service, want %d", there(), before)
	}
}
