package lookuplog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC)

func entry(n int) Entry {
	return Entry{At: start.Add(time.Duration(n) * time.Millisecond), Lane: []string{"12/1", "12/2", "13/1"}[n%3], Basket: uuid.UUID{1, byte(n), byte(n >> 8)}, Swipe: uint32(n % 4), Outcome: []string{"known", "created"}[n%2]}
}

func all(t *testing.T, dir string) (entries []Entry, skipped int) {
	t.Helper()
	skipped, err := Read(dir, time.Time{}, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), func(e Entry) error { entries = append(entries, e); return nil })
	must(t, err)
	return entries, skipped
}

// running gives a log that is written until stop is called.
func running(t *testing.T, dir string, days int, now func() time.Time) (l *Log, stop func()) {
	t.Helper()
	l, err := Open(Options{Dir: dir, Days: days, Now: now})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.Run(ctx); close(done) }()
	return l, func() { cancel(); <-done }
}

func TestWhatWasAddedIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lookups")
	const n = 3*perBlock + 5
	l, stop := running(t, dir, 10, func() time.Time { return start })
	var want []Entry
	for i := range n {
		want = append(want, entry(i))
		l.Add(entry(i))
		if i%1000 == 0 { // so that the queue never fills
			must(t, l.Flush(t.Context()))
		}
	}
	must(t, l.Flush(t.Context()))
	if got, skipped := all(t, dir); !slices.Equal(got, want) || skipped != 0 {
		t.Errorf("%d entries read while it is written, %d bytes skipped", len(got), skipped)
	}
	l.Add(entry(n))
	stop()
	if got, _ := all(t, dir); len(got) != n+1 {
		t.Errorf("%d entries after the end, want %d", len(got), n+1)
	}
	var some []Entry
	_, err := Read(dir, entry(10).At, entry(12).At, func(e Entry) error { some = append(some, e); return nil })
	if err != nil || !slices.Equal(some, want[10:12]) {
		t.Errorf("from 10 to 12: %v, %v", some, err)
	}
	boom := errors.New("boom")
	if _, err := Read(dir, time.Time{}, start.AddDate(1, 0, 0), func(Entry) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("an error of the reader: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "2026-01-31.lookups"))
	must(t, err)
	if info.Mode().Perm() != 0o600 || info.Size() > 24*n {
		t.Errorf("mode %v, %d bytes for %d lookups", info.Mode(), info.Size(), n)
	}
}

func TestEntriesAreWrittenWithinASecondOrSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, stop := running(t, dir, 10, nil)
		defer stop()
		l.Add(Entry{At: time.Now(), Lane: "12/1", Outcome: "known"})
		time.Sleep(flushEvery + time.Millisecond)
		synctest.Wait()
		if got, _ := all(t, dir); len(got) != 1 {
			t.Errorf("%d entries", len(got))
		}
	})
}

