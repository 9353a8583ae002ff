package directory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"posd/central/server/store"
	"posd/enctid"
	"posd/identity"
	"posd/tid"
)

var numbers = []string{"4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "4012888888881881"}

func card(t testing.TB, number string) tid.TID {
	t.Helper()
	c, err := tid.NewPayment([]byte(number))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func keys(id int64, name string, b byte) Tenant {
	k := func(i byte) []byte { return bytes.Repeat([]byte{b, i}, 16) }
	return Tenant{ID: id, Name: name, Fingerprint: k(1), FingerprintKey: 1, SealTID: k(2), DeIdent: k(3), DeIdentVersion: 1}
}

func database(t testing.TB) (*store.SQL, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "central.db")
	s, err := store.Open(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Init(t.Context(), store.Act{}, store.Installation{CreatedAt: time.Unix(1, 0)}, "acme", nil); err != nil {
		t.Fatal(err)
	}
	return s, path
}

func directory(t testing.TB, s Store, tenants ...Tenant) *Directory {
	t.Helper()
	if len(tenants) == 0 {
		tenants = []Tenant{keys(1, "acme", 7)}
	}
	d, err := New(s, tenants, "", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func resolve(t testing.TB, d *Directory, number string) Answer {
	t.Helper()
	c := card(t, number)
	defer c.Wipe()
	a, err := d.Resolve(t.Context(), "acme", c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func follow(t testing.TB, d *Directory) {
	t.Helper()
	if err := d.Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownCardGetsAHouseholdAndKeepsIt(t *testing.T) {
	s, _ := database(t)
	d := directory(t, s)
	first := resolve(t, d, numbers[0])
	if first.State != identity.Resolved || first.HHID.IsZero() || !first.Created || first.DeIdentTID().Version() != 1 {
		t.Fatalf("first: %+v", first)
	}
	again := resolve(t, d, numbers[0])
	if first.Created = false; again != first {
		t.Errorf("again: %+v, want %+v", again, first)
	}
	if other := resolve(t, d, numbers[1]); other.HHID == first.HHID || other.DeIdent == first.DeIdent {
		t.Errorf("another card: %+v", other)
	}
	fresh := directory(t, s)
	follow(t, fresh)
	if got := resolve(t, fresh, numbers[0]); got != first {
		t.Errorf("after a restart: %+v, want %+v", got, first)
	}
	if n, b := fresh.Size(); n != 2 || b < 32 {
		t.Errorf("size %d, %d", n, b)
	}
}

// stopped is a store whose database has stopped.
type stopped struct{ Store }

var errStopped = errors.New("stopped")

func (stopped) Add(context.Context, store.TID) (store.Entry, bool, error) {
	return store.Entry{}, false, errStopped
}

func TestKnownCardsAreAnsweredWithoutTheDatabase(t *testing.T) {
	s, _ := database(t)
	d := directory(t, s)
	want := resolve(t, d, numbers[0])
	d.store = stopped{}
	if want.Created = false; resolve(t, d, numbers[0]) != want {
		t.Error("another answer")
	}
	if _, err := d.Resolve(t.Context(), "acme", card(t, numbers[1])); !errors.Is(err, errStopped) {
		t.Errorf("an unknown card: %v", err)
	}
}

func TestManyLanesAskAtOnce(t *testing.T) {
	s, path := database(t)
	second, err := store.Open(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	replicas := []*Directory{directory(t, s), directory(t, second)}
	var mu sync.Mutex
	got, created := map[string]identity.HHID{}, 0
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for lane := range 64 {
		wg.Go(func() {
			<-begin
			for i := range numbers {
				number := numbers[(lane+i)%len(numbers)]
				c := card(t, number)
				a, err := replicas[lane%2].Resolve(t.Context(), "acme", c)
				c.Wipe()
				mu.Lock()
				if known, ok := got[number]; err != nil || ok && known != a.HHID {
					t.Errorf("households %v and %v, %v", known, a.HHID, err)
				}
				if got[number] = a.HHID; a.Created {
					created++
				}
				mu.Unlock()
			}
		})
	}
	close(begin)
	wg.Wait()
	if created != len(numbers) {
		t.Errorf("%d households created for %d cards", created, len(numbers))
	}
}

func TestWhoAskedFirstGivesUp(t *testing.T) {
	var f flights
	begun, release := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		h, created, err := f.do(ctx, [16]byte{1}, func(ctx context.Context) (household, bool, error) {
			close(begun)
			<-release
			return household{hhid: identity.HHID{1}}, true, ctx.Err()
		})
		if err != nil || !created || h.hhid != (identity.HHID{1}) {
			t.Errorf("first: %v, %v, %v", h, created, err)
		}
	})
	<-begun
	cancel()
	if _, _, err := f.do(ctx, [16]byte{1}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("second, which gave up: %v", err)
	}
	wg.Go(func() {
		h, created, err := f.do(t.Context(), [16]byte{1}, func(context.Context) (household, bool, error) {
			return household{hhid: identity.HHID{1}}, false, nil // it came after the first was done
		})
		if err != nil || created || h.hhid != (identity.HHID{1}) {
			t.Errorf("third: %v, %v, %v", h, created, err)
		}
	})
	close(release)
	wg.Wait()
}

func TestChangesOfAnotherProcessAreFollowed(t *testing.T) {
	s, _ := database(t)
	d, cli := directory(t, s), directory(t, s)
	a, b := resolve(t, d, numbers[0]), resolve(t, d, numbers[1])
	follow(t, d)
	if _, err := s.LinkDeIdent(t.Context(), store.Act{}, 1, b.DeIdentTID(), a.HHID); err != nil {
		t.Fatal(err)
	}
	if got, err := cli.Link(t.Context(), store.Act{}, "acme", card(t, numbers[2]), a.HHID); err != nil || got != a.HHID {
		t.Fatalf("linked into %v, %v", got, err)
	}
	if got := resolve(t, d, numbers[1]).HHID; got != b.HHID {
		t.Errorf("before: %v", got)
	}
	follow(t, d)
	for _, number := range numbers[:3] {
		if got := resolve(t, d, number); got.HHID != a.HHID || got.Created {
			t.Errorf("afterwards: %+v, want household %v", got, a.HHID)
		}
	}
	if d.Change() != 4 {
		t.Errorf("change %d", d.Change())
	}
}

func TestLateEntryDoesNotUndoANewerOne(t *testing.T) {
	s, _ := database(t)
	d := directory(t, s)
	a, b := resolve(t, d, numbers[0]), resolve(t, d, numbers[1])
	old, err := s.Entries(t.Context(), 1, 1)
	if err != nil || len(old) != 1 {
		t.Fatal(old, err)
	}
	if _, err := s.LinkDeIdent(t.Context(), store.Act{}, 1, b.DeIdentTID(), a.HHID); err != nil {
		t.Fatal(err)
	}
	follow(t, d)
	if err := d.tenants.Load().byID[1].apply(t.Context(), s, old[0]); err != nil {
		t.Fatal(err)
	}
	if got := resolve(t, d, numbers[1]).HHID; got != a.HHID {
		t.Errorf("household %v, want %v", got, a.HHID)
	}
}

func TestTIDsWithOneKeyAreKeptApart(t *testing.T) {
	s, _ := database(t)
	d := directory(t, s)
	one := d.tenants.Load().byID[1].memories[0]
	row := func(n byte) store.TID {
		f := [16]byte{0, 1, 2, 3, 4, 5, 6, 7, n}
		return store.TID{Tenant: 1, Fingerprint: f, FingerprintKey: 1, Sealed: []byte{n}, DeIdent: f, DeIdentVersion: 1, Kind: identity.Payment}
	}
	var ids [4]identity.HHID
	for n := range byte(3) {
		e, _, err := s.Add(t.Context(), row(n))
		if err != nil {
			t.Fatal(err)
		}
		ids[n] = e.HHID
		if n < 2 {
			follow(t, d) // the third is found at the start of another process
		}
	}
	fresh := directory(t, s)
	follow(t, fresh)
	follow(t, d)
	for _, now := range []*memory{one, fresh.tenants.Load().byID[1].memories[0]} {
		for n := range byte(4) {
			h, ok := now.lookup(row(n).Fingerprint)
			if ok != (n < 3) || h.hhid != ids[n] {
				t.Errorf("TID %d: %v, %v, want %v", n, h, ok, ids[n])
			}
		}
	}
	if _, err := s.Link(t.Context(), store.Act{}, row(1), ids[0]); err != nil {
		t.Fatal(err)
	}
	follow(t, d)
	for n, want := range []identity.HHID{ids[0], ids[0], ids[2]} {
		if h, ok := one.lookup(row(byte(n)).Fingerprint); !ok || h.hhid != want {
			t.Errorf("TID %d after a move: %v, %v, want %v", n, h, ok, want)
		}
	}
}

func TestOptedOutAndReservedIDs(t *testing.T) {
	one := newMemory(Tenant{ID: 1}, OlderKey{FingerprintKey: 1}, "")
	lonely := func(e store.Entry) Store { return prefixes{all: []store.Entry{e}} }
	for i, tc := range []struct {
		id  uint64
		out bool
	}{{1, true}, {isOptedOut, false}, {inSideTable, false}, {inSideTable, true}, {2, false}} {
		e := store.Entry{Tenant: 1, Fingerprint: [16]byte{byte(i + 1)}, OptedOut: tc.out}
		binary.BigEndian.PutUint64(e.HHID[:], tc.id)
		if err := one.apply(t.Context(), lonely(e), e); err != nil {
			t.Fatal(err)
		}
		h, ok := one.lookup(e.Fingerprint)
		if !ok || h.optedOut != tc.out || !tc.out && h.hhid != e.HHID {
			t.Errorf("%x, opted out %v: %v, %v", tc.id, tc.out, h, ok)
		}
	}
}

type prefixes struct {
	Store
	all []store.Entry
}

func (p prefixes) EntriesWithPrefix(context.Context, int64, [8]byte) ([]store.Entry, error) {
	return p.all, nil
}

func TestOptedOutGetsNoIDs(t *testing.T) {
	s, _ := database(t)
	d := directory(t, s)
	c := card(t, numbers[0])
	one := d.tenants.Load().byID[1]
	if err := one.apply(t.Context(), nil, store.Entry{Tenant: 1, Fingerprint: one.memories[0].of(c), FingerprintKey: 1, HHID: identity.HHID{1}, OptedOut: true}); err != nil {
		t.Fatal(err)
	}
	if got := resolve(t, d, numbers[0]); got != (Answer{State: identity.OptedOut}) {
		t.Errorf("got %+v", got)
	}
}

func TestRetailersAreApart(t *testing.T) {
	a, b := keys(1, "acme", 7).tenant(t), keys(2, "bravo", 8).tenant(t)
	c := card(t, numbers[0])
	if a.memories[0].of(c) == b.memories[0].of(c) || a.deident(c) == b.deident(c) || a.deident(c) == a.memories[0].of(c) {
		t.Error("two keys give one result")
	}
	s, _ := database(t)
	if _, err := directory(t, s).Resolve(t.Context(), "bravo", c); !errors.Is(err, ErrNoTenant) {
		t.Errorf("foreign retailer: %v", err)
	}
	if _, err := directory(t, s).Link(t.Context(), store.Act{}, "bravo", c, identity.HHID{1}); !errors.Is(err, ErrNoTenant) {
		t.Errorf("foreign retailer: %v", err)
	}
}

func TestKindsAreApart(t *testing.T) {
	a := keys(1, "acme", 7).tenant(t)
	loyalty, err := tid.NewLoyalty(numbers[0][:4], []byte(numbers[0][4:]))
	if err != nil {
		t.Fatal(err)
	}
	if c := card(t, numbers[0]); a.memories[0].of(c) == a.memories[0].of(loyalty) || a.deident(c) == a.deident(loyalty) {
		t.Error("a payment card and a loyalty card of the same digits are one")
	}
}

func (k Tenant) tenant(t *testing.T) *tenant {
	return directory(t, nil, k).tenants.Load().byName[k.Name]
}

func TestStoredTIDOpensInItsPlaceOnly(t *testing.T) {
	one := keys(1, "acme", 7).tenant(t)
	c := card(t, numbers[0])
	f := one.memories[0].of(c)
	sealed, err := one.seal(nil, f, c)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := one.aead.Open(nil, nil, sealed, one.sealContext(f))
	if err != nil {
		t.Fatal(err)
	}
	if kind, digits, err := enctid.ParsePlaintext(plain); err != nil || kind != tid.Payment || string(digits) != numbers[0] {
		t.Errorf("opened to another TID: %v, %v", kind, err)
	}
	if _, err := one.aead.Open(nil, nil, sealed, one.sealContext([16]byte{1})); err == nil {
		t.Error("it opens elsewhere")
	}
	c.Wipe()
	if _, err := one.seal(nil, f, c); err == nil {
		t.Error("a wiped TID was sealed")
	}
}

func TestNoCardNumberInTheDatabase(t *testing.T) {
	s, path := database(t)
	d := directory(t, s)
	for _, n := range numbers {
		resolve(t, d, n)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range numbers {
			if strings.Contains(string(content), n) {
				t.Errorf("%s holds a card number", filepath.Base(file))
			}
		}
	}
}

func TestBadKeys(t *testing.T) {
	for name, spoil := range map[string]func(*Tenant){
		"fingerprint": func(t *Tenant) { t.Fingerprint = nil },
		"seal":        func(t *Tenant) { t.SealTID = t.SealTID[1:] },
		"deident":     func(t *Tenant) { t.DeIdent = t.DeIdent[1:] },
		"version":     func(t *Tenant) { t.DeIdentVersion = 0 },
	} {
		k := keys(1, "acme", 7)
		spoil(&k)
		if _, err := New(nil, []Tenant{k}, "", time.Now); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestLoadingManyPages(t *testing.T) {
	entries := make([]store.Entry, 2*page+10)
	for i := range entries {
		entries[i] = store.Entry{Tenant: 1, FingerprintKey: 1, HHID: identity.HHID{1, byte(i)}, Change: uint64(i + 1)}
		binary.BigEndian.PutUint64(entries[i].Fingerprint[:], uint64(i)*0x9e3779b97f4a7c15)
	}
	d := directory(t, feed{all: entries})
	var seen []int
	if err := d.Sync(t.Context(), func(n int) { seen = append(seen, n) }); err != nil {
		t.Fatal(err)
	}
	if n, _ := d.Size(); n != len(entries) || len(seen) != 3 || seen[2] != len(entries) || d.Change() != uint64(len(entries)) {
		t.Errorf("%d known, progress %v, change %d", n, seen, d.Change())
	}
}

type feed struct {
	Store
	all []store.Entry
}

func (f feed) Entries(_ context.Context, after uint64, limit int) ([]store.Entry, error) {
	rest := f.all[after:]
	return rest[:min(limit, len(rest))], nil
}
