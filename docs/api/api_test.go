package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const sample = `
openapi: 3.1.1
info: {title: sample, version: "1"}
paths:
  /v1/things/{id}:
    parameters:
      - {$ref: "#/components/parameters/id"}
    put:
      operationId: putThing
      summary: Puts a thing.
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1}}
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Thing"}
            example: {name: a, key: AAEC}
      responses:
        "200":
          description: done
          content:
            application/json: {schema: {$ref: "#/components/schemas/Thing"}}
        "204": {description: nothing to say}
        "400": {$ref: "#/components/responses/Problem"}
  /v1/events:
    get:
      operationId: events
      summary: Streams.
      responses:
        "200":
          description: events
          content:
            text/event-stream: {schema: {$ref: "#/components/schemas/Thing"}}
            application/x-ndjson: {schema: {$ref: "#/components/schemas/Thing"}}
            text/plain: {schema: {type: string}}
components:
  parameters:
    id: {name: id, in: path, required: true, schema: {type: string, minLength: 3}}
  responses:
    Problem:
      description: refused
      content:
        application/problem+json: {schema: {type: object, required: [type]}}
  schemas:
    Thing:
      type: object
      additionalProperties: false
      required: [name]
      properties:
        name: {type: string, minLength: 1}
        key: {type: string, contentEncoding: base64}
        id: {type: string, format: uuid}
`

func load(t *testing.T, text string) *Document {
	t.Helper()
	d, err := parse("sample.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRecorder(t *testing.T) {
	const thing, problem = "application/json", "application/problem+json"
	for _, tc := range []struct {
		name, method, target, kind, body string
		status                           int
		answerKind, answer, want         string // want: part of the report, "" for none
	}{
		{"good", "PUT", "/v1/things/abc?limit=2", thing, `{"name":"a","key":"AAEC"}`, 200, thing, `{"name":"b"}`, ""},
		{"no content", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 204, "", "", ""},
		{"body in no content", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 204, thing, `{}`, "where none is described"},
		{"status", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 409, problem, `{"type":"x"}`, "no such status"},
		{"problem", "PUT", "/v1/things/abc", thing, `}`, 400, problem, `{"type":"x"}`, ""},
		{"problem without type", "PUT", "/v1/things/abc", thing, `}`, 400, problem, `{}`, "missing property 'type'"},
		{"media type", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 200, "text/html", `x`, "media type"},
		{"answer not JSON", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 200, thing, `x`, "not JSON"},
		{"answer", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 200, thing, `{"name":""}`, "minLength"},
		{"base64", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 200, thing, `{"name":"a","key":"%"}`, "base64"},
		{"uuid", "PUT", "/v1/things/abc", thing, `{"name":"a"}`, 200, thing, `{"name":"a","id":"1"}`, "uuid"},
		{"request", "PUT", "/v1/things/abc", thing, `{"name":"a","x":1}`, 200, thing, `{"name":"b"}`, "the request"},
		{"no request body", "PUT", "/v1/things/abc", thing, "", 200, thing, `{"name":"b"}`, "the request"},
		{"path parameter", "PUT", "/v1/things/a", thing, `{"name":"a"}`, 200, thing, `{"name":"b"}`, "parameter id"},
		{"query parameter", "PUT", "/v1/things/abc?limit=0", thing, `{"name":"a"}`, 200, thing, `{"name":"b"}`, "parameter limit"},
		{"query text", "PUT", "/v1/things/abc?limit=x", thing, `{"name":"a"}`, 200, thing, `{"name":"b"}`, "parameter limit"},
		{"unknown query", "PUT", "/v1/things/abc?x=1", thing, `{"name":"a"}`, 200, thing, `{"name":"b"}`, "parameter x"},
		{"not described", "DELETE", "/v1/things/abc", "", "", 200, thing, `{}`, "no such operation"},
		{"not found", "GET", "/v2", "", "", 404, problem, `{}`, ""},
		{"events", "GET", "/v1/events", "", "", 200, "text/event-stream", "event: x\ndata: {\"name\":\"a\"}\n\n", ""},
		{"bad event", "GET", "/v1/events", "", "", 200, "text/event-stream", "data: {}\n\n", "name"},
		{"lines", "GET", "/v1/events", "", "", 200, "application/x-ndjson", "{\"name\":\"a\"}\n{\"name\":1}\n", "got number"},
		{"text", "GET", "/v1/events", "", "", 200, "text/plain; charset=utf-8", "# x", ""},
	} {
		var reports []string
		h := load(t, sample).Recorder(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", tc.answerKind)
			w.WriteHeader(tc.status)
			io.WriteString(w, tc.answer)
			http.NewResponseController(w).Flush()
		}), func(err error) { reports = append(reports, err.Error()) })
		req := httptest.NewRequest(tc.method, tc.target, strings.NewReader(tc.body))
		req.Header.Set("Content-Type", tc.kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != tc.status || w.Body.String() != tc.answer || !w.Flushed {
			t.Errorf("%s: the recorder changed the answer: %d %q", tc.name, w.Code, w.Body)
		}
		if got := strings.Join(reports, "; "); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: reported %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestRoutes(t *testing.T) {
	d := load(t, sample)
	if err := d.CheckRoutes([]string{"GET /v1/events", "PUT /v1/things/{id}"}); err != nil {
		t.Error(err)
	}
	err := d.CheckRoutes([]string{"GET /v1/events", "GET /v1/more"})
	if err == nil || !strings.Contains(err.Error(), "PUT /v1/things/{id}") || !strings.Contains(err.Error(), "GET /v1/more") {
		t.Errorf("got %v", err)
	}
}

func TestUnseen(t *testing.T) {
	d := load(t, sample)
	all := []string{"GET /v1/events 200", "PUT /v1/things/{id} 200", "PUT /v1/things/{id} 204", "PUT /v1/things/{id} 400"}
	if got := d.Unseen(); !slices.Equal(got, all) {
		t.Errorf("at first: %q", got)
	}
	h := d.Recorder(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/plain") }), func(err error) { t.Error(err) })
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/events", nil))
	if got := d.Unseen(); !slices.Equal(got, all[1:]) {
		t.Errorf("after one: %q", got)
	}
}

func TestBadDocuments(t *testing.T) {
	for name, spoil := range map[string][2]string{
		"version":      {"openapi: 3.1.1", "openapi: 3.0.3"},
		"status":       {`"204":`, `"999":`},
		"numeric key":  {`"204":`, `204:`},
		"reference":    {"#/components/responses/Problem", "#/components/responses/Gone"},
		"schema":       {"minLength: 1", "minLength: x"},
		"schema ref":   {"#/components/schemas/Thing", "#/components/schemas/Gone"},
		"example":      {"example: {name: a, key: AAEC}", "example: {name: 1}"},
		"operation id": {"operationId: events", "operationId: putThing"},
		"summary":      {"summary: Streams.", ""},
		"no YAML":      {"paths:", "paths: ]"},
	} {
		if !strings.Contains(sample, spoil[0]) {
			t.Fatalf("%s: nothing to spoil", name)
		}
		if _, err := parse("sample.yaml", []byte(strings.Replace(sample, spoil[0], spoil[1], 1))); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestDocuments(t *testing.T) {
	entries, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := Load(e.Name()); err != nil {
			t.Error(err)
		}
	}
}
