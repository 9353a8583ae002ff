package server_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"posd/basket"
	"posd/central"
	"posd/central/server/servertest"
	"posd/central/server/store"
	"posd/enroll"
	"posd/identity"
	"posd/posmain"
	"posd/posmain/server"
	"posd/posmain/server/storetest"
	"posd/tid"
)

// watched is a feed that tells what was acknowledged.
type watched struct {
	server.Feed
	acked chan central.Ack
}

func (w watched) Acknowledge(ctx context.Context, ack central.Ack) error {
	err := w.Feed.Acknowledge(ctx, ack)
	if err == nil {
		select {
		case w.acked <- ack:
		case <-ctx.Done():
		}
	}
	return err
}

// chain is a real central with a POS main computer that follows it.
type chain struct {
	t       *testing.T
	central *servertest.Central
	store   *server.SQLite
	server  *server.Server
	acked   chan central.Ack
	url     string
	dir     string // of the shop's log
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{t: t, central: servertest.Start(t, nil), acked: make(chan central.Ack)}
	own := c.central.Enrol(t, "12", "")
	var err error
	c.dir = t.TempDir()
	if c.store, err = server.Open(t.Context(), filepath.Join(c.dir, "log.db")); err != nil {
		t.Fatal(err)
	}
	if c.server, err = server.New(server.Config{Credentials: own, Store: c.store, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}); err != nil {
		t.Fatal(err)
	}
	client, err := central.NewClient(c.central.OperationsURL, enroll.ClientConfig(own, enroll.Name{Role: enroll.Central}))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.url = "https://" + ln.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- c.server.Serve(ctx, ln) }()
	go func() { c.server.Follow(ctx, watched{client, c.acked}); ended <- nil }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, <-ended, c.store.Close()); err != nil {
			t.Error(err)
		}
		client.Close()
	})
	return c
}

// card makes a card known to central.
func (c *chain) card(number string) (identity.HHID, identity.DeIdentTID) {
	c.t.Helper()
	secret, err := tid.FromCanonical(tid.Payment, []byte(number))
	if err != nil {
		c.t.Fatal(err)
	}
	defer secret.Wipe()
	h, err := c.central.Server.Directory().Link(c.t.Context(), store.Act{}, servertest.Tenant, secret, identity.HHID{})
	if err != nil {
		c.t.Fatal(err)
	}
	found, err := c.central.Store.Household(c.t.Context(), 1, h)
	if err != nil {
		c.t.Fatal(err)
	}
	return h, found.Cards[0].DeIdentTID
}

// done waits until the POS main computer is done with what was changed at central.
func (c *chain) done(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	c.central.Server.Changed()
	<-c.acked
}

