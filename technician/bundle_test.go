package technician

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posd/basket"
)

func TestBundle(t *testing.T) {
	var b bytes.Buffer
	err := WriteBundle(&b, []Part{
		{Name: "log.txt", Text: []byte("card 4111111111111111 and 5555-5555-5555-4444, EAN 4006381333931, receipt 20261125071231001\n")},
		{Name: "journal.txt", Err: errors.New("no journalctl")},
	}, time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := tar.NewReader(zip); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[head.Name] = string(text)
	}
	log := got["posd-bundle/log.txt"]
	if strings.Contains(log, "1111") || strings.Contains(log, "4444") || !strings.Contains(log, "4006381333931") || !strings.Contains(log, "20261125071231001") || !strings.Contains(log, "9999-9999-9999-9999") {
		t.Errorf("log: %s", log)
	}
	if !strings.Contains(got["posd-bundle/journal.txt"], "no journalctl") {
		t.Errorf("got %q", got)
	}
}

// Whatever a text holds, no card's number is in it afterwards, and it is as
// long as before.
func TestScrubProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOf(rapid.OneOf(
			rapid.SampledFrom([]string{"4111111111111111", "378282246310005", "3782 822463 10005", "5555-5555-5555-4444", "6011111111111117"}),
			rapid.StringMatching(`[0-9 a-z:;=-]{0,12}`),
		)).Draw(rt, "parts")
		text := strings.Join(parts, rapid.SampledFrom([]string{"", " ", "\n", "=", "x"}).Draw(rt, "between"))
		got := Scrub([]byte(text))
		if len(got) != len(text) || basket.HoldsCardNumber(string(got)) {
			rt.Fatalf("%q became %q", text, got)
		}
	})
}
