package directory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"posd/central/server/index"
	"posd/central/server/store"
	"posd/tid"
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

// A retailer with few cards has a snapshot that keeps up with the others', so that
// only the end of the changes is read after a restart.
func TestSnapshotsOfSeveralRetailersKeepUp(t *testing.T) {
	s, _ := database(t)
	dir := t.TempDir()
	read := 0
	acme, bravo := keys(1, "acme", 7), keys(addTenant(t, s, "bravo"), "bravo", 8)
	start := func() *Directory {
		t.Helper()
		d, err := New(counting{s, &read}, []Tenant{acme, bravo}, dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		d.merge = 4
		if err := d.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := start()
	small := ask(t, d, "bravo", card(t, numbers[0]))
	var first Answer
	for i := range 12 {
		one := ask(t, d, "acme", loyalty(t, i))
		if i == 0 {
			first = one
		}
		follow(t, d)
		if err := d.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read = 0
	d = start()
	if n, _ := d.Size(); n < 9 {
		t.Errorf("%d of 13 are in snapshots", n)
	}
	follow(t, d)
	if n, _ := d.Size(); n != 13 || read > 4 {
		t.Errorf("%d of 13 are known, %d were read", n, read)
	}
	small.Created, first.Created = false, false
	if got := ask(t, d, "bravo", card(t, numbers[0])); got != small {
		t.Errorf("got %+v, want %+v", got, small)
	}
	if got := ask(t, d, "acme", loyalty(t, 0)); got != first {
		t.Errorf("got %+v, want %+v", got, first)
	}
}

// loyalty makes the n-th of a retailer's loyalty numbers.
func loyalty(t *testing.T, n int) tid.TID {
	t.Helper()
	secret, err := tid.NewLoyalty("9001", fmt.Appendf(nil, "%08d", n))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// addTenant adds a retailer to a store, without keys.
func addTenant(t *testing.T, s *store.SQL, name string) int64 {
	t.Helper()
	made, err := s.AddTenant(t.Context(), store.Act{At: time.Now()}, name, func(int64, *store.Keyring) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func ask(t *testing.T, d *Directory, retailer string, of tid.TID) Answer {
	t.Helper()
	a, err := d.Resolve(t.Context(), retailer, of)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A retailer that is added while the directory is in use: what others did for it is
// not passed over, and whoever asks for it is answered at once.
func TestRetailerThatIsAdded(t *testing.T) {
	s, _ := database(t)
	acme := keys(1, "acme", 7)
	here, there := directory(t, s, acme), directory(t, s, acme)
	bravo := keys(addTenant(t, s, "bravo"), "bravo", 8)
	if err := there.SetTenants([]Tenant{acme, bravo}); err != nil {
		t.Fatal(err)
	}
	first := ask(t, there, "bravo", card(t, numbers[0]))
	ask(t, there, "acme", card(t, numbers[1]))
	if err := here.Sync(t.Context(), nil); !errors.Is(err, store.ErrStaleKeys) {
		t.Errorf("a card of an unknown retailer: %v", err)
	}
	if _, err := here.Resolve(t.Context(), "bravo", card(t, numbers[0])); !errors.Is(err, ErrNoTenant) {
		t.Errorf("an unknown retailer: %v", err)
	}
	asked := 0
	here.Refresh = func(context.Context) error {
		asked++
		return here.SetTenants([]Tenant{acme, bravo})
	}
	if _, err := here.Resolve(t.Context(), "nobody", card(t, numbers[0])); !errors.Is(err, ErrNoTenant) || asked == 0 {
		t.Errorf("nobody: %v, keys asked for %d times", err, asked)
	}
	first.Created = false
	if got := ask(t, here, "bravo", card(t, numbers[0])); got != first {
		t.Errorf("got %+v, want %+v", got, first)
	}
	follow(t, here)
	if n, _ := here.Size(); n != 2 {
		t.Errorf("%d of 2 are known", n)
	}
}
