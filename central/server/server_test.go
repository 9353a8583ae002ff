package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"posd/central"
	"posd/central/server"
	"posd/central/server/servertest"
	"posd/central/server/store"
	"posd/enctid"
	"posd/enroll"
	"posd/identity"
	"posd/tid"
)

// lane seals and asks as posd does, over real connections.
type lane struct {
	client *central.Client
	sealer *enctid.Epoch
}

func newLane(t testing.TB, c *servertest.Central, shop, number string) *lane {
	t.Helper()
	return laneOf(t, c, c.Enrol(t, shop, number))
}

func laneOf(t testing.TB, c *servertest.Central, credentials *enroll.Store) *lane {
	t.Helper()
	return laneAt(t, c.LookupURL, credentials)
}

func laneAt(t testing.TB, address string, credentials *enroll.Store) *lane {
	t.Helper()
	client, err := central.NewClient(address, enroll.ClientConfig(credentials, enroll.Name{Role: enroll.Central}))
	must(t, err)
	t.Cleanup(client.Close)
	own := credentials.Current()
	signed, err := client.Manifest(t.Context(), 0)
	must(t, err)
	m, err := signed.Verify(own.ManifestKey, time.Now(), 0)
	must(t, err)
	key, err := m.SealingKey(time.Now())
	must(t, err)
	epoch, err := enctid.NewEpoch(enctid.PublicKey{ID: enctid.KeyID(key.ID), Key: key.PublicKey}, enctid.Binding{Tenant: own.Name.Tenant, Lane: own.Name.LaneName()})
	must(t, err)
	return &lane{client, epoch}
}

func (l *lane) request(t testing.TB, number string) central.Request {
	t.Helper()
	secret, err := tid.NewPayment([]byte(number))
	must(t, err)
	defer secret.Wipe()
	req := central.Request{Basket: uuid.New(), Swipe: 1, SealedAt: time.Now().UnixMilli()}
	req.EncTID, err = l.sealer.Seal(secret, enctid.Context{Basket: req.Basket, Swipe: req.Swipe, SealedAt: req.SealedAt})
	must(t, err)
	return req
}

// ask sends enc along once central asks for it.
func (l *lane) ask(ctx context.Context, req central.Request) (central.Answer, error) {
	a, err := l.client.Resolve(ctx, req)
	if p, ok := errors.AsType[*central.Problem](err); ok && p.Type == central.ProblemUnknownEpoch {
		if req.EncTID, err = enctid.WithEnc(req.EncTID, l.sealer.Enc()); err == nil {
			a, err = l.client.Resolve(ctx, req)
		}
	}
	return a, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const visa, mastercard = "4111111111111111", "5555555555554444"

func TestOverRealConnections(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	a, b := newLane(t, c, "12", "1"), newLane(t, c, "12", "2")
	first, err := a.ask(t.Context(), a.request(t, visa))
	must(t, err)
	second, err := b.ask(t.Context(), b.request(t, visa))
	must(t, err)
	if first.HHID != second.HHID || first.DeIdentTID != second.DeIdentTID || first.State != identity.Resolved {
		t.Errorf("two lanes: %+v, %+v", first, second)
	}
	if skew, known := a.client.Skew(); !known || skew.Abs() > 2*time.Second {
		t.Errorf("skew %v, %v", skew, known)
	}
}

func TestBatchOverRealConnections(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	l := newLane(t, c, "12", "1")
	single, err := l.ask(t.Context(), l.request(t, visa))
	must(t, err)
	all := []central.Request{l.request(t, visa), l.request(t, mastercard), l.request(t, visa)}
	all[1].Swipe++ // not what was sealed
	got, err := l.client.ResolveBatch(t.Context(), all)
	must(t, err)
	for i, result := range got {
		p, refused := errors.AsType[*central.Problem](result.Err)
		if i == 1 && (!refused || p.Type != central.ProblemEncTIDRejected) || i != 1 && (result.Err != nil || result.Answer.HHID != single.HHID || result.Answer.Basket != all[i].Basket) {
			t.Errorf("item %d: %+v", i, result)
		}
	}
}

func TestRestartKeepsHouseholds(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	credentials := c.Enrol(t, "12", "1")
	l := laneOf(t, c, credentials)
	before, err := l.ask(t.Context(), l.request(t, visa))
	must(t, err)
	c.Restart(t, nil)
	l = laneOf(t, c, credentials)
	after, err := l.ask(t.Context(), l.request(t, visa))
	must(t, err)
	if after.HHID != before.HHID || after.DeIdentTID != before.DeIdentTID {
		t.Errorf("%+v, then %+v", before, after)
	}
}

func TestOneHouseholdForManyLanesAtOnce(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	lanes := make([]*lane, 8)
	for i := range lanes {
		lanes[i] = newLane(t, c, "12", string(rune('a'+i)))
	}
	requests := make([]central.Request, 64)
	for i := range requests {
		requests[i] = lanes[i%len(lanes)].request(t, visa)
	}
	answers := make([]central.Answer, len(requests))
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			var err error
			if answers[i], err = lanes[i%len(lanes)].ask(t.Context(), requests[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		if a.HHID != answers[0].HHID {
			t.Errorf("households %v and %v", a.HHID, answers[0].HHID)
		}
	}
}

func TestRevocationByAnotherProcess(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	l := newLane(t, c, "12", "1")
	command, err := store.Open(t.Context(), c.Database, false)
	must(t, err)
	defer command.Close()
	must(t, command.Revoke(t.Context(), store.Act{}, enroll.Name{Tenant: servertest.Tenant, Shop: "12", Role: enroll.Lane, Lane: "1"}))
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := l.client.Manifest(t.Context(), 0)
		if p, ok := errors.AsType[*central.Problem](err); ok && p.Type == central.ProblemRevoked {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("still served after ten seconds: %v", err)
		}
	}
}

// until asks again and again, for ten seconds at most, until what it gets is as wanted.
func until(t *testing.T, as string, wanted func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !wanted() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not %s after ten seconds", as)
		}
	}
}

