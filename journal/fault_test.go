package journal

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/basket"
	"posd/identity"
	"posd/sqldb"
)

// busy is a journal with an open basket of one line, and one identity that
// waits.
func busy(t *testing.T, path string) (j *SQLite, id basket.ID, s basket.Sealed) {
	t.Helper()
	j = mustOpen(t, path)
	s = swiped(t, j)
	id = basket.NewID()
	err := j.Open(t.Context(), basket.Basket{ID: id, Kind: basket.Sale, OpenedAt: time.Now()}, 0)
	if err == nil {
		err = j.AppendLine(t.Context(), id, line(1), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j, id, s
}

func line(n int) basket.Line {
	return basket.Line{Number: n, At: time.Now(), UPC: "036000291452", GTIN: "00036000291452", Symbology: "UPCA", Kind: basket.Item, Quantity: 1}
}

// everyWrite tries whatever commits, and wants each to fail with want.
func everyWrite(t *testing.T, j *SQLite, id basket.ID, s basket.Sealed, want error) {
	t.Helper()
	next := newSealed(seeded())
	next.Basket, next.Swipe = id, 1
	_, queueErr := j.Queued(t.Context(), 0, 1)
	_, _, answerErr := j.Answer(t.Context(), s.Basket, s.Swipe, basket.Answer{State: identity.OptedOut})
	_, closeErr := j.Close(t.Context(), id, basket.Closed, time.Now(), 0)
	_, expireErr := j.Expire(t.Context(), s.Deadline)
	for op, err := range map[string]error{
		"append line":       j.AppendLine(t.Context(), id, line(2), 0),
		"void line":         j.VoidLine(t.Context(), id, 1, time.Now(), 0),
		"append identity":   j.AppendIdentity(t.Context(), next, 0),
		"set the clock":     j.SetClock(t.Context(), basket.Clock{Ticks: 1, BootID: strings.Repeat("b", 9000)}),
		"answer identity":   answerErr,
		"close basket":      closeErr,
		"expire identities": expireErr,
	} {
		if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), op+": write "+j.db.Path()) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if queueErr != nil {
		t.Errorf("reading: %v", queueErr)
	}
}

// asBusy checks that a journal holds what busy put there, and nothing else.
func asBusy(t *testing.T, j *SQLite, id basket.ID) {
	t.Helper()
	r, ok, err := j.Resume(t.Context())
	if err != nil || !ok || r.Basket.ID != id || len(r.Basket.Lines) != 1 || r.Basket.Lines[0].VoidedAt != nil || r.LastSwipe != 0 {
		t.Errorf("open basket: %+v, %v, %v", r, ok, err)
	}
	o, err := j.Outbox(t.Context())
	if err != nil || o.Queued != 1 || o.Pending != 1 {
		t.Errorf("outbox: %+v, %v", o, err)
	}
}

func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, id, s := busy(t, path)
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(cur uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: cur, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(4096)
	defer limit(before.Cur)
	everyWrite(t, j, id, s, sqldb.ErrFull)
	asBusy(t, j, id)
	limit(before.Cur)
	if err := j.AppendLine(t.Context(), id, line(2), 0); err != nil {
		t.Errorf("with room again: %v", err)
	}
	answered(t, j, s)
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, id, s := busy(t, path)
	err := j.write(t.Context(), "test", func(w *work) error { _, err := w.Exec("PRAGMA query_only=1"); return err })
	if err != nil {
		t.Fatal(err)
	}
	everyWrite(t, j, id, s, sqldb.ErrReadOnly)
	asBusy(t, j, id)
	if err := j.CloseFile(); err != nil {
		t.Fatal(err)
	}
	asBusy(t, mustOpen(t, path), id)
}

func TestDamagedFileIsReportedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, _, _ := busy(t, path)
	if err := j.CloseFile(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"header":    func(b []byte) []byte { copy(b, "no database at all"); return b },
		"a page":    func(b []byte) []byte { clear(b[len(b)-4096:]); b[len(b)-4096] = 0x0d; b[len(b)-4095] = 0xff; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
	} {
		bad := string(spoil(append([]byte(nil), whole...)))
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), path, nil)
		if !errors.Is(err, sqldb.ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it aside") {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != bad {
			t.Errorf("%s: the damaged file was changed (%v)", name, err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	mustOpen(t, path)
	if _, err := Open(t.Context(), path, nil); !errors.Is(err, sqldb.ErrLocked) {
		t.Errorf("a second Open: %v", err)
	}
}

func TestCancelledWriteChangesNothing(t *testing.T) {
	j, id, _ := busy(t, filepath.Join(t.TempDir(), "journal.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.AppendLine(ctx, id, line(2), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	asBusy(t, j, id)
}
