package server

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"posd/central/server/store"
	"posd/tid"
)

// BenchmarkRekey moves cards to new fingerprint and pseudonym keys, and gives what a
// card takes as a ratio to the floor: an update of one row by its primary key, as many
// of them in a transaction.
func BenchmarkRekey(b *testing.B) {
	const cards = 4 * rekeyBatch
	path := b.TempDir() + "/central.db"
	st, err := store.Open(b.Context(), path, false)
	must(b, err)
	defer st.Close()
	kek := kekOf(b, 1)
	must(b, Init(b.Context(), st, kek, setup))
	keys, err := OpenKeys(b.Context(), st, kek)
	must(b, err)
	s, err := New(Options{Store: st, Keys: keys})
	must(b, err)
	for n := range cards {
		c, err := tid.NewLoyalty("1234", fmt.Appendf(nil, "%08d", n))
		must(b, err)
		_, err = s.directory.Resolve(b.Context(), "acme", c)
		must(b, err)
	}
	floor := updateFloor(b, path)
	var moved, floors time.Duration
	updated := 0
	for b.Loop() {
		_, err := s.Keys().RotateTenant(b.Context(), st, store.Act{}, store.Fingerprint, store.Tenant{ID: 1, Name: "acme"})
		must(b, err)
		s.followKeys(b.Context())
		all, err := st.Rekeyings(b.Context())
		must(b, err)
		for one := all[0]; one.FinishedAt.IsZero(); {
			begun := time.Now()
			one, err = s.rekeySome(b.Context(), one, rekeyBatch)
			must(b, err)
			moved += time.Since(begun)
			begun = time.Now()
			floor()
			floors, updated = floors+time.Since(begun), updated+rekeyBatch
		}
	}
	perCard, perUpdate := float64(moved)/float64(b.N*cards), float64(floors)/float64(updated)
	b.ReportMetric(perCard/1000, "µs/card")
	b.ReportMetric(perCard/perUpdate, "x-floor")
}

func updateFloor(b *testing.B, path string) func() {
	db, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=5000&_synchronous=2")
	must(b, err)
	b.Cleanup(func() { db.Close() })
	_, err = db.Exec(`CREATE TABLE floor (id INTEGER PRIMARY KEY, v BLOB)`)
	must(b, err)
	for n := range rekeyBatch {
		_, err = db.Exec(`INSERT INTO floor VALUES (?, zeroblob(150))`, n)
		must(b, err)
	}
	return func() {
		tx, err := db.Begin()
		must(b, err)
		for n := range rekeyBatch {
			_, err = tx.Exec(`UPDATE floor SET v = randomblob(150) WHERE id = ?`, n)
			must(b, err)
		}
		must(b, tx.Commit())
	}
}
