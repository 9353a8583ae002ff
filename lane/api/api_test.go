package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"posd/basket"
	openapi "posd/docs/api"
	"posd/journal"
	"posd/lane"
	"posd/msr"
	"posd/scanner"
	"posd/tid"
)

// brittle is a journal that can fail as a full disk does.
type brittle struct {
	lane.Journal
	broken atomic.Bool
}

var errFull = errors.New("the disk is full")

func (j *brittle) AppendLine(ctx context.Context, id basket.ID, l basket.Line, ticks time.Duration) error {
	if j.broken.Load() {
		return errFull
	}
	return j.Journal.AppendLine(ctx, id, l, ticks)
}

func (j *brittle) Outbox(ctx context.Context) (basket.Outbox, error) {
	if j.broken.Load() {
		return basket.Outbox{}, errFull
	}
	return j.Journal.Outbox(ctx)
}

// counter is a running lane with its API.
type counter struct {
	t       testing.TB
	lane    *lane.Lane
	journal *brittle
	server  *Server
	handler http.Handler
	busy    atomic.Bool // somebody listens to the devices
	patient atomic.Bool // who listens to them does so until it is ended
	stop    func()
}

func newCounter(t testing.TB, wrap func(http.Handler) http.Handler) *counter {
	t.Helper()
	return newCounterWith(t, lane.Config{Rules: tid.Rules{Payment: true, Country: "US"}, CloseLabels: []string{"%CLOSE"}}, wrap)
}

func newCounterWith(t testing.TB, cfg lane.Config, wrap func(http.Handler) http.Handler) *counter {
	t.Helper()
	c := &counter{t: t, journal: &brittle{Journal: journal.NewMemory(lane.DefaultPriority())}}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := lane.New(ctx, cfg, lane.Deps{Journal: c.journal})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	c.stop = func() { cancel(); <-done }
	t.Cleanup(c.stop)
	c.lane = l
	c.server = New(l, Program{
		Version: "test", StartedAt: time.Now(),
		Devices: func() []Device {
			return []Device{{Name: "front", Role: "scanner", Driver: "serial-scanner", Port: "/dev/ttyS0", State: "missing", Reason: "/dev/ttyS0 is not there", Remedy: "plug it in",
				Good: 3, Statistics: map[string]uint64{"GoodScanCount": 3}, Refusals: map[string]uint64{"check-digit": 1}, LastRead: time.Unix(1_700_000_000, 0)}}
		},
		Enrolment: func() Enrolment { return Enrolment{} },
		Listen: func(ctx context.Context, device string, ready func(), tell func(any)) error {
			if c.busy.Load() {
				return ErrBusy
			}
			ready()
			tell(map[string]any{"at": time.Unix(0, 0).UTC(), "device": device, "port": "/dev/ttyS0", "transport": "tty", "bytes": 1, "took": 0.5, "made": []string{}})
			if c.patient.Load() {
				<-ctx.Done()
			}
			return nil
		},
		Record: func(ctx context.Context, device string, testCards bool, ready func(), w io.Writer) error {
			if c.busy.Load() {
				return ErrBusy
			}
			ready()
			_, err := fmt.Fprintf(w, "# %s %t\n", device, testCards)
			return err
		},
	}, nil)
	c.handler = c.server
	if wrap != nil {
		c.handler = wrap(c.server)
	}
	return c
}

