package journal_test

import (
	"path/filepath"
	"testing"

	"posd/journal"
	"posd/journal/journaltest"
)

func TestMemory(t *testing.T) {
	journaltest.Run(t, func(*testing.T) (journaltest.Journal, func() journaltest.Journal) {
		j := journal.NewMemory(journaltest.Priority())
		return j, func() journaltest.Journal { return j }
	})
}

func TestSQLite(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) (journaltest.Journal, func() journaltest.Journal) {
		path := filepath.Join(t.TempDir(), "journal.db")
		var j *journal.SQLite
		restart := func() journaltest.Journal {
			if j != nil {
				if err := j.CloseFile(); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			if j, err = journal.Open(t.Context(), path, journaltest.Priority()); err != nil {
				t.Fatal(err)
			}
			return j
		}
		t.Cleanup(func() { j.CloseFile() })
		return restart(), restart
	})
}
