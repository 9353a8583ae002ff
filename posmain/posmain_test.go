package posmain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const testID = "0191f0a0-0000-7000-8000-000000000001"

// answering returns a client of a TLS server that answers every request with h.
func answering(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	c, err := NewClient(srv.URL+"/", srv.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestPutSendsTheBodyAndReadsTheReceipt(t *testing.T) {
	body := []byte(`{"v":1}`)
	want := Receipt{Basket: testID, Revision: 2, Digest: Digest(body), LogID: "l", Watermark: 7, LoggedAt: time.Unix(1, 0).UTC(), Alarm: AlarmSequenceFork}
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if r.Method != "PUT" || r.URL.Path != "/v1/baskets/"+testID || string(got) != string(body) || r.Header.Get("Content-Type") != "application/json" ||
			!strings.HasPrefix(r.UserAgent(), "posd/") {
			t.Errorf("got %s %s %q", r.Method, r.URL, got)
		}
		json.NewEncoder(w).Encode(want)
	})
	got, err := c.Put(t.Context(), testID, body)
	if err != nil || got != want {
		t.Fatalf("Put = %+v, %v, want %+v", got, err, want)
	}
}

func TestPutRefusesAReceiptForSomethingElse(t *testing.T) {
	good := Receipt{Basket: testID, Revision: 1, Digest: Digest([]byte("{}")), LogID: "l", LoggedAt: time.Unix(1, 0)}
	for name, spoil := range map[string]func(*Receipt){
		"other basket":  func(r *Receipt) { r.Basket = "x" },
		"other content": func(r *Receipt) { r.Digest = Digest(nil) },
		"no log id":     func(r *Receipt) { r.LogID = "" },
		"no time":       func(r *Receipt) { r.LoggedAt = time.Time{} },
	} {
		bad := good
		spoil(&bad)
		c := answering(t, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(bad) })
		if r, err := c.Put(t.Context(), testID, []byte("{}")); err == nil {
			t.Errorf("%s: taken as %+v", name, r)
		}
	}
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	if r, err := c.Put(t.Context(), testID, []byte("{}")); err == nil {
		t.Errorf("a page of HTML was taken as %+v", r)
	}
}

func TestPutReturnsProblems(t *testing.T) {
	for _, tc := range []struct {
		status            int
		kind, body, retry string
		wantType, text    string
		final             bool
		after             time.Duration
	}{
		{409, "application/problem+json", `{"type":"` + ProblemRevisionConflict + `","status":200,"title":"revision conflict","detail":"d"}`, "", ProblemRevisionConflict, "revision conflict: d (HTTP 409)", true, 0},
		{503, "application/problem+json; charset=utf-8", `{"type":"` + ProblemUnavailable + `","title":"busy"}`, "3", ProblemUnavailable, "busy (HTTP 503)", false, 3 * time.Second},
		{502, "text/html", "<html>4111111111111111", "soon", "about:blank", "bad gateway (HTTP 502)", false, 0},
		{422, "application/problem+json", `{"type":"` + ProblemCardNumber + `","title":"t"}`, "", ProblemCardNumber, "t (HTTP 422)", true, 0},
		{403, "application/problem+json", `{"type":"` + ProblemForbidden + `","title":"t"}`, "", ProblemForbidden, "t (HTTP 403)", false, 0},
		{400, "text/plain", `bad`, "", "about:blank", "bad request (HTTP 400)", false, 0},
		{429, "application/problem+json", "{", "99999999", "about:blank", "too many requests (HTTP 429)", false, time.Hour},
		{308, "text/html", "", "", "about:blank", "permanent redirect (HTTP 308)", false, 0},
	} {
		c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tc.kind)
			w.Header().Set("Location", "/elsewhere")
			if tc.retry != "" {
				w.Header().Set("Retry-After", tc.retry)
			}
			w.WriteHeader(tc.status)
			io.WriteString(w, tc.body)
		})
		_, err := c.Put(t.Context(), testID, []byte("{}"))
		var p *Problem
		if !errors.As(err, &p) {
			t.Errorf("%d: got %v, want a *Problem", tc.status, err)
			continue
		}
		if p.Type != tc.wantType || p.Status != tc.status || p.Error() != tc.text || Final(err) != tc.final || p.RetryAfter != tc.after {
			t.Errorf("%d: got %+v %q final %v", tc.status, *p, p, Final(err))
		}
	}
}

func TestPutSaysThatNobodyAnswers(t *testing.T) {
	c, err := NewClient("https://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	var p *Problem
	if _, err := c.Put(t.Context(), testID, nil); err == nil || errors.As(err, &p) || Final(err) || !strings.HasPrefix(err.Error(), "put basket: ") {
		t.Errorf("got %v, want a plain error", err)
	}
}

func TestNewClientRefusesOtherAddresses(t *testing.T) {
	for _, a := range []string{"", "pos-main:9443", "http://pos-main:9443", "https://", "https://%zz"} {
		if _, err := NewClient(a, nil); err == nil {
			t.Errorf("NewClient(%q) was taken", a)
		}
	}
}
