package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/basket"
	"posd/cli"
	"posd/enroll"
	"posd/posmain"
)

// enroller is as much of a central as enrolment needs.
type enroller struct {
	t           *testing.T
	ca          *enroll.CA
	manifestKey ed25519.PublicKey
	token       enroll.Token
	url         string
}

func newCentral(t *testing.T) *enroller {
	t.Helper()
	cert, key, err := enroll.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	c := &enroller{t: t}
	if c.ca, err = enroll.LoadCA(cert, key); err != nil {
		t.Fatal(err)
	}
	if c.manifestKey, _, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	c.token = enroll.NewToken(cert, c.manifestKey)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(c.enroll))
	own := c.credentials(enroll.Name{Tenant: "acme", Role: enroll.Central})
	srv.TLS = enroll.OperationsConfig(own, enroll.Name{Tenant: "acme"})
	srv.TLS.Certificates = []tls.Certificate{own.Certificate}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *enroller) enroll(w http.ResponseWriter, r *http.Request) {
	var req enroll.EnrollRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || enroll.HashSecret(req.Secret) != c.token.Hash() || req.Role != enroll.POSMain {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	json.NewEncoder(w).Encode(enroll.EnrollResponse{
		Certificate: c.issue(req.CSR, enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.POSMain}),
		CA:          c.ca.Certificate().Raw, ManifestKey: c.manifestKey, LookupURL: c.url, OperationsURL: c.url,
	})
}

func (c *enroller) issue(csr []byte, name enroll.Name) []byte {
	cert, err := c.ca.Issue(csr, enroll.Leaf{Name: name, NotBefore: time.Now().Add(-enroll.Backdate), NotAfter: time.Now().Add(enroll.Lifetime)})
	if err != nil {
		c.t.Error(err)
	}
	return cert
}

func (c *enroller) credentials(name enroll.Name) *enroll.Credentials {
	c.t.Helper()
	key, err := enroll.NewKey()
	if err != nil {
		c.t.Fatal(err)
	}
	csr, err := enroll.NewCSR(key)
	if err != nil {
		c.t.Fatal(err)
	}
	own, err := enroll.NewCredentials(c.issue(csr, name), key, c.ca.Certificate().Raw)
	if err != nil {
		c.t.Fatal(err)
	}
	return own
}

// call runs one command to its end.
func call(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = cli.Main(root, cli.Env{Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Context: t.Context()})
	return status, out.String(), errs.String()
}

// notifications listens as systemd does; each message is one of the channel.
func notifications(t *testing.T) <-chan string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	messages := make(chan string, 100)
	go func() {
		defer close(messages)
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			messages <- string(b[:n])
		}
	}()
	return messages
}

// await reads messages until one holds text.
func await(t *testing.T, messages <-chan string, text string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				t.Fatalf("the end came before %q", text)
			}
			if strings.Contains(m, text) {
				return
			}
		case <-deadline:
			t.Fatalf("%q did not come", text)
		}
	}
}

// freeAddress is a port of loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestEnrolServeAndAsk(t *testing.T) {
	c := newCentral(t)
	messages := notifications(t)
	dir, address, operations := t.TempDir(), freeAddress(t), freeAddress(t)
	status, out, errs := call(t, c.token.Reveal()+"\n", "enroll", "--central", c.url, "--state-dir", dir)
	if status != 0 || !strings.Contains(out, "POS main computer of shop 12 of acme") {
		t.Fatalf("enroll: %d %s%s", status, out, errs)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	var log strings.Builder
	go func() {
		ended <- cli.Main(root, cli.Env{Args: []string{"serve", "--state-dir", dir, "--listen", address, "--ops-listen", operations}, Stdout: &log, Stderr: &log, Context: ctx})
	}()
	await(t, messages, "READY=1")
	await(t, messages, "WATCHDOG=1\nSTATUS=0 baskets taken")

	client, err := posmain.NewClient("https://"+address, enroll.ClientConfig(c.credentials(enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "3"}), enroll.Name{Role: enroll.POSMain}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b := shown(sold(1, time.Now().Truncate(time.Second), item("036000291452", 2)), basket.Identity{State: "resolved", Kind: "payment", HHID: family, DeIdentTID: annCard})
	body, err := basket.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := client.Put(t.Context(), b.ID.String(), body); err != nil || r.Watermark != 1 {
		t.Fatalf("put: %+v, %v", r, err)
	}

	for path, says := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "posmaind_baskets_total 1\n"} {
		if resp, err := http.Get("http://" + operations + path); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v, %v", path, resp, err)
		} else if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), says) {
			t.Errorf("%s: %s, %v", path, text, err)
		} else {
			resp.Body.Close()
		}
	}
	if resp, err := http.Post("http://"+operations+posmain.BasketsPath+b.ID.String(), "application/json", bytes.NewReader(body)); err != nil || resp.StatusCode != 404 {
		t.Errorf("a basket without a certificate: %v, %v", resp, err)
	}
	if status, _, errs := call(t, "", "serve", "--state-dir", dir, "--database", filepath.Join(t.TempDir(), "o.db"), "--listen", freeAddress(t), "--ops-listen", operations); status != 1 || !strings.Contains(errs, "check --ops-listen") {
		t.Errorf("a second one on one port: %d %s", status, errs)
	}

	database := filepath.Join(dir, "posmaind.db")
	for _, args := range [][]string{{"history", "--household", family.String()}, {"lanes"}, {"trace", b.ID.String()}} {
		status, out, errs := call(t, "", append(args, "--database", database)...)
		if status != 0 || !strings.Contains(out, "12/3") {
			t.Errorf("%v while serving: %d %s%s", args, status, out, errs)
		}
	}
	if status, _, errs := call(t, "", "serve", "--state-dir", dir, "--listen", freeAddress(t)); status != 1 || !strings.Contains(errs, "another process holds it") {
		t.Errorf("a second posmaind on one log: %d %s", status, errs)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	if status, _, errs := call(t, "", "serve", "--state-dir", dir, "--database", other, "--listen", address); status != 1 || !strings.Contains(errs, "address already in use") {
		t.Errorf("a second posmaind on one port: %d %s", status, errs)
	}

	stop()
	await(t, messages, "STOPPING=1")
	if status := <-ended; status != 0 {
		t.Errorf("serve ended with %d: %s", status, log.String())
	}
}

func TestEnrolWithAStrangersToken(t *testing.T) {
	c, stranger := newCentral(t), newCentral(t)
	status, _, errs := call(t, stranger.token.Reveal(), "enroll", "--central", c.url, "--state-dir", t.TempDir())
	if status != 1 || !strings.Contains(errs, "posmaind: enrol: ") || strings.Contains(errs, "hhe1.") {
		t.Errorf("%d %s", status, errs)
	}
}
