package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"posd/basket"
	"posd/enroll"
	"posd/identity"
	"posd/posmain"
	"posd/posmain/server"
	"posd/posmain/server/storetest"
)

func TestALaneGetsAReceipt(t *testing.T) {
	w := newWorld(t)
	c := w.lane()
	b := storetest.Basket(1)
	body := marshal(t, b)
	before := time.Now().Add(-time.Second)
	first, err := c.Put(t.Context(), b.ID.String(), body)
	if err != nil {
		t.Fatal(err)
	}
	if first.Revision != 1 || first.Watermark != 1 || len(first.LogID) != 32 || first.LoggedAt.Before(before) || first.Alarm != "" {
		t.Errorf("receipt %+v", first)
	}
	if again, err := c.Put(t.Context(), b.ID.String(), body); err != nil || again != first {
		t.Errorf("sent again: %+v, %v, want %+v", again, err, first)
	}
	tr, err := w.main.Store.Trace(t.Context(), b.ID)
	if err != nil || tr.Lane != (server.Lane{Tenant: "acme", Shop: "12", Lane: "1"}) {
		t.Errorf("logged as of %+v, %v", tr.Lane, err)
	}
	all, err := w.main.Store.Lanes(t.Context())
	if err != nil || len(all) != 1 || all[0].Software != "devel" {
		t.Errorf("lanes: %+v, %v", all, err)
	}
}

