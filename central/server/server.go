// Package server is the central computer system itself: it opens EncTIDs,
// finds the household of the TID inside, and answers with HHID and DeIdentTID
// (elements 8 and 9 of claim 1 of US 2009/0076923 A1). It enrols lanes and POS
// main computers and tells lanes which keys to seal for.
//
// Two listeners serve two sorts of callers. Lookups demand a certificate of an
// enrolled machine; tenant, shop and lane come from it, never from a body.
// Operations serve enrolment and renewal, health and metrics; there a
// certificate is asked for and not demanded.
//
// Packages below: opener opens EncTIDs, directory associates TIDs with
// households, index is its memory, store its database, vault wraps keys.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"posd/central"
	"posd/central/server/directory"
	"posd/central/server/lookuplog"
	"posd/central/server/opener"
	"posd/central/server/store"
	"posd/enroll"
)

// How long one may wait for what costs much: a lane waits 800 ms for an answer.
const (
	livePatience     = 250 * time.Millisecond
	deferredPatience = time.Second
	householdsAtOnce = 256 // two commits of them
)

// machines are the names that central issues certificates for.
var machines = []enroll.Name{{Role: enroll.Lane}, {Role: enroll.POSMain}}

// Options are what a server is made of. Store and Keys must be given.
type Options struct {
	Store  store.Store
	Keys   *Keys
	Log    *slog.Logger     // nil: discarded
	Limits Limits           // zero: DefaultLimits
	Now    func() time.Time // nil: time.Now

	Lookups *lookuplog.Log // keeps who asked when; nil: nothing does. The server runs it

	IndexDir string // where snapshots of the index are kept; "": all is read from the store after a restart

	LookupURL     string // what machines are told at enrolment
	OperationsURL string

	MaxConnections int           // at once on the lookup listener; 0: 120,000
	ResponseFloor  time.Duration // no household is told sooner; 0: as soon as it is known

	Wrap func(http.Handler) http.Handler // goes around what net/http serves: operations, and lookups that are not plain; nil: nothing does
}

// Server is the central computer system. Make one with New.
type Server struct {
	store     store.Store
	keys      atomic.Pointer[Keys]
	taking    sync.Mutex // held while the keys are taken over
	rekeyer   rekeyer
	log       *slog.Logger
	now       func() time.Time
	opener    *opener.Opener
	lookupLog *lookuplog.Log
	directory *directory.Directory
	metrics   *metrics
	identity  *ownIdentity

	lookupURL, operationsURL string
	wrap                     func(http.Handler) http.Handler

	lookups, failures, tids, enrolments *quota
	epochs, households                  *gate // what costs much: opening an EncTID that brings its enc, making a household
	maxConnections                      int
	polls                               *quota // of the feed, by each POS main computer
	feed                                feed
	floor                               time.Duration

	activities activities
	quarantine quarantine

	revoked       revocations
	issuedFor     uint64 // the change of the keys that the manifest was last held against
	revokedChange uint64 // owned by the goroutine that follows the store
	signed        atomic.Pointer[central.Signed]
	loaded        atomic.Bool
	connections   atomic.Int64 // on the lookup listener
	draining      atomic.Bool
	followed      atomic.Int64 // Unix nanoseconds of the last round of following the store
	nudged        chan struct{}

	mu      sync.Mutex
	reading error // of the last round; nil if it went well
	writing error // of the last write; nil if it went well
	issuing error // of the last manifest or certificate
	keeping error // of the last snapshot of the index
	keying  error // of following the keys
	loading int   // entries read so far
}

