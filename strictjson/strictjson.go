// Package strictjson reads the bodies of requests as the API documents describe
// them: one JSON object, whose fields are all known and spelled to the letter.
// Package encoding/json takes "Label" for "label"; another reader of the same
// body would not.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
)

// ErrNotAnObject is the error for a body that is not one JSON object with known
// fields.
var ErrNotAnObject = errors.New("not one JSON object with known fields")

// Unmarshal reads body into the struct that v points to. The error is that of
// encoding/json, or ErrNotAnObject.
func Unmarshal(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return ErrNotAnObject
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(body, &given); err != nil || given == nil {
		return ErrNotAnObject
	}
	known := names(reflect.TypeOf(v).Elem())
	for name := range given {
		if !known[name] {
			return ErrNotAnObject
		}
	}
	return nil
}

// names gives the fields of a struct as JSON spells them.
func names(t reflect.Type) map[string]bool {
	known := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		known[name] = true
	}
	return known
}