func (c *counter) ask(method, path, body string) (status int, answer string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// show hands a frame to the lane and waits until it is kept or refused.
func (c *counter) show(f lane.Frame) bool {
	c.t.Helper()
	answered := make(chan bool, 1)
	f.Device, f.At, f.Ack = "front", time.Now(), func(kept bool) { answered <- kept }
	if !c.lane.Offer(f) {
		c.t.Fatal("the lane took no frame")
	}
	return <-answered
}

func (c *counter) scan(label string) bool {
	s := scanner.Decode([]byte(label), scanner.Options{})
	return c.show(lane.Frame{Scan: &s})
}

func document(t testing.TB) *openapi.Document {
	t.Helper()
	doc, err := openapi.Load("posd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDocument holds the handlers and docs/api/posd.yaml together: every
// answer of the document is shown once, and no other.
func TestDocument(t *testing.T) {
	doc := document(t)
	record := func(h http.Handler) http.Handler { return doc.Recorder(h, func(err error) { t.Error(err) }) }
	c := newCounter(t, record)
	if err := doc.CheckRoutes(c.server.Routes()); err != nil {
		t.Error(err)
	}
	step := func(method, path, body string, want int, holds string) {
		t.Helper()
		if status, answer := c.ask(method, path, body); status != want || !strings.Contains(answer, holds) {
			t.Errorf("%s %s %.80s: %d %s; want %d and %q", method, path, body, status, answer, want, holds)
		}
	}
	post := func(path, body string, want int, holds string) { t.Helper(); step("POST", path, body, want, holds) }
	get := func(path string, want int, holds string) { t.Helper(); step("GET", path, "", want, holds) }

	get("/v1/status", 200, `"ok":false`)
	get("/v1/devices", 200, `"missing"`)
	for _, line := range []string{
		`posd_device_reading{device="front",role="scanner",state="missing"} 0`, `posd_device_refusals_total{device="front",role="scanner",code="check-digit"} 1`,
		`posd_device_statistic_total{device="front",role="scanner",name="GoodScanCount"} 3`, "posd_up 1", "posd_outbox_queued 0", "posd_problems 2",
		`posd_device_last_read_timestamp_seconds{device="front",role="scanner"} 1.7e+09`, `posd_link_up{to="central"} 0`,
	} {
		get("/metrics", 200, line)
	}
	get("/v1/listen?device=front&seconds=1", 200, `"device":"front"`)
	get("/v1/listen?device=back", 404, "unknown-device")
	get("/v1/listen?seconds=601", 400, "1 to 600")
	get("/v1/devices/front/recording?test_cards=true", 200, "# front true")
	get("/v1/devices/back/recording", 404, "unknown-device")
	get("/v1/devices/front/recording?seconds=x", 400, "1 to 600")
	c.busy.Store(true)
	get("/v1/listen", 409, "device-busy")
	get("/v1/devices/front/recording", 409, "device-busy")
	c.busy.Store(false)
	get("/v1/basket", 409, "no-basket")
	post("/v1/basket/close", "", 409, "no-basket")
	post("/v1/basket/void", "", 409, "no-basket")
	post("/v1/basket/lines/1/void", "", 409, "no-basket")
	post("/v1/basket/start", `{"kind":"gift"}`, 422, "bad-header")
	post("/v1/basket/start", `{"kind":7}`, 400, "kind must be of JSON type string")
	post("/v1/basket/start", `{"till":"7"}`, 400, "known fields")
	post("/v1/basket/start", `{"transaction":"T-1","business_date":"2026-11-23","operator":"7"}`, 200, `"transaction":"T-1"`)
	post("/v1/basket/lines", `{"label":"033000291452","quantity":3}`, 200, `"quantity":3`)
	post("/v1/basket/lines", `{"label":""}`, 400, "label is missing")
	post("/v1/basket/lines", `{"label":"x","quantity":1e9}`, 400, "quantity")
	post("/v1/basket/lines", `{"label":"x","quantity":2000000}`, 400, "million")
	post("/v1/basket/lines", `{"label":"`+strings.Repeat("9", 70_000)+`"}`, 413, "longer than 65536 bytes")
	post("/v1/basket/lines", `{"label":"4111111111111111"}`, 422, `"code":"not-an-item"`)
	post("/v1/basket/lines", `{"label":"%CLOSE"}`, 422, `"code":"not-an-item"`)
	post("/v1/basket/start", `{"transaction":"T-2"}`, 409, "basket-open")
	post("/v1/basket/start", `{"transaction":"`+strings.Repeat("x", 70_000)+`"}`, 413, "too-large")
	post("/v1/basket/lines/1/void", "", 200, "voided_at")
	post("/v1/basket/lines/1/void", "", 404, "no-such-line")
	post("/v1/basket/lines/0/void", "", 400, "1 or more")
	if !c.scan("4006381333931") {
		t.Error("the scan was not kept")
	}
	get("/v1/basket", 200, `"gtin":"04006381333931"`)
	get("/v1/status", 200, `"lines":2`)
	get("/v1/listen", 409, "close or void it first")
	post("/v1/basket/close", "x", 400, "no JSON")
	post("/v1/basket/void", "{} {}", 400, "one JSON object")
	post("/v1/basket/close", "{}", 200, `"sequence":1`)
	post("/v1/basket/start", "", 200, `"kind":"sale"`)
	post("/v1/basket/void", "", 200, `"outcome":"voided"`)
	get("/v1/outbox", 200, `"queued":2`)
	out, err := c.lane.Outbox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	get("/v1/baskets/"+out.Deliveries[0].Basket.String()+"/trace", 200, `"event":"closed"`)
	get("/v1/baskets/"+basket.NewID().String()+"/trace", 404, "unknown-basket")
	get("/v1/baskets/x/trace", 400, "UUID")
	c.follow()

	get("/v1/nothing", 404, "not-found")
	step("DELETE", "/v1/basket", "", 405, "this path takes GET")

	c.journal.broken.Store(true)
	post("/v1/basket/lines", `{"label":"033000291452"}`, 503, "the disk is full")
	get("/v1/outbox", 503, "the disk is full")
	c.server.streams.Store(maxStreams)
	get("/v1/events", 503, "64 clients")
	c.stop()
	get("/metrics", 200, "posd_up 0")
	get("/v1/listen", 503, "stopping")
	get("/v1/status", 503, "stopping")
	get("/v1/basket", 503, "stopping")
	post("/v1/basket/start", "", 503, "stopping")
	post("/v1/basket/close", "", 503, "stopping")
	post("/v1/basket/void", "", 503, "stopping")
	post("/v1/basket/lines/1/void", "", 503, "stopping")
	strict := newCounterWith(t, lane.Config{OpenByPOS: true}, record)
	if status, answer := strict.ask("POST", "/v1/basket/lines", `{"label":"4111111111111111"}`); status != 422 || !strings.Contains(answer, `"code":"personal"`) {
		t.Errorf("a card number keyed in: %d %s", status, answer)
	}
	if status, answer := strict.ask("POST", "/v1/basket/lines", `{"label":"036000291452"}`); status != 409 {
		t.Errorf("a line without a basket: %d %s", status, answer)
	}
	// Trace goes to the journal alone, which never fails here.
	if unseen := doc.Unseen(); !slices.Equal(unseen, []string{"GET /v1/baskets/{id}/trace 503"}) {
		t.Errorf("answers of the document that no exchange has shown: %q", unseen)
	}
}

// follow passes events of many kinds through the stream.
func (c *counter) follow() {
	c.t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.handler.ServeHTTP(&pipeWriter{ResponseRecorder: httptest.NewRecorder(), w: w}, httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil))
	}()
	var seen strings.Builder
	until := func(what string) {
		b := make([]byte, 1)
		for !strings.Contains(seen.String(), what) {
			if _, err := r.Read(b); err != nil {
				c.t.Fatalf("%q does not come: %v", what, err)
			}
			seen.Write(b)
		}
	}
	until(": posd\n\n")
	c.scan("%CLOSE")
	until("no-basket")
	c.scan("033000291452")
	until(`"upc":"033000291452"`)
	card := msr.Reader{Rules: tid.Rules{Payment: true}}.Read([]byte(";4111111111111111=30121010000000000000?\r"))
	if c.show(lane.Frame{Swipe: &card}) {
		c.t.Error("a lane that is not enrolled kept a swipe")
	}
	until("not-enrolled")
	c.show(lane.Frame{Fault: &lane.Fault{Code: "overrun", Reason: "bytes were lost"}})
	until("overrun")
	c.show(lane.Frame{Key: lane.KeyClose})
	until("basket-closed")
	cancel()
	go io.Copy(io.Discard, r)
	<-done
	if text := seen.String(); strings.Contains(text, "41111111") || !strings.Contains(text, `"last4":"1111"`) {
		c.t.Errorf("the stream tells too much or too little:\n%s", text)
	}
}

// pipeWriter hands on what is written at once.
type pipeWriter struct {
	*httptest.ResponseRecorder
	w *io.PipeWriter
}

func (p *pipeWriter) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p *pipeWriter) Flush()                      {}

