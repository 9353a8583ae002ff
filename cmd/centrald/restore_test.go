package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"posd/central"
	"posd/central/server/store"
)

// TestRestoredCentralKnowsItsCards backs a serving central up, has a card come that it
// did not know, loses the central, and restores it.
func TestRestoredCentralKnowsItsCards(t *testing.T) {
	t.Parallel()
	const before, since, later = "4111111111111111", "5555555555554444", "378282246310005"
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	log, stop := serve(t, database)
	address := log.wait(t, `lookups=(\S+)`)
	credentials := enrol(t, database, log.wait(t, `operations_url=(\S+)`), "--store", "12", "--lane", "1")
	ask := resolver(t, credentials)
	first, err := ask(before)
	must(t, err)
	saved := filepath.Join(t.TempDir(), "central.backup")
	ok(t, "backup", "--database", database, "--output", saved)
	second, err := ask(since)
	must(t, err)
	if status := stop(); status != 0 {
		t.Fatalf("status %d", status)
	}

	restored := filepath.Join(t.TempDir(), "central.db")
	kek := filepath.Join(filepath.Dir(database), "kek")
	ok(t, "restore", "--database", restored, "--kek", kek, "--backup", saved)
	serve(t, restored, "--kek", kek, "--listen", address)
	pairs := filepath.Join(t.TempDir(), "shop.ndjson")
	shop, err := json.Marshal(store.Pair{DeIdentTID: second.DeIdentTID, HHID: second.HHID, At: time.Now()})
	must(t, err)
	must(t, os.WriteFile(pairs, shop, 0o600))
	ok(t, "restore", "--database", restored, "--pairs", pairs)
	ask = resolver(t, credentials)
	for number, want := range map[string]central.Answer{before: first, since: second} {
		if got, err := ask(number); err != nil || got.HHID != want.HHID || got.DeIdentTID != want.DeIdentTID {
			t.Errorf("answered %+v, %v, want %+v", got, err, want)
		}
	}
	if third, err := ask(later); err != nil || third.HHID == first.HHID || third.HHID == second.HHID {
		t.Errorf("a new card: %+v, %v", third, err)
	}
	if status, _, stderr := centrald(t, "restore", "--database", restored, "--backup", saved, "--kek", kek); status != 1 {
		t.Errorf("restored under a running server: %d %s", status, stderr)
	}
}
