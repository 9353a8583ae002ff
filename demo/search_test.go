package main

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// The search must find what it is there to find, or "none" says nothing.
func TestSearchFindsEveryForm(t *testing.T) {
	packed, err := hex.DecodeString(annasCard)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"text":     `{"label":"` + annasCard + `"}`,
		"groups":   "4111 1111 1111 1111",
		"utf-16":   "\xff\xfe4\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x00",
		"packed":   "\x00" + string(packed) + "\xff",
		"hex":      hex.EncodeToString([]byte(annasCard)),
		"base64":   base64.StdEncoding.EncodeToString([]byte(annasCard)),
		"base64+1": base64.StdEncoding.EncodeToString([]byte("x" + annasCard + "=2912")),
		"base64+2": base64.StdEncoding.EncodeToString([]byte("xy" + annasCard + "\x00")),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files, _, found, err := search(dir, bensCard, annasCard)
		if err != nil || files != 1 || len(found) != 1 {
			t.Errorf("%s: found %v in %d files, %v", name, found, files, err)
		}
	}
}

func TestSearchFindsNothingWhereNothingIs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("411111111111111 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, found, err := search(dir, annasCard); err != nil || len(found) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
}
