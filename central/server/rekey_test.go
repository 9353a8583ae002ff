package server

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/central/server/store"
	"posd/identity"
	"posd/tid"
)

// TestKeysRotateUnderTwoServers lets two servers on one store look up, add, link and
// erase cards at random while keys are rotated, cards moved, servers killed and
// started again: no card may ever have two households, and no answer be one that was
// not true since the server last followed the store.
func TestKeysRotateUnderTwoServers(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newRotations(t, seed)
			for range 350 {
				w.step()
			}
			w.end()
		})
	}
}

const rotationCards = 24

// rotations is the world of that test, and what must be true in it.
type rotations struct {
	*testing.T
	st      *store.SQL
	path    string
	now     time.Time
	random  *rand.Rand
	servers [2]*Server
	dirs    [2]string

	time    int // rises with each change
	synced  [2]int
	history map[int][]truth // of each card
	given   map[int]map[identity.DeIdentTID]bool
	erased  map[int]bool
	rotated int
}

// truth is what holds of a card from a time on.
type truth struct {
	from int
	hhid identity.HHID // zero: it opted out
}

func newRotations(t *testing.T, seed uint64) *rotations {
	st, path := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	w := &rotations{T: t, st: st, path: path, now: time.Now(), random: rand.New(rand.NewPCG(seed, 1)),
		history: map[int][]truth{}, given: map[int]map[identity.DeIdentTID]bool{}, erased: map[int]bool{}}
	for i := range w.servers {
		w.dirs[i] = t.TempDir()
		w.start(i)
	}
	return w
}

func (w *rotations) start(i int) {
	w.Helper()
	keys, err := OpenKeys(w.Context(), w.st, kekOf(w.T, 1))
	must(w, err)
	w.servers[i], err = New(Options{Store: w.st, Keys: keys, IndexDir: w.dirs[i], Now: func() time.Time { return w.now }})
	must(w, err)
	must(w, w.servers[i].Load(w.Context()))
	w.synced[i] = w.time
}

func (w *rotations) card(n int) tid.TID {
	w.Helper()
	c, err := tid.NewLoyalty("1234", fmt.Appendf(nil, "%08d", n))
	must(w, err)
	return c
}

func (w *rotations) step() {
	w.Helper()
	i, n := w.random.IntN(2), w.random.IntN(rotationCards)
	s := w.servers[i]
	switch p := w.random.IntN(100); {
	case p < 50:
		w.resolve(i, n)
	case p < 58:
		w.link(i, n)
	case p < 60:
		w.erase(n)
	case p < 64:
		w.rotate(i)
	case p < 80:
		w.rekey(s)
	case p < 90:
		w.follow(i)
	case p < 93:
		must(w, s.directory.Keep(w.Context()))
	case p < 96:
		w.now = w.now.Add(2 * rekeyLease) // whoever held the work has lost it
	default:
		w.start(i) // what was there is killed
	}
}

func (w *rotations) resolve(i, n int) {
	w.Helper()
	a, err := w.servers[i].directory.Resolve(w.Context(), "acme", w.card(n))
	if err != nil {
		w.Fatalf("card %d: %v", n, err)
	}
	if len(w.history[n]) == 0 {
		if !a.Created {
			w.Fatalf("card %d is known from nowhere", n)
		}
		w.note(n, a.HHID)
	} else if a.Created {
		w.Fatalf("card %d got a second household after %d rotations", n, w.rotated)
	}
	if !w.allowed(i, n, a.HHID) {
		w.Fatalf("card %d is of %v, and was of %v", n, a.HHID, w.history[n])
	}
	if d := a.DeIdentTID(); d != "" {
		if w.given[n] == nil {
			w.given[n] = map[identity.DeIdentTID]bool{}
		}
		w.given[n][d] = true
	}
}

func (w *rotations) note(n int, id identity.HHID) {
	w.time++
	w.history[n] = append(w.history[n], truth{w.time, id})
}

// allowed reports whether an answer was true at some time since the server followed.
func (w *rotations) allowed(i, n int, id identity.HHID) bool {
	all := w.history[n]
	for k, h := range all {
		over := k+1 < len(all) && all[k+1].from <= w.synced[i]
		if h.hhid == id && !over {
			return true
		}
	}
	return false
}

func (w *rotations) link(i, n int) {
	w.Helper()
	other := w.history[w.random.IntN(rotationCards)]
	if len(other) == 0 || other[len(other)-1].hhid.IsZero() || w.erased[n] {
		return
	}
	to := other[len(other)-1].hhid
	got, err := w.servers[i].directory.Link(w.Context(), store.Act{At: w.now}, "acme", w.card(n), to)
	if err != nil || got != to {
		w.Fatalf("link card %d: %v, %v", n, got, err)
	}
	if all := w.history[n]; len(all) == 0 || all[len(all)-1].hhid != to {
		w.note(n, to)
	}
}

