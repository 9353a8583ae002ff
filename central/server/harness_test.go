package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"posd/central"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/docs/api"
	"posd/enctid"
	"posd/enroll"
	"posd/tid"
)

var (
	lane1 = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "1"}
	lane2 = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "2"}
	shop  = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.POSMain}
)

const (
	visa       = "4111111111111111"
	mastercard = "5555555555554444"
)

// harness calls a server as its listeners would, lookups over connections, by a clock of its
// own, and holds every exchange against docs/api/central.yaml.
type harness struct {
	t     *testing.T
	s     *Server
	front *front
	st    *faulty
	kek   vault.KEK
	doc   *api.Document

	mu  sync.Mutex
	now time.Time
}

// faulty is a store that fails when it is told to.
type faulty struct {
	store.Store
	mu  sync.Mutex
	err error
}

func (f *faulty) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *faulty) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *faulty) Add(ctx context.Context, t store.TID) (store.Entry, bool, error) {
	if err := f.failure(); err != nil {
		return store.Entry{}, false, err
	}
	return f.Store.Add(ctx, t)
}

func (f *faulty) Entries(ctx context.Context, after uint64, limit int) ([]store.Entry, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	return f.Store.Entries(ctx, after, limit)
}

func (f *faulty) Enroll(ctx context.Context, hash [32]byte, role enroll.Role, spki [32]byte, now time.Time, issue store.Issuer) (store.Certificate, error) {
	if err := f.failure(); err != nil {
		return store.Certificate{}, err
	}
	return f.Store.Enroll(ctx, hash, role, spki, now, issue)
}

func (f *faulty) Renew(ctx context.Context, presented []byte, spki [32]byte, now time.Time, issue store.Issuer) (store.Certificate, error) {
	if err := f.failure(); err != nil {
		return store.Certificate{}, err
	}
	return f.Store.Renew(ctx, presented, spki, now, issue)
}

func (f *faulty) IssueManifest(ctx context.Context, sign func(uint64) (central.Manifest, central.Signed, error)) (central.Signed, error) {
	if err := f.failure(); err != nil {
		return central.Signed{}, err
	}
	return f.Store.IssueManifest(ctx, sign)
}

func (f *faulty) Probe(ctx context.Context) error {
	if err := f.failure(); err != nil {
		return err
	}
	return f.Store.Probe(ctx)
}

// prepare makes a central whose server is not loaded yet.
func prepare(t *testing.T, limits Limits) *harness {
	t.Helper()
	doc, err := api.Load("central.yaml")
	must(t, err)
	h := &harness{t: t, doc: doc, now: time.Now().Truncate(time.Second)}
	h.kek, err = vault.New(bytes.Repeat([]byte{7}, 32))
	must(t, err)
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "central.db"), true)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, Init(t.Context(), db, h.kek, Setup{Tenant: "acme", Hosts: []string{"central.example"}, Now: h.now}))
	h.st = &faulty{Store: db}
	h.restart(limits)
	return h
}

// restart makes a new server on the same database.
func (h *harness) restart(limits Limits) {
	h.t.Helper()
	keys, err := OpenKeys(h.t.Context(), h.st, h.kek)
	must(h.t, err)
	h.s, err = New(Options{
		Store: h.st, Keys: keys, Limits: limits, Now: h.clock,
		LookupURL: "https://central.example:8443", OperationsURL: "https://central.example:8444",
		Wrap: func(next http.Handler) http.Handler {
			return h.doc.Recorder(next, func(err error) { h.t.Error(err) })
		},
	})
	must(h.t, err)
	h.front = h.s.newFront()
	go h.front.rest.Serve(h.front.taken)
	h.t.Cleanup(func() { h.front.rest.Close() })
}

func start(t *testing.T) *harness {
	t.Helper()
	h := prepare(t, Limits{})
	must(t, h.s.Load(t.Context()))
	return h
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *harness) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// machine is an enrolled lane or POS main computer.
type machine struct {
	h    *harness
	name enroll.Name
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	epoch *enctid.Epoch
}

// state is that of a connection of m's, or with m nil of nobody's.
func (m *machine) state() *tls.ConnectionState {
	state := &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
	if m != nil {
		state.PeerCertificates = []*x509.Certificate{m.cert}
	}
	return state
}

// do calls as a machine, or with m nil as nobody. A body that is not a string or
// nil goes as JSON.
func (h *harness) do(m *machine, method, path string, body any, kind ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		raw, err := json.Marshal(body)
		must(h.t, err)
		text = string(raw)
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, "https://central.example"+path, strings.NewReader(text))
	r.Header.Set("Content-Type", append(kind, "application/json")[0])
	r.TLS = m.state()
	w := httptest.NewRecorder()
	handler := h.s.OperationsHandler()
	if strings.HasPrefix(path, "/v1/") && path != enroll.EnrollPath && path != enroll.RenewPath && !strings.HasPrefix(path, central.ChangesPath) {
		handler = h.doc.Recorder(http.HandlerFunc(h.overAConnection), func(err error) { h.t.Error(err) })
	}
	handler.ServeHTTP(w, r)
	return w
}