func TestQuarantineOnAnOpenConnection(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	credentials := c.Enrol(t, "12", "1")
	l, other := laneOf(t, c, credentials), newLane(t, c, "12", "2")
	for _, one := range []*lane{l, other} {
		_, err := one.ask(t.Context(), one.request(t, visa))
		must(t, err)
	}
	command, err := store.Open(t.Context(), c.Database, false)
	must(t, err)
	defer command.Close()
	name := enroll.Name{Tenant: servertest.Tenant, Shop: "12", Role: enroll.Lane, Lane: "1"}
	must(t, command.Quarantine(t.Context(), store.Act{}, name, true))
	until(t, "refused", func() bool {
		_, err := l.ask(t.Context(), l.request(t, visa))
		p, ok := errors.AsType[*central.Problem](err)
		return ok && p.Type == central.ProblemQuarantined && p.RetryAfter > time.Minute
	})
	_, err = l.client.Manifest(t.Context(), 0)
	must(t, err) // it keeps its keys fresh
	_, err = other.ask(t.Context(), other.request(t, visa))
	must(t, err)
	must(t, command.Quarantine(t.Context(), store.Act{}, name, false))
	until(t, "answered", func() bool {
		_, err := l.ask(t.Context(), l.request(t, visa))
		return err == nil
	})
	must(t, command.Quarantine(t.Context(), store.Act{}, name, true))
	c.Restart(t, nil)
	fresh := laneOf(t, c, credentials)
	if _, err := fresh.ask(t.Context(), fresh.request(t, visa)); err == nil {
		t.Error("a restart released it")
	}
}

func TestActivityOfALane(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	l := newLane(t, c, "12", "1")
	for range 3 {
		_, err := l.ask(t.Context(), l.request(t, visa))
		must(t, err)
	}
	broken := l.request(t, visa)
	broken.Swipe++
	_, err := l.ask(t.Context(), broken)
	if err == nil {
		t.Fatal("an EncTID of another swipe was opened")
	}
	seen := func() store.Activity {
		machines, err := c.Store.Machines(t.Context(), time.Now())
		must(t, err)
		for _, m := range machines {
			if m.Lane == "1" && m.Activity != nil {
				return *m.Activity
			}
		}
		return store.Activity{}
	}
	if a := seen(); a.Lookups != 0 {
		t.Errorf("told before it was time: %+v", a)
	}
	must(t, c.Server.Flush(t.Context()))
	must(t, c.Server.Flush(t.Context())) // the same is not told twice
	a := seen()
	if a.Lookups < 4 || a.Unknown != 1 || a.Failed != 1 || a.Software == "" || len(a.Epoch) != 8 || time.Since(a.Seen) > time.Minute || time.Since(a.EpochSince) > time.Minute {
		t.Errorf("activity %+v", a)
	}
	_, err = l.ask(t.Context(), l.request(t, visa))
	must(t, err)
	c.Restart(t, nil) // a server that ends tells what it has seen
	if b := seen(); b.Lookups != a.Lookups+1 {
		t.Errorf("%d lookups, then %d", a.Lookups, b.Lookups)
	}
}

