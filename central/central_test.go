package central

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"posd/identity"
	"posd/traceparent"
)

var (
	request = Request{EncTID: []byte{1, 2}, Basket: uuid.MustParse("0191f0a0-0000-7000-8000-000000000001"), Swipe: 3, SealedAt: 4}
	good    = Answer{Basket: request.Basket, Swipe: 3, State: identity.Resolved, HHID: identity.HHID{1}, DeIdentTID: identity.MakeDeIdentTID(1, [16]byte{2})}
)

// answering returns a client of a TLS server that answers every request with h.
func answering(t *testing.T, h http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	c, err := NewClient(srv.URL+"/", srv.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, srv
}

func TestResolve(t *testing.T) {
	c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		want := `{"enctid":"AQI=","basket":"0191f0a0-0000-7000-8000-000000000001","swipe":3,"sealed_at":4}`
		if r.Method != "POST" || r.URL.Path != ResolvePath || string(body) != want || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Idempotency-Key") != "" {
			t.Errorf("got %s %s %s %v", r.Method, r.URL, body, r.Header)
		}
		json.NewEncoder(w).Encode(good)
	})
	if got, err := c.Resolve(t.Context(), request); err != nil || got != good {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestResolveRefusesBadAnswers(t *testing.T) {
	for name, spoil := range map[string]func(*Answer){
		"other basket":    func(a *Answer) { a.Basket[0]++ },
		"other swipe":     func(a *Answer) { a.Swipe++ },
		"no household":    func(a *Answer) { a.HHID = identity.HHID{} },
		"no pseudonym":    func(a *Answer) { a.DeIdentTID = "" },
		"opted out, ids":  func(a *Answer) { a.State = identity.OptedOut },
		"opted out, hhid": func(a *Answer) { a.State, a.DeIdentTID = identity.OptedOut, "" },
		"state":           func(a *Answer) { a.State = identity.Pending },
		"no state":        func(a *Answer) { a.State = "" },
	} {
		bad := good
		spoil(&bad)
		c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(bad) })
		if a, err := c.Resolve(t.Context(), request); err == nil {
			t.Errorf("%s: taken as %+v", name, a)
		}
	}
	for _, body := range []string{"<html>", `{"hhid":"hh:4111111111111"}`, `{"hhid":5}`, "", strings.Repeat(" ", maxAnswer) + "{}"} {
		c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		if a, err := c.Resolve(t.Context(), request); err == nil || strings.Contains(err.Error(), "4111") {
			t.Errorf("%.20q: %+v, %v", body, a, err)
		}
	}
	out := Answer{Basket: good.Basket, Swipe: 3, State: identity.OptedOut}
	c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(out) })
	if got, err := c.Resolve(t.Context(), request); err != nil || got != out {
		t.Errorf("opted out: %+v, %v", got, err)
	}
}

func TestResolveBatch(t *testing.T) {
	other := request
	other.Swipe = 4
	for _, tc := range []struct {
		name, body string
		want       func(r []Result, err error) bool
	}{
		{"in order", `{"items":[{"answer":` + text(t, good) + `},{"problem":{"type":"` + ProblemQuota + `","status":429,"title":"t"},"retry_after":7}]}`, func(r []Result, err error) bool {
			p, ok := errors.AsType[*Problem](r[1].Err)
			return err == nil && r[0] == Result{Answer: good} && ok && p.RetryAfter == 7*time.Second && p.Status == 429
		}},
		{"out of order", `{"items":[{"problem":{"type":"x","status":422,"title":"t"}},{"answer":` + text(t, good) + `}]}`, func(r []Result, err error) bool {
			return err == nil && r[0].Err != nil && r[1].Err != nil && r[1].Answer == Answer{}
		}},
		{"nothing said", `{"items":[{},{"answer":` + text(t, good) + `,"problem":{"type":"x"}}]}`, func(r []Result, err error) bool {
			return err == nil && r[0].Err != nil && r[1].Err != nil
		}},
		{"too few", `{"items":[{}]}`, func(r []Result, err error) bool { return err != nil }},
	} {
		c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); r.URL.Path != BatchPath || !strings.HasPrefix(string(body), `{"items":[{"enctid":`) {
				t.Errorf("asked %s %s", r.URL, body)
			}
			io.WriteString(w, tc.body)
		})
		if r, err := c.ResolveBatch(t.Context(), []Request{request, other}); !tc.want(r, err) {
			t.Errorf("%s: %+v, %v", tc.name, r, err)
		}
	}
	c, _ := answering(t, http.NotFound)
	_, err := c.ResolveBatch(t.Context(), []Request{request})
	if p, ok := errors.AsType[*Problem](err); !ok || p.Status != 404 {
		t.Errorf("a central that knows no batches: %v", err)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProblems(t *testing.T) {
	for _, tc := range []struct {
		status            int
		kind, body, retry string
		wantType, text    string
		after             time.Duration
	}{
		{409, "application/problem+json", `{"type":"` + ProblemUnknownEpoch + `","status":200,"title":"unknown epoch","detail":"d"}`, "", ProblemUnknownEpoch, "unknown epoch: d (HTTP 409)", 0},
		{503, "application/problem+json; charset=utf-8", `{"type":"` + ProblemUnavailable + `","title":"busy"}`, "3", ProblemUnavailable, "busy (HTTP 503)", 3 * time.Second},
		{502, "text/html", "<html>4111111111111111", "soon", "about:blank", "bad gateway (HTTP 502)", 0},
		{429, "application/problem+json", "{", "99999999", "about:blank", "too many requests (HTTP 429)", time.Hour},
		{408, "", "", "", "about:blank", "request timeout (HTTP 408)", 0},
		{308, "text/html", "", "", "about:blank", "permanent redirect (HTTP 308)", 0},
		{422, "application/problem+json", `{"type":"` + ProblemEncTIDRejected + `"}`, "", ProblemEncTIDRejected, "unexpected answer (HTTP 422)", 0},
	} {
		c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tc.kind)
			w.Header().Set("Location", "/elsewhere")
			if tc.retry != "" {
				w.Header().Set("Retry-After", tc.retry)
			}
			w.WriteHeader(tc.status)
			io.WriteString(w, tc.body)
		})
		_, err := c.Resolve(t.Context(), request)
		p, ok := errors.AsType[*Problem](err)
		if !ok {
			t.Errorf("%d: got %v, want a *Problem", tc.status, err)
			continue
		}
		if p.Type != tc.wantType || p.Status != tc.status || p.Error() != tc.text || p.RetryAfter != tc.after {
			t.Errorf("%d: got %+v %q", tc.status, *p, p)
		}
	}
}

