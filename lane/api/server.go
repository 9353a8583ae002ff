package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posd/basket"
	"posd/lane"
	"posd/strictjson"
)

const (
	maxBody      = 64 << 10
	writeTimeout = 10 * time.Second // for an answer, and for each event of a stream
	stopTimeout  = 300 * time.Millisecond
)

// Server serves a lane's API.
type Server struct {
	lane    Lane
	program Program
	log     *slog.Logger
	mux     *http.ServeMux
	routes  []string

	stopping chan struct{}
	stopOnce sync.Once
	streams  atomic.Int32
}

// New makes a server. A nil log discards.
func New(l Lane, p Program, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{lane: l, program: p, log: log, mux: http.NewServeMux(), stopping: make(chan struct{})}
	s.handle("GET /v1/status", func(r *http.Request) (any, error) { return s.status(r.Context()) })
	s.handle("GET /v1/basket", s.current)
	s.handle("POST /v1/basket/start", s.start)
	s.handle("POST /v1/basket/close", s.end(l.Close))
	s.handle("POST /v1/basket/void", s.end(l.Void))
	s.handle("POST /v1/basket/lines", s.addLine)
	s.handle("POST /v1/basket/lines/{n}/void", s.voidLine)
	s.handle("GET /v1/devices", func(*http.Request) (any, error) {
		return map[string][]Device{"devices": s.devices()}, nil
	})
	s.handle("GET /v1/outbox", s.outbox)
	s.handle("GET /v1/baskets/{id}/trace", s.trace)
	s.route("GET /v1/events", s.events)
	s.route("GET /v1/listen", s.heard)
	s.route("GET /v1/devices/{name}/recording", s.recording)
	s.route("GET /metrics", s.metrics)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { newProblem(ProblemNotFound, "").write(w) })
	return s
}

// Routes gives the routes served, as http.ServeMux writes them.
func (s *Server) Routes() []string { return slices.Clone(s.routes) }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// route adds a route, and an answer to other methods at its path.
func (s *Server) route(pattern string, h http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	s.routes = append(s.routes, pattern)
	s.mux.HandleFunc(pattern, h)
	s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", method)
		newProblem(ProblemMethod, "this path takes "+method).write(w)
	})
}

// handle adds a route whose answer is JSON.
func (s *Server) handle(pattern string, h func(*http.Request) (any, error)) {
	s.route(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		v, err := h(r)
		if err != nil {
			problemOf(err).write(w)
			return
		}
		body, err := json.Marshal(v)
		if err != nil {
			s.log.Error("write an answer", "path", r.URL.Path, "err", err)
			problemOf(err).write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(append(body, '\n')) // a client that has gone needs no answer
	})
}

// read reads a JSON object into v; an empty body leaves v as it is.
func read(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return explain(err)
	}
	if len(body) == 0 {
		return nil
	}
	if err := strictjson.Unmarshal(body, v); err != nil {
		return explain(err)
	}
	return nil
}

// wire is a basket as it is sent, with empty lists for none.
func wire(b basket.Basket) basket.Basket {
	if b.Lines == nil {
		b.Lines = []basket.Line{}
	}
	if b.Identities == nil {
		b.Identities = []basket.Identity{}
	}
	return b
}

func (s *Server) current(r *http.Request) (any, error) {
	b, open, err := s.lane.Current(r.Context())
	switch {
	case err != nil:
		return nil, err
	case !open:
		return nil, basket.ErrNotOpen
	}
	return wire(b), nil
}

func (s *Server) start(r *http.Request) (any, error) {
	var h lane.Header
	if err := read(r, &h); err != nil {
		return nil, err
	}
	b, err := s.lane.Start(r.Context(), h)
	return wire(b), err
}

func (s *Server) end(end func(context.Context) (basket.Basket, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		if err := read(r, &struct{}{}); err != nil {
			return nil, err
		}
		b, err := end(r.Context())
		return wire(b), err
	}
}

func (s *Server) addLine(r *http.Request) (any, error) {
	var l NewLine
	if err := read(r, &l); err != nil {
		return nil, err
	}
	if l.Label == "" {
		return nil, newProblem(ProblemBadRequest, "label is missing")
	}
	if l.Quantity < -maxQuantity || l.Quantity > maxQuantity {
		return nil, newProblem(ProblemBadRequest, "quantity is beyond one million pieces")
	}
	b, err := s.lane.AddLine(r.Context(), l.Label, l.Quantity)
	return wire(b), err
}

const maxQuantity = 1_000_000

func (s *Server) voidLine(r *http.Request) (any, error) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 1 {
		return nil, newProblem(ProblemBadRequest, "the line's number must be 1 or more")
	}
	if err := read(r, &struct{}{}); err != nil {
		return nil, err
	}
	b, err := s.lane.VoidLine(r.Context(), n)
	return wire(b), err
}

func (s *Server) outbox(r *http.Request) (any, error) {
	out, err := s.lane.Outbox(r.Context())
	if out.Deliveries == nil {
		out.Deliveries = []basket.Delivery{}
	}
	return out, err
}

func (s *Server) trace(r *http.Request) (any, error) {
	id, err := basket.ParseID(r.PathValue("id"))
	if err != nil {
		return nil, newProblem(ProblemBadRequest, err.Error())
	}
	t, err := s.lane.Trace(r.Context(), id)
	t.Basket = wire(t.Basket)
	if t.Events == nil {
		t.Events = []basket.TraceEvent{}
	}
	return t, err
}

// Serve answers on listener until ctx ends, and closes it. Streams of events
// end with an event that says so; other requests get a moment to end.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	return s.serve(ctx, listener, s)
}

// ServeMetrics answers on listener with the metrics, at any path.
func (s *Server) ServeMetrics(ctx context.Context, listener net.Listener) error {
	return s.serve(ctx, listener, http.HandlerFunc(s.metrics))
}

func (s *Server) serve(ctx context.Context, listener net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		WriteTimeout: 2 * writeTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.stopOnce.Do(func() { close(s.stopping) })
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		srv.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