func (c *chain) lane(credentials enroll.Source) *posmain.Client {
	c.t.Helper()
	client, err := posmain.NewClient(c.url, enroll.ClientConfig(credentials, enroll.Name{Role: enroll.POSMain}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

func (c *chain) history(q server.Query) (ids []basket.ID) {
	c.t.Helper()
	if err := c.store.History(c.t.Context(), q, func(g server.Logged) error { ids = append(ids, g.ID); return nil }); err != nil {
		c.t.Fatal(err)
	}
	return ids
}

func TestFollowsARealCentral(t *testing.T) {
	c := newChain(t)
	ann, annCard := c.card("4111111111111111")
	bob, bobCard := c.card("5555555555554444")
	credentials := c.central.Enrol(t, "12", "1")
	lane := c.lane(credentials)
	for _, b := range []basket.Basket{storetest.Resolved(storetest.Basket(1), ann, annCard), storetest.Resolved(storetest.Basket(2), bob, bobCard)} {
		if _, err := lane.Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil {
			t.Fatal(err)
		}
	}
	by := store.Act{At: time.Now()}
	_, err := c.central.Store.Merge(t.Context(), by, 1, bob, ann, false)
	c.done(err)
	if got := c.history(server.Query{HHID: ann}); len(got) != 2 {
		t.Errorf("merged: %v", got)
	}
	split, err := c.central.Store.Split(t.Context(), by, 1, ann, []identity.DeIdentTID{bobCard}, false)
	c.done(err)
	if a, b := c.history(server.Query{HHID: ann}), c.history(server.Query{HHID: split.HHID}); len(a) != 1 || len(b) != 1 {
		t.Errorf("split: %v, %v", a, b)
	}

	// A lane that is revoked is refused, on the connection that it has, and still after
	// a restart; it is enrolled again and is good.
	c.done(c.central.Store.Revoke(t.Context(), by, credentials.Current().Name))
	b := storetest.Basket(3)
	_, err = lane.Put(t.Context(), b.ID.String(), marshal(t, b))
	if p, ok := errors.AsType[*posmain.Problem](err); !ok || p.Type != posmain.ProblemRevoked || posmain.Final(err) {
		t.Errorf("a revoked lane: %v", err)
	}
	if all, err := c.store.Revoked(t.Context()); err != nil || len(all) != 1 || all[0] != hex.EncodeToString(credentials.Current().Certificate.Leaf.SerialNumber.Bytes()) {
		t.Errorf("revoked %v, %v", all, err)
	}
	if _, err := c.lane(c.central.Enrol(t, "12", "1")).Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil {
		t.Errorf("enrolled again: %v", err)
	}
}

// An erasure at central takes the person out of the shop's baskets, also of those that
// come later, and the certificate says so; the next swipe is answered opted-out.
func TestErasureReachesTheShop(t *testing.T) {
	c := newChain(t)
	ann, annCard := c.card("4111111111111111")
	lane := c.lane(c.central.Enrol(t, "12", "1"))
	c.central.Enrol(t, "13", "") // a shop that is switched off
	put := func(b basket.Basket) {
		t.Helper()
		if _, err := lane.Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil {
			t.Fatal(err)
		}
	}
	first, late := storetest.Resolved(storetest.Basket(1), ann, annCard), storetest.Resolved(storetest.Basket(2), ann, annCard)
	put(first)
	acme := store.Tenant{ID: 1, Name: servertest.Tenant}
	done, err := c.central.Store.Erase(t.Context(), store.Act{At: time.Now()}, acme, store.Erasing{DeIdent: annCard}, false, func([]store.ErasureLine) error { return nil })
	c.done(errors.Join(err, c.central.Store.Scrub(t.Context())))
	put(late)
	for _, id := range []basket.ID{first.ID, late.ID} {
		tr, err := c.store.Trace(t.Context(), id)
		if err != nil || len(tr.Revisions) != 1 || tr.Revisions[0].State != identity.OptedOut || !tr.Revisions[0].Intact() || bytes.Contains(tr.Revisions[0].Body, []byte(annCard)) {
			t.Errorf("basket %v: %+v, %v", id, tr, err)
		}
	}
	cert, err := c.central.Store.ErasureCertificate(t.Context(), 1, done.Number)
	if err != nil || len(cert.Shops) != 2 || cert.Shops[0].State != store.Acknowledged || cert.Shops[1].State != store.Outstanding || cert.Outstanding != 1 {
		t.Errorf("certificate %+v, %v", cert, err)
	}
	secret, err := tid.FromCanonical(tid.Payment, []byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Wipe()
	if a, err := c.central.Server.Directory().Resolve(t.Context(), servertest.Tenant, secret); err != nil || a.State != identity.OptedOut {
		t.Errorf("the next swipe: %+v, %v", a, err)
	}
	// What told of her household is in no file of the shop, nor her pseudonym with central.
	mac := annCard.MAC()
	for _, dir := range []string{filepath.Dir(c.central.Database), c.dir} {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(text, []byte(ann.String())) || bytes.Contains(text, mac[:]) {
				t.Errorf("%s holds what was erased", path)
			}
		}
	}
}

// Baskets are taken without central, the status says what is not known, and it is
// followed again where it was left.
func TestFollowsAgainWhereItWasLeft(t *testing.T) {
	now := storetest.T0
	s, feed := follower(t, func() time.Time { return now })
	feed.err = errors.New("nobody answers")
	if err := s.FollowOnce(t.Context(), feed); !errors.Is(err, feed.err) {
		t.Fatal(err)
	}
	s.NoteFeed(feed.err)
	if st := s.Status(); st.State != "ready" {
		t.Errorf("at first: %+v", st)
	}
	now = now.Add(server.QuietAfter)
	if st := s.Status(); st.State != "degraded" || len(st.Reasons) != 1 {
		t.Errorf("after a while: %+v", st)
	}
	feed.err = nil
	feed.page = central.Changes{Feed: "f", Next: 5, Changes: []central.Change{{Number: 3, Type: central.Erased, HHID: identity.HHID{1}}}}
	s.NoteFeed(s.FollowOnce(t.Context(), feed))
	if st := s.Status(); st.State != "ready" {
		t.Errorf("again: %+v", st)
	}
	// What cannot be acknowledged is acknowledged later, and only once.
	feed.ackErr = errors.New("cut off")
	if err := s.FollowOnce(t.Context(), feed); !errors.Is(err, feed.ackErr) {
		t.Errorf("%v", err)
	}
	feed.ackErr, feed.page = nil, central.Changes{Feed: "f", After: 5, Next: 5}
	for range 2 {
		if err := s.FollowOnce(t.Context(), feed); err != nil {
			t.Fatal(err)
		}
	}
	if len(feed.acks) != 2 || feed.acks[1] != (central.Ack{Feed: "f", Change: 5}) {
		t.Errorf("acknowledged %+v", feed.acks)
	}
	// A central that was restored meanwhile does not know what is acknowledged.
	feed.page = central.Changes{Feed: "f", After: 5, Next: 9, Changes: []central.Change{{Number: 8, Type: central.Erased, HHID: identity.HHID{2}}}}
	if err := s.FollowOnce(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	feed.ackErr, feed.page = &posmain.Problem{Type: central.ProblemOtherFeed, Status: 409}, central.Changes{Feed: "g", Next: 2}
	if err := s.FollowOnce(t.Context(), feed); err != nil {
		t.Errorf("after a restore: %v", err)
	}
	if st, err := s.Store.FeedStatus(t.Context()); err != nil || st.Feed != "g" || st.Position != 2 || st.Erased != 2 {
		t.Errorf("after a restore: %+v, %v", st, err)
	}
}

// played is a feed of one page.
type played struct {
	page        central.Changes
	err, ackErr error
	acks        []central.Ack
}

func (p *played) Changes(context.Context, string, uint64, time.Duration) (central.Changes, error) {
	return p.page, p.err
}

func (p *played) Acknowledge(_ context.Context, ack central.Ack) error {
	p.acks = append(p.acks, ack)
	return p.ackErr
}

func follower(t *testing.T, now func() time.Time) (*server.Server, *played) {
	t.Helper()
	st, err := server.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	s, err := server.New(server.Config{Credentials: newAuthority(t).credentials(theMain), Store: st, Now: now, Keep: server.Keep{Months: 26}})
	if err != nil {
		t.Fatal(err)
	}
	return s, &played{}
}

func TestBasketsAreKeptForATime(t *testing.T) {
	now := storetest.T0
	s, _ := follower(t, func() time.Time { return now })
	const baskets = 250 // more than one transaction takes
	for n := range uint64(baskets) {
		if _, err := s.Store.Log(t.Context(), storetest.Deliver(t, storetest.Basket(n+1))); err != nil {
			t.Fatal(err)
		}
	}
	last := storetest.Basket(baskets).ClosedAt
	for _, step := range []struct {
		at   time.Time
		want int
	}{
		{last, 0},
		{last.AddDate(0, 26, 0), baskets - 1}, // each was closed a minute after the one before
		{last.AddDate(0, 26, 0).Add(time.Millisecond), 1},
		{last.AddDate(0, 27, 0), 0},
	} {
		now = step.at
		if n, err := s.ExpireNow(t.Context()); n != step.want || err != nil {
			t.Errorf("at %v: %d, %v, want %d", now, n, err, step.want)
		}
	}
}

func TestParseKeep(t *testing.T) {
	for text, want := range map[string]server.Keep{
		"26 months": {Months: 26}, "1 month": {Months: 1}, "2 years": {Months: 24}, "90 days": {Days: 90}, "13 weeks": {Days: 91}, "30 days": {Days: 30},
	} {
		if got, err := server.ParseKeep(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "26", "months", "-1 months", "0 days", "29 days", "4 weeks", "1.5 years", "26 moons", "99999999 days"} {
		if got, err := server.ParseKeep(text); err == nil {
			t.Errorf("%q was taken: %+v", text, got)
		}
	}
}
