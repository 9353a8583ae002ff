package tid

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const secretPAN = "4012888888881881"

// leak gives the part of the secret that out shows in whatever notation, or "".
func leak(out string) string {
	for i := range len(secretPAN) - 5 {
		window := secretPAN[i : i+6]
		list := fmt.Sprint([]byte(window))
		for _, form := range []string{
			window, hex.EncodeToString([]byte(window)), strings.ToUpper(hex.EncodeToString([]byte(window))),
			fmt.Sprintf("% x", window), fmt.Sprintf("% X", window), strings.Trim(list, "[]"),
			strings.ReplaceAll(strings.Trim(list, "[]"), " ", ", "), strings.ReplaceAll(strings.Trim(list, "[]"), " ", ","),
			base64.StdEncoding.EncodeToString([]byte(window)), base64.RawURLEncoding.EncodeToString([]byte(window)),
		} {
			if strings.Contains(out, form) {
				return form
			}
		}
	}
	return ""
}

type exported struct{ ID TID }
type unexported struct{ id TID }
type pointer struct{ id *TID }
type nested struct {
	in  unexported
	Ptr *unexported
	any any
}
type embedded struct{ TID }
type list struct{ ids []TID }
type table struct{ ids map[string]TID }

// shapes are the ways in which somebody may come to hold a TID.
func shapes(id TID) map[string]any {
	ch := make(chan TID, 1)
	ch <- id
	return map[string]any{
		"direct": id, "pointer": &id, "exported": exported{id}, "unexported": unexported{id}, "pointer in": pointer{&id},
		"nested": nested{unexported{id}, &unexported{id}, id}, "to nested": &nested{unexported{id}, &unexported{id}, &id},
		"embedded": embedded{id}, "to embedded": &embedded{id}, "slice": []TID{id, id}, "array": [2]TID{id, id}, "to array": &[1]TID{id},
		"slice of pointers": []*TID{&id}, "slice of structs": []unexported{{id}}, "map": map[string]TID{"a": id},
		"map of structs": map[string]unexported{"a": {id}}, "list": list{[]TID{id}}, "table": table{map[string]TID{"a": id}},
		"any": []any{id, &id, unexported{id}}, "closure": func() TID { return id }, "channel": ch, "error": carrier{id},
	}
}

// carrier is an error of somebody who did not think.
type carrier struct{ id TID }

func (c carrier) Error() string {
	return fmt.Sprintf("cannot use %v %+v %#v %s %d %x", c.id, c.id, c.id, c.id, c.id, c.id)
}

func secret(t testing.TB) TID {
	t.Helper()
	id, err := NewPayment([]byte(secretPAN))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The test would be worth nothing if it did not see a leak.
func TestLeakIsSeen(t *testing.T) {
	type careless struct{ b []byte }
	for _, verb := range []string{"%v", "%s", "%x", "%X", "%d", "%q", "%#v"} {
		if leak(fmt.Sprintf(verb, struct{ in careless }{careless{[]byte(secretPAN)}})) == "" && verb != "%#v" {
			t.Errorf("%s of a slice: leak not seen", verb)
		}
	}
}

func TestNoVerbLeaks(t *testing.T) {
	for name, v := range shapes(secret(t)) {
		for verb := 'A'; verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", " ", "-", "0", "+#", "# ", "40", "-40", ".40", "#.40"} {
				format := "%" + flags + string(verb)
				if part := leak(fmt.Sprintf(format, v)); part != "" {
					t.Fatalf("%s of %s shows %q", format, name, part)
				}
			}
		}
		for _, out := range []string{fmt.Sprint(v), fmt.Sprintln(v, v), fmt.Sprintf("%s", errors.Join(carrierOf(v), fmt.Errorf("wrap: %v", v)))} {
			if part := leak(out); part != "" {
				t.Fatalf("%s shows %q", name, part)
			}
		}
	}
}

func carrierOf(v any) error {
	if err, ok := v.(error); ok {
		return fmt.Errorf("outer: %w", err)
	}
	return nil
}

