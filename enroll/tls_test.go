package enroll

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// echo answers with the name of whoever asks.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	n, err := PeerName(*r.TLS, time.Now())
	if errors.Is(err, ErrNoCertificate) {
		io.WriteString(w, "nobody")
		return
	}
	if err != nil {
		io.WriteString(w, "error: "+err.Error())
		return
	}
	io.WriteString(w, n.String())
})

// ask makes one request over a connection of its own.
func ask(url string, config *tls.Config) (string, error) {
	c := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// refusals keeps what the server's side said of the last handshake.
type refusals struct {
	mu  sync.Mutex
	err error
}

func (r *refusals) watch(c *tls.Config) *tls.Config {
	verify := c.VerifyConnection
	c.VerifyConnection = func(s tls.ConnectionState) error {
		err := verify(s)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = err
		return err
	}
	return c
}

func (r *refusals) last() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// unnamed is a certificate of ca that has whatever the template says.
func unnamed(t *testing.T, ca *CA, change func(*x509.Certificate)) *Credentials {
	t.Helper()
	key := must(NewKey())
	l := goodLeaf()
	template := l.template()
	change(template)
	der, err := x509.CreateCertificate(nil, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := must(x509.ParseCertificate(der))
	return &Credentials{Name: lane7, CA: ca.cert, Certificate: tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}}
}

func parseURL(s string) *url.URL { return must(url.Parse(s)) }

// signedByLane is a certificate that a lane issued, as if it were a CA.
func signedByLane(t *testing.T, ca *CA) *Credentials {
	t.Helper()
	lane := issue(t, ca, Leaf{Name: lane7})
	key := must(NewKey())
	l := Leaf{Name: shop12, NotBefore: time.Now().Add(-Backdate), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, l.template(), lane.Certificate.Leaf, key.Public(), lane.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{der, lane.Certificate.Leaf.Raw, ca.cert.Raw}
	return &Credentials{Name: shop12, CA: ca.cert, Certificate: tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}}
}

func TestServerRefusesClients(t *testing.T) {
	ca, _ := testCA(t, "acme")
	foreign, _ := testCA(t, "acme") // the same name, another key
	server := issue(t, ca, Leaf{Name: shop12})
	var seen refusals
	url := serve(t, seen.watch(ServerConfig(server, Name{Tenant: "acme", Shop: "s12", Role: Lane})), echo)
	now := time.Now()
	named := func(n Name) *Credentials { return issue(t, ca, Leaf{Name: n}) }
	dated := func(from, to time.Duration) *Credentials {
		return issue(t, ca, Leaf{Name: lane7, NotBefore: now.Add(from), NotAfter: now.Add(to)})
	}
	forged := issue(t, foreign, Leaf{Name: lane7})
	forged.CA = ca.cert
	for name, c := range map[string]struct {
		own  *Credentials
		want error
		text string
	}{
		"good":           {named(lane7), nil, ""},
		"foreign CA":     {forged, ErrForeignCA, `not issued by "acme"`},
		"signed by lane": {signedByLane(t, ca), ErrForeignCA, "another central"},
		"expired":        {dated(-31*24*time.Hour, -24*time.Hour-time.Minute), ErrExpired, "24 h 1 min later: is the clock wrong?"},
		"not yet valid":  {dated(23*time.Hour+time.Minute, 48*time.Hour), ErrNotYetValid, "23 h 0 min earlier: is the clock wrong?"},
		"wrong role":     {named(shop12), ErrWrongName, "wanted is role lane, shop s12, tenant acme"},
		"central":        {named(centralName), ErrWrongName, "hhid://acme/central"},
		"wrong shop":     {named(Name{"acme", "s13", Lane, "lane-7"}), ErrWrongName, "hhid://acme/s13/lane/lane-7"},
		"wrong tenant":   {named(Name{"acne", "s12", Lane, "lane-7"}), ErrWrongName, "hhid://acne"},
		"no name":        {unnamed(t, ca, func(c *x509.Certificate) { c.URIs = nil; c.DNSNames = []string{"lane-7"} }), ErrWrongName, "names nobody"},
		"two names":      {unnamed(t, ca, func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }), ErrWrongName, "names nobody"},
		"another URI":    {unnamed(t, ca, func(c *x509.Certificate) { c.URIs[0] = parseURL("spiffe://acme/lane") }), ErrWrongName, "hhid://"},
		"server's usage": {unnamed(t, ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), ErrWrongName, "not for this side"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(url, ClientConfig(c.own, Name{Role: POSMain}))
			if c.want == nil {
				if err != nil || got != lane7.String() {
					t.Errorf("answer %q, %v", got, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("answered %q", got)
			}
			if refusal := seen.last(); !errors.Is(refusal, c.want) || !strings.Contains(refusal.Error(), c.text) {
				t.Errorf("the server says %v, want %v with %q", refusal, c.want, c.text)
			}
			if text := Explain(err, c.own).Error(); !strings.Contains(text, "the server refused the certificate of this machine") {
				t.Errorf("the client says %q", text)
			}
		})
	}
	t.Run("no certificate", func(t *testing.T) {
		if got, err := ask(url, &tls.Config{InsecureSkipVerify: true}); err == nil {
			t.Errorf("answered %q", got)
		}
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		c := ClientConfig(named(lane7), Name{Role: POSMain})
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if got, err := ask(url, c); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("answered %q, %v", got, err)
		}
	})
}

