package recording

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const sample = `# source: constructed
# transport: tty
# vendor: 0x0C2E
# product: 0b61
# name: A scanner
# line: 9600-8N1
# submitter: somebody
# a comment without a header
# set: terminator=CR ids=aim
# set: prefix="a b"

0 < 5D 45
0.004 < 0D
1.000000001 > 06
`

func TestParse(t *testing.T) {
	r, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := Recording{
		Source: "constructed", Transport: TTY, Vendor: 0x0c2e, Product: 0x0b61, Name: "A scanner", Line: "9600-8N1",
		Settings: map[string]string{"terminator": "CR", "ids": "aim", "prefix": "a b"},
		More:     []Header{{"submitter", "somebody"}},
		Entries: []Entry{
			{Data: []byte("]E")},
			{At: 4 * time.Millisecond, Data: []byte("\r")},
			{At: time.Second + 1, ToDevice: true, Data: []byte{6}},
		},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got  %+v\nwant %+v", r, want)
	}
}

func TestParseEvdev(t *testing.T) {
	r, err := Parse([]byte("# transport: evdev\r\n0.5 < 1 28 -1\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if e := r.Entries[0].Event; e != (Event{1, 28, -1}) {
		t.Errorf("got %+v", e)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
		say  string
	}{
		{"", 1, "nothing is recorded"},
		{"# transport: tty\n", 1, "nothing is recorded"},
		{"# transport: pigeon\n0 < 41", 1, "pigeon"},
		{"# source: a\n# source: b\n0 < 41", 2, "twice"},
		{"# set: a=1\n# set: a=2\n0 < 41", 2, "twice"},
		{"# set: a\n0 < 41", 1, "key=value"},
		{"# set: a=\"1\"b=2\n0 < 41", 1, "space"},
		{"# line:\n0 < 41", 1, "no value"},
		{"# vendor: zz\n0 < 41", 1, "USB"},
		{"# descriptor: 0\n0 < 41", 1, "hex"},
		{"0 < 41\n\nhello", 3, "neither a header"},
		{"0 <", 1, "missing"},
		{"0 < 4", 1, "hex"},
		{"0 < 4G", 1, "hex"},
		{"0 < 3 031", 1, "hex"},
		{"x < 41", 1, "seconds"},
		{"-1 < 41", 1, "seconds"},
		{"1e3 < 41", 1, "seconds"},
		{"0.1234567891 < 41", 1, "seconds"},
		{"1 < 41\n0.5 < 42", 2, "goes back"},
		{"# transport: evdev\n0 < 1 2", 2, "type, code"},
	} {
		_, err := Parse([]byte(c.text))
		var e *Error
		if !errors.As(err, &e) || e.Line != c.line || !strings.Contains(e.Reason, c.say) {
			t.Errorf("%q: got %v, want line %d and %q", c.text, err, c.line, c.say)
		}
	}
}

// People write notes as they like.
func TestParseNotes(t *testing.T) {
	r, err := Parse([]byte("\ufeff# transport: TTY\r\n# note: one\n# note: two\n# captured on:\n# NB:\n# at 9600: fine\n0 < 4142 43"))
	want := []Header{{"note", "one"}, {"note", "two"}}
	if err != nil || r.Transport != TTY || !reflect.DeepEqual(r.More, want) || string(r.Entries[0].Data) != "ABC" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("# transport: evdev\n0.5 < 1 28 -1\n"))
	f.Add([]byte("# set: a=\"\\x00 \" b=\n# descriptor: 05 8C\n0 > ff\n"))
	files, _ := filepath.Glob("../testdata/*.rec")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(r.Text())
		if err != nil {
			t.Fatalf("what was printed cannot be read: %v\n%s", err, r.Text())
		}
		if !reflect.DeepEqual(r, again) {
			t.Fatalf("read  %+v\nagain %+v", r, again)
		}
	})
}
