package enroll

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// enrolled makes a directory of credentials, and says what is in it.
func enrolled(t *testing.T, ca *CA, n Name) (dir string, c *Credentials) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "identity")
	return dir, enrolInto(t, dir, ca, n)
}

func enrolInto(t *testing.T, dir string, ca *CA, n Name) *Credentials {
	t.Helper()
	if err := makePrivate(dir); err != nil {
		t.Fatal(err)
	}
	c := pendingCredentials(t, dir, ca, n)
	if err := writeCredentials(dir, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// pendingCredentials are what central answers to the pending key in dir.
func pendingCredentials(t *testing.T, dir string, ca *CA, n Name) *Credentials {
	t.Helper()
	key, csr, err := pendingRequest(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := goodLeaf()
	l.Name = n
	c, err := NewCredentials(must(ca.Issue(csr, l)), key, ca.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	c.ManifestKey = ed25519.PublicKey(bytes.Repeat([]byte{7}, 32))
	c.LookupURL, c.OperationsURL = "https://lookup.example:1", "https://operations.example:2"
	return c
}

func TestCredentialsComeBack(t *testing.T) {
	ca, _ := testCA(t, "acme")
	for _, n := range []Name{lane7, shop12} {
		dir, want := enrolled(t, ca, n)
		s, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Current()
		if got.Name != n || !got.Certificate.Leaf.Equal(want.Certificate.Leaf) || !got.CA.Equal(ca.cert) ||
			!got.ManifestKey.Equal(want.ManifestKey) || got.LookupURL != want.LookupURL || got.OperationsURL != want.OperationsURL {
			t.Errorf("%v comes back as %v", want, got)
		}
		if got.Current() != got || len(got.Certificate.Certificate) != 2 {
			t.Error("credentials are no source, or do not bring the CA along")
		}
		if text := fmt.Sprint(got); !strings.Contains(text, n.String()) || strings.Contains(text, "PrivateKey") {
			t.Errorf("credentials print as %q", text)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	ca, _ := testCA(t, "acme")
	dir, _ := enrolled(t, ca, lane7)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Name())
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", e.Name(), info.Mode().Perm())
		}
	}
	if got := strings.Join(names, " "); got != "ca.pem cert.pem enrolment.json key.pem manifest.pub" {
		t.Errorf("files are %s", got)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
}

func TestLoadRefusesOpenFiles(t *testing.T) {
	ca, _ := testCA(t, "acme")
	dir, _ := enrolled(t, ca, lane7)
	key := filepath.Join(dir, keyFile)
	for path, fix := range map[string]os.FileMode{key: 0o600, dir: 0o700} {
		for _, extra := range []os.FileMode{0o040, 0o004, 0o020, 0o001} {
			if err := os.Chmod(path, fix|extra); err != nil {
				t.Fatal(err)
			}
			_, err := Load(dir)
			if want := fmt.Sprintf("chmod %o %s", fix, path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("mode %04o: error is %v, want %q in it", fix|extra, err, want)
			}
		}
		if err := os.Chmod(path, fix); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(dir); err != nil {
		t.Errorf("after the chmod: %v", err)
	}
}

func TestLoadWithoutAFile(t *testing.T) {
	ca, _ := testCA(t, "acme")
	for _, name := range []string{keyFile, certFile, caFile, manifestFile, aboutFile} {
		dir, _ := enrolled(t, ca, lane7)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); !errors.Is(err, ErrNotEnrolled) || !strings.Contains(err.Error(), "token") {
			t.Errorf("without %s: %v, want ErrNotEnrolled and what to do", name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("no directory: %v", err)
	}
}

func TestLoadDamagedFiles(t *testing.T) {
	ca, _ := testCA(t, "acme")
	other, _ := testCA(t, "other")
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"empty key":          {func(d string) error { return os.WriteFile(filepath.Join(d, keyFile), nil, 0o600) }, "key.pem"},
		"another key":        {func(d string) error { return writeKey(filepath.Join(d, keyFile), must(NewKey())) }, "another key"},
		"certificate as key": {func(d string) error { return os.Rename(filepath.Join(d, certFile), filepath.Join(d, keyFile)) }, "not enrolled"},
		"junk key":           {func(d string) error { return writePEM(filepath.Join(d, keyFile), pemKey, []byte("junk")) }, "key.pem"},
		"junk certificate":   {func(d string) error { return writePEM(filepath.Join(d, certFile), pemCert, []byte("junk")) }, "cert.pem"},
		"another CA":         {func(d string) error { return writePEM(filepath.Join(d, caFile), pemCert, other.cert.Raw) }, "another CA"},
		"junk CA":            {func(d string) error { return writePEM(filepath.Join(d, caFile), pemCert, []byte("junk")) }, "CA"},
		"junk manifest key":  {func(d string) error { return writePEM(filepath.Join(d, manifestFile), pemPublic, []byte("junk")) }, "manifest.pub"},
		"junk about":         {func(d string) error { return writeFile(filepath.Join(d, aboutFile), []byte("{")) }, "enrolment.json"},
		"another name": {func(d string) error {
			return writeFile(filepath.Join(d, aboutFile), []byte(`{"tenant":"acme","shop":"s13","role":"lane","lane":"lane-7"}`))
		}, "names somebody else"},
	} {
		dir, _ := enrolled(t, ca, lane7)
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		_, err := Load(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: the error shows the file: %v", name, err)
		}
	}
}

// A renewal stopped anywhere leaves credentials that work: the old ones, or the
// new.
func TestRenewalStoppedAnywhere(t *testing.T) {
	ca, _ := testCA(t, "acme")
	files := []string{caFile, manifestFile, aboutFile, certFile, pendingFile}
	for n := range len(files) + 1 {
		dir, old := enrolled(t, ca, lane7)
		fresh := pendingCredentials(t, dir, ca, lane7)
		whole := t.TempDir()
		copyDir(t, dir, whole)
		if err := writeCredentials(whole, fresh); err != nil {
			t.Fatal(err)
		}
		// The first n files were replaced; the last step is the rename.
		for _, name := range files[:min(n, 4)] {
			copyFile(t, filepath.Join(whole, name), filepath.Join(dir, name))
		}
		if n == len(files) {
			if err := os.Rename(filepath.Join(dir, pendingFile), filepath.Join(dir, keyFile)); err != nil {
				t.Fatal(err)
			}
		}
		want := old
		if n >= 4 {
			want = fresh
		}
		for range 2 { // also after what the first Load put right
			s, err := Load(dir)
			if err != nil {
				t.Fatalf("after %d files: %v", n, err)
			}
			if !s.Current().Certificate.Leaf.Equal(want.Certificate.Leaf) {
				t.Errorf("after %d files: the wrong certificate", n)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, pendingFile)); errors.Is(err, fs.ErrNotExist) != (n >= 4) {
			t.Errorf("after %d files: pending key: %v", n, err)
		}
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		copyFile(t, filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPendingKeyStays(t *testing.T) {
	dir := t.TempDir()
	first, err := pendingKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pendingKey(dir)
	if err != nil || !again.Equal(first) {
		t.Errorf("the second call gives another key: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, pendingFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := pendingKey(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("an open pending key: %v", err)
	}
}

func TestWriteFileLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.Mkdir(target, 0o700); err != nil { // a rename over a directory fails
		t.Fatal(err)
	}
	if err := writeFile(target, []byte("x")); err == nil {
		t.Fatal("no error")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries are left, %v", len(entries), err)
	}
}
