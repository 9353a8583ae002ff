package erasures

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"posd/central/server/store"
	"posd/identity"
)

func line(n byte) store.ErasureLine {
	return store.ErasureLine{Erasure: uint64(n), At: time.Unix(int64(n), 0).UTC(), Tenant: "acme", Kind: identity.Loyalty, Fingerprint: fmt.Sprintf("%032x", n),
		FingerprintKey: 1, DeIdentTIDs: []identity.DeIdentTID{identity.MakeDeIdentTID(1, [16]byte{n})}}
}

func TestLedgerGrows(t *testing.T) {
	l := Ledger{filepath.Join(t.TempDir(), "erasures.ndjson")}
	if all, err := l.Read(); err != nil || len(all) != 0 {
		t.Errorf("before there is one: %v, %v", all, err)
	}
	household := store.ErasureLine{At: time.Unix(9, 0).UTC(), Tenant: "acme", HHID: identity.HHID{1}}
	for _, lines := range [][]store.ErasureLine{{line(1), line(2)}, {household}} {
		if err := l.Append(lines); err != nil {
			t.Fatal(err)
		}
	}
	want := []store.ErasureLine{line(1), line(2), household}
	if all, err := l.Read(); err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("read %+v, %v", all, err)
	}
	if info, err := os.Stat(l.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// What a crash left of a line is passed over, and overwritten by the next.
	f, err := os.OpenFile(l.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"at":"2026-`)
	f.Close()
	if all, err := l.Read(); err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("with a torn line: %+v, %v", all, err)
	}
	if err := l.Append([]store.ErasureLine{line(4)}); err != nil {
		t.Fatal(err)
	}
	if all, err := l.Read(); err != nil || !reflect.DeepEqual(all, append(want, line(4))) {
		t.Errorf("behind a torn line: %+v, %v", all, err)
	}
}

func TestLedgerTakesManyAtOnce(t *testing.T) {
	l := Ledger{filepath.Join(t.TempDir(), "erasures.ndjson")}
	var wg sync.WaitGroup
	for n := range byte(20) {
		wg.Go(func() {
			if err := l.Append([]store.ErasureLine{line(n), line(n)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := l.Read(); err != nil || len(all) != 40 {
		t.Errorf("%d lines, %v", len(all), err)
	}
}

func TestLedgerRefuses(t *testing.T) {
	if err := (Ledger{}).Append([]store.ErasureLine{line(1)}); !errors.Is(err, ErrNone) {
		t.Errorf("no ledger: %v", err)
	}
	dir := t.TempDir()
	if err := (Ledger{filepath.Join(dir, "none", "l")}).Append(nil); err == nil {
		t.Error("a folder that is not there")
	}
	for name, text := range map[string]string{
		"no JSON": "x\n", "another JSON": "{}\n", "no fingerprint": `{"at":"2026-01-01T00:00:00Z","tenant":"acme"}` + "\n",
		"a short fingerprint": `{"at":"2026-01-01T00:00:00Z","tenant":"acme","kind":"phone","fingerprint":"00"}` + "\n",
		"no kind":             `{"at":"2026-01-01T00:00:00Z","tenant":"acme","fingerprint":"` + strings.Repeat("0", 32) + "\"}\n",
		"a long line":         strings.Repeat(" ", maxLine+1) + "\n",
	} {
		path := filepath.Join(dir, "bad")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := (Ledger{path}).Read(); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
	path := filepath.Join(dir, "other")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), maxLine+5), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Ledger{path}).Append([]store.ErasureLine{line(1)}); err == nil {
		t.Error("appended to what is no ledger")
	}
}

func FuzzParse(f *testing.F) {
	text, _ := json.Marshal(line(1))
	f.Add(append(text, '\n'))
	f.Add([]byte("{}\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, one := range all {
			if one.Check() != nil {
				t.Errorf("%+v was taken", one)
			}
		}
		if len(all) > bytes.Count(text, []byte("\n")) {
			t.Errorf("%d lines of %q", len(all), text)
		}
	})
}
