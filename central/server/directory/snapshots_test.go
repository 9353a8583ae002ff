package directory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"posd/central/server/index"
	"posd/central/server/store"
)

// kept opens a directory with snapshots in dir, which are made of whatever is new.
func kept(t *testing.T, s Store, dir string) *Directory {
	t.Helper()
	d, err := New(s, []Tenant{keys(1, "acme", 7)}, dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	d.merge = 0
	return d
}

// counting counts the entries that are read of a store.
type counting struct {
	Store
	read *int
}

func (c counting) Entries(ctx context.Context, after uint64, limit int) ([]store.Entry, error) {
	all, err := c.Store.Entries(ctx, after, limit)
	*c.read += len(all)
	return all, err
}

// After a restart only what has changed since the snapshot is read.
func TestSnapshots(t *testing.T) {
	s, _ := database(t)
	dir := t.TempDir()
	d := kept(t, s, dir)
	if err := d.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := resolve(t, d, numbers[0])
	follow(t, d)
	if err := d.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := resolve(t, d, numbers[1])

	read := 0
	d = kept(t, counting{s, &read}, dir)
	if err := d.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, _ := d.Size(); n != 1 {
		t.Errorf("%d are in the snapshot", n)
	}
	follow(t, d)
	first.Created, second.Created = false, false
	if got := resolve(t, d, numbers[0]); got != first {
		t.Errorf("got %+v, want %+v", got, first)
	}
	if got := resolve(t, d, numbers[1]); got != second {
		t.Errorf("got %+v, want %+v", got, second)
	}
	if n, _ := d.Size(); n != 2 || read != 1 {
		t.Errorf("%d are known, %d were read", n, read)
	}
}

// A snapshot that is damaged, or of another key, is not used, and all is read from
// the store; no card gets another household meanwhile.
func TestSnapshotsThatCannotBeUsed(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"its header": func(t *testing.T, path string) { flip(t, path, 100) },
		"its data":   func(t *testing.T, path string) { flip(t, path, 1<<16+3) },
		"all of it":  func(t *testing.T, path string) { os.Truncate(path, 0) },
		"of another key": func(t *testing.T, path string) {
			other := index.New(path, [32]byte{9})
			other.Put(1<<40, 5)
			if err := other.Merge(t.Context(), 99); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := database(t)
			dir := t.TempDir()
			d := kept(t, s, dir)
			first := resolve(t, d, numbers[0])
			follow(t, d)
			if err := d.Keep(t.Context()); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(dir, "index-1.snapshot"))
			d = kept(t, s, dir)
			wrong := d.Open(t.Context())
			follow(t, d)
			if wrong == nil {
				wrong = d.Keep(t.Context())
			}
			if !errors.Is(wrong, index.ErrSnapshot) {
				t.Errorf("got %v", wrong)
			}
			first.Created = false
			for range 2 {
				if got := resolve(t, d, numbers[0]); got != first {
					t.Errorf("got %+v, want %+v", got, first)
				}
				follow(t, d)
			}
			if n, _ := d.Size(); n != 1 {
				t.Errorf("%d are known", n)
			}
			if err := d.Keep(t.Context()); err != nil {
				t.Error(err)
			}
			if err := kept(t, s, dir).Open(t.Context()); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A snapshot of the database that a backup is of is not that of the restored one.
func TestSnapshotOfAnotherIncarnation(t *testing.T) {
	s, _ := database(t)
	dir := t.TempDir()
	d := kept(t, s, dir)
	resolve(t, d, numbers[0])
	follow(t, d)
	if err := d.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	restored := keys(1, "acme", 7)
	restored.Incarnation = [16]byte{1}
	d, err := New(s, []Tenant{restored}, dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Open(t.Context()); !errors.Is(err, index.ErrSnapshot) {
		t.Errorf("it was opened: %v", err)
	}
	if d.Change() != 0 {
		t.Errorf("the store is followed from change %d", d.Change())
	}
}
