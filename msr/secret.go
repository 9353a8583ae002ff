package msr

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Secret is bytes that cannot be printed: what a reader encrypted of a card,
// which is the clear track where the reader holds no keys. The zero value holds
// none.
//
// Copies share one memory, so that [Secret.Wipe] wipes them all. One goroutine
// at a time may use it.
type Secret struct {
	// The memory hangs on a closure for the reason that it does so in tid.TID:
	// fmt prints what it finds in unexported fields of other structs, where it
	// cannot call methods. It cannot look into a closure.
	open func() *[]byte
}

// NewSecret makes a secret of a copy of b, and wipes b.
func NewSecret(b []byte) Secret {
	defer clear(b)
	if len(b) == 0 {
		return Secret{}
	}
	own := append(make([]byte, 0, len(b)), b...)
	return Secret{open: func() *[]byte { return &own }}
}

// Len is how many bytes the secret has; 0 for the zero value and after Wipe.
func (s Secret) Len() int {
	if s.open == nil {
		return 0
	}
	return len(*s.open())
}

// Use calls f with the bytes, unless there are none. They are s's own memory: f
// must not change, keep or copy them, and must make no string of them.
func (s Secret) Use(f func(b []byte)) {
	if s.Len() > 0 {
		f(*s.open())
	}
}

// Wipe overwrites the bytes. From then on s and its copies hold none.
func (s Secret) Wipe() {
	if s.open == nil {
		return
	}
	own := s.open()
	clear(*own)
	*own = nil
}

// String says how many bytes s has and that it does not show them.
func (s Secret) String() string { return fmt.Sprintf("[%d secret bytes]", s.Len()) }

// GoString redacts.
func (s Secret) GoString() string { return s.String() }

// Format redacts under every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue redacts.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText redacts, in JSON and XML as well. It gives no error: a log line
// must not be lost because a secret was put into it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GobEncode refuses: a redacted secret would be decoded as another one.
func (s Secret) GobEncode() ([]byte, error) {
	return nil, errors.New("encode secret: it never leaves this process")
}