// New makes a server. It answers nothing until Run, or Load, has filled its
// index.
func New(opt Options) (*Server, error) {
	s := &Server{
		store: opt.Store, log: opt.Log, now: opt.Now,
		lookupURL: opt.LookupURL, operationsURL: opt.OperationsURL, wrap: opt.Wrap, identity: &ownIdentity{},
		nudged: make(chan struct{}, 1), lookupLog: opt.Lookups,
	}
	s.keys.Store(opt.Keys)
	s.rekeyer = newRekeyer()
	if s.wrap == nil {
		s.wrap = func(h http.Handler) http.Handler { return h }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.activities.last = s.now()
	limits := opt.Limits
	if limits == (Limits{}) {
		limits = DefaultLimits()
	}
	s.lookups, s.failures = newQuota(limits.Lookups), newQuota(limits.Failures)
	s.tids, s.enrolments = newQuota(limits.TIDs), newQuota(limits.Enrol)
	s.polls, s.feed.wake, s.feed.ended = newQuota(feedRate), make(chan struct{}), make(chan struct{})
	s.epochs = newGate(max(1, runtime.GOMAXPROCS(0)/2), livePatience, deferredPatience)
	s.households = newGate(householdsAtOnce, livePatience, deferredPatience)
	s.maxConnections, s.floor = cmp.Or(opt.MaxConnections, 120_000), opt.ResponseFloor
	var err error
	if s.opener, err = opener.New(opt.Keys.hpke, opener.DefaultPerLane); err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	if s.directory, err = opt.Keys.Directory(opt.Store, opt.IndexDir, s.now); err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	s.directory.Refresh = s.refreshKeys
	own, err := opt.Keys.certificate(s.now())
	if err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	s.identity.current.Store(own)
	s.metrics = newMetrics(s)
	return s, nil
}

// Directory is the server's directory.
func (s *Server) Directory() *directory.Directory { return s.directory }

// Keys are the server's keys as they are now.
func (s *Server) Keys() *Keys { return s.keys.Load() }

// Changed has the server look at once for what is new in its store.
func (s *Server) Changed() {
	select {
	case s.nudged <- struct{}{}:
	default: // it will
	}
}

// ownIdentity is central's own certificate, which changes when it is renewed.
type ownIdentity struct {
	current atomic.Pointer[enroll.Credentials]
}

func (i *ownIdentity) Current() *enroll.Credentials { return i.current.Load() }

// LookupHandler serves the lookup listener. It trusts that the connection's
// certificate was verified: see LookupTLS.
func (s *Server) LookupHandler() http.Handler { return s.wrap(handler(s.lookupRoutes())) }

// OperationsHandler serves the operations listener; see OperationsTLS.
func (s *Server) OperationsHandler() http.Handler { return s.wrap(handler(s.operationsRoutes())) }

// LookupTLS demands the certificate of an enrolled machine.
func (s *Server) LookupTLS() *tls.Config { return enroll.ServerConfig(s.identity, machines...) }

// OperationsTLS asks for the certificate of an enrolled machine; one that ended
// up to 30 days ago will do.
func (s *Server) OperationsTLS() *tls.Config { return enroll.OperationsConfig(s.identity, machines...) }

// Routes lists what both listeners serve, as "METHOD /path".
func (s *Server) Routes() []string {
	var all []string
	for _, r := range append(s.lookupRoutes(), s.operationsRoutes()...) {
		all = append(all, r.method+" "+r.path)
	}
	return all
}

// drainTime is how long requests in flight may take when the server ends. They
// take milliseconds; who is cut off asks again.
const drainTime = 800 * time.Millisecond

// Run serves both listeners until ctx ends; then it answers what is in flight
// and returns nil. ready, if not nil, is called once lookups are answered.
func (s *Server) Run(ctx context.Context, lookups, operations net.Listener, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	front := s.newFront()
	back := s.httpServer(s.OperationsHandler(), s.OperationsTLS())
	failed := make(chan error, 3)
	stopLog := s.runLookupLog()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := front.serve(lookups, s.LookupTLS()); err != nil {
			failed <- fmt.Errorf("serve %s: %w", lookups.Addr(), err)
		}
	})
	wg.Go(func() {
		if err := back.ServeTLS(operations, "", ""); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", operations.Addr(), err)
		}
	})
	wg.Go(func() {
		if err := s.Load(ctx); err != nil {
			if ctx.Err() == nil {
				failed <- err
			}
			return
		}
		if ready != nil {
			ready()
		}
		wg.Go(func() { s.keepIndex(ctx) })
		wg.Go(func() { s.followActivity(ctx) })
		wg.Go(func() { s.store.Listen(ctx, s.Changed) })
		wg.Go(func() { s.rekey(ctx) })
		s.follow(ctx)
	})
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	s.draining.Store(true)
	close(s.feed.ended)
	stop()
	s.drain(front.stop, func(ctx context.Context) error { return cmp.Or(back.Shutdown(ctx), back.Close()) })
	wg.Wait()
	stopLog()
	s.lastActivity()
	return err
}

// lastActivity keeps what was seen of lanes until the end.
func (s *Server) lastActivity() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.activities.flush(ctx, s.store, s.now()); err != nil {
		s.log.Warn("lists of lanes lack the last minutes", "error", err)
	}
}

// runLookupLog writes the log of lookups until stop is called.
func (s *Server) runLookupLog() (stop func()) {
	if s.lookupLog == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.lookupLog.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// drain lets requests in flight end. A connection on which nothing has come yet,
// or only half a request, counts as one.
func (s *Server) drain(stop ...func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, stop := range stop {
		wg.Go(func() {
			if stop(ctx) != nil {
				s.log.Warn("some callers were cut off; they ask again")
			}
		})
	}
	wg.Wait()
}

// httpServer bounds what a caller can hold on to. HTTP/2 would cost twice the
// time of a lookup.
func (s *Server) httpServer(h http.Handler, config *tls.Config) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler: h, TLSConfig: config, Protocols: protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}
