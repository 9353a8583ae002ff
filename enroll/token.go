package enroll

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Sizes in bytes.
const (
	secretSize   = 16
	pinSize      = sha256.Size
	checksumSize = 4
	tokenSize    = secretSize + 2*pinSize + checksumSize
)

const tokenPrefix = "hhe1."

// tokenLength is the length of a token's text.
var tokenLength = len(tokenPrefix) + base64.RawURLEncoding.EncodedLen(tokenSize)

// Token lets one program enrol once. It carries 128 secret bits, and the SHA-256
// of central's CA certificate and of its manifest key, so that the first contact
// is already authenticated. It prints as "Token(redacted)"; [Token.Reveal] gives
// its text.
type Token struct {
	secret      func() [secretSize]byte
	ca          [pinSize]byte
	manifestKey [pinSize]byte
}

// NewToken makes a token for a central with this CA certificate (DER) and this
// manifest key (Ed25519, 32 bytes).
func NewToken(caDER, manifestKey []byte) Token {
	var secret [secretSize]byte
	rand.Read(secret[:])
	return makeToken(secret, sha256.Sum256(caDER), sha256.Sum256(manifestKey))
}

func makeToken(secret [secretSize]byte, ca, manifestKey [pinSize]byte) Token {
	return Token{func() [secretSize]byte { return secret }, ca, manifestKey}
}

// Reveal gives the token's text, for whoever enrols: "hhe1." and 112 characters
// of base64url, the last of which are a checksum.
func (t Token) Reveal() string {
	if t.secret == nil {
		return ""
	}
	secret := t.secret()
	b := make([]byte, 0, tokenSize)
	b = append(b, secret[:]...)
	b = append(b, t.ca[:]...)
	b = append(b, t.manifestKey[:]...)
	b = append(b, checksum(b)...)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken reads the text of a token. White space around it does not matter.
// The checksum tells a typing error, which is found here, from a token that
// central does not accept. The error never repeats the text.
func ParseToken(s string) (Token, error) {
	s = strings.TrimSpace(s)
	text, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("parse token: it does not begin with %q: use a token as `centrald tokens create` prints it", tokenPrefix)
	}
	if len(s) != tokenLength {
		return Token{}, fmt.Errorf("parse token: it has %d characters, not %d: copy it whole", len(s), tokenLength)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != tokenSize || !bytes.Equal(checksum(b[:tokenSize-checksumSize]), b[tokenSize-checksumSize:]) {
		return Token{}, errors.New("parse token: its checksum is wrong: there is a typing error in it, copy it again")
	}
	defer clear(b)
	ca, key := b[secretSize:secretSize+pinSize], b[secretSize+pinSize:tokenSize-checksumSize]
	return makeToken([secretSize]byte(b[:secretSize]), [pinSize]byte(ca), [pinSize]byte(key)), nil
}

func checksum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte("hhid/token checksum"), b...))
	return sum[:checksumSize]
}

// IsZero reports whether t is no token.
func (t Token) IsZero() bool { return t.secret == nil }

// Hash is what central stores of a token: see [HashSecret].
func (t Token) Hash() [32]byte {
	secret := t.secret()
	return HashSecret(secret[:])
}

// HashSecret hashes the secret of an [EnrollRequest], for central to find the
// token by. The secret is random, so that one SHA-256 is enough.
func HashSecret(secret []byte) [32]byte {
	return sha256.Sum256(append([]byte("hhid/token secret"), secret...))
}

// PinsCA reports whether the token was made for a central with this CA
// certificate (DER).
func (t Token) PinsCA(caDER []byte) bool { return sha256.Sum256(caDER) == t.ca }

// PinsManifestKey reports whether the token was made for a central with this
// manifest key.
func (t Token) PinsManifestKey(key []byte) bool { return sha256.Sum256(key) == t.manifestKey }

const redactedToken = "Token(redacted)"

// String tells nothing.
func (t Token) String() string { return redactedToken }

// Format tells nothing, under every verb.
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, redactedToken) }

// LogValue tells nothing.
func (t Token) LogValue() slog.Value { return slog.StringValue(redactedToken) }

// MarshalText refuses: a token is written out by Reveal alone.
func (t Token) MarshalText() ([]byte, error) {
	return nil, errors.New("a token is not to be written out")
}
