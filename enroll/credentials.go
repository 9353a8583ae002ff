package enroll

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// ErrNotEnrolled says that a directory holds no credentials.
var ErrNotEnrolled = errors.New("this machine is not enrolled")

// Credentials are who a program is, and whom it trusts. They do not change; a
// renewal makes new ones.
type Credentials struct {
	Name        Name
	Certificate tls.Certificate // the leaf, then the CA, by which a first contact knows it
	CA          *x509.Certificate

	// What a lane and a shop are told at enrolment; central's own have none.
	ManifestKey   ed25519.PublicKey // verifies central's manifest
	LookupURL     string
	OperationsURL string
}

// NewCredentials puts a certificate (DER), its key and the CA that issued it
// (DER) together. It checks that they belong together, not the dates.
func NewCredentials(certDER []byte, key *ecdsa.PrivateKey, caDER []byte) (*Credentials, error) {
	leaf, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, errors.New("read credentials: the certificate is not X.509 in DER")
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, errors.New("read credentials: the CA is not X.509 in DER")
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("read credentials: the certificate is for another key")
	}
	if err := (Verify{CA: ca, Use: x509.ExtKeyUsageClientAuth}).chain(leaf); err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	name, err := nameOf(leaf)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	chain := tls.Certificate{Certificate: [][]byte{certDER, caDER}, PrivateKey: key, Leaf: leaf}
	return &Credentials{Name: name, Certificate: chain, CA: ca}, nil
}

// Current returns c.
func (c *Credentials) Current() *Credentials { return c }

// String names the holder and not the key.
func (c *Credentials) String() string {
	return fmt.Sprintf("credentials of %v until %s", c.Name, instant(c.Certificate.Leaf.NotAfter))
}

// about is the file that says in plain words what the others are.
type about struct {
	Tenant        string `json:"tenant"`
	Shop          string `json:"shop"`
	Role          Role   `json:"role"`
	Lane          string `json:"lane,omitempty"`
	LookupURL     string `json:"lookup_url"`
	OperationsURL string `json:"operations_url"`
}

// Store keeps the credentials of a machine in a directory (mode 0700): key.pem,
// cert.pem, ca.pem, manifest.pub and enrolment.json. Each file is replaced
// atomically.
type Store struct {
	dir     string
	current atomic.Pointer[Credentials]
}

// Load reads the credentials in dir. A renewal that a crash cut short is
// completed. The error is [ErrNotEnrolled] if there are none, and gives the
// command to run if others may read the key.
func Load(dir string) (*Store, error) {
	c, err := readCredentials(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load credentials: %w (%s is not complete): enrol it with a token from central", ErrNotEnrolled, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("load credentials: %w", err)
	}
	s := &Store{dir: dir}
	s.current.Store(c)
	return s, nil
}

// Current returns the newest credentials.
func (s *Store) Current() *Credentials { return s.current.Load() }

func readCredentials(dir string) (*Credentials, error) {
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	caDER, err := readPEM(filepath.Join(dir, caFile), pemCert)
	if err != nil {
		return nil, err
	}
	certDER, err := readPEM(filepath.Join(dir, certFile), pemCert)
	if err != nil {
		return nil, err
	}
	key, err := matchingKey(dir, certDER)
	if err != nil {
		return nil, err
	}
	c, err := NewCredentials(certDER, key, caDER)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return c, readAbout(dir, c)
}

// matchingKey returns the certificate's key. It is the pending key if the
// program was stopped between writing the certificate and renaming the key.
func matchingKey(dir string, certDER []byte) (*ecdsa.PrivateKey, error) {
	leaf, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, fmt.Errorf("%s is not a certificate", filepath.Join(dir, certFile))
	}
	pending := filepath.Join(dir, pendingFile)
	key, err := readKey(pending)
	if err == nil && key.PublicKey.Equal(leaf.PublicKey) {
		return key, rename(pending, filepath.Join(dir, keyFile))
	}
	return readKey(filepath.Join(dir, keyFile))
}

func readAbout(dir string, c *Credentials) error {
	der, err := readPEM(filepath.Join(dir, manifestFile), pemPublic)
	if err != nil {
		return err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	key, ok := parsed.(ed25519.PublicKey)
	if err != nil || !ok {
		return fmt.Errorf("%s is not an Ed25519 key", filepath.Join(dir, manifestFile))
	}
	b, err := os.ReadFile(filepath.Join(dir, aboutFile))
	if err != nil {
		return err
	}
	var a about
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("%s: %v", filepath.Join(dir, aboutFile), err)
	}
	if (Name{a.Tenant, a.Shop, a.Role, a.Lane}) != c.Name {
		return fmt.Errorf("%s names somebody else than the certificate, %v: do not edit it; enrol again", filepath.Join(dir, aboutFile), c.Name)
	}
	c.ManifestKey, c.LookupURL, c.OperationsURL = key, a.LookupURL, a.OperationsURL
	return nil
}

// writeCredentials writes a certificate whose key is the pending one. The key
// takes its place last: until then [Load] finds it by the certificate.
func writeCredentials(dir string, c *Credentials) error {
	public, err := x509.MarshalPKIXPublicKey(c.ManifestKey)
	if err != nil {
		return err
	}
	n := c.Name
	text, err := json.MarshalIndent(about{n.Tenant, n.Shop, n.Role, n.Lane, c.LookupURL, c.OperationsURL}, "", "  ")
	if err != nil {
		return err
	}
	path := func(file string) string { return filepath.Join(dir, file) }
	for _, write := range []func() error{
		func() error { return writePEM(path(caFile), pemCert, c.CA.Raw) },
		func() error { return writePEM(path(manifestFile), pemPublic, public) },
		func() error { return writeFile(path(aboutFile), append(text, '\n')) },
		func() error { return writePEM(path(certFile), pemCert, c.Certificate.Leaf.Raw) },
		func() error { return rename(path(pendingFile), path(keyFile)) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// replace stores renewed credentials and makes them the current ones.
func (s *Store) replace(c *Credentials) error {
	if err := writeCredentials(s.dir, c); err != nil {
		return err
	}
	s.current.Store(c)
	return nil
}
