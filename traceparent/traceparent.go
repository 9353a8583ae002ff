// Package traceparent reads and writes traceparent, the header of W3C Trace Context by
// which the log lines of several programs about one request are found. No program
// here records spans.
package traceparent

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
)

// Header is the name of the header.
const Header = "Traceparent"

// ID names a trace; the zero ID names none.
type ID [16]byte

// IsZero reports whether id names no trace.
func (id ID) IsZero() bool { return id == ID{} }

// String gives 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// New gives the value of the header for the first request of a new trace. It asks
// nobody to record that.
func New() (id ID, value string) {
	var span [8]byte
	for id.IsZero() || span == [8]byte{} {
		rand.Read(id[:])
		rand.Read(span[:])
	}
	return id, "00-" + id.String() + "-" + hex.EncodeToString(span[:]) + "-00"
}

const size = len("00-") + 32 + len("-") + 16 + len("-00")

// Parse gives the trace that a header's value names, and the zero ID if it is not
// well-formed. It allocates nothing.
func Parse(value []byte) (id ID) {
	if len(value) < size || value[2] != '-' || value[35] != '-' || value[52] != '-' {
		return ID{}
	}
	var version, flags [1]byte
	var span [8]byte
	if !decode(version[:], value[:2]) || !decode(id[:], value[3:35]) || !decode(span[:], value[36:52]) || !decode(flags[:], value[53:55]) {
		return ID{}
	}
	switch {
	case version[0] == 0xff, span == [8]byte{}:
		return ID{}
	case version[0] == 0 && len(value) > size, len(value) > size && value[size] != '-': // newer versions may say more
		return ID{}
	}
	return id
}

// decode reads lower-case hexadecimal digits.
func decode(dst, digits []byte) bool {
	for _, c := range digits {
		if 'A' <= c && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, digits)
	return err == nil
}

// Of gives the trace that a request belongs to, and the zero ID if it brings no
// header, or several.
func Of(r *http.Request) ID {
	if values := r.Header[Header]; len(values) == 1 {
		return Parse([]byte(values[0]))
	}
	return ID{}
}

// Log is a log whose lines name the trace that they belong to, as trace_id.
func Log(log *slog.Logger, id ID) *slog.Logger {
	if id.IsZero() {
		return log
	}
	return log.With("trace_id", id.String())
}
