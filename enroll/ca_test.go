package enroll

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func goodLeaf() Leaf {
	return Leaf{Name: lane7, NotBefore: time.Now().Add(-Backdate), NotAfter: time.Now().Add(Lifetime)}
}

// request signs a CSR that asks for much.
func request(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	usage := pkix.Extension{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}} // CA:TRUE
	evil := Name{Tenant: "acme", Role: Central}.URI()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "central", Organization: []string{"evil"}}, DNSNames: []string{"evil.example"},
		URIs: []*url.URL{evil}, IPAddresses: []net.IP{{127, 0, 0, 1}}, EmailAddresses: []string{"a@evil.example"},
		ExtraExtensions: []pkix.Extension{usage},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestIssueTakesNothingButTheKey(t *testing.T) {
	ca, _ := testCA(t, "test")
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	l := goodLeaf()
	l.Hosts, l.Serial = []string{"10.0.0.7", "lane.example"}, big.NewInt(77)
	der, err := ca.Issue(request(t, key), l)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(c.PublicKey) || c.SerialNumber.Int64() != 77 || c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("key, serial, CA or usage are wrong: %v %v %v", c.SerialNumber, c.IsCA, c.KeyUsage)
	}
	if len(c.URIs) != 1 || c.URIs[0].String() != lane7.String() || c.Subject.String() != "CN=lane lane-7" || len(c.EmailAddresses) != 0 {
		t.Errorf("it names %v, %v", c.URIs, c.Subject)
	}
	if !slices.Equal(c.DNSNames, []string{"lane.example"}) || len(c.IPAddresses) != 1 || c.IPAddresses[0].String() != "10.0.0.7" {
		t.Errorf("hosts are %v %v", c.DNSNames, c.IPAddresses)
	}
	if !c.NotBefore.Equal(l.NotBefore.Truncate(time.Second)) || !c.NotAfter.Equal(l.NotAfter.Truncate(time.Second)) {
		t.Errorf("valid from %v to %v", c.NotBefore, c.NotAfter)
	}
}

func TestUsageGoesByRole(t *testing.T) {
	ca, _ := testCA(t, "test")
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for n, want := range map[Name][]x509.ExtKeyUsage{lane7: both[:1], shop12: both, centralName: both} {
		if got := issue(t, ca, Leaf{Name: n}).Certificate.Leaf.ExtKeyUsage; !slices.Equal(got, want) {
			t.Errorf("%v is for %v, want %v", n, got, want)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	ca, _ := testCA(t, "test")
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	good := request(t, key)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	for name, c := range map[string]struct {
		csr    []byte
		change func(*Leaf)
		want   string
	}{
		"P-384":           {request(t, p384), nil, "P-256"},
		"Ed25519":         {request(t, ed), nil, "P-256"},
		"RSA":             {request(t, rsaKey), nil, "P-256"},
		"forged":          {forged, nil, "not signed"},
		"empty":           {nil, nil, "PKCS #10"},
		"junk":            {[]byte("junk"), nil, "PKCS #10"},
		"cut":             {good[:40], nil, "PKCS #10"},
		"bad name":        {good, func(l *Leaf) { l.Name.Lane = "a/b" }, "bad lane"},
		"no name":         {good, func(l *Leaf) { l.Name = Name{} }, "role"},
		"backwards":       {good, func(l *Leaf) { l.NotAfter = l.NotBefore }, "end before"},
		"outlives CA":     {good, func(l *Leaf) { l.NotAfter = time.Now().AddDate(31, 0, 0) }, "outlive"},
		"before the CA":   {good, func(l *Leaf) { l.NotBefore = time.Now().AddDate(-1, 0, 0) }, ""},
		"all is in order": {good, nil, ""},
	} {
		l := goodLeaf()
		if c.change != nil {
			c.change(&l)
		}
		_, err := ca.Issue(c.csr, l)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error is %v, want %q in it", name, err, c.want)
		}
	}
}

func TestLoadCARefuses(t *testing.T) {
	cert, key, err := NewCA("one")
	if err != nil {
		t.Fatal(err)
	}
	otherCert, _, err := NewCA("two")
	if err != nil {
		t.Fatal(err)
	}
	leaf := issue(t, must(LoadCA(cert, key)), Leaf{Name: lane7})
	leafKey, err := x509.MarshalPKCS8PrivateKey(leaf.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ cert, key []byte }{
		"another CA's key":   {otherCert, key},
		"no CA at all":       {leaf.Certificate.Leaf.Raw, leafKey},
		"junk certificate":   {[]byte("x"), key},
		"junk key":           {cert, []byte("x")},
		"the key of another": {cert, leafKey},
	} {
		if _, err := LoadCA(c.cert, c.key); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s := must(LoadCA(cert, key)).String(); s != "CA one" {
		t.Errorf("CA prints as %q", s)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestSerialsAreRandomAndPositive(t *testing.T) {
	a, b := NewSerial(), NewSerial()
	if a.Cmp(b) == 0 || a.Sign() <= 0 || a.BitLen() != 127 {
		t.Errorf("serials %v and %v, %d bits", a, b, a.BitLen())
	}
}

func FuzzCSRKey(f *testing.F) {
	key := must(NewKey())
	f.Add(must(NewCSR(key)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, der []byte) {
		if k, err := CSRKey(der); err == nil && k.Curve != elliptic.P256() {
			t.Fatal("another curve")
		}
	})
}
