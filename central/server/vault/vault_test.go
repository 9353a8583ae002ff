package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCreatedFileReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	made, err := CreateFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	read, err := ReadFile(path)
	if err != nil || read.ID() != made.ID() || len(read.ID()) != 16 {
		t.Fatalf("read %q, %v, want %q", read.ID(), err, made.ID())
	}
	if got, err := read.Unwrap(made.Wrap([]byte("secret"), []byte("c")), []byte("c")); err != nil || string(got) != "secret" {
		t.Errorf("unwrapped %q, %v", got, err)
	}
	if _, err := CreateFile(path); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a key was overwritten: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	raw := bytes.Repeat([]byte{7}, 32)
	text := strings.Repeat("07", 32)
	want, _ := New(bytes.Clone(raw))
	for name, tc := range map[string]struct {
		content string
		mode    os.FileMode
		want    string // part of the error; "" for none
	}{
		"bytes":    {string(raw), 0o600, ""},
		"hex":      {text, 0o400, ""},
		"line":     {text + "\r\n", 0o600, ""},
		"group":    {text, 0o640, "chmod 600"},
		"others":   {text, 0o604, "chmod 600"},
		"short":    {text[1:], 0o600, "neither"},
		"long":     {text + "00", 0o600, "neither"},
		"very":     {strings.Repeat(text, 9), 0o600, "neither"},
		"not hex":  {"g" + text[1:], 0o600, "neither"},
		"empty":    {"", 0o600, "neither"},
		"trailing": {text + "\n\n", 0o600, ""},
	} {
		path := filepath.Join(t.TempDir(), "kek")
		if err := os.WriteFile(path, []byte(tc.content), tc.mode); err != nil {
			t.Fatal(err)
		}
		k, err := ReadFile(path)
		switch {
		case tc.want == "" && (err != nil || k.ID() != want.ID()):
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "0707")):
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestReadCredentialLeavesTheModeToSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, 32), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCredential(path); err != nil {
		t.Error(err)
	}
}

func TestUnwrapRefuses(t *testing.T) {
	a, _ := New(bytes.Repeat([]byte{1}, 32))
	b, _ := New(bytes.Repeat([]byte{2}, 32))
	wrapped := a.Wrap([]byte("secret"), []byte("here"))
	changed := bytes.Clone(wrapped)
	changed[len(changed)-1] ^= 1
	for name, try := range map[string]func() ([]byte, error){
		"other key":   func() ([]byte, error) { return b.Unwrap(wrapped, []byte("here")) },
		"other place": func() ([]byte, error) { return a.Unwrap(wrapped, []byte("there")) },
		"changed":     func() ([]byte, error) { return a.Unwrap(changed, []byte("here")) },
		"short":       func() ([]byte, error) { return a.Unwrap(wrapped[:8], []byte("here")) },
	} {
		if got, err := try(); !errors.Is(err, ErrWrongKey) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if a.ID() == b.ID() {
		t.Error("two keys have one id")
	}
}

func TestPassphrase(t *testing.T) {
	derive := func(p string, salt byte) KEK {
		words := []byte(p)
		k, err := FromPassphrase(words, [SaltSize]byte{salt})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(words, make([]byte, len(words))) {
			t.Error("the passphrase was not wiped")
		}
		return k
	}
	a := derive("correct horse battery", 1)
	if a.ID() != derive("correct horse battery", 1).ID() || a.ID() == derive("correct horse battery", 2).ID() || a.ID() == derive("correct horse batterz", 1).ID() {
		t.Error("the key does not depend on passphrase and salt alone")
	}
	if _, err := FromPassphrase([]byte("short"), [SaltSize]byte{}); err == nil {
		t.Error("a short passphrase was taken")
	}
}

func TestNothingPrintsAKey(t *testing.T) {
	k, _ := New(bytes.Repeat([]byte{7}, 32))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(verb, struct{ K KEK }{k}); strings.Contains(got, "7") || !strings.Contains(got, "redacted") {
			t.Errorf("%s gives %s", verb, got)
		}
	}
	if text, err := json.Marshal(k); err == nil {
		t.Errorf("JSON gives %s", text)
	}
}