// erase forgets a card, as far as the store is concerned.
func (w *rotations) erase(n int) {
	w.Helper()
	for d := range w.given[n] {
		if w.erased[n] {
			break
		}
		mac := d.MAC()
		change(w.T, w.path, fmt.Sprintf(`UPDATE counters SET value = value + 1 WHERE name = 'change';
			UPDATE tids SET sealed = x'', opted_out = 1, change = (SELECT value FROM counters WHERE name = 'change')
			WHERE deident = x'%[1]x' AND deident_version = %[2]d OR fingerprint IN (SELECT fingerprint FROM deidents WHERE deident = x'%[1]x' AND version = %[2]d)`, mac, d.Version()))
		w.forget(n)
	}
}

func (w *rotations) forget(n int) {
	w.erased[n] = true
	w.note(n, identity.HHID{})
}

func (w *rotations) rotate(i int) {
	w.Helper()
	purpose := []store.Purpose{store.Fingerprint, store.DeIdent}[w.random.IntN(2)]
	_, err := w.servers[i].Keys().RotateTenant(w.Context(), w.st, store.Act{At: w.now}, purpose, store.Tenant{ID: 1, Name: "acme"})
	if errors.Is(err, store.ErrRekeying) {
		return
	}
	must(w, err)
	w.rotated++
}

func (w *rotations) rekey(s *Server) {
	w.Helper()
	all, err := w.st.Rekeyings(w.Context())
	must(w, err)
	for _, one := range all {
		if one.FinishedAt.IsZero() {
			if _, err := s.rekeySome(w.Context(), one, 1+w.random.IntN(12)); err != nil && !errors.Is(err, store.ErrHeld) && !errors.Is(err, store.ErrStaleKeys) {
				w.Fatal(err)
			}
		}
	}
}

func (w *rotations) follow(i int) {
	w.Helper()
	if w.random.IntN(2) == 0 {
		w.servers[i].followKeys(w.Context())
	}
	must(w, w.servers[i].sync(w.Context(), nil))
	w.synced[i] = w.time
}

// end has all cards moved, and looks at all of it.
func (w *rotations) end() {
	w.Helper()
	for i, s := range w.servers {
		s.followKeys(w.Context())
		w.now = w.now.Add(2 * rekeyLease)
		for range 100 {
			w.rekey(s)
		}
		w.follow(i)
	}
	all, err := w.st.Rekeyings(w.Context())
	must(w, err)
	if len(all) > 0 && all[0].FinishedAt.IsZero() {
		w.Fatal("it is never finished")
	}
	stored, err := w.st.SealedTIDs(w.Context(), 1, [16]byte{}, 1000)
	must(w, err)
	if len(stored) != len(w.history) {
		w.Errorf("%d cards are stored, %d were shown", len(stored), len(w.history))
	}
	newest := w.servers[0].Keys().tenants[0]
	for _, one := range stored {
		if len(one.Sealed) > 0 && (one.FingerprintKey != newest.FingerprintKey || one.DeIdentVersion != newest.DeIdentVersion) {
			w.Errorf("a card is under fingerprint key %d, deident key %d", one.FingerprintKey, one.DeIdentVersion)
		}
	}
	for n, h := range w.history {
		for i := range w.servers {
			w.resolve(i, n)
			w.start(i)
			w.resolve(i, n)
		}
		if w.erased[n] {
			continue
		}
		for d := range w.given[n] {
			if e, err := w.st.LinkDeIdent(w.Context(), store.Act{}, 1, d, h[len(h)-1].hhid); err != nil || e.HHID != h[len(h)-1].hhid {
				w.Errorf("%s is found no more: %v", d, err)
			}
		}
	}
}

