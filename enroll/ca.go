package enroll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// Validity of what central issues.
const (
	Lifetime   = 30 * 24 * time.Hour // of the certificates of lanes and shops
	RenewGrace = 30 * 24 * time.Hour // for which an expired certificate still renews
	Backdate   = time.Hour           // for clocks that are behind a little
	caLifetime = 30 * 365 * 24 * time.Hour
)

// CA issues the certificates of one central. Its key is not shown.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a CA certificate (DER) with its private key (PKCS #8, DER): ECDSA
// P-256, valid for 30 years, for issuing leaf certificates only.
func NewCA(commonName string) (certDER, keyDER []byte, err error) {
	return newCA(commonName, time.Now().Add(-Backdate))
}

func newCA(commonName string, from time.Time) (certDER, keyDER []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("new CA: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber:          NewSerial(),
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             from,
		NotAfter:              from.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	certDER, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("new CA: %v", err)
	}
	keyDER, err = x509.MarshalPKCS8PrivateKey(key)
	return certDER, keyDER, err
}

// LoadCA takes what [NewCA] made.
func LoadCA(certDER, keyDER []byte) (*CA, error) {
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, fmt.Errorf("load CA: %v", err)
	}
	any, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, errors.New("load CA: the key is not PKCS #8")
	}
	key, ok := any.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) || !cert.IsCA {
		return nil, errors.New("load CA: certificate and key do not belong together")
	}
	return &CA{cert, key}, nil
}

// Certificate is the CA's own certificate.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// String does not show the key.
func (ca *CA) String() string { return "CA " + ca.cert.Subject.CommonName }

// Leaf says what a certificate is to contain. Nothing of it comes from a CSR.
type Leaf struct {
	Name      Name
	Hosts     []string // DNS names and IP addresses, for people and other TLS clients: peers here go by Name
	NotBefore time.Time
	NotAfter  time.Time
	Serial    *big.Int // nil for a random one
}

// NewSerial is a random certificate serial number of 127 bits.
func NewSerial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// Issue signs a certificate (DER) for the public key of a CSR (PKCS #10, DER),
// which must be ECDSA P-256 and have signed the CSR. Lanes get a client
// certificate, POS main computers and central one for both sides.
func (ca *CA) Issue(csrDER []byte, l Leaf) ([]byte, error) {
	key, err := CSRKey(csrDER)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %v", l.Name, err)
	}
	if err := l.check(ca.cert); err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %v", l.Name, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, l.template(), ca.cert, key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %v", l.Name, err)
	}
	return der, nil
}

func (l Leaf) check(ca *x509.Certificate) error {
	if err := l.Name.Check(); err != nil {
		return err
	}
	switch {
	case !l.NotAfter.After(l.NotBefore):
		return errors.New("it would end before it begins")
	case l.NotAfter.After(ca.NotAfter):
		return fmt.Errorf("it would outlive the CA, which ends on %s", day(ca.NotAfter))
	}
	return nil
}

func (l Leaf) template() *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber:          l.Serial,
		Subject:               pkix.Name{CommonName: commonName(l.Name)},
		NotBefore:             l.NotBefore,
		NotAfter:              l.NotAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{l.Name.URI()},
	}
	if t.SerialNumber == nil {
		t.SerialNumber = NewSerial()
	}
	if l.Name.Role != Lane {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, h := range l.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}

// commonName is for people who look at a certificate: X.520 allows 64
// characters.
func commonName(n Name) string {
	s := string(n.Role)
	if n.Lane != "" {
		s += " " + n.Lane
	}
	return s[:min(len(s), 64)]
}

// NewKey makes a private key of the kind that certificates are issued for.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new key: %v", err)
	}
	return key, nil
}

// NewCSR makes a CSR (PKCS #10, DER) for a key. It names nothing but the key.
func NewCSR(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("new CSR: %v", err)
	}
	return der, nil
}

// CSRKey checks a CSR and returns its public key, by which central finds a
// repeated request.
func CSRKey(csrDER []byte) (*ecdsa.PublicKey, error) {
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, errors.New("read CSR: it is not PKCS #10 in DER")
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("read CSR: want an ECDSA key on curve P-256")
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, errors.New("read CSR: it is not signed by its key")
	}
	return key, nil
}

// KeyHash is the SHA-256 of a public key as PKIX DER: what central compares keys
// by.
func KeyHash(key *ecdsa.PublicKey) ([32]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return [32]byte{}, fmt.Errorf("hash public key: %v", err)
	}
	return sha256.Sum256(der), nil
}
