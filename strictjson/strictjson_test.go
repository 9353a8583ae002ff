package strictjson

import (
	"encoding/json"
	"errors"
	"testing"
)

type body struct {
	Label    string `json:"label"`
	Quantity int    `json:"quantity,omitempty"`
	Plain    string
}

func TestUnmarshal(t *testing.T) {
	var b body
	if err := Unmarshal([]byte(` {"label":"a","quantity":2,"Plain":"p"} `), &b); err != nil || b != (body{"a", 2, "p"}) {
		t.Errorf("gave %+v, %v", b, err)
	}
	if err := Unmarshal([]byte(`{}`), &b); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		``, ` `, `null`, `[]`, `"a"`, `{"label":1}`, `{"label":"a"`, `{"label":"a"}{}`, `{"label":"a"} x`,
		`{"colour":"red"}`, `{"Label":"a"}`, `{"lABel":"a"}`, `{"label":"a","Label":"b"}`, `{"plain":"p"}`, `{"label,omitempty":"a"}`,
	} {
		if err := Unmarshal([]byte(bad), &b); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	var wrong *json.UnmarshalTypeError
	if err := Unmarshal([]byte(`{"label":1}`), &b); !errors.As(err, &wrong) || wrong.Field != "label" {
		t.Errorf("a number for a text gave %v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"label":"a","quantity":2}`))
	f.Add([]byte(`{"lABel":"a"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b body
		if Unmarshal(text, &b) != nil {
			return
		}
		var given map[string]any
		if err := json.Unmarshal(text, &given); err != nil {
			t.Fatalf("taken, and no object: %v", err)
		}
		for name := range given {
			if name != "label" && name != "quantity" && name != "Plain" {
				t.Errorf("the field %q was taken", name)
			}
		}
	})
}