func TestHandshakesRefused(t *testing.T) {
	t.Parallel()
	c, foreign := servertest.Start(t, nil), servertest.Start(t, nil)
	stranger := foreign.Enrol(t, "12", "1")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if resp, err := client.Post(c.LookupURL+central.ManifestPath, "application/json", strings.NewReader("{}")); err == nil {
		t.Errorf("without a certificate: %s", resp.Status)
	}
	unchecked := enroll.ClientConfig(stranger, enroll.Name{Role: enroll.Central})
	unchecked.VerifyConnection = nil
	for _, address := range []string{c.LookupURL, c.OperationsURL} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: unchecked}}
		if resp, err := client.Get(address + "/healthz"); err == nil {
			t.Errorf("%s, with a certificate of another central: %s", address, resp.Status)
		}
	}
	unchecked = &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
	if resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: unchecked}}).Get(c.OperationsURL + "/healthz"); err == nil {
		t.Errorf("TLS 1.2: %s", resp.Status)
	}
	anybody := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer anybody.CloseIdleConnections()
	resp, err := anybody.Get(c.OperationsURL + "/metrics")
	must(t, err)
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "centrald_lookups_total") {
		t.Errorf("metrics without a certificate: %s, %v", resp.Status, err)
	}
}

// slow is a store in which the first household takes until release is closed.
type slow struct {
	store.Store
	once             sync.Once
	arrived, release chan struct{}
}

func (s *slow) Add(ctx context.Context, t store.TID) (store.Entry, bool, error) {
	s.once.Do(func() {
		close(s.arrived)
		<-s.release
	})
	return s.Store.Add(ctx, t)
}

func TestRequestsInFlightAreAnsweredAtTheEnd(t *testing.T) {
	t.Parallel()
	st := &slow{arrived: make(chan struct{}), release: make(chan struct{})}
	c := servertest.Start(t, func(o *server.Options) {
		st.Store = o.Store
		o.Store = st
	})
	l := newLane(t, c, "12", "1")
	req := l.request(t, visa)
	var err error
	req.EncTID, err = enctid.WithEnc(req.EncTID, l.sealer.Enc())
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		if a, err := l.client.Resolve(t.Context(), req); err != nil || a.HHID.IsZero() {
			t.Errorf("in flight: %+v, %v", a, err)
		}
	})
	<-st.arrived
	address := strings.TrimPrefix(c.LookupURL, "https://")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.Stop()
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for conn, err := net.Dial("tcp", address); err == nil; conn, err = net.Dial("tcp", address) {
		conn.Close()
		<-tick.C // until the listener is closed
	}
	close(st.release)
	wg.Wait()
	<-stopped
}

func TestFailingListenerEndsTheServer(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	s, err := server.New(server.Options{Store: c.Store, Keys: c.Keys})
	must(t, err)
	closed, open := listen(t), listen(t)
	closed.Close()
	if err := s.Run(t.Context(), closed, open, nil); err == nil {
		t.Error("it ran without a listener")
	}
	if _, err := net.Dial("tcp", open.Addr().String()); err == nil {
		t.Error("the other listener is still open")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

// Whoever has connected and said nothing, or half of something, does not hold up
// the end, and is no error of it.
func TestStalledCallersAreCutOff(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	silent, err := net.Dial("tcp", strings.TrimPrefix(c.OperationsURL, "https://"))
	must(t, err)
	defer silent.Close()
	config := enroll.ClientConfig(c.Enrol(t, "12", "1"), enroll.Name{Role: enroll.Central})
	half, err := tls.Dial("tcp", strings.TrimPrefix(c.LookupURL, "https://"), config)
	must(t, err)
	defer half.Close()
	_, err = half.Write([]byte("POST /v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"))
	must(t, err)
	begun := time.Now()
	c.Stop() // fails the test if the server ends with an error
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
