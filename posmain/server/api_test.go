package server_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"posd/docs/api"
	"posd/enroll"
	"posd/posmain"
	"posd/posmain/server"
	"posd/posmain/server/storetest"
)

// described is the service behind a recorder that holds it to its document.
type described struct {
	t   *testing.T
	doc *api.Document
	pki authority
}

// serve starts the service on store; the clients are by role.
func (d *described) serve(store server.Store) (url string, client func(enroll.Name) *http.Client) {
	d.t.Helper()
	own := d.pki.credentials(theMain)
	s, err := server.New(server.Config{Credentials: own, Store: store})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.doc.CheckRoutes(s.Routes()); err != nil {
		d.t.Error(err)
	}
	srv := httptest.NewUnstartedServer(d.doc.Recorder(s.Handler(), func(err error) { d.t.Error(err) }))
	srv.TLS = s.TLSConfig()
	srv.TLS.Certificates = []tls.Certificate{own.Certificate} // or httptest would bring its own
	srv.StartTLS()
	d.t.Cleanup(srv.Close)
	return srv.URL, func(who enroll.Name) *http.Client {
		transport := &http.Transport{TLSClientConfig: enroll.ClientConfig(d.pki.credentials(who), theMain)}
		d.t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
}

func TestTheServiceIsWhatItsDocumentSays(t *testing.T) {
	doc, err := api.Load("posmain.yaml")
	if err != nil {
		t.Fatal(err)
	}
	store, err := server.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d := &described{t, doc, newAuthority(t)}
	url, client := d.serve(store)
	lane := client(lane1)

	b := storetest.Basket(1)
	good := marshal(t, b)
	other := b
	other.Operator = "bert"
	const plain = "application/json"
	for _, c := range []struct {
		name, id, kind string
		body           []byte
		status         int
		problem        string
	}{
		{"good", b.ID.String(), plain, good, 200, ""},
		{"again", b.ID.String(), plain + "; charset=utf-8", good, 200, ""},
		{"other content", b.ID.String(), plain, marshal(t, other), 409, posmain.ProblemRevisionConflict},
		{"other id", storetest.Basket(2).ID.String(), plain, good, 400, posmain.ProblemBadRequest},
		{"no id", "7", plain, good, 400, posmain.ProblemBadRequest},
		{"upper case", strings.ToUpper(b.ID.String()), plain, good, 400, posmain.ProblemBadRequest},
		{"no JSON", b.ID.String(), plain, []byte("x"), 400, posmain.ProblemBadRequest},
		{"cut off", b.ID.String(), plain, good[:40], 400, posmain.ProblemBadRequest},
		{"empty", b.ID.String(), plain, nil, 400, posmain.ProblemBadRequest},
		{"text", b.ID.String(), "text/plain", good, 415, posmain.ProblemMediaType},
		{"no type", b.ID.String(), "", good, 415, posmain.ProblemMediaType},
		{"no basket", b.ID.String(), plain, []byte("{}"), 422, posmain.ProblemInvalidBasket},
		{"card number", b.ID.String(), plain, with(good, `"note":"4111 1111 1111 1111"`), 422, posmain.ProblemCardNumber},
		{"too large", b.ID.String(), plain, with(good, `"note":"`+strings.Repeat(" ", posmain.MaxBody)+`"`), 413, posmain.ProblemTooLarge},
	} {
		checkAnswer(t, c.name, put(t, lane, url+posmain.BasketsPath+c.id, c.kind, c.body), c.status, c.problem)
	}
	checkAnswer(t, "other shop", put(t, client(enroll.Name{Tenant: "acme", Shop: "13", Role: enroll.Lane, Lane: "1"}), url+posmain.BasketsPath+b.ID.String(), plain, good), 403, posmain.ProblemForbidden)
	checkAnswer(t, "other path", put(t, lane, url+"/v1/baskets", plain, good), 404, posmain.ProblemNotFound)
	checkAnswer(t, "other method", get(t, lane, url+posmain.BasketsPath+b.ID.String()), 405, posmain.ProblemMethod)
	for _, path := range []string{"/healthz", "/readyz"} {
		checkAnswer(t, path, get(t, lane, url+path), 200, "")
	}
	m := get(t, lane, url+"/metrics")
	for _, line := range []string{`posmaind_alarms_total{kind="card-number"} 1`, `posmaind_alarms_total{kind="revision-conflict"} 1`, `posmaind_alarms_total{kind="basket-conflict"} 0`,
		"posmaind_ready 1", "posmaind_degraded 0", "posmaind_last_basket_timestamp_seconds 1", "posmaind_certificate_expiry_timestamp_seconds 1"} {
		if !strings.Contains(m.body, "\n"+line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
	if m.status != 200 || !strings.Contains(m.body, "\nposmaind_baskets_total 2\n") || !strings.Contains(m.body, "\nposmaind_feed_pending 0\n") {
		t.Errorf("metrics: %d %s", m.status, m.body)
	}

	alarms, err := store.Alarms(t.Context(), 9)
	if err != nil || len(alarms) != 2 || alarms[0].Kind != server.AlarmCardNumber || alarms[0].Digest != "" || strings.Contains(alarms[0].Detail, "1111") {
		t.Errorf("alarms: %+v, %v", alarms, err)
	}
	for status, bad := range map[int]server.Store{503: broken{store}, 507: full{store}} {
		url, client := d.serve(bad)
		resp := put(t, client(lane1), url+posmain.BasketsPath+b.ID.String(), plain, good)
		if resp.header.Get("Retry-After") == "" {
			t.Errorf("%d: no Retry-After", status)
		}
		checkAnswer(t, fmt.Sprint(status), resp, status, "")
		get(t, client(lane1), url+"/healthz")
		get(t, client(lane1), url+"/readyz")
	}
	if unseen := doc.Unseen(); len(unseen) > 0 {
		t.Errorf("described and never seen: %q", unseen)
	}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func put(t *testing.T, c *http.Client, url, kind string, body []byte) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return do(t, c, req)
}

func get(t *testing.T, c *http.Client, url string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, c, req)
}

func do(t *testing.T, c *http.Client, req *http.Request) reply {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func checkAnswer(t *testing.T, name string, r reply, status int, problem string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, problem) || !strings.HasSuffix(r.body, "}\n") {
		t.Errorf("%s: answered %d %s, want %d %s", name, r.status, r.body, status, problem)
	}
	if strings.Contains(r.body, "4111") {
		t.Errorf("%s: the answer repeats the card number: %s", name, r.body)
	}
}
