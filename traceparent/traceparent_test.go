package traceparent

import (
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	id   = "4bf92f3577b34da6a3ce929d0e0e4736"
	span = "00f067aa0ba902b7"
)

func TestParse(t *testing.T) {
	for _, value := range []string{
		"00-" + id + "-" + span + "-00", "00-" + id + "-" + span + "-01", "00-" + id + "-" + span + "-ff",
		"cc-" + id + "-" + span + "-01", "cc-" + id + "-" + span + "-01-what-the-future-will-bring",
	} {
		if got := Parse([]byte(value)); got.String() != id {
			t.Errorf("%s: %s", value, got)
		}
	}
	for _, value := range []string{
		"", "00", id, "00-" + id + "-" + span, "00-" + id + "-" + span + "-0", "00-" + id + "-" + span + "-01-more",
		"cc-" + id + "-" + span + "-01more", "ff-" + id + "-" + span + "-01", "00-" + strings.ToUpper(id) + "-" + span + "-01",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01", "00-" + id + "-" + strings.Repeat("0", 16) + "-01",
		"00_" + id + "-" + span + "-01", "00-" + id + "_" + span + "-01", "00-" + id + "-" + span + "_01",
		"0x-" + id + "-" + span + "-01", "00-" + id[1:] + "x-" + span + "-01", "00-" + id + "-" + span[1:] + "x-01", "00-" + id + "-" + span + "-0x",
	} {
		if got := Parse([]byte(value)); !got.IsZero() {
			t.Errorf("%s: %s", value, got)
		}
	}
}

func TestNewIsRead(t *testing.T) {
	seen := map[ID]bool{}
	for range 100 {
		id, parent := New()
		if got := Parse([]byte(parent)); got != id || id.IsZero() || seen[id] {
			t.Fatalf("%s: %s, made %s", parent, got, id)
		}
		seen[id] = true
	}
}

func TestOfARequest(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	if !Of(r).IsZero() {
		t.Error("a trace from nowhere")
	}
	made, parent := New()
	r.Header.Set(Header, parent)
	if got := Of(r); got != made {
		t.Errorf("got %s, want %s", got, made)
	}
	r.Header.Add(Header, parent)
	if !Of(r).IsZero() {
		t.Error("of two headers one was taken")
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	_, parent := New()
	value := []byte(parent)
	if n := testing.AllocsPerRun(100, func() { Parse(value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("00-" + id + "-" + span + "-01"))
	f.Add([]byte("cc-" + id + "-" + span + "-01-more"))
	f.Add([]byte("00-" + id))
	f.Fuzz(func(t *testing.T, value []byte) {
		if got := Parse(value); !got.IsZero() && got.String() != string(value[3:35]) {
			t.Errorf("%q: %s", value, got)
		}
	})
}
