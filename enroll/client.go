package enroll

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"posd/problem"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 1 << 16
	maxSkew        = 10 * time.Minute
)

// ErrClock says that the clocks of this machine and of central differ by more
// than ten minutes.
var ErrClock = errors.New("the clock of this machine is wrong")

// Enroll gets a first certificate from central's operations listener and keeps
// it in dir, which it makes if need be. The token must be for this role. If the
// answer is lost, the same call gets it again.
//
// A machine that is enrolled can be enrolled anew under the same name; for
// another name its directory has to be moved away first. Refusals by central are
// a [Problem]; a clock that differs from central's by more than ten minutes is
// [ErrClock].
func Enroll(ctx context.Context, operationsURL string, token Token, role Role, dir string) (Name, error) {
	c, err := enroll(ctx, operationsURL, token, role, dir)
	if err != nil {
		return Name{}, fmt.Errorf("enrol: %w", err)
	}
	return c.Name, nil
}

func enroll(ctx context.Context, operationsURL string, token Token, role Role, dir string) (*Credentials, error) {
	if err := checkURL(operationsURL); err != nil {
		return nil, err
	}
	if token.IsZero() {
		return nil, errors.New("there is no token")
	}
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	key, csr, err := pendingRequest(dir)
	if err != nil {
		return nil, err
	}
	secret := token.secret()
	var resp EnrollResponse
	sk, err := newCaller(firstContact(token), nil).post(ctx, operationsURL, EnrollPath, EnrollRequest{secret[:], role, csr}, &resp)
	if err != nil {
		return nil, err
	}
	if err := sk.check(); err != nil {
		return nil, fmt.Errorf("%w; the token stays good for this machine until it expires: set the clock and try again", err)
	}
	c, err := resp.accept(token, role, key)
	if err != nil {
		return nil, err
	}
	if err := sameName(dir, c.Name); err != nil {
		return nil, err
	}
	return c, writeCredentials(dir, c)
}

// accept checks what central answered against the token's pins, the role and
// the key.
func (r EnrollResponse) accept(token Token, role Role, key *ecdsa.PrivateKey) (*Credentials, error) {
	if !token.PinsCA(r.CA) {
		return nil, fmt.Errorf("central's answer: %w than the one this token was made for", ErrForeignCA)
	}
	if !token.PinsManifestKey(r.ManifestKey) || len(r.ManifestKey) != ed25519.PublicKeySize {
		return nil, errors.New("central's answer: its manifest key is not the one this token was made for")
	}
	c, err := NewCredentials(r.Certificate, key, r.CA)
	if err != nil {
		return nil, fmt.Errorf("central's answer: %w", err)
	}
	v := Verify{CA: c.CA, Want: []Name{{Role: role}}, Use: x509.ExtKeyUsageClientAuth}
	if _, err := v.certificate(c.Certificate.Leaf); err != nil {
		return nil, fmt.Errorf("central's answer: %w", err)
	}
	for _, u := range []string{r.LookupURL, r.OperationsURL} {
		if err := checkURL(u); err != nil {
			return nil, fmt.Errorf("central's answer: %w", err)
		}
	}
	c.ManifestKey, c.LookupURL, c.OperationsURL = r.ManifestKey, r.LookupURL, r.OperationsURL
	return c, nil
}

// sameName refuses to turn one lane's machine into another's by mistake.
func sameName(dir string, n Name) error {
	s, err := Load(dir)
	if err != nil || s.Current().Name == n {
		return nil // nothing usable there, or the same machine
	}
	return fmt.Errorf("the token is for %v but this machine is enrolled as %v: if it is to change its place, move %s away, then try again with a new token", n, s.Current().Name, dir)
}

func pendingRequest(dir string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := pendingKey(dir)
	if err != nil {
		return nil, nil, err
	}
	csr, err := NewCSR(key)
	return key, csr, err
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("bad address of central %q: want https://HOST:PORT", s)
	}
	return nil
}

// caller speaks to central's operations listener. Each request has a connection
// of its own, so that it shows the newest certificate.
type caller struct {
	http *http.Client
	own  *Credentials // nil at the first contact
}

func newCaller(c *tls.Config, own *Credentials) caller {
	d := net.Dialer{Timeout: requestTimeout}
	return caller{own: own, http: &http.Client{
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSClientConfig: c, DisableKeepAlives: true,
		},
	}}
}

// post sends a request and reads the answer. A refusal is a *Problem.
func (c caller) post(ctx context.Context, base, path string, in, out any) (skew, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return skew{}, err
	}
	defer clear(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return skew{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	defer c.http.CloseIdleConnections() // also ends a dial that nobody waits for any more
	resp, err := c.http.Do(req)
	if err != nil {
		return skew{}, Explain(err, c.own)
	}
	defer resp.Body.Close()
	sk := skewOf(resp.Header, time.Now())
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return sk, fmt.Errorf("read central's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return sk, sk.explain((*Problem)(problem.Read(resp, answer)))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return sk, fmt.Errorf("read central's answer: it is not what a central sends: %v", err)
	}
	return sk, nil
}

// skew is by how much the clock here is ahead of central's.
type skew struct{ ahead time.Duration }

// skewOf compares with the Date header of an answer, which has a resolution of a
// second. An answer without one tells nothing.
func skewOf(h http.Header, now time.Time) skew {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return skew{}
	}
	return skew{now.Sub(date)}
}

// check gives ErrClock if the clocks differ by too much.
func (s skew) check() error {
	if s.ahead.Abs() <= maxSkew {
		return nil
	}
	direction := "ahead of"
	if s.ahead < 0 {
		direction = "behind"
	}
	return fmt.Errorf("%w: it is %s %s central's", ErrClock, span(s.ahead), direction)
}

// explain adds to a refusal that the clock is wrong, which may be its cause.
func (s skew) explain(p *Problem) error {
	if clock := s.check(); clock != nil {
		return fmt.Errorf("%w; besides, %w", p, clock)
	}
	return p
}