func TestSaysWhatItIs(t *testing.T) {
	id := secret(t)
	for _, format := range []string{"%v", "%s", "%d", "%x", "%q", "%+v", "%#v"} {
		if got := fmt.Sprintf(format, id); got != "[payment TID]" {
			t.Errorf("%s: %q", format, got)
		}
	}
	if id.GoString() != id.String() {
		t.Errorf("GoString: %q", id.GoString())
	}
}

func TestNoLoggerLeaks(t *testing.T) {
	var out bytes.Buffer
	all := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	std := log.New(&out, "", 0)
	for name, v := range shapes(secret(t)) {
		for kind, h := range map[string]slog.Handler{"text": slog.NewTextHandler(&out, all), "json": slog.NewJSONHandler(&out, all)} {
			out.Reset()
			l := slog.New(h).With("with", v)
			l.Info("message", "attr", v, slog.Group("group", "in", v))
			l.Error("failed", "error", fmt.Errorf("resolve %v: %w", v, errors.New("away")))
			if part := leak(out.String()); part != "" {
				t.Errorf("slog %s of %s shows %q", kind, name, part)
			}
			if strings.Count(out.String(), "\n") != 2 {
				t.Errorf("slog %s of %s lost a line: %q", kind, name, out.String())
			}
		}
		out.Reset()
		std.Printf("%v %+v %#v %s", v, v, v, v)
		if part := leak(out.String()); part != "" {
			t.Errorf("log of %s shows %q", name, part)
		}
	}
	out.Reset()
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "tid", secret(t))
	if !strings.Contains(out.String(), `"tid":"[payment TID]"`) {
		t.Errorf("slog: %s", out.String())
	}
}

func TestNoEncoderLeaks(t *testing.T) {
	id := secret(t)
	for name, v := range shapes(id) {
		text, err := json.Marshal(v)
		if part := leak(string(text) + fmt.Sprint(err)); part != "" {
			t.Errorf("JSON of %s shows %q", name, part)
		}
		if err != nil && name != "closure" && name != "channel" {
			t.Errorf("JSON of %s: %v", name, err)
		}
		text, err = xml.Marshal(v)
		if part := leak(string(text) + fmt.Sprint(err)); part != "" {
			t.Errorf("XML of %s shows %q", name, part)
		}
		var out bytes.Buffer
		err = gob.NewEncoder(&out).Encode(v)
		if part := leak(out.String() + fmt.Sprint(err)); part != "" {
			t.Errorf("gob of %s shows %q", name, part)
		}
	}
	if text, err := json.Marshal(exported{id}); err != nil || string(text) != `{"ID":"[payment TID]"}` {
		t.Errorf("JSON: %s, %v", text, err)
	}
	if err := gob.NewEncoder(new(bytes.Buffer)).Encode(id); err == nil {
		t.Error("gob took a TID")
	}
	if err := gob.NewEncoder(new(bytes.Buffer)).Encode(exported{id}); err == nil {
		t.Error("gob took a struct with a TID")
	}
}

// A process that dies of a TID does not show it either.
func TestNoPanicLeaks(t *testing.T) {
	names := []string{"direct", "unexported", "error", "to nested", "slice", "inside Use"}
	if name := os.Getenv("TID_TEST_PANIC"); name != "" {
		id := secret(t)
		if name == "inside Use" {
			id.Use(func(d []byte) { _ = d[len(d)] })
		}
		panic(shapes(id)[name])
	}
	for _, name := range names {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoPanicLeaks$")
		cmd.Env = append(os.Environ(), "TID_TEST_PANIC="+name, "GOTRACEBACK=system")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("panic: ")) {
			t.Fatalf("%s: it did not panic (%v): %s", name, err, out)
		}
		// The source line of this test may be named, its constant may not.
		if part := leak(string(out)); part != "" {
			t.Errorf("panic with %s shows %q", name, part)
		}
	}
}
