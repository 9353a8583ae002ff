package problem

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func answer(status int, kind, retry string) *http.Response {
	h := http.Header{}
	h.Set("Content-Type", kind)
	h.Set("Retry-After", retry)
	return &http.Response{StatusCode: status, Header: h}
}

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		status            int
		kind, retry, body string
		want              Problem
		text              string
	}{
		{409, MediaType, "", `{"type":"urn:x","status":200,"title":"t","detail":"d"}`, Problem{"urn:x", 409, "t", "d", 0}, "t: d (HTTP 409)"},
		{503, MediaType + "; charset=utf-8", "3", `{"type":"urn:x","title":"busy"}`, Problem{"urn:x", 503, "busy", "", 3 * time.Second}, "busy (HTTP 503)"},
		{422, MediaType, "", `{"type":"urn:x"}`, Problem{"urn:x", 422, "unexpected answer", "", 0}, "unexpected answer (HTTP 422)"},
		{422, MediaType, "", `{"type":"urn:x","more":[1]}`, Problem{"urn:x", 422, "unexpected answer", "", 0}, "unexpected answer (HTTP 422)"},
		{502, "text/html", "soon", "<html>4111111111111111", Problem{Foreign, 502, "bad gateway", "", 0}, "bad gateway (HTTP 502)"},
		{403, "application/json", "", `{"type":"urn:x","title":"4111111111111111"}`, Problem{Foreign, 403, "forbidden", "", 0}, "forbidden (HTTP 403)"},
		{429, MediaType, "99999999", "{", Problem{Foreign, 429, "too many requests", "", time.Hour}, "too many requests (HTTP 429)"},
		{400, MediaType, "", `{"title":"no type"}`, Problem{Foreign, 400, "bad request", "", 0}, "bad request (HTTP 400)"},
		{400, MediaType, "", `{"type":"urn:x","title":5,"detail":"d"}`, Problem{Foreign, 400, "bad request", "", 0}, "bad request (HTTP 400)"},
		{400, MediaType, "", "null", Problem{Foreign, 400, "bad request", "", 0}, "bad request (HTTP 400)"},
		{408, "", "-1", "", Problem{Foreign, 408, "request timeout", "", 0}, "request timeout (HTTP 408)"},
		{599, "", "Wed, 21 Oct 2026 07:28:00 GMT", "", Problem{Foreign, 599, "unexpected answer", "", 0}, "unexpected answer (HTTP 599)"},
	} {
		p := Read(answer(tc.status, tc.kind, tc.retry), []byte(tc.body))
		if *p != tc.want || p.Error() != tc.text {
			t.Errorf("%d %s: got %+v, which reads %q", tc.status, tc.body, *p, p)
		}
	}
}

func TestWrite(t *testing.T) {
	for _, tc := range []struct {
		p           Problem
		body, retry string
	}{
		{Problem{"urn:x", 404, "t", "", 0}, `{"type":"urn:x","status":404,"title":"t"}`, ""},
		{Problem{"urn:x", 503, "t", "d", 1500 * time.Millisecond}, `{"type":"urn:x","status":503,"title":"t","detail":"d"}`, "2"},
		{Problem{"urn:x", 429, "", "", time.Nanosecond}, `{"type":"urn:x","status":429,"title":""}`, "1"},
	} {
		w := httptest.NewRecorder()
		tc.p.Write(w)
		h := w.Header()
		if w.Code != tc.p.Status || w.Body.String() != tc.body || h.Get("Retry-After") != tc.retry {
			t.Errorf("%+v: got %d %q, Retry-After %q", tc.p, w.Code, w.Body, h.Get("Retry-After"))
		}
		if h.Get("Content-Type") != MediaType || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%+v: got %v", tc.p, h)
		}
	}
}

// What Read gives has a status, a type and a title, holds nothing of a foreign
// page, and comes back the same after it was written.
func FuzzRead(f *testing.F) {
	f.Add(409, MediaType, "", `{"type":"urn:x","status":200,"title":"t","detail":"d"}`)
	f.Add(503, MediaType+"; charset=utf-8", "3600", `{"type":"urn:x"}`)
	f.Add(502, "text/html", "-1", "<html>")
	f.Add(429, MediaType, "9223372036854775807", "{")
	f.Fuzz(func(t *testing.T, status int, kind, retry, body string) {
		if status < 200 || status > 999 {
			return
		}
		p := Read(answer(status, kind, retry), []byte(body))
		if p.Status != status || p.Type == "" || p.Title == "" || p.RetryAfter < 0 || p.RetryAfter > time.Hour {
			t.Fatalf("got %+v", *p)
		}
		if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(kind)), MediaType) && (p.Type != Foreign || p.Detail != "") {
			t.Fatalf("taken from a page of type %q: %+v", kind, *p)
		}
		w := httptest.NewRecorder()
		p.Write(w)
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("no JSON: %q", w.Body)
		}
		if again := Read(w.Result(), w.Body.Bytes()); *again != *p {
			t.Fatalf("%+v came back as %+v", *p, *again)
		}
	})
}
