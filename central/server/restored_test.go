package server

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/sqldb"
)

// TestARestoredDatabaseIsNotFollowed opens keys again of a database that was restored
// since, and tells which key opens what.
func TestARestoredDatabaseIsNotFollowed(t *testing.T) {
	open := func(name string) *store.SQL {
		st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), name), false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	kek, _ := vault.New(make([]byte, vault.KeySize))
	other, _ := vault.New(append([]byte{1}, make([]byte, vault.KeySize-1)...))
	st, fresh := open("a.db"), open("b.db")
	if err := Init(t.Context(), st, kek, Setup{Tenant: "acme", Hosts: []string{"localhost"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	running, err := OpenKeys(t.Context(), st, kek)
	if err != nil {
		t.Fatal(err)
	}
	var s store.Snapshot
	type row struct {
		table   string
		columns []string
		values  []any
	}
	var rows []row
	err = st.Dump(t.Context(), func(of store.Snapshot) error { s = of; return nil }, func(table string, columns []string, values []any) error {
		rows = append(rows, row{table, columns, slices.Clone(values)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := Opens(kek, s.Installation, s.Keys); err != nil {
		t.Error(err)
	}
	if err := Opens(other, s.Installation, s.Keys); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	s.Keys[0].Wrapped[20] ^= 1
	if err := Opens(kek, s.Installation, s.Keys); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("a changed key: %v", err)
	}
	s.Keys[0].Wrapped[20] ^= 1
	err = fresh.Restore(t.Context(), store.Act{At: time.Now()}, store.Restored{Installation: s.Installation, Keys: s.Keys, Schema: s.Schema}, func(add sqldb.Loader) error {
		for _, r := range rows {
			if err := add(r.table, r.columns, slices.Values([][]any{r.values})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := running.again(t.Context(), fresh); !errors.Is(err, ErrRestored) {
		t.Errorf("got %v", err)
	}
	if _, err := OpenKeys(t.Context(), fresh, kek); err != nil {
		t.Error(err)
	}
}
