package enroll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Names of files in a credentials directory.
const (
	keyFile      = "key.pem"
	pendingFile  = "pending-key.pem" // of a request that has no answer yet
	certFile     = "cert.pem"
	caFile       = "ca.pem"
	manifestFile = "manifest.pub"
	aboutFile    = "enrolment.json"
)

// writeFile replaces a file at once, mode 0600, and returns when it is on disk.
func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// rename replaces newPath and returns when that is on disk.
func rename(oldPath, newPath string) error {
	if err := os.Rename(oldPath, newPath); err != nil {
		return err
	}
	return syncDir(filepath.Dir(newPath))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makePrivate makes the directory, and refuses one that others may read, or
// that is another user's: root would leave files there that its owner, the
// daemon, cannot read.
func makePrivate(dir string) error {
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := checkOwn(path, os.Geteuid()); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return checkPrivate(dir)
}

func checkOwn(path string, uid int) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // it is made next, or that says why not
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || uid != 0 || st.Uid == 0 {
		return nil
	}
	owner := strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	return fmt.Errorf("%s belongs to %s, who could not read what root writes there: run this as that user (sudo -u %s ...)", path, owner, owner)
}

// checkPrivate refuses a file or directory that others than its owner may read
// or write.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	mode := "600"
	if info.IsDir() {
		mode = "700"
	}
	return fmt.Errorf("%s is open to other users (mode %04o): run: chmod %s %s", path, info.Mode().Perm(), mode, path)
}

// readPEM reads the one block of this type.
func readPEM(path, blockType string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	block, _ := pem.Decode(b)
	if block == nil || block.Type != blockType {
		return nil, fmt.Errorf("%s holds no PEM block of type %s", path, blockType)
	}
	return block.Bytes, nil
}

func writePEM(path, blockType string, der []byte) error {
	b := pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
	defer clear(b)
	return writeFile(path, b)
}

const (
	pemKey    = "PRIVATE KEY"
	pemCert   = "CERTIFICATE"
	pemPublic = "PUBLIC KEY"
)

// readKey reads a private key that only its owner may read.
func readKey(path string) (*ecdsa.PrivateKey, error) {
	if err := checkPrivate(path); err != nil {
		return nil, err
	}
	der, err := readPEM(path, pemKey)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is not an ECDSA P-256 key", path)
	}
	return key, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	defer clear(der)
	return writePEM(path, pemKey, der)
}

// pendingKey is the key to ask a certificate for: the one of an earlier request
// that got no answer, or a new one, which is on disk when this returns.
func pendingKey(dir string) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, pendingFile)
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = NewKey(); err != nil {
		return nil, err
	}
	return key, writeKey(path, key)
}
