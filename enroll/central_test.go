package enroll

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testCentral answers as the protocol says, over whatever listener it is given.
type testCentral struct {
	ca, signer  *CA // the same, unless a test makes it sign with another
	creds       *Credentials
	manifestKey ed25519.PublicKey
	url         string // of loopback, "" if it serves a pipe

	mu       sync.Mutex
	tokens   map[[32]byte]*testToken
	newest   map[string]*x509.Certificate   // by name
	answers  map[[32]byte]*x509.Certificate // by hash of the public key
	requests []string
	ahead    time.Duration                           // of its clock
	lose     int                                     // answers to lose after the work is done
	refuse   *Problem                                // instead of any answer
	spoil    func(*EnrollResponse)                   // changes answers
	spoilRaw func(w http.ResponseWriter) (done bool) // answers in its place
	leaf     func(n Name, l *Leaf)                   // changes certificates
}

type testToken struct {
	name    Name
	expires time.Time
	usedBy  [32]byte
}

// testCA is a CA of last year.
func testCA(t testing.TB, cn string) (*CA, []byte) {
	t.Helper()
	cert, key, err := newCA(cn, time.Now().AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := LoadCA(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return ca, cert
}

// issue makes credentials for a name. Dates default to good ones.
func issue(t testing.TB, ca *CA, l Leaf) *Credentials {
	t.Helper()
	if l.NotBefore.IsZero() {
		l.NotBefore = time.Now().Add(-Backdate)
	}
	if l.NotAfter.IsZero() {
		l.NotAfter = l.NotBefore.Add(Lifetime)
	}
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := ca.Issue(csr, l)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCredentials(der, key, ca.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	centralName = Name{Tenant: "acme", Role: Central}
	lane7       = Name{Tenant: "acme", Shop: "s12", Role: Lane, Lane: "lane-7"}
	shop12      = Name{Tenant: "acme", Shop: "s12", Role: POSMain}
)

func newCentral(t testing.TB) *testCentral {
	t.Helper()
	ca, _ := testCA(t, "test central")
	manifestKey, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &testCentral{
		ca: ca, signer: ca, manifestKey: manifestKey,
		creds:  issue(t, ca, Leaf{Name: centralName, NotAfter: time.Now().Add(365 * 24 * time.Hour)}),
		tokens: map[[32]byte]*testToken{}, newest: map[string]*x509.Certificate{}, answers: map[[32]byte]*x509.Certificate{},
	}
}

// startCentral serves on loopback.
func startCentral(t testing.TB) *testCentral {
	t.Helper()
	c := newCentral(t)
	c.url = serve(t, OperationsConfig(c.creds, Name{Role: Lane}, Name{Role: POSMain}), c)
	return c
}

// serve starts a real TLS server on loopback and returns its address.
func serve(t testing.TB, config *tls.Config, h http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, tls.NewListener(ln, config), h)
	return "https://" + ln.Addr().String()
}

func serveOn(t testing.TB, ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ErrorLog: discardLog}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(ln)
	}()
	t.Cleanup(func() { srv.Close(); <-done })
}

// token makes a token that central knows.
func (c *testCentral) token(n Name) Token {
	t := NewToken(c.ca.cert.Raw, c.manifestKey)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[t.Hash()] = &testToken{name: n, expires: time.Now().Add(time.Hour)}
	return t
}

func (c *testCentral) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r.URL.Path)
	w.Header().Set("Date", time.Now().Add(c.ahead).UTC().Format(http.TimeFormat))
	if c.spoilRaw != nil && c.spoilRaw(w) {
		return
	}
	answer, p := c.answer(r)
	if c.refuse != nil {
		p = c.refuse
	}
	if c.lose > 0 {
		c.lose--
		panic(http.ErrAbortHandler)
	}
	if p != nil {
		w.Header().Set("Content-Type", "application/problem+json")
		if p.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(p.RetryAfter.Seconds())))
		}
		w.WriteHeader(p.Status)
		json.NewEncoder(w).Encode(p)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

func (c *testCentral) answer(r *http.Request) (any, *Problem) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400}
	}
	if r.URL.Path == RenewPath {
		return c.renew(r, body)
	}
	return c.enroll(body)
}

