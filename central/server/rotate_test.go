package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"posd/central"
	"posd/central/server/opener"
	"posd/central/server/store"
	"posd/central/server/vault"
)

func (h *harness) act() store.Act { return store.Act{At: h.clock(), Actor: "someone", Action: "keys"} }

// rotate makes an HPKE key as a process of its own would.
func (h *harness) rotate(from time.Time) uint32 {
	h.t.Helper()
	keys, err := OpenKeys(h.t.Context(), h.st, h.kek)
	must(h.t, err)
	did, err := keys.RotateHPKE(h.t.Context(), h.st, h.act(), from)
	must(h.t, err)
	return did.Number
}

// fetch gets the manifest as a lane does.
func (h *harness) fetch(m *machine) central.Manifest {
	h.t.Helper()
	w := h.want(200, "", m, "POST", central.ManifestPath, central.ManifestRequest{})
	var signed central.Signed
	must(h.t, json.Unmarshal(w.Body.Bytes(), &signed))
	got, err := signed.Verify(h.s.Keys().manifestKey, h.clock(), 1)
	must(h.t, err)
	return got
}

func (h *harness) state(number uint32) string {
	h.t.Helper()
	all, err := ListKeys(h.t.Context(), h.st, h.clock())
	must(h.t, err)
	for _, k := range all {
		if k.Purpose == store.HPKE && k.Number == number {
			return k.State
		}
	}
	return ""
}

// TestLifeOfAnHPKEKey follows a key from its announcement to its end, on a server
// that goes on all the while.
func TestLifeOfAnHPKEKey(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	first := lane.resolve(visa, 1)
	from := h.clock().Add(24 * time.Hour)
	if n := h.rotate(from); n != 2 {
		t.Fatalf("key %d", n)
	}
	h.s.followKeys(t.Context())
	sealing := func(at time.Time) uint32 {
		t.Helper()
		k, err := h.fetch(lane).SealingKey(at)
		must(t, err)
		return k.ID
	}
	if a, b, c := sealing(h.clock()), sealing(from.Add(-1)), sealing(from); a != 1 || b != 1 || c != 2 || h.state(1) != Sealing || h.state(2) != Announced {
		t.Errorf("lanes seal with %d, %d before and %d at its time; states %s, %s", a, b, c, h.state(1), h.state(2))
	}
	if _, err := RetireHPKE(t.Context(), h.st, h.act(), 1); err == nil || !strings.Contains(err.Error(), "only one that lanes can seal with now") {
		t.Errorf("retired the only one: %v", err)
	}
	if _, err := DestroyHPKE(t.Context(), h.st, h.act(), 1, true); err == nil || !strings.Contains(err.Error(), "lanes may seal with it still") {
		t.Errorf("destroyed while it seals: %v", err)
	}

	h.pass(24 * time.Hour)
	must(t, h.s.issue(t.Context()))
	m := h.fetch(lane)
	if len(m.Keys) != 2 || m.Keys[0].State != central.OpenOnly || m.Keys[1].State != central.Sealing || h.state(1) != OpenOnly || h.state(2) != Sealing {
		t.Errorf("after its time: %+v", m.Keys)
	}
	if got := lane.resolve(visa, 2); got.HHID != first.HHID { // an epoch of the first key still
		t.Errorf("under the old key: %+v", got)
	}
	lane.epoch = nil
	if got := lane.resolve(visa, 3); got.HHID != first.HHID {
		t.Errorf("under the new key: %+v", got)
	}

	if _, err := DestroyHPKE(t.Context(), h.st, h.act(), 1, false); err == nil || !strings.Contains(err.Error(), "--compromised") {
		t.Errorf("destroyed at once: %v", err)
	}
	h.pass(Keep - time.Second)
	if _, err := DestroyHPKE(t.Context(), h.st, h.act(), 1, false); err == nil {
		t.Error("destroyed too early")
	}
	h.pass(time.Second)
	h.restart(Limits{}) // its certificates have ended meanwhile
	must(t, h.s.Load(t.Context()))
	lane = h.enrol(lane2)
	lane.epoch = h.epochFor(lane, 1)
	old := lane.seal(visa, 4)
	must(t, destroyed(DestroyHPKE(t.Context(), h.st, h.act(), 1, false)))
	h.s.followKeys(t.Context())
	h.want(410, central.ProblemKeyRetired, lane, "POST", central.ResolvePath, old)
	if m := h.fetch(lane); len(m.Keys) != 1 || m.Keys[0].ID != 2 || h.state(1) != Destroyed {
		t.Errorf("manifest %+v", m.Keys)
	}
	if _, err := DestroyHPKE(t.Context(), h.st, h.act(), 1, false); !errors.Is(err, errDestroyed) {
		t.Errorf("destroyed twice: %v", err)
	}
	if _, err := RetireHPKE(t.Context(), h.st, h.act(), 1); !errors.Is(err, errDestroyed) {
		t.Errorf("retired after that: %v", err)
	}
	if n := h.rotate(time.Time{}); n != 3 {
		t.Errorf("a number was used again: %d", n)
	}
}

