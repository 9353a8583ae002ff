package rows

import (
	"bytes"
	"encoding/json"
	"errors"
)

var (
	errNotJSON      = errors.New("it is not JSON")
	errNotObject    = errors.New("it is not a JSON object")
	errUnknownField = errors.New("it has a field other than household, hhid, family, deident_tid, kind, tid, opted_out")
	errTwice        = errors.New("it has a field twice")
)

// object reads a row that is a JSON object. It reads the text of fields where it lies,
// which encoding/json would copy.
func object(line []byte, r *Row) error {
	s := scan{rest: line}
	if !s.take('{') {
		return notObject(line)
	}
	if s.take('}') {
		return s.end()
	}
	var seen [optedOut + 1]bool
	for {
		f, err := s.name()
		if err != nil {
			return err
		}
		if seen[f] {
			return errTwice
		}
		seen[f] = true
		text, err := s.value(f)
		if err != nil {
			return err
		}
		if err := r.set(f, text); err != nil {
			return err
		}
		if s.take('}') {
			return s.end()
		}
		if !s.take(',') {
			return errNotJSON
		}
	}
}

func notObject(line []byte) error {
	if json.Valid(line) {
		return errNotObject
	}
	return errNotJSON
}

// scan is what is left of a line.
type scan struct{ rest []byte }

func (s *scan) space() { s.rest = bytes.TrimLeft(s.rest, " \t\r\n") }

// take takes c behind white space, if it is there.
func (s *scan) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scan) end() error {
	if s.space(); len(s.rest) > 0 {
		return errNotJSON
	}
	return nil
}

// name takes the name of a field and the colon behind it.
func (s *scan) name() (field, error) {
	text, plain, err := s.text()
	if err != nil {
		return unknown, err
	}
	if !s.take(':') {
		return unknown, errNotJSON
	}
	f := fieldOf(text)
	if !plain || f == unknown {
		return unknown, errUnknownField
	}
	return f, nil
}

// text takes a string and gives what is between its quotes. plain is false if that
// holds escapes.
func (s *scan) text() (text []byte, plain bool, err error) {
	if !s.take('"') {
		return nil, false, errNotJSON
	}
	plain = true
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			text, s.rest = s.rest[:i], s.rest[i+1:]
			return text, plain, nil
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			return nil, false, errNotJSON
		}
	}
	return nil, false, errNotJSON
}

// value takes the value of a field; null is the empty text.
func (s *scan) value(f field) ([]byte, error) {
	s.space()
	for _, word := range []string{"null", "true", "false"} {
		rest, ok := bytes.CutPrefix(s.rest, []byte(word))
		if !ok {
			continue
		}
		switch s.rest = rest; {
		case word == "null":
			return nil, nil
		case f == optedOut:
			return []byte(word), nil
		}
		return nil, wrongType(f)
	}
	if len(s.rest) == 0 {
		return nil, errNotJSON
	}
	if s.rest[0] != '"' || f == optedOut {
		return nil, wrongType(f)
	}
	text, plain, err := s.text()
	if err != nil || plain {
		return text, err
	}
	if f != family {
		return nil, wrongType(f)
	}
	return unescape(text)
}

// unescape gives the text of a family's name. Names are no secret.
func unescape(text []byte) ([]byte, error) {
	var name string
	if json.Unmarshal(append(append([]byte{'"'}, text...), '"'), &name) != nil {
		return nil, errNotJSON
	}
	return []byte(name), nil
}

func wrongType(f field) error {
	switch f {
	case number:
		return errDigits
	case optedOut:
		return errors.New("opted_out must be true or false")
	}
	return errors.New("the field " + f.String() + " must be a string without escapes")
}
