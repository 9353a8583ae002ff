package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"posd/traceparent"
)

// What bounds those who connect.
const (
	handshakeTimeout = 10 * time.Second // lanes wait as long
	// A handshake takes about a millisecond: who would wait longer than this for it
	// is turned away, and comes back later with all the others.
	handshakePatience = 3 * time.Second
	maxHandshakes     = 8192 // at once, most of which wait for the other end
)

// front serves the lookup listener: it accepts connections, makes handshakes with some
// of them at a time, so that lookups on the others go on, and has a session answer
// what comes. Whatever is no plain request it hands over to net/http.
type front struct {
	s     *Server
	paths map[string]lookup
	rest  *http.Server
	taken *taken
	most  int // connections at once
	dates dates
	work  sync.Pool // of *work

	turns      *gate // for handshakes
	failures   *bucket
	handshakes atomic.Int32

	stopping atomic.Bool
	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]*session
	gone     *sync.Cond // one of open has gone
}

func (s *Server) newFront() *front {
	f := &front{
		s: s, paths: map[string]lookup{}, taken: &taken{conns: make(chan net.Conn), closed: make(chan struct{})}, most: s.maxConnections,
		turns: newGate(max(1, runtime.GOMAXPROCS(0)/2), handshakePatience, handshakePatience), failures: newQuota(Rate{1, 20}).bucket(""),
		open: map[net.Conn]*session{},
	}
	f.gone = sync.NewCond(&f.mu)
	f.work.New = func() any { return newWork() }
	for _, l := range s.lookupPaths() {
		f.paths[l.path] = l
	}
	f.rest = s.httpServer(s.LookupHandler(), nil)
	f.rest.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, visitorKey{}, c.(*handed).session.visitor)
	}
	return f
}

// serve accepts connections until stop is called.
func (f *front) serve(l net.Listener, config *tls.Config) error {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	f.mu.Lock()
	f.listener = l
	f.mu.Unlock()
	go f.rest.Serve(f.taken)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			if c := f.admit(conn); c != nil {
				go f.welcome(c, config)
			} else {
				turnAway(conn)
			}
		case f.stopping.Load():
			return nil
		case isTemporary(err):
			f.s.log.Warn("no connection can be accepted", "error", err)
			time.Sleep(100 * time.Millisecond) // there are no file descriptors: some must end first
		default:
			return err
		}
	}
}

func isTemporary(err error) bool {
	temporary, ok := errors.AsType[net.Error](err)
	return ok && temporary.Temporary() //lint:ignore SA1019 what net/http goes by, too
}

// admit makes a session for a connection, nil if there is no room for it.
func (f *front) admit(conn net.Conn) *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.stopping.Load():
		return nil
	case len(f.open) >= f.most:
		f.s.metrics.shed[shedConnection].Inc()
		return nil
	case f.handshakes.Load() >= maxHandshakes:
		f.s.metrics.shed[shedHandshake].Inc()
		return nil
	}
	f.handshakes.Add(1)
	c := &session{front: f, raw: conn}
	f.open[conn] = c
	f.s.connections.Store(int64(len(f.open)))
	return c
}

// turnAway ends a connection without a trace.
func turnAway(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

func (f *front) forget(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, conn)
	f.s.connections.Store(int64(len(f.open)))
	f.gone.Broadcast()
}

// welcome makes the handshake with a new connection, and serves it.
func (f *front) welcome(c *session, config *tls.Config) {
	conn, ok := f.handshake(c.raw, config)
	f.handshakes.Add(-1)
	if !ok {
		c.raw.Close()
		f.forget(c.raw)
		return
	}
	c.conn, c.visitor = conn, f.s.visitor(conn.ConnectionState())
	f.attend(c)
}

