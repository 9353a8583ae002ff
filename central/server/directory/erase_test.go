package directory

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"posd/central/server/store"
	"posd/identity"
)

// An erased card is answered opted-out, and its household is in no snapshot from the
// next look on, however few changes there were.
func TestErasedCardsLeaveTheSnapshot(t *testing.T) {
	s, _ := database(t)
	dir := t.TempDir()
	d := kept(t, s, dir)
	d.merge = 1 << 20 // a snapshot is not made by itself
	first, second := resolve(t, d, numbers[0]), resolve(t, d, numbers[1])
	follow(t, d)
	d.merge = 0
	if err := d.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.merge = 1 << 20
	path := filepath.Join(dir, "index-1.snapshot")
	if !holds(t, path, first.HHID) || !holds(t, path, second.HHID) {
		t.Fatal("this test does not know what a snapshot holds")
	}
	none := func([]store.ErasureLine) error { return nil }
	if _, err := s.Erase(context.Background(), store.Act{At: time.Now()}, store.Tenant{ID: 1, Name: "acme"}, store.Erasing{DeIdent: first.DeIdentTID()}, false, none); err != nil {
		t.Fatal(err)
	}
	follow(t, d)
	if got := resolve(t, d, numbers[0]); got.State != identity.OptedOut {
		t.Errorf("the next swipe: %+v", got)
	}
	if err := d.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if holds(t, path, first.HHID) || !holds(t, path, second.HHID) {
		t.Error("the snapshot holds the household of what was erased")
	}
	d = kept(t, s, dir)
	if err := d.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	follow(t, d)
	if got := resolve(t, d, numbers[0]); got.State != identity.OptedOut {
		t.Errorf("after a restart: %+v", got)
	}
}

func holds(t *testing.T, path string, id identity.HHID) bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	little := binary.LittleEndian.AppendUint64(nil, binary.BigEndian.Uint64(id[:]))
	return bytes.Contains(text, id[:]) || bytes.Contains(text, little)
}
