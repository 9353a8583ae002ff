package rows

import (
	"bytes"
	"errors"
	"fmt"
)

// Headings reads the first line of a CSV file: names of fields, in any order.
func (p *Parser) Headings(line []byte) error {
	line = bytes.TrimPrefix(line, []byte("\ufeff")) // spreadsheets write it
	var columns []field
	for more := true; more; {
		var name []byte
		var err error
		if name, line, more, err = cell(line); err != nil {
			return fmt.Errorf("the headings: %w", err)
		}
		f := fieldOf(bytes.TrimSpace(name))
		if f == unknown {
			return errors.New("the first line of a CSV file names its columns, out of household, hhid, family, deident_tid, kind, tid, opted_out")
		}
		for _, other := range columns {
			if other == f {
				return errors.New("the headings name a column twice")
			}
		}
		columns = append(columns, f)
	}
	p.columns = columns
	return nil
}

// csv reads a row of cells (RFC 4180, apart from cells of several lines).
func (p *Parser) csv(line []byte, r *Row) error {
	for i, more := 0, true; more; i++ {
		var text []byte
		var err error
		if text, line, more, err = cell(line); err != nil {
			return err
		}
		if more == (i == len(p.columns)-1) {
			return errors.New("it has not as many cells as there are headings")
		}
		if err := r.set(p.columns[i], text); err != nil {
			return err
		}
	}
	return nil
}

var errQuote = errors.New("it has a quote that does not end, or that stands within a cell")

// cell takes a cell. more says that another follows.
func cell(line []byte) (text, rest []byte, more bool, err error) {
	if len(line) == 0 || line[0] != '"' {
		text, rest, more = bytes.Cut(line, []byte{','})
		if bytes.IndexByte(text, '"') >= 0 {
			return nil, nil, false, errQuote
		}
		return text, rest, more, nil
	}
	text, copied := line[1:1], false
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] != '"':
		case i+1 < len(line) && line[i+1] == '"': // a quote within is written twice
			if i++; !copied { // no number comes here
				text, copied = bytes.Clone(text), true
			}
		case i+1 == len(line):
			return text, nil, false, nil
		case line[i+1] == ',':
			return text, line[i+2:], true, nil
		default:
			return nil, nil, false, errQuote
		}
		text = append(text, line[i])
	}
	return nil, nil, false, errQuote
}