func (f *front) handshake(raw net.Conn, config *tls.Config) (*tls.Conn, bool) {
	turn := &turn{Conn: raw, gate: f.turns}
	conn := tls.Server(turn, config)
	raw.SetDeadline(time.Now().Add(handshakeTimeout))
	err := conn.Handshake()
	turn.end()
	raw.SetDeadline(time.Time{})
	switch {
	case err == nil:
		return conn, true
	case errors.Is(err, errTurnedAway):
		f.s.metrics.shed[shedHandshake].Inc()
		turnAway(raw)
	case errors.Is(err, io.EOF) || f.stopping.Load():
	default:
		if _, ok := f.failures.take(time.Now()); ok { // a fleet that fails would fill the log
			f.s.log.Warn("TLS handshake failed", "from", raw.RemoteAddr().String(), "error", err)
		}
	}
	return nil, false
}

// attend serves a connection to its end.
func (f *front) attend(c *session) {
	defer func() {
		if r := recover(); r != nil {
			traceparent.Log(f.s.log, c.visitor.trace).Error("panic while answering", "to", c.visitor.text, "panic", r, "stack", string(debug.Stack()))
			c.end()
		}
	}()
	if !c.serve() {
		c.end()
		return
	}
	c.conn.SetDeadline(time.Time{})
	f.taken.take(&handed{Conn: c.conn, session: c, read: c.in})
}

// stop has what is in flight answered, and ends all other connections. It returns
// ctx's error if some do not come to their end: they are cut off.
func (f *front) stop(ctx context.Context) error {
	f.stopping.Store(true)
	f.mu.Lock()
	if f.listener != nil {
		f.listener.Close()
	}
	for raw, c := range f.open {
		if c.idling.Load() {
			raw.SetReadDeadline(time.Now().Add(linger))
		}
	}
	f.mu.Unlock()
	defer context.AfterFunc(ctx, f.gone.Broadcast)()
	rest := f.rest.Shutdown(ctx)
	f.mu.Lock()
	for len(f.open) > 0 && ctx.Err() == nil {
		f.gone.Wait()
	}
	left := len(f.open) > 0
	for raw := range f.open {
		raw.Close()
	}
	f.mu.Unlock()
	if left || rest != nil {
		f.rest.Close()
		return context.Cause(ctx)
	}
	return nil
}

// handed is a connection that net/http has taken over, with what was read of it.
type handed struct {
	net.Conn
	session *session
	read    []byte
}

func (h *handed) Read(b []byte) (int, error) {
	if len(h.read) == 0 {
		return h.Conn.Read(b)
	}
	n := copy(b, h.read)
	clear(h.read[:n])
	h.read = h.read[n:]
	return n, nil
}

func (h *handed) Close() error {
	h.session.end()
	return nil
}

// taken is the listener that net/http gets such connections from.
type taken struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (t *taken) take(h *handed) {
	select {
	case t.conns <- h:
	case <-t.closed:
		h.Close()
	}
}

func (t *taken) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

func (t *taken) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

func (t *taken) Addr() net.Addr { return &net.TCPAddr{} }

// turn is the connection of a handshake, which has a turn at the gate while it
// computes, and none while it waits for the other end.
type turn struct {
	net.Conn
	gate  *gate
	begun time.Time // zero: it has no turn
	mine  bool      // it had one already
	over  bool
}

var errTurnedAway = errors.New("too many handshakes at once")

func (t *turn) Read(b []byte) (int, error) {
	if t.over {
		return t.Conn.Read(b)
	}
	t.leave()
	n, err := t.Conn.Read(b)
	if t.mine {
		t.begun = t.gate.again()
		return n, err
	}
	var ok bool
	if t.begun, ok = t.gate.enter(live); !ok {
		return 0, errTurnedAway
	}
	t.mine = true
	return n, err
}

func (t *turn) leave() {
	if !t.begun.IsZero() {
		t.gate.leave(t.begun)
		t.begun = time.Time{}
	}
}

func (t *turn) end() {
	t.over = true
	t.leave()
}