func TestOldDaysGo(t *testing.T) {
	dir, now := t.TempDir(), start
	must(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	l, stop := running(t, dir, 2, func() time.Time { return now })
	defer stop()
	for range 4 {
		l.Add(Entry{At: now, Lane: "12/1", Outcome: "known"})
		must(t, l.Flush(t.Context()))
		now = now.AddDate(0, 0, 1)
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	if want := []string{"2026-02-02.lookups", "2026-02-03.lookups", "notes.txt"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestWhatACrashLeavesIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	whole := appendBlock(nil, []Entry{entry(1)})
	later := appendBlock(nil, []Entry{entry(2), entry(3)})
	damaged := slices.Clone(later)
	damaged[len(damaged)-1] ^= 1
	file := slices.Concat(whole, later[:len(later)-3], []byte("HHll"), later, damaged, whole, []byte("HHl"))
	must(t, os.WriteFile(filepath.Join(dir, "2026-01-31.lookups"), file, 0o600))
	got, skipped := all(t, dir)
	if want := []Entry{entry(1), entry(2), entry(3), entry(1)}; !slices.Equal(got, want) {
		t.Errorf("read %v", got)
	}
	if want := len(later) - 3 + 4 + len(damaged) + 3; skipped != want {
		t.Errorf("%d bytes skipped, want %d", skipped, want)
	}
}

func TestLongFilesAreReadInPieces(t *testing.T) {
	dir := t.TempDir()
	var entries []Entry
	for i := range perBlock {
		entries = append(entries, entry(i))
	}
	block := appendBlock(nil, entries)
	blocks := 2*chunk/len(block) + 3
	must(t, os.WriteFile(filepath.Join(dir, "2026-01-31.lookups"), bytes.Repeat(block, blocks), 0o600))
	if got, skipped := all(t, dir); len(got) != blocks*perBlock || skipped != 0 {
		t.Errorf("%d entries of %d, %d bytes skipped", len(got), blocks*perBlock, skipped)
	}
}

func TestAFailingDiskIsCountedAndGotOver(t *testing.T) {
	dir := t.TempDir()
	inTheWay := filepath.Join(dir, "2026-01-31.lookups")
	must(t, os.Mkdir(inTheWay, 0o700))
	l, stop := running(t, dir, 10, func() time.Time { return start })
	defer stop()
	l.Add(entry(1))
	if err := l.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "log lookups: ") {
		t.Errorf("Flush: %v", err)
	}
	if n, failing := l.Dropped(); n != 1 || failing == nil {
		t.Errorf("%d dropped, %v", n, failing)
	}
	must(t, os.Remove(inTheWay))
	l.Add(entry(2))
	must(t, l.Flush(t.Context()))
	if n, failing := l.Dropped(); n != 1 || failing != nil {
		t.Errorf("afterwards %d dropped, %v", n, failing)
	}
	if got, _ := all(t, dir); len(got) != 1 {
		t.Errorf("entries %v", got)
	}
}

func TestAddNeverWaits(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir(), Days: 1})
	must(t, err)
	for i := range queued + 7 { // nobody writes
		l.Add(entry(i))
	}
	if n, _ := l.Dropped(); n != 7 {
		t.Errorf("%d dropped, want 7", n)
	}
	e := entry(1)
	if n := testing.AllocsPerRun(100, func() { l.Add(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOneProcessWrites(t *testing.T) {
	dir := t.TempDir()
	_, stop := running(t, dir, 1, nil)
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another centrald writes to "+dir) {
		t.Errorf("a second one: %v", err)
	}
	stop()
	_, stop = running(t, dir, 1, nil)
	stop()
}

func TestNoFolderIsNoLookups(t *testing.T) {
	if got, skipped := all(t, filepath.Join(t.TempDir(), "none")); len(got)+skipped != 0 {
		t.Errorf("%v, %d", got, skipped)
	}
}

func TestBlocksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Entry {
			e := Entry{
				At:   time.UnixMilli(rapid.Int64Range(-1<<40, 1<<45).Draw(t, "at")).UTC(),
				Lane: rapid.SampledFrom([]string{"", "12/1", "HHll", "x"}).Draw(t, "lane"), Outcome: rapid.SampledFrom([]string{"known", "HHll"}).Draw(t, "outcome"),
				Swipe: rapid.Uint32().Draw(t, "swipe"),
			}
			copy(e.Basket[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "basket"))
			return e
		}), 1, 50).Draw(t, "entries")
		b := append(appendBlock([]byte("noise"), entries), "more"...)
		got, rest, skipped, ok := nextBlock(b)
		if !ok || skipped != 5 || string(rest) != "more" || !slices.Equal(got, entries) {
			t.Fatalf("ok %v, skipped %d, rest %q\n%v\n%v", ok, skipped, rest, got, entries)
		}
	})
}

// FuzzParsePayload: whatever is in a payload, it is refused or it is entries that
// can be written and read again.
func FuzzParsePayload(f *testing.F) {
	f.Add(appendBlock(nil, []Entry{entry(1)})[headerSize:])
	f.Add(appendBlock(nil, []Entry{entry(1), entry(2), entry(3)})[headerSize:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		entries, err := parsePayload(payload)
		if err != nil || len(entries) == 0 {
			return
		}
		again, err := parsePayload(appendBlock(nil, entries)[headerSize:])
		if err != nil || !slices.Equal(again, entries) {
			t.Errorf("%v became %v, %v", entries, again, err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
