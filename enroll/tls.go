package enroll

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// Source gives the present credentials. They change at a renewal, and each new
// connection takes the newest. [Store] is one, and so are [Credentials]
// themselves.
type Source interface {
	Current() *Credentials
}

// ServerConfig is for a server whose clients must show a certificate that
// matches one of want. [VerifyPeer] tells a handler who it was.
func ServerConfig(src Source, want ...Name) *tls.Config {
	c := serverConfig(src)
	c.ClientAuth = tls.RequireAnyClientCert // verified below, again at each resumption
	c.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := VerifyPeer(state, Verify{CA: src.Current().CA, Want: want, Use: x509.ExtKeyUsageClientAuth})
		return err
	}
	return c
}

// OperationsConfig is for central's operations listener: clients may come
// without a certificate, to enrol; one that is shown must match want and may have
// expired up to [RenewGrace] ago, to renew.
func OperationsConfig(src Source, want ...Name) *tls.Config {
	c := serverConfig(src)
	c.ClientAuth = tls.RequestClientCert
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil
		}
		_, err := VerifyPeer(state, Verify{CA: src.Current().CA, Want: want, Use: x509.ExtKeyUsageClientAuth, Grace: RenewGrace})
		return err
	}
	return c
}

func serverConfig(src Source) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &src.Current().Certificate, nil
		},
	}
}

// ClientConfig is for a client of a server that matches want. Sessions are not
// resumed: a resumed session would show the certificate it began with.
func ClientConfig(src Source, want Name) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &src.Current().Certificate, nil
		},
		// VerifyConnection does all that is skipped here, by name URI in place
		// of host name.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := VerifyPeer(state, Verify{CA: src.Current().CA, Want: []Name{want}, Use: x509.ExtKeyUsageServerAuth})
			return err
		},
	}
}

// firstContact is for a client that has nothing but a token: the CA that the
// server sends along must be the one that the token pins.
func firstContact(t Token) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, ca := range state.PeerCertificates {
				if sha256.Sum256(ca.Raw) == t.ca {
					_, err := VerifyPeer(state, Verify{CA: ca, Want: []Name{{Role: Central}}, Use: x509.ExtKeyUsageServerAuth})
					return err
				}
			}
			return fmt.Errorf("verify peer: %w than the one this token was made for: check the address, and that the token is from this central", ErrForeignCA)
		},
	}
}

// Explain adds to an error of a TLS client what the server could not tell: TLS
// says "bad certificate" and no more. Other errors come back as they are. At a
// first contact own is nil.
func Explain(err error, own *Credentials) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return err
	}
	if own == nil {
		return fmt.Errorf("%w: that listener is not for enrolment: give the address of central's operations listener", err)
	}
	return fmt.Errorf("%w: the server refused the certificate of this machine, %v: %s", err, own.Name, own.doubt(time.Now()))
}

// doubt says why a server may refuse these credentials.
func (c *Credentials) doubt(now time.Time) string {
	switch leaf := c.Certificate.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Sprintf("it ended at %s, and the clock here says %s: it must be renewed, or the clock set", instant(leaf.NotAfter), instant(now))
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("it begins at %s, and the clock here says %s: set the clock", instant(leaf.NotBefore), instant(now))
	}
	return "its dates are good by the clock here, so the clocks differ, or that server takes another role, shop or CA; the server's log says which"
}
