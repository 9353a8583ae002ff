package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Recorder serves with next and reports every exchange that the document does
// not allow. A request's own body and parameters are held against the document
// only if it was answered with success: bad requests are what tests send on
// purpose. An answer outside the document's operations must be 404 or 405. It
// streams: what next flushes goes out at once, and the whole is checked when
// next returns. report may be called from several goroutines.
func (d *Document) Recorder(next http.Handler, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &bytes.Buffer{}
		if r.Body != nil {
			r.Body = readCloser{io.TeeReader(r.Body, body), r.Body}
		}
		answer := &recording{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if err := d.check(r, body.Bytes(), answer); err != nil {
			report(fmt.Errorf("%s %s answered %d: %s: %w", r.Method, r.URL.Path, answer.code(), d.name, err))
		}
	})
}

type readCloser struct {
	io.Reader
	io.Closer
}

type recording struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recording) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recording) Write(b []byte) (int, error) {
	r.status = r.code()
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

func (r *recording) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		r.status = r.code()
		f.Flush()
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recording) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recording) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

func (d *Document) check(r *http.Request, body []byte, answer *recording) error {
	op, values := d.find(r.Method, r.URL.Path)
	if op == nil {
		if status := answer.code(); status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			return errors.New("it has no such operation")
		}
		return nil
	}
	content, ok := op.responses[answer.code()]
	if !ok {
		return errors.New("the operation has no such status")
	}
	d.note(op, answer.code())
	if err := checkContent(content, answer.Header().Get("Content-Type"), answer.body.Bytes()); err != nil && r.Method != http.MethodHead {
		return fmt.Errorf("the answer: %w", err)
	}
	if answer.code() >= 300 {
		return nil
	}
	if err := op.checkParameters(values, r.URL.Query()); err != nil {
		return fmt.Errorf("the request: %w", err)
	}
	if err := op.checkRequest(r.Header.Get("Content-Type"), body); err != nil {
		return fmt.Errorf("the request: %w", err)
	}
	return nil
}

func (d *Document) note(op *operation, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[fmt.Sprintf("%s %s %d", op.method, op.path, status)] = true
}

// find gives the operation of a request and the values of its path's
// parameters. A literal path goes before one with parameters.
func (d *Document) find(method, path string) (best *operation, values map[string]string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments := strings.Split(path, "/")
	for _, op := range d.operations {
		if v, ok := op.match(segments); ok && op.method == method && (best == nil || len(v) < len(values)) {
			best, values = op, v
		}
	}
	return best, values
}

func (op *operation) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(op.segments) {
		return nil, false
	}
	values := map[string]string{}
	for i, s := range op.segments {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = segments[i]
		} else if s != segments[i] {
			return nil, false
		}
	}
	return values, true
}

func (op *operation) checkParameters(path map[string]string, query url.Values) error {
	known := map[string]bool{}
	for _, p := range op.parameters {
		var given []string
		switch p.in {
		case "path":
			given = []string{path[p.name]}
		case "query":
			known[p.name] = true
			given = query[p.name]
		default:
			continue
		}
		if p.required && len(given) == 0 {
			return fmt.Errorf("the parameter %s is missing", p.name)
		}
		for _, v := range given {
			if err := p.schema.Validate(p.value(v)); err != nil {
				return fmt.Errorf("the parameter %s: %w", p.name, err)
			}
		}
	}
	for name := range query {
		if !known[name] {
			return fmt.Errorf("the parameter %s is not described", name)
		}
	}
	return nil
}

// value reads a parameter's text as the type that its schema names.
func (p parameter) value(text string) any {
	switch p.kind {
	case "integer", "number":
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}

func (op *operation) checkRequest(kind string, body []byte) error {
	if len(body) == 0 && (op.request == nil || op.bodyOptional) {
		return nil
	}
	return checkContent(op.request, kind, body)
}

func checkContent(content map[string]*media, header string, body []byte) error {
	if len(content) == 0 {
		if len(body) > 0 {
			return errors.New("there is a body where none is described")
		}
		return nil
	}
	kind, _, _ := mime.ParseMediaType(header)
	m, ok := content[kind]
	if !ok {
		return fmt.Errorf("the media type %q is not described", header)
	}
	if m.schema == nil {
		return nil
	}
	for _, part := range parts(kind, body) {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(part))
		if err != nil {
			return fmt.Errorf("the body is not JSON: %w", err)
		}
		if err := m.schema.Validate(value); err != nil {
			return fmt.Errorf("the body: %w", err)
		}
	}
	return nil
}

// parts gives the JSON texts in a body: lines of NDJSON, the data of
// server-sent events, or the one that the body is. Other content has none.
func parts(kind string, body []byte) [][]byte {
	var found [][]byte
	switch {
	case kind == "application/x-ndjson":
		for line := range bytes.Lines(body) {
			found = append(found, line)
		}
	case kind == "text/event-stream":
		for line := range bytes.Lines(body) {
			if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				found = append(found, data)
			}
		}
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		found = [][]byte{body}
	}
	return found
}