func TestClientRefusesServers(t *testing.T) {
	ca, _ := testCA(t, "acme")
	foreign, _ := testCA(t, "acme")
	own := issue(t, ca, Leaf{Name: lane7})
	now := time.Now()
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		server *Credentials
		want   error
	}{
		"good":                   {issue(t, ca, Leaf{Name: shop12}), nil},
		"good at another host":   {issue(t, ca, Leaf{Name: shop12, Hosts: []string{"elsewhere.example"}}), nil},
		"foreign CA":             {issue(t, foreign, Leaf{Name: shop12}), ErrForeignCA},
		"expired":                {issue(t, ca, Leaf{Name: shop12, NotBefore: now.Add(-2 * day), NotAfter: now.Add(-day)}), ErrExpired},
		"not yet valid":          {issue(t, ca, Leaf{Name: shop12, NotBefore: now.Add(day), NotAfter: now.Add(2 * day)}), ErrNotYetValid},
		"central":                {issue(t, ca, Leaf{Name: centralName}), ErrWrongName},
		"another shop":           {issue(t, ca, Leaf{Name: Name{"acme", "s13", POSMain, ""}}), ErrWrongName},
		"a lane poses as server": {issue(t, ca, Leaf{Name: lane7}), ErrWrongName},
		"signed by a lane":       {signedByLane(t, ca), ErrForeignCA},
	} {
		t.Run(name, func(t *testing.T) {
			server := *c.server
			server.CA = ca.cert // it takes our lane, at least
			url := serve(t, ServerConfig(&server, Name{Role: Lane}), echo)
			_, err := ask(url, ClientConfig(own, Name{Tenant: "acme", Shop: "s12", Role: POSMain}))
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
		})
	}
	t.Run("TLS 1.2", func(t *testing.T) {
		server := issue(t, ca, Leaf{Name: shop12})
		c := ServerConfig(server, Name{Role: Lane})
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if _, err := ask(serve(t, c, echo), ClientConfig(own, Name{Role: POSMain})); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestOperationsListener(t *testing.T) {
	ca, _ := testCA(t, "acme")
	server := issue(t, ca, Leaf{Name: centralName})
	names := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := VerifyPeer(*r.TLS, Verify{CA: ca.cert, Want: []Name{{Role: Lane}}, Use: x509.ExtKeyUsageClientAuth, Grace: RenewGrace})
		fmt.Fprint(w, n, err)
	})
	url := serve(t, OperationsConfig(server, Name{Role: Lane}), names)
	now, day := time.Now(), 24*time.Hour
	aged := func(ended time.Duration) *Credentials {
		return issue(t, ca, Leaf{Name: lane7, NotBefore: now.Add(-70 * day), NotAfter: now.Add(-ended)})
	}
	if got, err := ask(url, &tls.Config{InsecureSkipVerify: true}); err != nil || !strings.Contains(got, ErrNoCertificate.Error()) {
		t.Errorf("without a certificate: %q, %v", got, err)
	}
	for name, c := range map[string]struct {
		own *Credentials
		ok  bool
	}{
		"valid":               {issue(t, ca, Leaf{Name: lane7}), true},
		"ended a minute ago":  {aged(time.Minute), true},
		"ended 29 days ago":   {aged(29 * day), true},
		"ended 31 days ago":   {aged(31 * day), false},
		"begins tomorrow":     {issue(t, ca, Leaf{Name: lane7, NotBefore: now.Add(day)}), false},
		"of a role not asked": {issue(t, ca, Leaf{Name: shop12}), false},
	} {
		got, err := ask(url, ClientConfig(c.own, Name{Role: Central}))
		if ok := err == nil && strings.Contains(got, lane7.String()); ok != c.ok {
			t.Errorf("%s: %q, %v; want ok %t", name, got, err, c.ok)
		}
	}
}

