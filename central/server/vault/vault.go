// Package vault wraps central's keys. All of them lie in central's database,
// encrypted (AES-256-GCM) under the one key-encryption key (KEK) that does not:
// a systemd credential, a file that only its owner may read, or a passphrase.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/argon2"
)

// KeySize is the size of a KEK in bytes.
const KeySize = 32

// SaltSize is the size in bytes of the salt of a passphrase.
const SaltSize = 16

// Parameters of argon2id: the second recommendation of RFC 9106, section 4.
const (
	argonPasses  = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

// ErrWrongKey says that something was wrapped under another KEK, for another
// place, or was changed.
var ErrWrongKey = errors.New("the key-encryption key does not fit")

// KEK is a key-encryption key. It prints as "KEK(redacted)".
type KEK struct {
	aead cipher.AEAD
	id   string
}

// New makes a KEK of 32 bytes and wipes them.
func New(key []byte) (KEK, error) {
	defer clear(key)
	if len(key) != KeySize {
		return KEK{}, fmt.Errorf("key-encryption key: it has %d bytes, not %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return KEK{}, fmt.Errorf("key-encryption key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return KEK{}, fmt.Errorf("key-encryption key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, "hhid/kek/id")
	return KEK{aead, hex.EncodeToString(mac.Sum(nil)[:8])}, nil
}

// FromPassphrase derives a KEK with argon2id and wipes the passphrase. It takes
// a tenth of a second or so, and 64 MiB.
func FromPassphrase(passphrase []byte, salt [SaltSize]byte) (KEK, error) {
	key, err := Derive(passphrase, salt)
	if err != nil {
		return KEK{}, err
	}
	return New(key)
}

// Derive is FromPassphrase for a KEK that another process will use: it gives the 32
// bytes, which the caller wipes.
func Derive(passphrase []byte, salt [SaltSize]byte) ([]byte, error) {
	defer clear(passphrase)
	if len(passphrase) < 12 {
		return nil, errors.New("key-encryption key: a passphrase needs 12 characters or more")
	}
	return argon2.IDKey(passphrase, salt[:], argonPasses, argonMemory, argonThreads, KeySize), nil
}

// ReadFile reads a KEK from a file of 32 bytes, or of 64 hexadecimal digits and
// perhaps an end of line. If others than its owner may read the file, it is an
// error.
func ReadFile(path string) (KEK, error) { return readFile(path, true) }

// ReadKey is ReadFile for a KEK that another process will use: it gives the 32
// bytes, which the caller wipes.
func ReadKey(path string) ([]byte, error) { return readKey(path, true) }

// ReadCredential is ReadFile without a look at the file's mode: it is for
// $CREDENTIALS_DIRECTORY, where systemd sees to that.
func ReadCredential(path string) (KEK, error) { return readFile(path, false) }

func readFile(path string, private bool) (KEK, error) {
	key, err := readKey(path, private)
	if err != nil {
		return KEK{}, err
	}
	return New(key)
}

func readKey(path string, private bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read key-encryption key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read key-encryption key: %w", err)
	}
	if mode := info.Mode(); private && (!mode.IsRegular() || mode.Perm()&0o077 != 0) {
		return nil, fmt.Errorf("read key-encryption key: %s has mode %v: only its owner may have access to it: chmod 600 %s", path, mode, path)
	}
	raw := make([]byte, 2*KeySize+3)
	defer clear(raw)
	n, err := io.ReadFull(f, raw)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read key-encryption key: %w", err)
	}
	key, err := decode(raw[:n])
	if err != nil {
		return nil, fmt.Errorf("read key-encryption key: %s: %w", path, err)
	}
	return key, nil
}

func decode(raw []byte) ([]byte, error) {
	if len(raw) == KeySize {
		return append([]byte(nil), raw...), nil
	}
	for len(raw) > 2*KeySize && (raw[len(raw)-1] == '\n' || raw[len(raw)-1] == '\r') {
		raw = raw[:len(raw)-1]
	}
	key := make([]byte, KeySize)
	if len(raw) != 2*KeySize {
		return nil, errors.New("it is neither 32 bytes nor 64 hexadecimal digits")
	}
	if _, err := hex.Decode(key, raw); err != nil {
		clear(key)
		return nil, errors.New("it is neither 32 bytes nor 64 hexadecimal digits")
	}
	return key, nil
}

// CreateFile makes a new random KEK and writes it to path, as 64 hexadecimal
// digits and mode 0600. A file that is there already is an error.
func CreateFile(path string) (KEK, error) {
	key := make([]byte, KeySize)
	rand.Read(key)
	text := append(hex.AppendEncode(nil, key), '\n')
	defer clear(text)
	if err := writeNew(path, text); err != nil {
		clear(key)
		return KEK{}, fmt.Errorf("create key-encryption key: %w", err)
	}
	return New(key)
}

func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: a key is never overwritten", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ID names the key without telling anything of it: 16 hexadecimal digits.
func (k KEK) ID() string { return k.id }

// Wrap encrypts secret and binds it to context: what it is and where it lies.
func (k KEK) Wrap(secret, context []byte) []byte {
	return k.aead.Seal(nil, nil, secret, context)
}

// Unwrap is the inverse of Wrap. The error is ErrWrongKey.
func (k KEK) Unwrap(wrapped, context []byte) ([]byte, error) {
	secret, err := k.aead.Open(nil, nil, wrapped, context)
	if err != nil {
		return nil, ErrWrongKey
	}
	return secret, nil
}

// Format tells nothing, under every verb.
func (k KEK) Format(f fmt.State, _ rune) { io.WriteString(f, "KEK(redacted)") }

// MarshalText refuses: a KEK is not to be written out.
func (k KEK) MarshalText() ([]byte, error) {
	return nil, errors.New("a key-encryption key is not to be written out")
}
