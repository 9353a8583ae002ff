package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in the file, from 1.
type position struct{ line, col int }

func (p position) before(q position) bool {
	return p.line < q.line || p.line == q.line && p.col < q.col
}

// document is a TOML file as a flat table from dotted keys to values. Elements
// of arrays of tables have their index for a key: device.0.port.
type document struct {
	name   string
	values map[string]any      // without tables
	places map[string]position // of keys and of headers of tables
	asked  map[string]bool     // keys that the program knows
	errs   []*Error
}

func readDocument(name string, text []byte) (*document, error) {
	d := &document{name: name, values: map[string]any{}, places: map[string]position{}, asked: map[string]bool{}}
	if len(text) > maxSize {
		return nil, &Error{name, 1, 1, "", fmt.Sprintf("the file is longer than %d bytes", maxSize)}
	}
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		return nil, d.syntax(err)
	}
	d.flatten("", tree)
	d.locate(text)
	return d, nil
}

func (d *document) syntax(err error) error {
	e := &Error{d.name, 1, 1, "", strings.TrimPrefix(err.Error(), "toml: ")}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		e.Line, e.Col = at.Position()
		e.Line, e.Col = max(e.Line, 1), max(e.Col, 1)
	}
	return e
}

// join appends a key to a path. A key with a dot of its own stays apart from a
// dotted key.
func join(path, key string) string {
	if strings.ContainsAny(key, ".\"") || key == "" {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func (d *document) flatten(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, sub := range v {
			d.flatten(join(path, key), sub)
		}
	case []any:
		if !slices.ContainsFunc(v, isTable) {
			d.values[path] = v
			return
		}
		for i, sub := range v {
			d.flatten(join(path, strconv.Itoa(i)), sub)
		}
	default:
		d.values[path] = v
	}
}

func isTable(v any) bool { _, ok := v.(map[string]any); return ok }

// locate notes where each key and table stands. The text is known to be TOML.
func (d *document) locate(text []byte) {
	l := locator{d: d, text: text, counts: map[string]int{}}
	l.parser.Reset(text)
	table := ""
	for l.parser.NextExpression() {
		switch e := l.parser.Expression(); e.Kind {
		case unstable.Table:
			table = l.place("", e.Key())
		case unstable.ArrayTable:
			path := l.place("", e.Key())
			at := d.places[path]
			table = join(path, strconv.Itoa(l.counts[path]))
			l.counts[path]++
			d.places[table] = at
		case unstable.KeyValue:
			l.value(l.place(table, e.Key()), e.Value())
		}
	}
}

type locator struct {
	d      *document
	text   []byte
	parser unstable.Parser
	counts map[string]int // of the elements of arrays of tables
}

// place notes each part of a dotted key and returns its path. A part that is
// an array of tables means that array's last element.
func (l *locator) place(path string, key unstable.Iterator) string {
	for key.Next() {
		if n := l.counts[path]; path != "" && n > 0 {
			path = join(path, strconv.Itoa(n-1))
		}
		path = join(path, string(key.Node().Data))
		l.d.places[path] = l.at(key.Node().Raw)
	}
	return path
}

func (l *locator) value(path string, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			l.value(l.place(path, it.Node().Key()), it.Node().Value())
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); {
			element := join(path, strconv.Itoa(i))
			l.d.places[element] = l.d.places[path]
			l.value(element, it.Node())
			i++
		}
	}
}

func (l *locator) at(r unstable.Range) position {
	before := l.text[:min(int(r.Offset), len(l.text))]
	line := bytes.Count(before, []byte("\n"))
	return position{line + 1, len(before) - bytes.LastIndexByte(before, '\n')}
}

// fail notes that something is wrong with a key: where it stands, or where its
// table does if it is missing.
func (d *document) fail(key, format string, args ...any) {
	at, ok := d.places[key]
	for table := key; !ok && table != ""; {
		table = table[:max(strings.LastIndexByte(table, '.'), 0)]
		at, ok = d.places[table]
	}
	if !ok {
		at = position{1, 1}
	}
	d.errs = append(d.errs, &Error{d.name, at.line, at.col, shown(key), fmt.Sprintf(format, args...)})
}

// shown is a key as a person wrote it, without the index of its table.
func shown(key string) string {
	if rest, ok := strings.CutPrefix(key, "device."); ok {
		if number, name, ok := strings.Cut(rest, "."); ok && number != "" && number[0] >= '0' && number[0] <= '9' {
			return name
		}
		return "device"
	}
	return key
}

// err gives what is wrong, in the file's order.
func (d *document) err() error {
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		switch p, q := (position{a.Line, a.Col}), (position{b.Line, b.Col}); {
		case p.before(q):
			return -1
		case q.before(p):
			return 1
		}
		return 0
	})
	errs := make([]error, len(d.errs))
	for i, e := range d.errs {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// unknown fails for every key and table that nobody has asked for.
func (d *document) unknown() {
	known := slices.Sorted(maps.Keys(d.asked))
	for _, key := range slices.Sorted(maps.Keys(d.places)) {
		if d.asked[key] || isPart(key, known) || d.reported(key) {
			continue
		}
		d.fail(key, "there is no such key%s", suggest(key, known))
	}
}

// isPart reports whether key is a table that holds a known key, or part of the
// value of one.
func isPart(key string, known []string) bool {
	return slices.ContainsFunc(known, func(k string) bool {
		return strings.HasPrefix(k, key+".") || strings.HasPrefix(key, k+".")
	})
}

// reported reports whether an error names the key's table already.
func (d *document) reported(key string) bool {
	at := d.places[key]
	return slices.ContainsFunc(d.errs, func(e *Error) bool {
		return e.Line == at.line && e.Col == at.col || strings.HasPrefix(key, e.Key+".")
	})
}

// suggest names the known key that is most like a mistyped one.
func suggest(key string, known []string) string {
	best, most := "", 2
	for _, k := range known {
		if n := distance(key, k); n <= most {
			best, most = k, n-1
		}
	}
	if best != "" {
		return ": do you mean " + shown(best) + "?"
	}
	own := key[strings.LastIndexByte(key, '.')+1:]
	for _, k := range known {
		if table := strings.TrimSuffix(k, "."+own); table != k && !strings.HasPrefix(k, "device.") {
			return fmt.Sprintf(": %s belongs in the table [%s]", own, table)
		}
	}
	return ""
}

// distance is the Levenshtein distance of short texts; long ones are far.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