// TestRekeyingGoesOnByItself runs a whole rotation under a running server, and the
// end of the old keys.
func TestRekeyingGoesOnByItself(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	before := map[string]identity.DeIdentTID{}
	for _, number := range []string{visa, mastercard} {
		before[number] = lane.resolve(number, 1).DeIdentTID
	}
	acme := store.Tenant{ID: 1, Name: "acme"}
	for _, purpose := range []store.Purpose{store.DeIdent, store.Fingerprint} {
		did, err := h.s.Keys().RotateTenant(t.Context(), h.st, h.act(), purpose, acme)
		if err != nil || did.Number != 2 {
			t.Fatal(did, err)
		}
		if _, err := h.s.Keys().RotateTenant(t.Context(), h.st, h.act(), purpose, acme); !errors.Is(err, store.ErrRekeying) {
			t.Errorf("rotated again: %v", err)
		}
		if _, err := DestroyTenant(t.Context(), h.st, h.act(), purpose, acme, 1); err == nil || !strings.Contains(err.Error(), "0 % of the cards are moved") {
			t.Errorf("destroyed too early: %v", err)
		}
		h.s.followKeys(t.Context())
		if got := lane.resolve(visa, 2); got.DeIdentTID.Version() != 2 {
			t.Errorf("answer %+v", got)
		}
		all, err := ListKeys(t.Context(), h.st, h.clock())
		must(t, err)
		for _, k := range all {
			if moving := k.Number == 2 && k.Purpose == purpose; moving && (k.Moved == nil || k.State != Active) || k.Number == 1 && k.Purpose == purpose && k.State != Superseded {
				t.Errorf("key %+v", k)
			}
		}
		must(t, h.s.rekeyAll(t.Context()))
	}
	h.s.followKeys(t.Context())
	must(t, h.s.sync(t.Context(), nil))
	if n, _ := h.s.directory.Size(); n != 2 {
		t.Errorf("%d cards in memory: the old index is there still", n)
	}
	pairs, err := h.st.DeIdentPairs(t.Context(), 1, 1, 2, [16]byte{}, 10)
	if err != nil || len(pairs) != 2 {
		t.Errorf("%v, %v", pairs, err)
	}
	for _, p := range pairs {
		if p.From != before[visa] && p.From != before[mastercard] || p.From == before[visa] && p.To != lane.resolve(visa, 3).DeIdentTID {
			t.Errorf("pair %+v", p)
		}
	}
	for _, purpose := range []store.Purpose{store.DeIdent, store.Fingerprint} {
		if _, err := DestroyTenant(t.Context(), h.st, h.act(), purpose, acme, 2); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("destroyed the newest: %v", err)
		}
		must(t, destroyed(DestroyTenant(t.Context(), h.st, h.act(), purpose, acme, 1)))
	}
	h.restart(Limits{})
	must(t, h.s.Load(t.Context()))
	if got := lane.resolve(visa, 4); got.DeIdentTID.Version() != 2 {
		t.Errorf("answer %+v", got)
	}
	if _, err := h.st.LinkDeIdent(t.Context(), h.act(), 1, before[visa], lane.resolve(mastercard, 5).HHID); err != nil {
		t.Errorf("the earlier pseudonym: %v", err)
	}
}

func TestErasedCardsKeepTheirFingerprintKey(t *testing.T) {
	w := newRotations(t, 1)
	w.resolve(0, 1)
	w.resolve(0, 2)
	w.erase(1)
	acme := store.Tenant{ID: 1, Name: "acme"}
	_, err := w.servers[0].Keys().RotateTenant(t.Context(), w.st, store.Act{}, store.Fingerprint, acme)
	must(t, err)
	w.end()
	if _, err := DestroyTenant(t.Context(), w.st, store.Act{}, store.Fingerprint, acme, 1); err == nil || !strings.Contains(err.Error(), "1 cards that were erased") {
		t.Errorf("destroyed: %v", err)
	}
	w.start(0)
	w.resolve(0, 1) // it is opted out, in the store and then in memory
	w.resolve(0, 1)
}

func TestIndexOfASupersededKeyGoes(t *testing.T) {
	w := newRotations(t, 1)
	w.resolve(0, 1)
	old := filepath.Join(w.dirs[0], "index-1.snapshot")
	must(t, os.WriteFile(old, nil, 0o600))
	_, err := w.servers[0].Keys().RotateTenant(t.Context(), w.st, store.Act{}, store.Fingerprint, store.Tenant{ID: 1, Name: "acme"})
	must(t, err)
	w.servers[0].followKeys(t.Context())
	must(t, w.servers[0].rekeyAll(t.Context()))
	w.servers[0].followKeys(t.Context())
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the snapshot under the old key: %v", err)
	}
	w.start(0)
	w.resolve(0, 1)
}

func TestShare(t *testing.T) {
	for to, want := range map[[16]byte]float64{{}: 0, {0x80}: 0.5, {0xff, 0xff, 0xff}: 0.9999999403953552} {
		if got := share(to); got != want {
			t.Errorf("%x: %v, want %v", to, got, want)
		}
	}
	if next, last := following([16]byte(bytes.Repeat([]byte{0xff}, 16))); !last || next != [16]byte{} {
		t.Errorf("behind the last: %x, %v", next, last)
	}
	if next, last := following([16]byte{14: 1, 15: 0xff}); last || next != [16]byte{14: 2} {
		t.Errorf("%x, %v", next, last)
	}
}

// TestCardOfNewerKeys: a server that has not heard of a new pseudonym key must not
// answer with one of before for a card that never had that.
func TestCardOfNewerKeys(t *testing.T) {
	for name, meet := range map[string]func(*rotations){
		"asked for":  func(w *rotations) {},
		"heard of":   func(w *rotations) { must(w, w.servers[1].sync(w.Context(), nil)) },
		"both heard": func(w *rotations) { w.servers[1].followKeys(w.Context()); w.follow(1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newRotations(t, 1)
			_, err := w.servers[0].Keys().RotateTenant(t.Context(), w.st, store.Act{}, store.DeIdent, store.Tenant{ID: 1, Name: "acme"})
			must(t, err)
			w.servers[0].followKeys(t.Context())
			w.resolve(0, 1)
			meet(w)
			w.resolve(1, 1)
			for d := range w.given[1] {
				if d.Version() != 2 {
					t.Errorf("answered with %s", d)
				}
			}
		})
	}
}
