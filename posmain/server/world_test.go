package server_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"posd/basket"
	"posd/enroll"
	"posd/posmain"
	"posd/posmain/server"
)

var (
	lane1   = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "1"}
	theMain = enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.POSMain}
)

// authority issues certificates.
type authority struct {
	t  testing.TB
	ca *enroll.CA
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	cert, key, err := enroll.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := enroll.LoadCA(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return authority{t, ca}
}

// issue gives a certificate that ended or ends at notAfter.
func (a authority) issue(name enroll.Name, notAfter time.Time) *enroll.Credentials {
	a.t.Helper()
	key, err := enroll.NewKey()
	if err != nil {
		a.t.Fatal(err)
	}
	csr, err := enroll.NewCSR(key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := a.ca.Issue(csr, enroll.Leaf{Name: name, NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter})
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := enroll.NewCredentials(cert, key, a.ca.Certificate().Raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func (a authority) credentials(name enroll.Name) *enroll.Credentials {
	return a.issue(name, time.Now().Add(time.Hour))
}

// world is a POS main computer and those who may sign for others.
type world struct {
	t    testing.TB
	pki  authority
	path string
	main *server.Running
	log  *lines
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, pki: newAuthority(t), path: filepath.Join(t.TempDir(), "log.db"), log: newLines()}
	w.start()
	t.Cleanup(func() { w.main.Stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	main, err := server.Start(w.pki.credentials(theMain), w.path, slog.New(slog.NewTextHandler(w.log, nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.main = main
}

// client is one with a certificate.
func (w *world) client(src enroll.Source) *posmain.Client {
	return w.dial(enroll.ClientConfig(src, enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.POSMain}))
}

func (w *world) dial(config *tls.Config) *posmain.Client {
	w.t.Helper()
	c, err := posmain.NewClient(w.main.URL, config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

func (w *world) lane() *posmain.Client { return w.client(w.pki.credentials(lane1)) }

// lines is a log to look at while it is written.
type lines struct {
	mu      sync.Mutex
	b       strings.Builder
	written chan struct{} // has one when something was written
}

func newLines() *lines { return &lines{written: make(chan struct{}, 1)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.written <- struct{}{}:
	default:
	}
	return l.b.Write(p)
}

func (l *lines) holds(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// await reports whether the log holds text before long.
func (l *lines) await(text string) bool {
	deadline := time.After(10 * time.Second)
	for !l.holds(text) {
		select {
		case <-l.written:
		case <-deadline:
			return false
		}
	}
	return true
}

func marshal(t testing.TB, b basket.Basket) []byte {
	t.Helper()
	body, err := basket.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// with adds a field to the front of a JSON object.
func with(body []byte, field string) []byte { return fmt.Appendf(nil, "{%s,%s", field, body[1:]) }
