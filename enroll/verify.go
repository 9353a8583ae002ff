package enroll

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Reasons for which a peer is refused. Errors of [VerifyPeer] wrap one of them.
var (
	ErrNoCertificate = errors.New("no certificate was shown")
	ErrForeignCA     = errors.New("certificate comes from another CA")
	ErrExpired       = errors.New("certificate has expired")
	ErrNotYetValid   = errors.New("certificate is not valid yet")
	ErrWrongName     = errors.New("certificate is for somebody else")
)

// Verify says which peers are good.
type Verify struct {
	CA    *x509.Certificate
	Want  []Name           // patterns (see Name.Matches), of which one must match
	Use   x509.ExtKeyUsage // x509.ExtKeyUsageClientAuth at a server, x509.ExtKeyUsageServerAuth at a client
	Now   time.Time        // zero for the present
	Grace time.Duration    // for which an expired certificate still passes
}

// VerifyPeer returns the name of the peer of a TLS connection, if it is good.
// The error says what is wrong and what can be done, and wraps [ErrNoCertificate],
// [ErrForeignCA], [ErrExpired], [ErrNotYetValid] or [ErrWrongName].
func VerifyPeer(state tls.ConnectionState, v Verify) (Name, error) {
	if len(state.PeerCertificates) == 0 {
		return Name{}, fmt.Errorf("verify peer: %w: enrol the machine first", ErrNoCertificate)
	}
	n, err := v.certificate(state.PeerCertificates[0])
	if err != nil {
		return Name{}, fmt.Errorf("verify peer: %w", err)
	}
	return n, nil
}

// PeerName returns the name of the peer of a connection that came in through
// [ServerConfig], and so was verified. It checks the end of the certificate
// against now again: a connection may outlive it. A handler calls it for each
// request.
func PeerName(state tls.ConnectionState, now time.Time) (Name, error) {
	if len(state.PeerCertificates) == 0 {
		return Name{}, fmt.Errorf("peer name: %w: enrol the machine first", ErrNoCertificate)
	}
	cert := state.PeerCertificates[0]
	n, err := nameOf(cert)
	if err != nil {
		return Name{}, fmt.Errorf("peer name: %w", err)
	}
	if err := (Verify{Now: now}).dates(n, cert); err != nil {
		return Name{}, fmt.Errorf("peer name: %w", err)
	}
	return n, nil
}

// certificate checks the chain first, so that nothing a foreign certificate says
// is believed or repeated, then dates, then the name.
func (v Verify) certificate(cert *x509.Certificate) (Name, error) {
	if err := v.chain(cert); err != nil {
		return Name{}, err
	}
	n, err := nameOf(cert)
	if err != nil {
		return Name{}, err
	}
	if err := v.dates(n, cert); err != nil {
		return Name{}, err
	}
	if !slices.ContainsFunc(v.Want, n.Matches) {
		return Name{}, fmt.Errorf("%w: it names %v, wanted is %s", ErrWrongName, n, patterns(v.Want))
	}
	return n, nil
}

// chain verifies signature and usage. Dates are checked by themselves.
func (v Verify) chain(cert *x509.Certificate) error {
	roots := x509.NewCertPool()
	roots.AddCert(v.CA)
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: cert.NotAfter, KeyUsages: []x509.ExtKeyUsage{v.Use}})
	if inv, ok := errors.AsType[x509.CertificateInvalidError](err); ok && inv.Reason == x509.IncompatibleUsage {
		return fmt.Errorf("%w: it is not for this side of a connection", ErrWrongName)
	}
	if err != nil {
		return fmt.Errorf("%w: it was not issued by %q; was central set up anew, or is this another central?", ErrForeignCA, v.CA.Subject.CommonName)
	}
	return nil
}

func (v Verify) dates(n Name, cert *x509.Certificate) error {
	now := v.Now
	if now.IsZero() {
		now = time.Now()
	}
	switch {
	case now.Before(cert.NotBefore):
		return fmt.Errorf("%w: that of %v begins at %s and the clock here says %s, %s earlier: is the clock wrong?",
			ErrNotYetValid, n, instant(cert.NotBefore), instant(now), span(cert.NotBefore.Sub(now)))
	case now.After(cert.NotAfter.Add(v.Grace)):
		return fmt.Errorf("%w: that of %v ended at %s and the clock here says %s, %s later: is the clock wrong?",
			ErrExpired, n, instant(cert.NotAfter), instant(now), span(now.Sub(cert.NotAfter)))
	}
	return nil
}

// nameOf reads the name of a certificate whose chain is good.
func nameOf(cert *x509.Certificate) (Name, error) {
	if len(cert.URIs) != 1 {
		return Name{}, fmt.Errorf("%w: it names nobody", ErrWrongName)
	}
	n, err := ParseURI(cert.URIs[0].String())
	if err != nil {
		return Name{}, fmt.Errorf("%w: %v", ErrWrongName, err)
	}
	return n, nil
}

// patterns names what is wanted, such as "role lane of shop 12".
func patterns(want []Name) string {
	text := ""
	for i, w := range want {
		if i > 0 {
			text += " or "
		}
		text += "role " + string(w.Role)
		for _, f := range []struct{ name, value string }{{"lane", w.Lane}, {"shop", w.Shop}, {"tenant", w.Tenant}} {
			if f.value != "" {
				text += ", " + f.name + " " + f.value
			}
		}
	}
	return text
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
func day(t time.Time) string     { return t.UTC().Format("2006-01-02") }

// span is a duration as a person says it, rounded.
func span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d min", d/time.Minute)
}
