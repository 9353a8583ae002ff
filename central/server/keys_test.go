package server

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"posd/central/server/store"
	"posd/central/server/vault"
)

func kekOf(t testing.TB, b byte) vault.KEK {
	t.Helper()
	k, err := vault.New(bytes.Repeat([]byte{b}, 32))
	must(t, err)
	return k
}

func database(t *testing.T) (*store.SQL, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "central.db")
	st, err := store.Open(t.Context(), path, false)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	return st, path
}

var setup = Setup{Tenant: "acme", Hosts: []string{"central.example", "::1"}, Now: time.Unix(1e9, 0)}

func TestWrongKEK(t *testing.T) {
	st, _ := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	if _, err := OpenKeys(t.Context(), st, kekOf(t, 1)); err != nil {
		t.Error(err)
	}
	_, err := OpenKeys(t.Context(), st, kekOf(t, 2))
	if !errors.Is(err, vault.ErrWrongKey) || !strings.Contains(err.Error(), kekOf(t, 1).ID()) || !strings.Contains(err.Error(), "another installation") {
		t.Errorf("another key: %v", err)
	}
	withSalt, _ := database(t)
	salted := setup
	salted.Salt = make([]byte, vault.SaltSize)
	must(t, Init(t.Context(), withSalt, kekOf(t, 1), salted))
	if _, err := OpenKeys(t.Context(), withSalt, kekOf(t, 2)); !errors.Is(err, vault.ErrWrongKey) || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("another passphrase: %v", err)
	}
}

func TestInitTwice(t *testing.T) {
	st, _ := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	if err := Init(t.Context(), st, kekOf(t, 2), setup); !errors.Is(err, store.ErrInitialised) {
		t.Errorf("got %v", err)
	}
	if _, err := OpenKeys(t.Context(), st, kekOf(t, 1)); err != nil {
		t.Errorf("the first one was spoiled: %v", err)
	}
}

func TestEmptyDatabaseHasNoKeys(t *testing.T) {
	st, _ := database(t)
	if _, err := OpenKeys(t.Context(), st, kekOf(t, 1)); !errors.Is(err, store.ErrNotInitialised) {
		t.Errorf("keys: %v", err)
	}
	if _, err := TokenMaker(t.Context(), st); !errors.Is(err, store.ErrNotInitialised) {
		t.Errorf("token: %v", err)
	}
}

func TestBadSetups(t *testing.T) {
	for _, bad := range []Setup{
		{Tenant: "", Hosts: []string{"h"}}, {Tenant: "a/b", Hosts: []string{"h"}}, {Tenant: "acme"},
		{Tenant: "acme", Hosts: []string{""}}, {Tenant: "acme", Hosts: []string{"https://h"}}, {Tenant: "acme", Hosts: []string{"h:8443"}}, {Tenant: "acme", Hosts: []string{"a,b"}},
	} {
		st, _ := database(t)
		if err := Init(t.Context(), st, kekOf(t, 1), bad); err == nil {
			t.Errorf("%+v: taken", bad)
		}
	}
}

// TestChangedKeyRows moves and changes wrapped keys behind central's back.
func TestChangedKeyRows(t *testing.T) {
	for name, statement := range map[string]string{
		"swapped": `UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE purpose = 'fingerprint') WHERE purpose = 'deident'`,
		"number":  `UPDATE keys SET number = 2 WHERE purpose = 'deident'`,
		"changed": `UPDATE keys SET wrapped = zeroblob(60) WHERE purpose = 'hpke'`,
		"missing": `DELETE FROM keys WHERE purpose = 'ca'`,
		"unknown": `INSERT INTO keys SELECT 'novel', tenant, number, state, wrapped, public, created_at, NULL, NULL FROM keys WHERE purpose = 'ca'`,
		"no deid": `DELETE FROM keys WHERE purpose = 'deident'`,
	} {
		st, path := database(t)
		must(t, Init(t.Context(), st, kekOf(t, 1), setup))
		change(t, path, statement)
		keys, err := OpenKeys(t.Context(), st, kekOf(t, 1))
		if err == nil {
			_, err = New(Options{Store: st, Keys: keys})
		}
		if err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestDestroyedKeyIsKept(t *testing.T) {
	st, path := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	change(t, path, `INSERT INTO keys SELECT purpose, tenant, 2, 'destroyed', NULL, public, created_at, NULL, NULL FROM keys WHERE purpose = 'hpke'`)
	keys, err := OpenKeys(t.Context(), st, kekOf(t, 1))
	must(t, err)
	if len(keys.hpke) != 2 || len(keys.manifestKeys(setup.Now)) != 1 {
		t.Errorf("%d keys to open with, %d in the manifest", len(keys.hpke), len(keys.manifestKeys(setup.Now)))
	}
}

func change(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func TestKeysPrintNothing(t *testing.T) {
	st, _ := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	keys, err := OpenKeys(t.Context(), st, kekOf(t, 1))
	must(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, keys); got != "Keys(redacted)" {
			t.Errorf("%s gives %s", verb, got)
		}
	}
}

func TestNoKeyLiesOpenInTheDatabase(t *testing.T) {
	st, path := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	keys, err := OpenKeys(t.Context(), st, kekOf(t, 1))
	must(t, err)
	seed, err := keys.hpke[0].Key.Seed()
	must(t, err)
	must(t, st.Close())
	content, err := os.ReadFile(path)
	must(t, err)
	for name, secret := range map[string][]byte{
		"hpke": seed, "manifest": keys.signer().Seed(), "fingerprint": keys.tenants[0].Fingerprint,
		"tid": keys.tenants[0].SealTID, "deident": keys.tenants[0].DeIdent, "kek": bytes.Repeat([]byte{1}, 32),
	} {
		if len(secret) != 32 || bytes.Contains(content, secret) {
			t.Errorf("the %s key lies open", name)
		}
	}
	if !bytes.Contains(content, keys.ca.Certificate().Raw) {
		t.Error("looked in the wrong file")
	}
}

func TestPublicURL(t *testing.T) {
	k := &Keys{installation: store.Installation{Hosts: []string{"::1", "central.example"}}}
	if got := k.PublicURL(&net.TCPAddr{Port: 8443}); got != "https://[::1]:8443" {
		t.Errorf("got %s", got)
	}
	if got := k.PublicURL(&net.UnixAddr{Name: "/run/x"}); got != "https://[::1]:443" {
		t.Errorf("got %s", got)
	}
}

func TestALaneWhoseClockIsBehindCanSeal(t *testing.T) {
	h := start(t)
	if _, err := h.s.Keys().manifestSealingKey(h.clock().Add(-10 * time.Minute)); err != nil {
		t.Errorf("ten minutes behind a new central: %v", err)
	}
}
