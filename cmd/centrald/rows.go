package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"posd/identity"
)

// row is one line of a link file.
type row struct {
	Household  identity.HHID       `json:"household"`
	Family     string              `json:"family"`
	DeIdentTID identity.DeIdentTID `json:"deident_tid"`
	Kind       identity.Kind       `json:"kind"`
	TID        digits              `json:"tid"`
}

// digits are those of a TID, in memory of their own that can be wiped.
type digits []byte

// UnmarshalJSON takes a string of digits, a phone's plus sign left out. Its
// errors repeat nothing of it.
func (d *digits) UnmarshalJSON(text []byte) error {
	if len(text) < 2 || text[0] != '"' {
		return errors.New("tid must be a string of digits")
	}
	body := bytes.TrimPrefix(text[1:len(text)-1], []byte("+"))
	for _, c := range body {
		if c < '0' || c > '9' {
			return errors.New("tid must be a string of digits")
		}
	}
	*d = bytes.Clone(body)
	return nil
}

func (r *row) wipe() { clear(r.TID) }

// parseRow reads a line. What it says of a bad one repeats nothing of it.
func parseRow(line []byte) (*row, error) {
	var r row
	err := checkFields(line)
	if err == nil {
		// Unmarshal reads line where it is; a Decoder would copy it.
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		r.wipe()
		return nil, reason(err)
	}
	if err := r.check(); err != nil {
		r.wipe()
		return nil, err
	}
	return &r, nil
}

var errUnknownField = errors.New("it has a field other than household, family, deident_tid, kind, tid")

// checkFields refuses fields that a row does not have.
func checkFields(line []byte) error {
	var fields map[string]nothing
	if err := json.Unmarshal(line, &fields); err != nil {
		return err
	}
	for name := range fields {
		switch name {
		case "household", "family", "deident_tid", "kind", "tid":
		default:
			return errUnknownField
		}
	}
	return nil
}

// nothing takes any JSON and keeps none of it.
type nothing struct{}

// UnmarshalJSON keeps nothing.
func (nothing) UnmarshalJSON([]byte) error { return nil }

func reason(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return errors.New("the field " + wrong.Field + " must be a string")
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return errors.New("it is not a JSON object")
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return errors.New("it is not JSON")
	}
	return err
}

func (r *row) check() error {
	switch {
	case r.Household.IsZero() == (r.Family == ""):
		return errors.New("give household, or family, and not both")
	case (r.DeIdentTID == "") == (len(r.TID) == 0):
		return errors.New("give deident_tid, or kind and tid, and not both")
	case r.DeIdentTID != "" && r.Household.IsZero():
		return errors.New("a deident_tid needs a household, not a family")
	}
	if len(r.TID) > 0 {
		if _, err := identity.ParseKind(string(r.Kind)); err != nil {
			return errors.New("kind must be payment, loyalty or phone")
		}
	}
	return nil
}

// maxLine is the longest line of a link file.
const maxLine = 4096

var errLongLine = errors.New("it is longer than 4096 bytes")

// lineReader gives the lines of a file that may hold card numbers, out of one
// buffer of its own that is wiped as it goes.
type lineReader struct {
	in     io.Reader
	buf    []byte // what was read and not given yet is buf[from:to]
	from   int
	to     int
	number int
	err    error
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: in, buf: make([]byte, 2*maxLine)}
}

// next gives a line, without its end, and its number from 1. The line is good
// until the next call. After errLongLine it goes on with the line after.
func (l *lineReader) next() (line []byte, number int, err error) {
	l.number++
	long := false
	for {
		if end := bytes.IndexByte(l.buf[l.from:l.to], '\n'); end >= 0 {
			line = l.take(end + 1)
			return l.given(bytes.TrimSuffix(line[:end], []byte("\r")), long)
		}
		if l.to-l.from > maxLine {
			long = true
			clear(l.take(l.to - l.from))
		}
		if l.err != nil {
			if rest := l.take(l.to - l.from); len(rest) > 0 || long {
				return l.given(rest, long)
			}
			return nil, l.number, l.err
		}
		l.fill()
	}
}

func (l *lineReader) given(line []byte, long bool) ([]byte, int, error) {
	if long || len(line) > maxLine {
		clear(line)
		return nil, l.number, errLongLine
	}
	return line, l.number, nil
}

func (l *lineReader) take(n int) []byte {
	taken := l.buf[l.from : l.from+n]
	l.from += n
	return taken
}

func (l *lineReader) fill() {
	kept := copy(l.buf, l.buf[l.from:l.to])
	clear(l.buf[kept:l.to])
	l.from, l.to = 0, kept
	var n int
	n, l.err = l.in.Read(l.buf[l.to:])
	l.to += n
}

func (l *lineReader) wipe() { clear(l.buf) }

func blank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }
