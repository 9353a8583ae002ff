// Package server is the POS main computer's service: it takes the baskets of a
// shop's lanes over mutual TLS and keeps them in a log (elements 3 and 10 of
// claim 1 of US 2009/0076923 A1).
//
// Who sends comes from the certificate, what is sent is a basket of package
// basket. Server is the HTTP side, Store the log behind it; SQLite is the one
// there is now. Start runs both within a process, as other packages' tests do.
//
// No card number is ever kept here, not even if a lane sends one by mistake: a
// body in which anything looks like a card number, or is named as an encrypted
// one would be, is refused whole.
package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"posd/basket"
	"posd/enroll"
	"posd/posmain"
	"posd/traceparent"
)

// Limits of the listener.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 60 * time.Second // for a basket of MaxBody over a slow line
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 800 * time.Millisecond
	maxHeader     = 16 << 10
)

// Config is what a Server works with.
type Config struct {
	Credentials enroll.Source // of role posmain; baskets are taken of the lanes of its tenant and shop
	Store       Store
	Keep        Keep             // for how long baskets are kept, see Server.Expire; zero: for ever
	Log         *slog.Logger     // nil: nothing is logged
	Now         func() time.Time // nil: time.Now
}

// Server is the POS main computer's HTTP service.
type Server struct {
	Config
	mux      *http.ServeMux
	routes   []string
	baskets  atomic.Uint64
	refused  atomic.Uint64
	lastTime atomic.Int64              // Unix seconds of the last basket
	alarms   map[string]*atomic.Uint64 // by kind

	revoked   sync.Map // serial number of a certificate, in hexadecimal digits
	following following
}

// New returns a server; the credentials must be those of a POS main computer.
func New(c Config) (*Server, error) {
	if name := c.Credentials.Current().Name; name.Role != enroll.POSMain {
		return nil, fmt.Errorf("start POS main computer: the certificate is that of %v: enrol with a token for role %s", name, enroll.POSMain)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{Config: c, mux: http.NewServeMux(), alarms: map[string]*atomic.Uint64{}}
	for _, kind := range []string{AlarmSequenceFork, AlarmRevisionConflict, AlarmBasketConflict, AlarmCardNumber} {
		s.alarms[kind] = &atomic.Uint64{}
	}
	if err := s.loadRevoked(context.Background()); err != nil {
		return nil, fmt.Errorf("start POS main computer: %w", err)
	}
	s.route("PUT "+posmain.BasketsPath+"{id}", s.putBasket)
	s.mux.HandleFunc(posmain.BasketsPath+"{id}", only(http.MethodPut))
	operations := s.operations()
	for _, path := range slices.Sorted(maps.Keys(operations)) {
		s.route("GET "+path, operations[path])
		s.mux.HandleFunc(path, only(http.MethodGet))
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answerProblem(w, problem(posmain.ProblemNotFound, ""))
	})
	return s, nil
}

func (s *Server) route(pattern string, h http.HandlerFunc) {
	s.routes = append(s.routes, pattern)
	s.mux.HandleFunc(pattern, h)
}

func only(method string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", method)
		answerProblem(w, problem(posmain.ProblemMethod, ""))
	}
}

// Routes lists what the server answers to, as http.ServeMux writes it.
func (s *Server) Routes() []string { return s.routes }

// Handler is the service by itself. It takes requests that came over TLS with a
// certificate of this central.
func (s *Server) Handler() http.Handler { return s.mux }

// TLSConfig is for the listener. Every lane and POS main computer of the
// retailer gets as far as an answer, which says what is wrong with a
// certificate of another shop or role; others do not get past the handshake.
func (s *Server) TLSConfig() *tls.Config {
	tenant := s.Credentials.Current().Name.Tenant
	return enroll.ServerConfig(s.Credentials, enroll.Name{Tenant: tenant, Role: enroll.Lane}, enroll.Name{Tenant: tenant, Role: enroll.POSMain})
}

// Serve takes baskets on ln, which is a plain TCP listener, until ctx ends. Then
// it finishes what it has begun, for less than a second: a lane that is cut off
// sends again.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { return s.serve(ctx, ln, s.mux) }

func (s *Server) serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	srv := &http.Server{
		Handler:           handler,
		TLSConfig:         s.TLSConfig(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      2 * bodyTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeTLS(ln, "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve lanes: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if srv.Shutdown(drain) != nil {
		s.Log.Warn("stop serving: some lanes were cut off; they send again")
		srv.Close()
	}
	<-ended
	return nil
}

// Counts gives the baskets logged and the requests refused since the start, and
// when the last basket was logged, zero if none was.
func (s *Server) Counts() (baskets, refused uint64, last time.Time) {
	if at := s.lastTime.Load(); at != 0 {
		last = time.Unix(at, 0)
	}
	return s.baskets.Load(), s.refused.Load(), last
}

// health answers 200 as long as the log can be read.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if _, err := s.Store.LogID(r.Context()); err != nil {
		answerProblem(w, storeProblem(err, s.Log))
		return
	}
	answer(w, map[string]string{"status": "ok"})
}