// overAConnection sends a request to a session, as it comes out of TLS.
func (h *harness) overAConnection(w http.ResponseWriter, r *http.Request) {
	caller, raw := net.Pipe()
	defer caller.Close()
	go h.front.attend(&session{front: h.front, raw: raw, conn: raw, visitor: h.s.visitor(*r.TLS)})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { r.Write(caller) })
	resp, err := http.ReadResponse(bufio.NewReader(caller), r)
	if err != nil {
		h.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		return
	}
	body, err := io.ReadAll(resp.Body)
	must(h.t, err)
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	w.Write(body)
}

// want calls and checks status and type of problem; "" is for none.
func (h *harness) want(status int, problem string, m *machine, method, path string, body any, kind ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.do(m, method, path, body, kind...)
	var p central.Problem
	if w.Code >= 400 && strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
		must(h.t, json.Unmarshal(w.Body.Bytes(), &p))
	}
	if w.Code != status || p.Type != problem || p.Status != 0 && p.Status != status {
		h.t.Errorf("%s %s: %d %s, want %d %s", method, path, w.Code, w.Body, status, problem)
	}
	if retry := w.Header().Get("Retry-After"); (status == 429 || status == 503 && problem != "") && (retry == "" || retry == "0") {
		h.t.Errorf("%s %s: Retry-After %q", method, path, retry)
	}
	return w
}

func (h *harness) token(name enroll.Name) (secret []byte) {
	h.t.Helper()
	secret = []byte(uuid.NewString()[:16])
	must(h.t, h.st.CreateTokens(h.t.Context(), store.Act{At: h.clock()}, []store.Token{{Hash: enroll.HashSecret(secret), Name: name, ExpiresAt: h.clock().Add(time.Hour)}}, false))
	return secret
}

func newCSR(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := enroll.NewKey()
	must(t, err)
	csr, err := enroll.NewCSR(key)
	must(t, err)
	return key, csr
}

func (h *harness) enrol(name enroll.Name) *machine {
	h.t.Helper()
	key, csr := newCSR(h.t)
	w := h.want(200, "", nil, "POST", enroll.EnrollPath, enroll.EnrollRequest{Secret: h.token(name), Role: name.Role, CSR: csr})
	var answer enroll.EnrollResponse
	must(h.t, json.Unmarshal(w.Body.Bytes(), &answer))
	return &machine{h: h, name: name, key: key, cert: parse(h.t, answer.Certificate)}
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

// seal makes a request for a card's household, with enc.
func (m *machine) seal(number string, swipe uint32) central.Request {
	m.h.t.Helper()
	secret, err := tid.NewPayment([]byte(number))
	must(m.h.t, err)
	return m.sealTID(secret, swipe)
}

// epochFor makes an epoch of a key, whatever lanes would seal with.
func (h *harness) epochFor(m *machine, key uint32) *enctid.Epoch {
	h.t.Helper()
	for _, k := range h.s.Keys().manifestKeys(h.clock()) {
		if k.ID == key {
			e, err := enctid.NewEpoch(enctid.PublicKey{ID: enctid.KeyID(key), Key: k.PublicKey}, enctid.Binding{Tenant: m.name.Tenant, Lane: m.name.LaneName()})
			must(h.t, err)
			return e
		}
	}
	h.t.Fatalf("there is no key %d", key)
	return nil
}

// sealTID is seal for a TID of any kind, which it wipes.
func (m *machine) sealTID(secret tid.TID, swipe uint32) central.Request {
	m.h.t.Helper()
	t := m.h.t
	defer secret.Wipe()
	if m.epoch == nil {
		key, err := m.h.s.Keys().manifestSealingKey(m.h.clock())
		must(t, err)
		m.epoch, err = enctid.NewEpoch(enctid.PublicKey{ID: enctid.KeyID(key.ID), Key: key.PublicKey}, enctid.Binding{Tenant: m.name.Tenant, Lane: m.name.LaneName()})
		must(t, err)
	}
	req := central.Request{Basket: uuid.MustParse("0191f0a0-0000-7000-8000-000000000001"), Swipe: swipe, SealedAt: m.h.clock().UnixMilli()}
	short, err := m.epoch.Seal(secret, enctid.Context{Basket: req.Basket, Swipe: req.Swipe, SealedAt: req.SealedAt})
	must(t, err)
	req.EncTID, err = enctid.WithEnc(short, m.epoch.Enc())
	must(t, err)
	return req
}

func (k *Keys) manifestSealingKey(now time.Time) (central.ManifestKey, error) {
	return central.Manifest{Version: 1, Keys: k.manifestKeys(now)}.SealingKey(now)
}

func (m *machine) resolve(number string, swipe uint32) central.Answer {
	m.h.t.Helper()
	req := m.seal(number, swipe)
	w := m.h.want(200, "", m, "POST", central.ResolvePath, req)
	var a central.Answer
	must(m.h.t, json.Unmarshal(w.Body.Bytes(), &a))
	must(m.h.t, a.Check(req))
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errBoom = errors.New("boom")
