// Package api holds the OpenAPI 3.1 documents of the three programs and checks
// their servers against them.
//
// A test loads a document, holds the server's routes against it with
// CheckRoutes, and puts Recorder around the server's handler. Every exchange
// that passes through the recorder is then held against the document: an
// operation, status, media type or JSON body that the document does not allow
// is reported. At the end Unseen names the answers that the document promises
// and no exchange has shown.
//
//	doc, err := api.Load("central.yaml")
//	...
//	recorder := doc.Recorder(handler, func(err error) { t.Error(err) })
//	srv := httptest.NewServer(recorder)
package api

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var files embed.FS

// Document is one OpenAPI document with its JSON Schemas compiled.
type Document struct {
	name       string
	root       map[string]any
	compiler   *jsonschema.Compiler
	operations []*operation

	mu   sync.Mutex
	seen map[string]bool
}

type operation struct {
	method, path string
	segments     []string
	node         map[string]any
	parameters   []parameter
	request      map[string]*media // by media type; nil where no body is taken
	bodyOptional bool
	responses    map[int]map[string]*media
}

type parameter struct {
	name, in string
	required bool
	kind     string // the schema's type
	schema   *jsonschema.Schema
}

type media struct{ schema *jsonschema.Schema } // nil: any content

// Load reads the document called name, "central.yaml" say, and checks that it
// is one: every reference resolves, every schema compiles, every example fits
// its schema, every operation has an operationId, a summary and an answer.
func Load(name string) (*Document, error) {
	raw, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("load API document: %w", err)
	}
	d, err := parse(name, raw)
	if err != nil {
		return nil, fmt.Errorf("load API document %s: %w", name, err)
	}
	return d, nil
}