// A refusal names the trace that central's log has of it.
func TestRequestsBelongToATrace(t *testing.T) {
	seen := map[traceparent.ID]bool{}
	var last traceparent.ID
	c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		last = traceparent.Of(r)
		seen[last] = true
		(&Problem{Type: ProblemUnavailable, Status: http.StatusServiceUnavailable, Title: "no"}).Write(w)
	})
	for range 3 {
		if _, err := c.Manifest(t.Context(), 0); last.IsZero() || err == nil || !strings.Contains(err.Error(), last.String()) {
			t.Errorf("trace %s, error %v", last, err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d traces of 3 requests", len(seen))
	}
}

func TestSkew(t *testing.T) {
	var date atomic.Value
	date.Store("")
	c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = []string{date.Load().(string)}
		json.NewEncoder(w).Encode(good)
	})
	ask := func() (time.Duration, bool) {
		t.Helper()
		if _, err := c.Resolve(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		return c.Skew()
	}
	if d, known := ask(); known {
		t.Errorf("a skew of %v from no date", d)
	}
	for _, want := range []time.Duration{24 * time.Hour, -24 * time.Hour, 0} {
		date.Store(time.Now().Add(want).UTC().Format(http.TimeFormat))
		if got, known := ask(); !known || (got-want).Abs() > 3*time.Second {
			t.Errorf("skew %v, %v, want %v", got, known, want)
		}
	}
}

// TestDeadConnection kills a kept-alive connection while the next request is
// being written to it, as a restart of central does.
func TestDeadConnection(t *testing.T) {
	var calls atomic.Int32
	c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 2 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
			return
		}
		json.NewEncoder(w).Encode(good)
	})
	for i := range 2 {
		if _, err := c.Resolve(t.Context(), request); err != nil {
			t.Errorf("request %d: %v", i+1, err)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls, want 3", calls.Load())
	}
}

func TestNobodyAnswers(t *testing.T) {
	c, err := NewClient("https://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Resolve(t.Context(), request)
	if _, ok := errors.AsType[*Problem](err); ok || err == nil || !strings.HasPrefix(err.Error(), "resolve: ") {
		t.Errorf("got %v, want a plain error", err)
	}
	if _, err := c.Manifest(t.Context(), 1); err == nil || !strings.HasPrefix(err.Error(), "fetch manifest: ") {
		t.Errorf("got %v", err)
	}
}

func TestNewClientRefusesOtherAddresses(t *testing.T) {
	for _, a := range []string{"", "central:8443", "http://central:8443", "https://", "https://%zz", "https://h/?a=b", "https://h/#f"} {
		if _, err := NewClient(a, nil); err == nil {
			t.Errorf("NewClient(%q) was taken", a)
		}
	}
}

func TestFetchManifest(t *testing.T) {
	want := Signed{Manifest: []byte("m"), Signature: []byte("s")}
	c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != ManifestPath || string(body) != `{"version":7}` {
			t.Errorf("got %s %s", r.URL, body)
		}
		json.NewEncoder(w).Encode(want)
	})
	got, err := c.Manifest(t.Context(), 7)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v", got, err)
	}
}