func (s *Server) putBasket(w http.ResponseWriter, r *http.Request) {
	receipt, p := s.take(w, r)
	if p != nil {
		s.refused.Add(1)
		answerProblem(w, p)
		return
	}
	s.baskets.Add(1)
	s.lastTime.Store(s.Now().Unix())
	answer(w, receipt)
}

// take logs the basket in a request.
func (s *Server) take(w http.ResponseWriter, r *http.Request) (posmain.Receipt, *posmain.Problem) {
	from, p := s.lane(r)
	if p != nil {
		return posmain.Receipt{}, p
	}
	id, err := basket.ParseID(r.PathValue("id"))
	if err != nil {
		return posmain.Receipt{}, problem(posmain.ProblemBadRequest, "the path does not end in a basket's id, a UUID in lower case")
	}
	body, p := readBody(w, r)
	if p != nil {
		return posmain.Receipt{}, p
	}
	b, p := parse(body)
	if p == nil && b.ID != id {
		p = problem(posmain.ProblemBadRequest, "the path and the body name different baskets")
	}
	if p != nil {
		traceparent.Log(s.Log, traceparent.Of(r)).Warn("refuse basket", "lane", from.Lane, "basket", id, "problem", p.Type, "detail", p.Detail)
		return posmain.Receipt{}, s.alarm(r.Context(), from, id, p)
	}
	log := traceparent.Log(s.Log, traceparent.Of(r)).With("lane", from.Lane, "basket", id)
	receipt, err := s.Store.Log(r.Context(), Delivery{From: from, Software: software(r), Basket: b, Body: body, At: s.Now()})
	switch {
	case errors.Is(err, ErrRevisionConflict):
		s.count(AlarmRevisionConflict)
	case errors.Is(err, ErrBasketConflict):
		s.count(AlarmBasketConflict)
	}
	if err != nil {
		return posmain.Receipt{}, storeProblem(err, log)
	}
	s.count(receipt.Alarm)
	if receipt.Alarm != "" {
		log.Warn("alarm: posmaind alarms says more", "alarm", receipt.Alarm)
	}
	return receipt, nil
}

// alarm raises one for a body that holds a card number, and returns p, or what
// went wrong with the alarm: then the lane is to send again.
func (s *Server) alarm(ctx context.Context, from Lane, id basket.ID, p *posmain.Problem) *posmain.Problem {
	if p.Type != posmain.ProblemCardNumber {
		return p
	}
	now := s.Now()
	err := s.Store.Raise(ctx, from, Alarm{Kind: AlarmCardNumber, Basket: id.String(), Detail: p.Detail, FirstAt: now, LastAt: now})
	if err != nil {
		return storeProblem(err, s.Log)
	}
	s.count(AlarmCardNumber)
	return p
}

// count counts a delivery that raised an alarm, if it did.
func (s *Server) count(kind string) {
	if n := s.alarms[kind]; n != nil {
		n.Add(1)
	}
}

// lane says who sends, by the certificate alone.
func (s *Server) lane(r *http.Request) (Lane, *posmain.Problem) {
	own := s.Credentials.Current()
	if r.TLS == nil {
		return Lane{}, problem(posmain.ProblemForbidden, "the request did not come over TLS")
	}
	want := enroll.Name{Tenant: own.Name.Tenant, Shop: own.Name.Shop, Role: enroll.Lane}
	name, err := enroll.VerifyPeer(*r.TLS, enroll.Verify{CA: own.CA, Want: []enroll.Name{want}, Use: x509.ExtKeyUsageClientAuth})
	if err != nil {
		s.Log.Warn("refuse certificate", "remote", r.RemoteAddr, "err", err)
		return Lane{}, problem(posmain.ProblemForbidden, shorten(err.Error()))
	}
	if s.isRevoked(r.TLS.PeerCertificates[0]) {
		s.Log.Warn("refuse certificate", "remote", r.RemoteAddr, "lane", name.Lane, "err", "central revoked it")
		return Lane{}, problem(posmain.ProblemRevoked, "central revoked the certificate of this lane: enrol it again with a new token")
	}
	return Lane{Tenant: name.Tenant, Shop: name.Shop, Lane: name.Lane}, nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *posmain.Problem) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return nil, problem(posmain.ProblemMediaType, "the body must be application/json, not encoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, posmain.MaxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, problem(posmain.ProblemTooLarge, fmt.Sprintf("a basket may have %d bytes at most", posmain.MaxBody))
	}
	if err != nil {
		// Most likely the lane has gone; if not, it sends again.
		return nil, later(problem(posmain.ProblemUnavailable, "the body did not arrive whole"))
	}
	return body, nil
}

var agent = regexp.MustCompile(`^posd/([A-Za-z0-9.+_-]{1,64})$`)

// software is what a lane says it runs: the version in its User-Agent.
func software(r *http.Request) string {
	if m := agent.FindStringSubmatch(r.UserAgent()); m != nil && !basket.HoldsCardNumber(m[1]) {
		return m[1]
	}
	return ""
}