func parse(name string, raw []byte) (*Document, error) {
	root, err := readYAML(raw)
	if err != nil {
		return nil, err
	}
	if version, _ := root["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		return nil, fmt.Errorf("openapi is %q, want 3.1.x", version)
	}
	d := &Document{name: name, root: root, seen: map[string]bool{}, compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	d.compiler.AssertContent()
	if err := d.compiler.AddResource("urn:document", root); err != nil {
		return nil, err
	}
	if err := d.compileComponents(); err != nil {
		return nil, err
	}
	return d, d.readPaths()
}

// readYAML gives the document as encoding/json would: the schema compiler takes
// only that.
func readYAML(raw []byte) (map[string]any, error) {
	var tree any
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("a key is not a string (quote the statuses): %w", err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("it is not a mapping")
	}
	return root, nil
}

func (d *Document) compileComponents() error {
	for name := range object(object(d.root, "components"), "schemas") {
		if _, err := d.schema("#/components/schemas/" + escape(name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) readPaths() error {
	ids := map[string]bool{}
	for path, item := range object(d.root, "paths") {
		for method, node := range asObject(item) {
			if method == "parameters" {
				continue
			}
			op := &operation{method: strings.ToUpper(method), path: path, segments: strings.Split(path, "/"), node: asObject(node), responses: map[int]map[string]*media{}}
			if err := d.readOperation(op, asObject(item), "#/paths/"+escape(path), ids); err != nil {
				return fmt.Errorf("%s %s: %w", op.method, path, err)
			}
			d.operations = append(d.operations, op)
		}
	}
	slices.SortFunc(d.operations, func(a, b *operation) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) })
	return nil
}

func (d *Document) readOperation(op *operation, item map[string]any, at string, ids map[string]bool) error {
	id, _ := op.node["operationId"].(string)
	if summary, _ := op.node["summary"].(string); id == "" || summary == "" || ids[id] {
		return errors.New("it needs a summary, and an operationId of its own")
	}
	ids[id] = true
	if err := d.readParameters(op, item, at); err != nil {
		return err
	}
	at += "/" + strings.ToLower(op.method)
	if body, ok := op.node["requestBody"]; ok {
		node, where, err := d.follow(body, at+"/requestBody")
		if err != nil {
			return err
		}
		required, _ := node["required"].(bool)
		op.bodyOptional = !required
		if op.request, err = d.readContent(node, where); err != nil {
			return err
		}
	}
	return d.readResponses(op, at+"/responses/")
}

func (d *Document) readResponses(op *operation, at string) error {
	for status, node := range object(op.node, "responses") {
		code, err := strconv.Atoi(status)
		if err != nil || http.StatusText(code) == "" {
			return fmt.Errorf("%q is no HTTP status", status)
		}
		answer, where, err := d.follow(node, at+status)
		if err != nil {
			return err
		}
		if op.responses[code], err = d.readContent(answer, where); err != nil {
			return err
		}
	}
	if len(op.responses) == 0 {
		return errors.New("it has no responses")
	}
	return nil
}

func (d *Document) readParameters(op *operation, item map[string]any, at string) error {
	for _, holder := range []struct {
		node map[string]any
		at   string
	}{{item, at}, {op.node, at + "/" + strings.ToLower(op.method)}} {
		list, _ := holder.node["parameters"].([]any)
		for i, p := range list {
			node, where, err := d.follow(p, fmt.Sprintf("%s/parameters/%d", holder.at, i))
			if err != nil {
				return err
			}
			schema, err := d.schema(where + "/schema")
			if err != nil {
				return err
			}
			par := parameter{schema: schema}
			par.name, _ = node["name"].(string)
			par.in, _ = node["in"].(string)
			par.required, _ = node["required"].(bool)
			par.kind, _ = object(node, "schema")["type"].(string)
			op.parameters = append(op.parameters, par)
		}
	}
	return nil
}

func (d *Document) readContent(node map[string]any, at string) (map[string]*media, error) {
	content := map[string]*media{}
	for kind, m := range object(node, "content") {
		where := at + "/content/" + escape(kind)
		content[kind] = &media{}
		if _, ok := asObject(m)["schema"]; !ok {
			continue
		}
		schema, err := d.schema(where + "/schema")
		if err != nil {
			return nil, err
		}
		content[kind].schema = schema
		if example, ok := asObject(m)["example"]; ok {
			if err := schema.Validate(example); err != nil {
				return nil, fmt.Errorf("the example at %s: %w", where, err)
			}
		}
	}
	return content, nil
}

// follow gives the object that node is, or refers to, and where it stands.
func (d *Document) follow(node any, at string) (map[string]any, string, error) {
	o := asObject(node)
	for range 8 {
		ref, ok := o["$ref"].(string)
		if !ok {
			return o, at, nil
		}
		var target any = d.root
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			target = asObject(target)[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
		}
		if target == nil {
			return nil, "", fmt.Errorf("%s refers to nothing", ref)
		}
		o, at = asObject(target), ref
	}
	return nil, "", fmt.Errorf("%s: references run in a circle", at)
}

func (d *Document) schema(pointer string) (*jsonschema.Schema, error) {
	return d.compiler.Compile("urn:document" + pointer)
}

// Routes lists the document's operations as "METHOD /path", sorted.
func (d *Document) Routes() []string {
	var routes []string
	for _, op := range d.operations {
		routes = append(routes, op.method+" "+op.path)
	}
	slices.Sort(routes)
	return routes
}

// CheckRoutes reports how routes, written as for http.ServeMux ("PUT
// /v1/baskets/{id}"), differ from the document's operations.
func (d *Document) CheckRoutes(routes []string) error {
	extra := map[string]bool{}
	for _, r := range routes {
		extra[r] = true
	}
	var errs []error
	for _, r := range d.Routes() {
		if !extra[r] {
			errs = append(errs, fmt.Errorf("%s describes %s, which the server does not have", d.name, r))
		}
		delete(extra, r)
	}
	for _, r := range slices.Sorted(maps.Keys(extra)) {
		errs = append(errs, fmt.Errorf("the server has %s, which %s does not describe", r, d.name))
	}
	return errors.Join(errs...)
}

// Unseen lists the answers of the document, as "METHOD /path STATUS", that have
// not passed through a Recorder, sorted.
func (d *Document) Unseen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var unseen []string
	for _, op := range d.operations {
		for status := range op.responses {
			if answer := fmt.Sprintf("%s %s %d", op.method, op.path, status); !d.seen[answer] {
				unseen = append(unseen, answer)
			}
		}
	}
	slices.Sort(unseen)
	return unseen
}

func object(node map[string]any, key string) map[string]any { return asObject(node[key]) }

func asObject(node any) map[string]any {
	o, _ := node.(map[string]any)
	return o
}

// escape makes one step of a JSON pointer within a URL fragment.
func escape(step string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "%2B").Replace(step)
}