func TestProblems(t *testing.T) {
	good := Status{Enrolment: Enrolment{Enrolled: true}, Devices: []Device{{Name: "a", State: Reading}}}
	if p := problems(good); len(p) != 0 {
		t.Errorf("problems of a good lane: %q", p)
	}
	for want, spoil := range map[string]func(*Status){
		"nothing can be kept: disk full": func(s *Status) { s.Lane.JournalError = "disk full" },
		"device a is missing: gone: plug it in": func(s *Status) {
			s.Devices = []Device{{Name: "a", State: "missing", Reason: "gone", Remedy: "plug it in",
				Good: 3, Statistics: map[string]uint64{"GoodScanCount": 3}, Refusals: map[string]uint64{"check-digit": 1}, LastRead: time.Unix(1_700_000_000, 0)}}
		},
		"not enrolled: cards and numbers":                  func(s *Status) { s.Enrolment.Enrolled = false },
		"central's keys: expired":                          func(s *Status) { s.Enrolment.Keys = "expired" },
		"the certificate is not renewed: no":               func(s *Status) { s.Enrolment.Renewal = "no" },
		"the clock: one day off":                           func(s *Status) { s.Enrolment.Clock = "one day off" },
		"central does not answer: refused":                 func(s *Status) { s.Lane.Central = lane.Link{State: "failing", Reason: "refused"} },
		"the POS main computer does not answer: refused":   func(s *Status) { s.Lane.Main = lane.Link{State: "failing", Reason: "refused"} },
		"the POS main computer refused baskets: see posd ": func(s *Status) { s.Lane.Refused = 1 },
	} {
		s := good
		spoil(&s)
		if p := problems(s); len(p) != 1 || !strings.HasPrefix(p[0], want) {
			t.Errorf("problems = %q, want %q", p, want)
		}
	}
}

