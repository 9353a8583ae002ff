package journal

import (
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/journal/journaltest"
)

func mustOpen(t testing.TB, path string) *SQLite {
	t.Helper()
	j, err := Open(t.Context(), path, journaltest.Priority())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.CloseFile() })
	return j
}

// newSealed makes up what central could be asked for, of any size, as other
// versions of EncTIDs may be.
func newSealed(random *mathrand.Rand) basket.Sealed {
	s := basket.Sealed{
		Basket: basket.NewID(), Swipe: 1, Kind: identity.Phone, At: time.Now(), Deadline: time.Hour,
		EncTID: make([]byte, 82+random.IntN(300)), Enc: make([]byte, 100+random.IntN(1020)),
	}
	rand.Read(s.EncTID)
	rand.Read(s.Enc)
	rand.Read(s.Epoch[:])
	return s
}

func seeded() *mathrand.Rand { return mathrand.New(mathrand.NewPCG(1, 1)) }

// swiped closes a basket with one pending identity.
func swiped(t testing.TB, j *SQLite) basket.Sealed {
	t.Helper()
	s := newSealed(seeded())
	err := j.Open(t.Context(), basket.Basket{ID: s.Basket, Kind: basket.Sale, OpenedAt: time.Now()}, 0)
	if err == nil {
		err = j.AppendIdentity(t.Context(), s, 0)
	}
	if err == nil {
		_, err = j.Close(t.Context(), s.Basket, basket.Closed, time.Now(), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answered(t testing.TB, j *SQLite, s basket.Sealed) {
	t.Helper()
	if _, changed, err := j.Answer(t.Context(), s.Basket, s.Swipe, basket.Answer{State: identity.OptedOut}); !changed || err != nil {
		t.Fatalf("answer: %v, %v", changed, err)
	}
}

func files(t testing.TB, path string) []byte {
	t.Helper()
	var all []byte
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// left counts, for each of sealed, the 8-byte parts of its EncTID and of its
// epoch's key that are anywhere in raw files.
func left(all []byte, sealed ...basket.Sealed) []int {
	owner := map[uint64]int{}
	for i, s := range sealed {
		for _, secret := range [][]byte{s.EncTID, s.Enc} {
			for part := range slices.Chunk(secret, 8) {
				if len(part) == 8 {
					owner[binary.LittleEndian.Uint64(part)] = i
				}
			}
		}
	}
	found := make([]int, len(sealed))
	for at := range max(0, len(all)-7) {
		if i, ok := owner[binary.LittleEndian.Uint64(all[at:])]; ok {
			found[i]++
		}
	}
	return found
}

// TestNothingIsLeftAfterAnOutage answers in any order.
func TestNothingIsLeftAfterAnOutage(t *testing.T) {
	path := filepath.Join(memoryDir(t), "journal.db")
	j := mustOpen(t, path)
	var waiting []basket.Sealed
	for range 100 {
		waiting = append(waiting, swiped(t, j))
	}
	mathrand.Shuffle(len(waiting), func(a, b int) { waiting[a], waiting[b] = waiting[b], waiting[a] })
	for i, s := range waiting {
		if i%10 == 5 {
			late := swiped(t, j)
			defer func() { answered(t, j, late) }()
		}
		answered(t, j, s)
		if i%20 != 19 {
			continue
		}
		for k, n := range left(files(t, path), waiting...) {
			if k <= i && n != 0 || k > i && n == 0 {
				t.Fatalf("after %d answers, %d parts of number %d are in the files", i+1, n, k+1)
			}
		}
	}
}

// TestWipingLeavesNoCopies lets the table of EncTIDs grow over many pages and
// wipes rows in any order. Were they deleted one by one, SQLite would move their
// neighbours from page to page and leave a copy behind now and then.
func TestWipingLeavesNoCopies(t *testing.T) {
	dir := memoryDir(t)
	for seed := range uint64(8) {
		path := filepath.Join(dir, fmt.Sprint(seed))
		j := mustOpen(t, path)
		random := mathrand.New(mathrand.NewPCG(seed, 1))
		var waiting, gone []basket.Sealed
		err := j.write(t.Context(), "test", func(w *work) error {
			w.wiped = true
			for n := range 1500 {
				if n < 600 || random.IntN(4) == 0 {
					s := newSealed(random)
					s.Swipe = n
					waiting = append(waiting, s)
					if err := w.keepSealed(1, s); err != nil {
						return err
					}
					continue
				}
				i := random.IntN(len(waiting))
				gone = append(gone, waiting[i])
				if err := w.wipe(1, waiting[i].Swipe); err != nil {
					return err
				}
				waiting = slices.Delete(waiting, i, i+1)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all := files(t, path)
		if slices.Contains(left(all, waiting...), 0) {
			t.Fatal("what waits is not in the file: this test proves nothing")
		}
		if n := slices.Max(left(all, gone...)); n != 0 {
			t.Errorf("%d parts of one EncTID are left", n)
		}
	}
}

func TestReaderInTheWayOnlyDelaysTheScrubbing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := mustOpen(t, path)
	s := swiped(t, j)
	crashed := filepath.Join(t.TempDir(), "journal.db")
	err := j.db.View(t.Context(), func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM baskets").Scan(&n); err != nil {
			return err
		}
		answered(t, j, s)
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(path + suffix)
			if err != nil {
				return err
			}
			if err := os.WriteFile(crashed+suffix, data, 0o600); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if left(files(t, path), s)[0] == 0 || left(files(t, crashed), s)[0] == 0 {
		t.Fatal("the reader was not in the way: this test proves nothing")
	}
	if err := j.SetClock(t.Context(), basket.Clock{Ticks: 1}); err != nil {
		t.Fatal(err)
	}
	if n := left(files(t, path), s)[0]; n != 0 {
		t.Errorf("%d parts left after the next tick", n)
	}
	mustOpen(t, crashed)
	if n := left(files(t, crashed), s)[0]; n != 0 {
		t.Errorf("%d parts left after a crash and a start", n)
	}
}
