package store

import (
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"posd/identity"
	"posd/sqldb"
)

// kept is a dump in memory.
type kept struct {
	snapshot Snapshot
	order    []string
	columns  map[string][]string
	rows     map[string][][]any
}

func dumped(t *testing.T, s Store) *kept {
	t.Helper()
	k := &kept{columns: map[string][]string{}, rows: map[string][][]any{}}
	must(t, s.Dump(t.Context(), func(s Snapshot) error { k.snapshot = s; return nil }, func(table string, columns []string, values []any) error {
		if k.columns[table] == nil {
			k.order = append(k.order, table)
		}
		k.columns[table] = slices.Clone(columns)
		k.rows[table] = append(k.rows[table], slices.Clone(values))
		return nil
	}))
	return k
}

func (k *kept) fill(add sqldb.Loader) error {
	for _, table := range k.order {
		if err := add(table, k.columns[table], slices.Values(k.rows[table])); err != nil {
			return err
		}
	}
	return nil
}

func (k *kept) restored() Restored {
	return Restored{Installation: k.snapshot.Installation, Keys: k.snapshot.Keys, Schema: k.snapshot.Schema, BackupAt: start.Add(time.Minute)}
}

// lived fills a store with something of everything.
func lived(t *testing.T, s Store) (a, b Entry) {
	t.Helper()
	a, b = add(t, s, 1), add(t, s, 2)
	add(t, s, 3)
	_, err := s.Merge(t.Context(), act(start), 1, b.HHID, a.HHID, false)
	must(t, err)
	enrolled(t, s, lane1, 1)
	enrolled(t, s, lane2, 2)
	must(t, s.Revoke(t.Context(), act(start), lane2))
	return a, b
}

// testRestore restores into an empty database of the same kind.
func testRestore(t *testing.T, open func() Store, fresh Store) {
	s := open()
	a, b := lived(t, s)
	k := dumped(t, s)
	if k.snapshot.Change == 0 || k.snapshot.Records == 0 || k.snapshot.Installation.ID != [16]byte{1} || len(k.snapshot.Keys) == 0 || k.snapshot.Schema != Newest() {
		t.Errorf("snapshot %+v", k.snapshot)
	}
	if err := s.Restore(t.Context(), act(start), k.restored(), k.fill); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("into a database that is not empty: %v", err)
	}
	boom := errors.New("boom")
	err := fresh.Restore(t.Context(), act(start), k.restored(), func(add sqldb.Loader) error { return errors.Join(k.fill(add), boom) })
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if _, err := fresh.Installation(t.Context()); !errors.Is(err, ErrNotInitialised) {
		t.Errorf("a restore that failed has left something: %v", err)
	}
	for _, evil := range []struct{ table, column string }{{"keys", "number"}, {"tids; DROP TABLE tids", "kind"}, {"tids", "kind) --"}} {
		err := fresh.Restore(t.Context(), act(start), k.restored(), func(add sqldb.Loader) error {
			return add(evil.table, []string{evil.column}, func(func([]any) bool) {})
		})
		if err == nil {
			t.Errorf("a backup with table %s, column %s was taken", evil.table, evil.column)
		}
	}
	must(t, fresh.Restore(t.Context(), act(start), k.restored(), k.fill))
	i, err := fresh.Installation(t.Context())
	if err != nil || i.ID != [16]byte{1} || i.Incarnation == [16]byte{} {
		t.Errorf("installation %+v, %v", i, err)
	}
	h, err := fresh.Household(t.Context(), 1, b.HHID)
	if err != nil || h.HHID != a.HHID || len(h.Cards) != 2 {
		t.Errorf("a merged household is %+v, %v", h, err)
	}
	entries, err := fresh.Entries(t.Context(), 0, 100)
	was, _ := s.Entries(t.Context(), 0, 100)
	if err != nil || !slices.Equal(entries, was) {
		t.Errorf("entries %+v, %v, want %+v", entries, err, was)
	}
	if state(t, fresh, lane1, start) != Enrolled || state(t, fresh, lane2, start) != Revoked {
		t.Error("machines are not as they were")
	}
	if e := add(t, fresh, 9); e.Change < k.snapshot.Change+ahead {
		t.Errorf("change %d after a restore of %d", e.Change, k.snapshot.Change)
	}
	records, err := fresh.Audit(t.Context(), k.snapshot.Records, 10)
	if err != nil || len(records) != 1 || records[0].Hash != records[0].Chained(k.snapshot.Head) {
		t.Errorf("audit log %+v, %v", records, err)
	}
	again := dumped(t, fresh)
	if again.snapshot.Installation.Incarnation == k.snapshot.Installation.Incarnation {
		t.Error("the incarnation is the same")
	}
}

