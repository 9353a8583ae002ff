package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// lines reads all lines; a long one is given as "LONG".
func lines(t testing.TB, in io.Reader) []string {
	t.Helper()
	var all []string
	r := newLineReader(in)
	for {
		line, number, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			r.wipe()
			if bytes.ContainsFunc(r.buf, func(c rune) bool { return c != 0 }) {
				t.Error("the buffer was not wiped")
			}
			return all
		case errors.Is(err, errLongLine):
			all = append(all, fmt.Sprint(number, " LONG"))
		case err != nil:
			t.Fatal(err)
		default:
			all = append(all, fmt.Sprint(number, " ", string(line)))
		}
	}
}

func TestLineReader(t *testing.T) {
	full, long := strings.Repeat("x", maxLine), strings.Repeat("y", maxLine+1)
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"a", []string{"1 a"}},
		{"a\n", []string{"1 a"}},
		{"a\r\n\nb", []string{"1 a", "2 ", "3 b"}},
		{full + "\nb\n", []string{"1 " + full, "2 b"}},
		{full, []string{"1 " + full}},
		{long + "\nb\n", []string{"1 LONG", "2 b"}},
		{long, []string{"1 LONG"}},
		{strings.Repeat(long, 9) + "\n" + full + "\n", []string{"1 LONG", "2 " + full}},
		{strings.Repeat(full+"\n", 3), []string{"1 " + full, "2 " + full, "3 " + full}},
	} {
		for name, in := range map[string]io.Reader{
			"at once": strings.NewReader(tc.in), "by bytes": iotest.OneByteReader(strings.NewReader(tc.in)),
			"end with data": iotest.DataErrReader(strings.NewReader(tc.in)),
		} {
			if got := lines(t, in); strings.Join(got, "|") != strings.Join(tc.want, "|") {
				t.Errorf("%.20q (%d bytes), %s: %d lines, want %d", tc.in, len(tc.in), name, len(got), len(tc.want))
			}
		}
	}
	boom := errors.New("boom")
	r := newLineReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(boom)))
	for i, want := range []error{nil, nil, boom} {
		if _, _, err := r.next(); !errors.Is(err, want) {
			t.Errorf("line %d: %v, want %v", i+1, err, want)
		}
	}
}

func TestReadersBufferKeepsNoLine(t *testing.T) {
	const number = "4111111111111111"
	// The second line is moved to the front of the buffer before it is whole.
	r := newLineReader(io.MultiReader(strings.NewReader(strings.Repeat("z", 100)+"\n"+number), strings.NewReader("\n"+number)))
	for range 3 {
		line, _, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		clear(line)
	}
	if bytes.Contains(r.buf, []byte(number)) {
		t.Error("a line is left in the buffer")
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte(`{"household":"hh:mfrggzdfmztwq","deident_tid":"d1:mfrggzdfmztwq2lknnwg23tpoa"}`))
	f.Add([]byte(`{"family":"x","kind":"payment","tid":"4111111111111111"}`))
	f.Add([]byte(`{"family":"x","kind":"payment","tid":"4111111111111111","tid":"5555"}`))
	f.Add([]byte(`{"tid":null}`))
	run := regexp.MustCompile("[0-9]{4}")
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRow(line)
		if err != nil {
			if run.MatchString(err.Error()) {
				t.Errorf("the error tells digits: %v", err)
			}
			return
		}
		if (r.DeIdentTID == "") == (len(r.TID) == 0) || r.Household.IsZero() == (r.Family == "") {
			t.Errorf("taken: %+v", *r)
		}
	})
}