// FuzzBodies sends any body to every route that takes one: the answer is
// always JSON by the document, and never repeats a long number of the body.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		"", " ", "{}", "[]", "null", `{"label":"033000291452"}`, `{"label":4111111111111111}`, `{"4111111111111111":1}`,
		`{"label":"4111111111111111"}`, `{"kind":"sale","transaction":"\u0000"}`, `{"quantity":1e400}`, `{"label":"\ud800"}`, `{"label":"x"}{}`,
	} {
		f.Add(body)
	}
	doc := document(f)
	failed := make(chan error, 1)
	c := newCounter(f, func(h http.Handler) http.Handler {
		return doc.Recorder(h, func(err error) {
			select {
			case failed <- err:
			default:
			}
		})
	})
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/v1/basket/start", "/v1/basket/lines", "/v1/basket/lines/1/void", "/v1/basket/void"} {
			status, answer := c.ask("POST", path, body)
			if status >= 500 || !json.Valid([]byte(answer)) {
				t.Errorf("POST %s answers %d %s", path, status, answer)
			}
			if status != 200 && bytes.Contains([]byte(answer), []byte("4111111111111111")) {
				t.Errorf("POST %s repeats the body: %s", path, answer)
			}
			select {
			case err := <-failed:
				t.Error(err)
			default:
			}
		}
	})
}
