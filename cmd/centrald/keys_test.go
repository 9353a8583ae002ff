package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/central"
	"posd/enroll"
)

// TestKeysOfARunningServer: lanes get a new key, and lose one that is destroyed,
// while the server runs.
func TestKeysOfARunningServer(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	log, _ := serve(t, database)
	must(t, os.Remove(filepath.Join(filepath.Dir(database), "kek"))) // the server has it
	credentials := enrol(t, database, log.wait(t, `operations_url=(\S+)`), "--store", "12", "--lane", "1")
	before := resolver(t, credentials)
	first, err := before("4111111111111111")
	must(t, err)
	ok(t, "keys", "rotate", "hpke", "--now", "--database", database)
	own := credentials.Current()
	client, err := central.NewClient(own.LookupURL, enroll.ClientConfig(credentials, enroll.Name{Role: enroll.Central}))
	must(t, err)
	t.Cleanup(client.Close)
	eventually(t, func() error {
		signed, err := client.Manifest(t.Context(), 0)
		must(t, err)
		m, err := signed.Verify(own.ManifestKey, time.Now(), 1)
		must(t, err)
		key, err := m.SealingKey(time.Now())
		if err == nil && key.ID != 2 {
			return fmt.Errorf("lanes seal with key %d", key.ID)
		}
		return err
	})
	after := resolver(t, credentials)
	for _, ask := range []func(string) (central.Answer, error){before, after} {
		if got, err := ask("4111111111111111"); err != nil || got.HHID != first.HHID {
			t.Errorf("answer %+v, %v", got, err)
		}
	}
	ok(t, "keys", "destroy", "hpke", "1", "--compromised", "--yes", "--database", database)
	eventually(t, func() error {
		if _, err := before("4111111111111111"); err == nil || !strings.Contains(err.Error(), "retired") {
			return fmt.Errorf("under the destroyed key: %v", err)
		}
		return nil
	})
	if got, err := after("4111111111111111"); err != nil || got.HHID != first.HHID {
		t.Errorf("answer %+v, %v", got, err)
	}
}

// TestCardsAreMovedWhileTheServerRuns rotates both keys of a retailer under a
// running server, which moves the cards by itself.
func TestCardsAreMovedWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	log, stop := serve(t, database)
	ask := resolver(t, enrol(t, database, log.wait(t, `operations_url=(\S+)`), "--store", "12", "--lane", "1"))
	first, err := ask("4111111111111111")
	must(t, err)
	moved := func(purpose string) {
		t.Helper()
		ok(t, "keys", "rotate", purpose, "--database", database)
		eventually(t, func() error {
			if list := ok(t, "keys", "list", "--database", database); strings.Contains(list, "moved to it") {
				return fmt.Errorf("keys:\n%s", list)
			}
			return nil
		})
	}
	moved("deident")
	second, err := ask("4111111111111111")
	if err != nil || second.HHID != first.HHID || second.DeIdentTID.Version() != 2 {
		t.Fatalf("answer %+v, %v", second, err)
	}
	want := fmt.Sprintf(`{"from":"%s","to":"%s"}`, first.DeIdentTID, second.DeIdentTID)
	if got := ok(t, "keys", "mapping", "--from", "1", "--to", "2", "--database", database); strings.TrimSpace(got) != want {
		t.Errorf("mapping %s, want %s", got, want)
	}
	moved("fingerprint")
	ok(t, "keys", "destroy", "fingerprint", "1", "--yes", "--database", database)
	ok(t, "keys", "destroy", "deident", "1", "--yes", "--database", database)
	if got, err := ask("4111111111111111"); err != nil || got.HHID != first.HHID || got.DeIdentTID != second.DeIdentTID {
		t.Errorf("answer %+v, %v, want %+v", got, err, second)
	}
	ok(t, "households", "link", "--database", database, "--household", first.HHID.String(), "--deident", string(first.DeIdentTID))
	if status := stop(); status != 0 {
		t.Errorf("status %d", status)
	}
}
