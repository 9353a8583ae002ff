package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestManyServeOneDatabase: replicas need the database and the key-encryption key,
// and a lane may ask any of them.
func TestManyServeOneDatabase(t *testing.T) {
	t.Parallel()
	database, dir := postgres.Database(t), t.TempDir()
	kek := filepath.Join(dir, "kek")
	ok(t, "init", "--database", database, "--kek", kek, "--host", "127.0.0.1", "--tenant", "acme")
	var ask []func(string) error
	households := map[string]string{}
	for n := range 3 {
		log, _ := serve(t, database, "--kek", kek, "--admin-socket", filepath.Join(dir, fmt.Sprint(n)))
		lane := resolver(t, enrol(t, database, log.wait(t, `operations_url=(\S+)`), "--store", "12", "--lane", fmt.Sprint(n), "--admin-socket", filepath.Join(dir, fmt.Sprint(n))))
		ask = append(ask, func(card string) error {
			a, err := lane(card)
			if id := a.HHID.String(); err == nil && households[card] == "" {
				households[card] = id
			} else if err == nil && households[card] != id {
				return fmt.Errorf("replica %d says %s, another said %s", n, id, households[card])
			}
			return err
		})
	}
	for _, card := range []string{"4111111111111111", "5555555555554444"} {
		for _, ask := range ask {
			must(t, ask(card))
		}
	}
	// A command goes through one of them, and all see it.
	ok(t, "lanes", "revoke", "--database", database, "--store", "12", "--lane", "2", "--admin-socket", filepath.Join(dir, "0"))
	eventually(t, func() error {
		if err := ask[2]("4111111111111111"); err == nil || !strings.Contains(err.Error(), "revoked") {
			return fmt.Errorf("the lane revoked: %v", err)
		}
		return nil
	})
}
