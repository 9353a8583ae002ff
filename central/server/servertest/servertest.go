// Package servertest runs a real central within a test: SQLite in a temporary
// folder or a database on a server, both listeners on loopback, real certificates.
package servertest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"posd/central"
	"posd/central/server"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/enroll"
)

// Tenant is the retailer of every central made here.
const Tenant = "acme"

// Central is a running central.
type Central struct {
	Server        *server.Server
	Store         *store.SQL
	Keys          *server.Keys
	KEK           vault.KEK
	Database      string // as store.Open takes it
	LookupURL     string
	OperationsURL string

	stop func()
}

// Start runs a new central until the test ends. change, if not nil, changes the
// options that it is made with.
func Start(t testing.TB, change func(*server.Options)) *Central {
	t.Helper()
	return StartOn(t, filepath.Join(t.TempDir(), "central.db"), change)
}

// StartOn is Start on an empty database that store.Open takes.
func StartOn(t testing.TB, database string, change func(*server.Options)) *Central {
	t.Helper()
	key := make([]byte, vault.KeySize)
	rand.Read(key)
	kek, err := vault.New(key)
	must(t, err)
	c := &Central{KEK: kek, Database: database}
	st, err := store.Open(t.Context(), c.Database, false)
	must(t, err)
	must(t, server.Init(t.Context(), st, kek, server.Setup{Tenant: Tenant, Hosts: []string{"127.0.0.1"}, Now: time.Now()}))
	must(t, st.Close())
	c.Restart(t, change)
	return c
}

// Replica runs another central on the same database, which is on a server.
func (c *Central) Replica(t testing.TB, change func(*server.Options)) *Central {
	t.Helper()
	r := &Central{KEK: c.KEK, Database: c.Database}
	r.Restart(t, change)
	return r
}

// Restart stops the central, if it runs, and starts another one on the same
// database, at other ports.
func (c *Central) Restart(t testing.TB, change func(*server.Options)) {
	t.Helper()
	c.Stop()
	var err error
	c.Store, err = store.Open(t.Context(), c.Database, true)
	must(t, err)
	c.Keys, err = server.OpenKeys(t.Context(), c.Store, c.KEK)
	must(t, err)
	lookups, operations := listen(t), listen(t)
	c.LookupURL, c.OperationsURL = c.Keys.PublicURL(lookups.Addr()), c.Keys.PublicURL(operations.Addr())
	opt := server.Options{
		Store: c.Store, Keys: c.Keys, LookupURL: c.LookupURL, OperationsURL: c.OperationsURL,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&opt)
	}
	c.Server, err = server.New(opt)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- c.Server.Run(ctx, lookups, operations, func() { close(ready) }) }()
	c.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("central ended: %v", err)
		}
		c.Store.Close()
	}
	t.Cleanup(c.Stop)
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("central did not start: %v", err)
	}
}

// Stop ends the central.
func (c *Central) Stop() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// Token makes an enrolment token that is good for an hour.
func (c *Central) Token(t testing.TB, name enroll.Name) enroll.Token {
	t.Helper()
	newToken, err := server.TokenMaker(t.Context(), c.Store)
	must(t, err)
	token := newToken()
	now := time.Now()
	must(t, c.Store.CreateTokens(t.Context(), store.Act{At: now}, []store.Token{{Hash: token.Hash(), Name: name, ExpiresAt: now.Add(time.Hour)}}, false))
	return token
}

// Enrol enrols a lane, or with lane "" a POS main computer, and returns its
// credentials.
func (c *Central) Enrol(t testing.TB, shop, lane string) *enroll.Store {
	t.Helper()
	credentials, err := enroll.Load(c.EnrolIn(t, shop, lane))
	must(t, err)
	return credentials
}

// EnrolIn is Enrol for a process that loads the credentials from a folder.
func (c *Central) EnrolIn(t testing.TB, shop, lane string) (folder string) {
	t.Helper()
	name := enroll.Name{Tenant: Tenant, Shop: shop, Role: enroll.Lane, Lane: lane}
	if lane == "" {
		name.Role = enroll.POSMain
	}
	dir := filepath.Join(t.TempDir(), "credentials")
	_, err := enroll.Enroll(t.Context(), c.OperationsURL, c.Token(t, name), name.Role, dir)
	must(t, err)
	return dir
}

// Client is a client of the lookups with a machine's credentials.
func (c *Central) Client(t testing.TB, credentials enroll.Source) *central.Client {
	t.Helper()
	client, err := central.NewClient(c.LookupURL, enroll.ClientConfig(credentials, enroll.Name{Role: enroll.Central}))
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