func destroyed(_ KeyAct, err error) error { return err }

func TestCompromisedKeyIsReplacedAtOnce(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	pending := lane.seal(visa, 1)
	h.rotate(h.clock().Add(time.Hour)) // announced, and compromised with the first
	h.rotate(time.Time{})
	h.s.followKeys(t.Context())
	m := h.fetch(lane)
	for _, at := range []time.Time{h.clock().Add(-10 * time.Minute), h.clock(), h.clock().Add(2 * time.Hour)} {
		if k, err := m.SealingKey(at); err != nil || k.ID != 3 {
			t.Errorf("at %v lanes seal with %d, %v", at, k.ID, err)
		}
	}
	must(t, destroyed(DestroyHPKE(t.Context(), h.st, h.act(), 1, true)))
	h.s.followKeys(t.Context())
	h.want(410, central.ProblemKeyRetired, lane, "POST", central.ResolvePath, pending)
}

func TestRetireCancelsAnAnnouncedKey(t *testing.T) {
	h := start(t)
	h.rotate(h.clock().Add(time.Hour))
	if _, err := RetireHPKE(t.Context(), h.st, h.act(), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := RetireHPKE(t.Context(), h.st, h.act(), 2); err == nil || !strings.Contains(err.Error(), "lanes ceased to seal") {
		t.Errorf("retired twice: %v", err)
	}
	if _, err := RetireHPKE(t.Context(), h.st, h.act(), 9); !errors.Is(err, errNoKey) {
		t.Errorf("no such key: %v", err)
	}
	// The first key was to end with the second's beginning: somebody must see to it.
	if _, err := DestroyHPKE(t.Context(), h.st, h.act(), 9, true); !errors.Is(err, errNoKey) {
		t.Errorf("no such key: %v", err)
	}
}

// TestLookupsGoOnWhileKeysChange asks all the time while keys come and go.
func TestLookupsGoOnWhileKeysChange(t *testing.T) {
	h := prepare(t, Limits{Lookups: Rate{1e6, 1e6}, TIDs: Rate{1e6, 1e6}, Failures: Rate{1e6, 1e6}, Enrol: Rate{100, 100}})
	must(t, h.s.Load(t.Context()))
	lane := h.enrol(lane1)
	req, want := lane.seal(visa, 1), lane.resolve(visa, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				w := h.do(lane, "POST", central.ResolvePath, req)
				var a central.Answer
				if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || a != want {
					t.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	for range 8 {
		h.rotate(time.Time{})
		h.s.followKeys(t.Context())
	}
	cancel()
	wg.Wait()
	if m := h.fetch(lane); len(m.Keys) != 9 {
		t.Errorf("%d keys in the manifest", len(m.Keys))
	}
}

func TestServersWhoseClocksDifferIssueOneManifest(t *testing.T) {
	h := start(t)
	other := &Server{store: h.st, log: h.s.log, now: func() time.Time { return h.clock().Add(2 * time.Second) }, identity: h.s.identity}
	h.rotate(h.clock().Add(time.Hour))
	h.s.followKeys(t.Context())
	h.pass(time.Hour - time.Second) // its time has come by the other's clock alone
	other.keys.Store(h.s.Keys())
	must(t, other.issue(t.Context()))
	before, err := h.st.KeyChange(t.Context())
	must(t, err)
	for range 3 {
		must(t, h.s.issue(t.Context()))
		must(t, other.issue(t.Context()))
	}
	if after, err := h.st.KeyChange(t.Context()); err != nil || after != before {
		t.Errorf("%d manifests were issued in turn", after-before)
	}
}

func TestDestroyedKeyLeavesNoTrace(t *testing.T) {
	st, path := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	keys, err := OpenKeys(t.Context(), st, kekOf(t, 1))
	must(t, err)
	wrapped := keys.rows[2].Wrapped
	if keys.rows[2].Purpose != store.HPKE {
		for _, r := range keys.rows {
			if r.Purpose == store.HPKE {
				wrapped = r.Wrapped
			}
		}
	}
	found := func() (n int) {
		t.Helper()
		for _, file := range []string{path, path + "-wal"} {
			content, err := os.ReadFile(file)
			must(t, err)
			n += strings.Count(string(content), string(wrapped))
		}
		return n
	}
	if found() == 0 {
		t.Fatal("looked for it in the wrong place")
	}
	by := store.Act{At: setup.Now.Add(time.Hour)}
	_, err = keys.RotateHPKE(t.Context(), st, by, time.Time{})
	must(t, err)
	must(t, destroyed(DestroyHPKE(t.Context(), st, by, 1, true)))
	if n := found(); n != 0 {
		t.Errorf("its wrapped secret is there still, %d times", n)
	}
}

func TestReplicaTellsOfKeysThatItCannotRead(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	want := lane.resolve(visa, 1)
	must(t, h.st.ChangeKeys(t.Context(), h.act(), func(r *store.Keyring) error {
		r.KEK = "another"
		r.Keys = append(r.Keys, store.Key{Purpose: store.HPKE, Number: 2, State: store.Active, Wrapped: []byte("?")})
		return nil
	}))
	h.s.followKeys(t.Context())
	if st := h.s.Status(); st.State != Degraded || !strings.Contains(fmt.Sprint(st.Reasons), "another key-encryption key") {
		t.Errorf("status %+v", st)
	}
	if got := lane.resolve(visa, 2); got.HHID != want.HHID {
		t.Errorf("lookup: %+v", got)
	}
	must(t, h.st.ChangeKeys(t.Context(), h.act(), func(r *store.Keyring) error {
		r.Find(store.HPKE, 0, 2).Wrapped = nil // what is not there needs no key
		return nil
	}))
	h.s.followKeys(t.Context())
	if st := h.s.Status(); st.State != Ready || len(h.s.Keys().hpke) != 2 || h.s.Keys().hpke[1].State != opener.Destroyed {
		t.Errorf("status %+v", st)
	}
}

func TestRewrap(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	want := lane.resolve(visa, 1)
	replica, err := OpenKeys(t.Context(), h.st, h.kek)
	must(t, err)
	h.rotate(h.clock().Add(time.Hour))
	must(t, destroyed(RetireHPKE(t.Context(), h.st, h.act(), 2)))
	must(t, destroyed(DestroyHPKE(t.Context(), h.st, h.act(), 2, true)))
	before, err := h.st.Keys(t.Context())
	must(t, err)
	did, err := h.s.Keys().Rewrap(t.Context(), h.st, h.act(), kekOf(t, 9), nil)
	if err != nil || did.KEK != kekOf(t, 9).ID() || did.Before != h.kek.ID() {
		t.Fatalf("%+v, %v", did, err)
	}
	after, err := h.st.Keys(t.Context())
	must(t, err)
	for i, k := range after {
		if k.Wrapped == nil != (before[i].Wrapped == nil) || k.Wrapped != nil && string(k.Wrapped) == string(before[i].Wrapped) {
			t.Errorf("%s key %d is wrapped as before", k.Purpose, k.Number)
		}
	}
	if _, err := OpenKeys(t.Context(), h.st, h.kek); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("the key before: %v", err)
	}
	if _, err := replica.Rewrap(t.Context(), h.st, h.act(), kekOf(t, 8), nil); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("of a replica that has the key before: %v", err)
	}
	if _, err := replica.RotateHPKE(t.Context(), h.st, h.act(), time.Time{}); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("a replica wrapped a key under the one before: %v", err)
	}
	// The server itself goes on, also with new keys.
	h.s.followKeys(t.Context())
	if _, err := h.s.Keys().RotateHPKE(t.Context(), h.st, h.act(), time.Time{}); err != nil {
		t.Error(err)
	}
	h.s.followKeys(t.Context())
	if got := lane.resolve(visa, 2); got.HHID != want.HHID || h.s.Status().State != Ready || len(h.fetch(lane).Keys) != 2 {
		t.Errorf("%+v, %+v", got, h.s.Status())
	}
	h.kek = kekOf(t, 9)
	h.restart(Limits{})
	must(t, h.s.Load(t.Context()))
	if got := lane.resolve(visa, 3); got.HHID != want.HHID || got.DeIdentTID != want.DeIdentTID {
		t.Errorf("after a restart: %+v, want %+v", got, want)
	}
}

func TestRewrapIsAllOrNothing(t *testing.T) {
	st, path := database(t)
	must(t, Init(t.Context(), st, kekOf(t, 1), setup))
	keys, err := OpenKeys(t.Context(), st, kekOf(t, 1))
	must(t, err)
	change(t, path, `UPDATE keys SET wrapped = zeroblob(60) WHERE purpose = 'tid'`)
	before, err := st.Keys(t.Context())
	must(t, err)
	if _, err := keys.Rewrap(t.Context(), st, store.Act{}, kekOf(t, 2), nil); err == nil || !strings.Contains(err.Error(), "tid key 1") {
		t.Errorf("a key that was changed: %v", err)
	}
	after, err := st.Keys(t.Context())
	must(t, err)
	if i, err := st.Installation(t.Context()); err != nil || i.KEK != kekOf(t, 1).ID() || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("half of it was done: %+v, %v", i, err)
	}
}