func testPairs(t *testing.T, open func() Store, fresh Store) {
	s := open()
	lived(t, s)
	pair := func(n uint32, id identity.HHID, after time.Duration) Pair {
		return Pair{deident(n), id, start.Add(after)}
	}
	if _, err := s.TakePairs(t.Context(), act(start), 1, []Pair{pair(9, identity.HHID{9}, 0)}); err == nil {
		t.Error("pairs were taken by a database that was not restored")
	}
	k := dumped(t, s)
	must(t, fresh.Restore(t.Context(), act(start.Add(time.Hour)), k.restored(), k.fill)) // of a minute after start
	third := household(t, fresh, 3)
	done, err := fresh.TakePairs(t.Context(), act(start.Add(time.Hour)), 1, []Pair{
		pair(9, identity.HHID{9}, 30*time.Minute), pair(9, identity.HHID{8}, 20*time.Minute), // the later one
		pair(3, third, 0), pair(3, identity.HHID{7}, 30*time.Second), // older than the backup
		pair(2, identity.HHID{6}, 30*time.Minute), pair(10, third, 30*time.Minute),
	})
	if want := (Paired{Expected: 3, Moved: 1, Same: 1, Older: 1}); err != nil || done != want {
		t.Errorf("done %+v, %v, want %+v", done, err, want)
	}
	if e := add(t, fresh, 9); e.HHID != (identity.HHID{9}) {
		t.Errorf("a card that came after the backup is in %v", e.HHID)
	}
	if e := add(t, fresh, 10); e.HHID != third {
		t.Errorf("another one is in %v, want %v", e.HHID, third)
	}
	if got := household(t, fresh, 2); got != (identity.HHID{6}) {
		t.Errorf("a card that was moved after the backup is in %v", got)
	}
	if e := add(t, fresh, 11); e.HHID.IsZero() || e.HHID == third {
		t.Errorf("a new card is in %v", e.HHID)
	}
	// A card was faster than its pair.
	late := sample(12)
	late.CreatedAt = start.Add(2 * time.Hour)
	if _, _, err := fresh.Add(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	done, err = fresh.TakePairs(t.Context(), act(start.Add(3*time.Hour)), 1, []Pair{pair(12, identity.HHID{5}, 30*time.Minute), pair(9, identity.HHID{8}, 0)})
	if err != nil || done.Moved != 1 || household(t, fresh, 12) != (identity.HHID{5}) {
		t.Errorf("done %+v, %v: it is in %v", done, err, household(t, fresh, 12))
	}
	// An import takes the family where its first card was.
	_, err = fresh.TakePairs(t.Context(), act(start), 1, []Pair{pair(20, identity.HHID{4}, 30*time.Minute)})
	must(t, err)
	_, _, err = fresh.ImportRows(t.Context(), act(start), begin(t, fresh, 1, false), []ImportRow{to(20, 5, identity.HHID{}), to(21, 5, identity.HHID{})}, Position{Phase: Linewise})
	must(t, err)
	if household(t, fresh, 20) != (identity.HHID{4}) || household(t, fresh, 21) != (identity.HHID{4}) {
		t.Errorf("an imported family is in %v and %v", household(t, fresh, 20), household(t, fresh, 21))
	}
}

// TestRestoreIntoTheOtherKind restores a backup of SQLite into PostgreSQL, and back.
func TestRestoreIntoTheOtherKind(t *testing.T) {
	t.Parallel()
	lite := initialised(t, t.TempDir()+"/central.db")
	lived(t, lite)
	server := opened(t, postgres.Database(t))
	k := dumped(t, lite)
	must(t, server.Restore(t.Context(), act(start), k.restored(), k.fill))
	back := opened(t, t.TempDir()+"/back.db")
	k2 := dumped(t, server)
	must(t, back.Restore(t.Context(), act(start), k2.restored(), k2.fill))
	k3 := dumped(t, back)
	for _, table := range k.order {
		if table == "counters" || table == "audit" {
			continue
		}
		if len(k.rows[table]) != len(k3.rows[table]) {
			t.Errorf("%s: %d rows, then %d", table, len(k.rows[table]), len(k3.rows[table]))
		}
	}
}

// TestBackupsHoldEveryTable fails for whoever adds a table and does not say whether
// backups hold it.
func TestBackupsHoldEveryTable(t *testing.T) {
	s := opened(t, t.TempDir()+"/central.db")
	all, err := query(t.Context(), s, func(r *sql.Rows) (name string, err error) { err = r.Scan(&name); return name, err }, `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
	must(t, err)
	for _, name := range all {
		held := slices.ContainsFunc(tables, func(t table) bool { return t.name == name })
		if held == slices.Contains(notInBackups, name) {
			t.Errorf("say in backup.go whether backups hold the table %s", name)
		}
	}
	if len(all) != len(tables)+len(notInBackups) {
		t.Errorf("backup.go names a table that there is not: %v", all)
	}
}