func TestRestartKeepsWhatWasReceipted(t *testing.T) {
	w := newWorld(t)
	b := storetest.Basket(1)
	first, err := w.lane().Put(t.Context(), b.ID.String(), marshal(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.main.Stop(); err != nil {
		t.Fatal(err)
	}
	w.start()
	again, err := w.lane().Put(t.Context(), b.ID.String(), marshal(t, b))
	if err != nil || again != first {
		t.Errorf("after a restart: %+v, %v, want %+v", again, err, first)
	}
}

func TestConflictsAreToldAndAlarm(t *testing.T) {
	w := newWorld(t)
	c := w.lane()
	b := storetest.Basket(1)
	if _, err := c.Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil {
		t.Fatal(err)
	}
	content, number := b, b
	content.Operator = "bert"
	number.Revision, number.Sequence = 2, 2
	for want, bad := range map[string]basket.Basket{posmain.ProblemRevisionConflict: content, posmain.ProblemBasketConflict: number} {
		_, err := c.Put(t.Context(), b.ID.String(), marshal(t, bad))
		checkProblem(t, want, err, want, 409)
	}
	twin := storetest.Basket(1)
	if r, err := c.Put(t.Context(), twin.ID.String(), marshal(t, twin)); err != nil || r.Alarm != posmain.AlarmSequenceFork {
		t.Errorf("fork: %+v, %v", r, err)
	}
	if all, err := w.main.Store.Alarms(t.Context(), 10); err != nil || len(all) != 3 {
		t.Errorf("alarms: %+v, %v", all, err)
	}
	for _, alarm := range []string{server.AlarmRevisionConflict, server.AlarmBasketConflict, server.AlarmSequenceFork} {
		if !w.log.await("alarm=" + alarm) {
			t.Errorf("the service's own log is silent about %s", alarm)
		}
	}
}

// Whoever has connected and sent half of something does not hold up the end.
func TestStopDoesNotWaitForStalledLanes(t *testing.T) {
	w := newWorld(t)
	silent, err := net.Dial("tcp", strings.TrimPrefix(w.main.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	begun := time.Now()
	if err := w.main.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 1500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	w.start()
}

// What a certificate may do is told after the handshake; what is not of this
// retailer does not get so far.
func TestOnlyLanesOfThisShopAreTaken(t *testing.T) {
	w := newWorld(t)
	b := storetest.Basket(1)
	put := func(src enroll.Source) error {
		_, err := w.client(src).Put(t.Context(), b.ID.String(), marshal(t, b))
		return err
	}
	for name, who := range map[string]enroll.Name{
		"lane of another shop":  {Tenant: "acme", Shop: "13", Role: enroll.Lane, Lane: "1"},
		"POS main computer":     theMain,
		"other shop's computer": {Tenant: "acme", Shop: "13", Role: enroll.POSMain},
	} {
		err := put(w.pki.credentials(who))
		checkProblem(t, name, err, posmain.ProblemForbidden, 403)
		if err != nil && !strings.Contains(err.Error(), "shop 12") {
			t.Errorf("%s: %v does not say what is wanted", name, err)
		}
	}
	stranger := newAuthority(t).credentials(lane1)
	foreign := *stranger
	foreign.CA = w.pki.ca.Certificate() // trusts the server, is not trusted by it
	for name, src := range map[string]*enroll.Credentials{
		"another retailer": w.pki.credentials(enroll.Name{Tenant: "other", Shop: "12", Role: enroll.Lane, Lane: "1"}),
		"another CA":       &foreign,
		"expired":          w.pki.issue(lane1, time.Now().Add(-time.Hour)),
		"not yet valid":    w.pki.issue(lane1, time.Now().Add(72*time.Hour)),
	} {
		var p *posmain.Problem
		if err := put(src); err == nil || errors.As(err, &p) {
			t.Errorf("%s: got past the handshake: %v", name, err)
		}
	}
	if _, err := w.dial(&tls.Config{InsecureSkipVerify: true}).Put(t.Context(), b.ID.String(), marshal(t, b)); err == nil {
		t.Error("no certificate: taken")
	}
	if _, err := w.main.Store.Trace(t.Context(), b.ID); !errors.Is(err, server.ErrUnknown) {
		t.Errorf("a refused basket is in the log: %v", err)
	}
	if !w.log.await("certificate has expired") {
		t.Error("the log does not say why a handshake failed")
	}
}

func TestTLS12IsRefused(t *testing.T) {
	w := newWorld(t)
	config := enroll.ClientConfig(w.pki.credentials(lane1), theMain)
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	b := storetest.Basket(1)
	if _, err := w.dial(config).Put(t.Context(), b.ID.String(), marshal(t, b)); err == nil {
		t.Error("taken")
	}
}

func TestALaneCannotRunAPOSMainComputer(t *testing.T) {
	pki := newAuthority(t)
	if _, err := server.Start(pki.credentials(lane1), t.TempDir()+"/log.db", nil); err == nil || !strings.Contains(err.Error(), "role posmain") {
		t.Errorf("got %v", err)
	}
}

func TestTwoThousandLines(t *testing.T) {
	w := newWorld(t)
	b := storetest.Basket(1)
	for len(b.Lines) < 2000 {
		l := b.Lines[0]
		l.Number, l.Data, l.Device, l.Problem = len(b.Lines)+1, bytes.Repeat([]byte("x"), 500), strings.Repeat("d", 200), strings.Repeat("p", 400)
		b.Lines = append(b.Lines, l)
	}
	if r, err := w.lane().Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil || r.Revision != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestManyLanesAtOnce(t *testing.T) {
	w := newWorld(t)
	const count, each = 4, 10
	var wg sync.WaitGroup
	for n := range count {
		c := w.client(w.pki.credentials(enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: string(rune('a' + n))}))
		wg.Go(func() {
			for i := range each {
				b := storetest.Basket(uint64(i + 1))
				if r, err := c.Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil || r.Watermark != uint64(i+1) || r.Alarm != "" {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
	all, err := w.main.Store.Lanes(t.Context())
	if err != nil || len(all) != count {
		t.Fatalf("%+v, %v", all, err)
	}
}

// Stop lets a basket that has begun to arrive be logged.
func TestStopDrains(t *testing.T) {
	w := newWorld(t)
	b := storetest.Basket(1)
	body := marshal(t, b)
	transport := &http.Transport{TLSClientConfig: enroll.ClientConfig(w.pki.credentials(lane1), theMain)}
	defer transport.CloseIdleConnections()
	pr, pw := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, w.main.URL+posmain.BasketsPath+b.ID.String(), pr)
	req.Header.Set("Content-Type", "application/json")
	answered := make(chan int, 1)
	go func() {
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	if _, err := pw.Write(body[:10]); err != nil { // returns when the request is under way
		t.Fatal(err)
	}
	waitForRequest(t, w)
	stopped := make(chan error, 1)
	go func() { stopped <- w.main.Stop() }()
	waitUntilClosed(t, w.main.URL)
	pw.Write(body[10:])
	pw.Close()
	if status := <-answered; status != 200 {
		t.Errorf("the basket under way was answered %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	w.start()
	if _, err := w.main.Store.Trace(t.Context(), b.ID); err != nil {
		t.Error(err)
	}
}

// waitForRequest returns once the server has surely begun with the requests
// that were sent before: it answers another one.
func waitForRequest(t *testing.T, w *world) {
	t.Helper()
	b := storetest.Basket(2)
	if _, err := w.lane().Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil {
		t.Fatal(err)
	}
}

func waitUntilClosed(t *testing.T, url string) {
	t.Helper()
	for t.Context().Err() == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "https://"))
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestReadOnlyDatabaseAndFullDisk(t *testing.T) {
	w := newWorld(t)
	b := storetest.Basket(1)
	if _, err := w.lane().Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil {
		t.Fatal(err)
	}
	ro, err := server.OpenReadOnly(t.Context(), w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	for _, c := range []struct {
		store   server.Store
		want    string
		status  int
		healthy bool
	}{
		{ro, posmain.ProblemUnavailable, 503, true},
		{full{ro}, posmain.ProblemFull, 507, true},
		{broken{ro}, posmain.ProblemUnavailable, 503, false},
	} {
		c2 := serveStore(t, w.pki, c.store)
		_, err := c2.client.Put(t.Context(), b.ID.String(), marshal(t, b))
		p := checkProblem(t, c.want, err, c.want, c.status)
		if p != nil && (p.RetryAfter == 0 || posmain.Final(err)) {
			t.Errorf("%s: the lane is not told to send again: %+v", c.want, p)
		}
		if got := c2.health(t); (got == 200) != c.healthy {
			t.Errorf("%s: healthz answers %d", c.want, got)
		}
	}
	if tr, err := ro.Trace(t.Context(), b.ID); err != nil || !tr.Revisions[0].Intact() {
		t.Errorf("what was logged before: %+v, %v", tr, err)
	}
}

func TestDatabaseThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	if _, err := server.Open(t.Context(), dir+"/none/log.db"); err == nil || !strings.Contains(err.Error(), "folder does not exist") {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := server.OpenReadOnly(t.Context(), dir+"/log.db"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing log: %v", err)
	}
	s, err := server.Open(t.Context(), dir+"/log.db")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if second, err := server.Open(t.Context(), dir+"/log.db"); err == nil {
		second.Close()
		t.Error("two processes may serve one log")
	}
}

func TestHouseholdOverLanesAndCards(t *testing.T) {
	w := newWorld(t)
	family := identity.NewHHID()
	for i, lane := range []string{"1", "2"} {
		b := storetest.Resolved(storetest.Basket(1), family, identity.MakeDeIdentTID(1, [16]byte{byte(i + 1)}))
		c := w.client(w.pki.credentials(enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: lane}))
		if _, err := c.Put(t.Context(), b.ID.String(), marshal(t, b)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]identity.DeIdentTID{}
	err := w.main.Store.History(t.Context(), server.Query{HHID: family}, func(g server.Logged) error {
		seen[g.Lane.Lane] = g.Basket.DeIdentTID
		return nil
	})
	if err != nil || len(seen) != 2 || seen["1"] == seen["2"] {
		t.Errorf("%v, %v", seen, err)
	}
}

func checkProblem(t *testing.T, name string, err error, want string, status int) *posmain.Problem {
	t.Helper()
	p, ok := errors.AsType[*posmain.Problem](err)
	if !ok || p.Type != want || p.Status != status || p.Title == "" {
		t.Errorf("%s: got %v (%+v), want %s, %d", name, err, p, want, status)
		return nil
	}
	return p
}

// site is a POS main computer with a store of its own making.
type site struct {
	client *posmain.Client
	http   *http.Client
	url    string
}

func serveStore(t *testing.T, pki authority, store server.Store) site {
	t.Helper()
	s, err := server.New(server.Config{Credentials: pki.credentials(theMain), Store: store})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-ended })
	config := enroll.ClientConfig(pki.credentials(lane1), theMain)
	url := "https://" + ln.Addr().String()
	c, err := posmain.NewClient(url, config)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(func() { c.Close(); transport.CloseIdleConnections() })
	return site{c, &http.Client{Transport: transport}, url}
}

func (s site) health(t *testing.T) int {
	t.Helper()
	resp, err := s.http.Get(s.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