func (c *testCentral) enroll(body []byte) (any, *Problem) {
	var req EnrollRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400}
	}
	key, err := CSRKey(req.CSR)
	if err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400, Detail: err.Error()}
	}
	hash, err := KeyHash(key)
	if err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400}
	}
	t := c.tokens[HashSecret(req.Secret)]
	switch {
	case t == nil:
		return nil, &Problem{Type: ProblemTokenUnknown, Status: 403}
	case time.Now().After(t.expires):
		return nil, &Problem{Type: ProblemTokenExpired, Status: 403}
	case t.name.Role != req.Role:
		return nil, &Problem{Type: ProblemWrongRole, Status: 403}
	case t.usedBy != [32]byte{} && t.usedBy != hash:
		return nil, &Problem{Type: ProblemTokenUsed, Status: 403}
	}
	t.usedBy = hash
	cert, p := c.sign(t.name, hash, req.CSR)
	if p != nil {
		return nil, p
	}
	resp := EnrollResponse{cert.Raw, c.ca.cert.Raw, c.manifestKey, "https://lookup.example:8443", "https://operations.example:8444"}
	if c.url != "" {
		resp.OperationsURL = c.url
	}
	if c.spoil != nil {
		c.spoil(&resp)
	}
	return resp, nil
}

func (c *testCentral) renew(r *http.Request, body []byte) (any, *Problem) {
	name, err := VerifyPeer(*r.TLS, Verify{CA: c.ca.cert, Want: []Name{{Role: Lane}, {Role: POSMain}}, Use: x509.ExtKeyUsageClientAuth, Grace: RenewGrace})
	if errors.Is(err, ErrNoCertificate) {
		return nil, &Problem{Type: ProblemForbidden, Status: 403}
	}
	if err != nil {
		return nil, &Problem{Type: ProblemExpired, Status: 403}
	}
	var req RenewRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400}
	}
	key, err := CSRKey(req.CSR)
	if err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400}
	}
	hash, err := KeyHash(key)
	if err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400}
	}
	shown, newest := r.TLS.PeerCertificates[0], c.newest[name.String()]
	if again := c.answers[hash]; again != nil && again.Equal(newest) {
		return RenewResponse{Certificate: again.Raw}, nil
	}
	if newest != nil && !newest.Equal(shown) {
		return nil, &Problem{Type: ProblemSuperseded, Status: 409}
	}
	cert, p := c.sign(name, hash, req.CSR)
	if p != nil {
		return nil, p
	}
	return RenewResponse{Certificate: cert.Raw, LookupURL: "https://new.example:1"}, nil
}

func (c *testCentral) sign(n Name, keyHash [32]byte, csr []byte) (*x509.Certificate, *Problem) {
	if cert := c.answers[keyHash]; cert != nil {
		return cert, nil
	}
	now := time.Now().Add(c.ahead)
	l := Leaf{Name: n, NotBefore: now.Add(-Backdate), NotAfter: now.Add(Lifetime)}
	if c.leaf != nil {
		c.leaf(n, &l)
	}
	der, err := c.signer.Issue(csr, l)
	if err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400, Detail: err.Error()}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &Problem{Type: ProblemBadRequest, Status: 400}
	}
	c.newest[n.String()], c.answers[keyHash] = cert, cert
	return cert, nil
}

func (c *testCentral) set(f func(c *testCentral)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

func (c *testCentral) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.requests)
}

// pipe is an in-memory network, whose connections stand still when fake time
// does.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	away  atomic.Bool // connections are refused
}

func newPipe(t *testing.T) *pipe {
	t.Cleanup(func() { time.Sleep(2 * time.Second) }) // of fake time: last writes run into their deadline
	return &pipe{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return buffer(c), nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipe) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if p.away.Load() {
		return nil, errors.New("connection refused")
	}
	mine, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return buffer(mine), nil
	case <-p.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// buffered is one end of a net.Pipe whose writes do not wait for the reader: in
// a handshake both sides may write at once.
type buffered struct {
	net.Conn
	mu     sync.Mutex
	closed bool
	out    chan []byte
}

func buffer(c net.Conn) *buffered {
	b := &buffered{Conn: c, out: make(chan []byte, 1000)}
	go func() {
		for chunk := range b.out {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			c.Write(chunk)
		}
		c.Close()
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	b.out <- bytes.Clone(p)
	return len(p), nil
}

// Deadlines of writes are not for what is buffered: TLS sets one when it closes.
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }
func (b *buffered) SetDeadline(t time.Time) error    { return b.SetReadDeadline(t) }

func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.out)
	}
	return nil
}