// exchange makes one connection over a pipe and says whether it resumed.
func exchange(p *pipe, config *tls.Config) (resumed bool, err error) {
	c := http.Client{Transport: &http.Transport{DialContext: p.dial, TLSClientConfig: config, DisableKeepAlives: true}}
	resp, err := c.Get("https://shop/")
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != lane7.String() {
		err = fmt.Errorf("answer %q", body)
	}
	return resp.TLS.DidResume, err
}

// A session ticket must not carry a lane over the end of its certificate, nor to
// a server that no longer takes it.
func TestResumptionIsVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, _ := testCA(t, "acme")
		now := time.Now()
		server := issue(t, ca, Leaf{Name: shop12, NotAfter: now.Add(365 * 24 * time.Hour)})
		own := issue(t, ca, Leaf{Name: lane7, NotAfter: now.Add(2 * time.Hour)})
		var seen refusals
		p := newPipe(t)
		serveOn(t, tls.NewListener(p, seen.watch(ServerConfig(server, Name{Role: Lane}))), echo)

		config := ClientConfig(own, Name{Role: POSMain})
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1) // a client that is not ours
		for i, want := range []bool{false, true, true} {
			resumed, err := exchange(p, config)
			if err != nil || resumed != want {
				t.Fatalf("connection %d: resumed %t, want %t, %v", i, resumed, want, err)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(2 * time.Hour)
		if _, err := exchange(p, config); err == nil || !errors.Is(seen.last(), ErrExpired) {
			t.Errorf("resumed after the end: %v, the server says %v", err, seen.last())
		}
	})
}

// A connection may outlive the certificate it began with.
func TestPeerNameOnALongConnection(t *testing.T) {
	ca, _ := testCA(t, "acme")
	now := time.Now()
	for name, c := range map[string]struct {
		own  *Credentials
		want error
	}{
		"good":    {issue(t, ca, Leaf{Name: lane7}), nil},
		"ended":   {issue(t, ca, Leaf{Name: lane7, NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Minute)}), ErrExpired},
		"unnamed": {unnamed(t, ca, func(c *x509.Certificate) { c.URIs = nil; c.SerialNumber = big.NewInt(1) }), ErrWrongName},
	} {
		state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.own.Certificate.Leaf}}
		if _, err := PeerName(state, time.Now()); !errors.Is(err, c.want) {
			t.Errorf("%s: error is %v, want %v", name, err, c.want)
		}
	}
	if _, err := PeerName(tls.ConnectionState{}, time.Now()); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestExplain(t *testing.T) {
	ca, _ := testCA(t, "acme")
	now := time.Now()
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for text, own := range map[string]*Credentials{
		"it ended at":    issue(t, ca, Leaf{Name: lane7, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-time.Hour)}),
		"it begins at":   issue(t, ca, Leaf{Name: lane7, NotBefore: now.Add(24 * time.Hour)}),
		"dates are good": issue(t, ca, Leaf{Name: lane7}),
	} {
		err := Explain(fmt.Errorf("get: %w", alert), own)
		if !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), lane7.String()) || !errors.Is(err, alert) {
			t.Errorf("%v, want %q in it", err, text)
		}
	}
	plain := errors.New("connection refused")
	if Explain(plain, issue(t, ca, Leaf{Name: lane7})) != plain || Explain(nil, nil) != nil {
		t.Error("Explain changes errors that are not a server's refusal")
	}
	if text := Explain(alert, nil).Error(); !strings.Contains(text, "operations listener") {
		t.Errorf("at a first contact: %s", text)
	}
}

// The name is verified at the present CA: each new connection goes by the newest
// credentials.
func TestNewConnectionsShowNewCredentials(t *testing.T) {
	ca, _ := testCA(t, "acme")
	server := issue(t, ca, Leaf{Name: shop12})
	url := serve(t, ServerConfig(server, Name{Role: Lane}), echo)
	s := &Store{}
	config := ClientConfig(s, Name{Role: POSMain})
	for _, lane := range []string{"1", "2"} {
		n := Name{"acme", "s12", Lane, lane}
		s.current.Store(issue(t, ca, Leaf{Name: n}))
		if got, err := ask(url, config); err != nil || got != n.String() {
			t.Errorf("the server saw %q, %v, want %v", got, err, n)
		}
	}
}

func BenchmarkVerifyPeer(b *testing.B) {
	ca, _ := testCA(b, "acme")
	own := issue(b, ca, Leaf{Name: lane7})
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{own.Certificate.Leaf}}
	v := Verify{CA: ca.cert, Want: []Name{{Role: Lane}}, Use: x509.ExtKeyUsageClientAuth}
	b.Run("VerifyPeer", func(b *testing.B) {
		for b.Loop() {
			if _, err := VerifyPeer(state, v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("PeerName", func(b *testing.B) {
		for b.Loop() {
			if _, err := PeerName(state, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
