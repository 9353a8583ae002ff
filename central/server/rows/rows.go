// Package rows is the form in which cards and households are written to files and
// read from them: NDJSON, or CSV with a line of headings. A row says which household
// a card belongs to:
//
//	{"household":"hh:...","deident_tid":"d1:..."}            a card seen before
//	{"household":"hh:...","kind":"loyalty","tid":"0001..."}  any card or number
//	{"family":"smith","kind":"payment","tid":"..."}          a family of this file
//	{"hhid":"hh:...","kind":"phone","tid":"1415..."}         the household is made if there is none
//
// Numbers are in canonical form (package tid). What an export writes is of the last
// kind: there deident_tid stands beside tid and, being that of the central that wrote
// it, is not looked at. "opted_out" is true for a card whose owner is not to be
// recognised.
//
// Rows are read where they lie, so that no copy of a number has to be wiped. No error
// of this package repeats what it read.
package rows

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"posd/identity"
	"posd/tid"
)

// MaxLine is the longest line of a file, in bytes without its end.
const MaxLine = 4096

// ErrLongLine says that a line is longer than MaxLine.
var ErrLongLine = errors.New("it is longer than 4096 bytes")

// Format is that of a file.
type Format string

// The formats of files.
const (
	NDJSON Format = "ndjson"
	CSV    Format = "csv"
)

// FormatOf gives the format of a file: that of its name's extension, unless it is
// said.
func FormatOf(said, path string) (Format, error) {
	if said == "" {
		said = strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
		if said == "json" || said == "jsonl" || path == "-" {
			said = string(NDJSON)
		}
	}
	switch f := Format(said); f {
	case NDJSON, CSV:
		return f, nil
	}
	return "", fmt.Errorf("give --format ndjson or --format csv: the name of the file does not tell")
}

// Row is a row. Family and TID lie in the line that it was read from.
type Row struct {
	Household  identity.HHID // a household that there is
	HHID       identity.HHID // a household that is made if there is none
	Family     []byte        // a family of this file
	DeIdentTID identity.DeIdentTID
	Kind       tid.Kind
	TID        []byte // digits in canonical form
	OptedOut   bool
}

// Parser reads the lines of a file.
type Parser struct {
	format  Format
	columns []field // of CSV
}

// NewParser makes a parser. A CSV file needs its headings first.
func NewParser(f Format) *Parser { return &Parser{format: f} }

// NeedsHeadings reports whether the next line is that of the headings.
func (p *Parser) NeedsHeadings() bool { return p.format == CSV && p.columns == nil }

// Parse reads a line, without its end, into r.
func (p *Parser) Parse(line []byte, r *Row) (err error) {
	*r = Row{}
	if len(line) > MaxLine {
		return ErrLongLine
	}
	if p.format == CSV {
		err = p.csv(line, r)
	} else {
		err = object(line, r)
	}
	if err != nil {
		return err
	}
	return r.check()
}

func (r *Row) check() error {
	targets := 0
	for _, given := range []bool{!r.Household.IsZero(), !r.HHID.IsZero(), len(r.Family) > 0} {
		if given {
			targets++
		}
	}
	switch {
	case targets != 1:
		return errors.New("give one of household, hhid and family")
	case r.DeIdentTID == "" && len(r.TID) == 0:
		return errors.New("give deident_tid, or kind and tid")
	case r.DeIdentTID != "" && len(r.TID) > 0 && r.HHID.IsZero():
		return errors.New("give deident_tid, or kind and tid, and not both")
	case r.DeIdentTID != "" && len(r.Family) > 0:
		return errors.New("a deident_tid needs a household, not a family")
	case len(r.TID) > 0 && r.Kind == 0:
		return errors.New("kind must be payment, loyalty or phone")
	}
	return nil
}

// field is one of a row's.
type field uint8

const (
	unknown field = iota
	household
	hhid
	family
	deident
	kind
	number
	optedOut
)

func fieldOf(name []byte) field {
	switch string(name) {
	case "household":
		return household
	case "hhid":
		return hhid
	case "family":
		return family
	case "deident_tid":
		return deident
	case "kind":
		return kind
	case "tid":
		return number
	case "opted_out":
		return optedOut
	}
	return unknown
}

func (f field) String() string {
	return [...]string{"?", "household", "hhid", "family", "deident_tid", "kind", "tid", "opted_out"}[f]
}

// set reads the text of a field; an empty one is none. The text of a number and of a
// family is kept, that of the others is not.
func (r *Row) set(f field, text []byte) (err error) {
	if len(text) == 0 {
		return nil
	}
	switch f {
	case household:
		return r.Household.UnmarshalText(text)
	case hhid:
		return r.HHID.UnmarshalText(text)
	case deident:
		return r.DeIdentTID.UnmarshalText(text)
	case family:
		r.Family = text
	case kind:
		if r.Kind = kindOf(text); r.Kind == 0 {
			return errors.New("kind must be payment, loyalty or phone")
		}
	case number:
		r.TID, err = digits(text)
		return err
	case optedOut:
		return r.setOptedOut(text)
	}
	return nil
}

func (r *Row) setOptedOut(text []byte) error {
	switch string(text) {
	case "true":
		r.OptedOut = true
	case "false":
	default:
		return errors.New("opted_out must be true or false")
	}
	return nil
}

func kindOf(text []byte) tid.Kind {
	switch string(text) {
	case "payment":
		return tid.Payment
	case "loyalty":
		return tid.Loyalty
	case "phone":
		return tid.Phone
	}
	return 0
}

var errDigits = errors.New("tid must be a string of digits")

// digits are those of a number, a phone's plus sign left out.
func digits(text []byte) ([]byte, error) {
	if text[0] == '+' {
		text = text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return nil, errDigits
		}
	}
	if len(text) == 0 {
		return nil, errDigits
	}
	return text, nil
}
