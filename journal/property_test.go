package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posd/basket"
	"posd/identity"
	"posd/journal/journaltest"
)

// twins are one journal of each kind that live through the same, by the same
// clock and under the same incarnation.
type twins struct {
	t    *rapid.T
	path string
	disk *SQLite
	mem  *Memory

	at    time.Time
	ids   []basket.ID
	lines int
	swipe int
	ticks time.Duration

	encTIDs [][]byte
}

func (w *twins) now() time.Time { return w.at }

func (w *twins) start() {
	var err error
	if w.disk, err = Open(context.Background(), w.path, journaltest.Priority()); err != nil {
		w.t.Fatal(err)
	}
	w.disk.now = w.now
}

// both runs one operation on both journals and compares all that it returns.
func (w *twins) both(op string, f func(j journaltest.Journal) []any) {
	w.at = w.at.Add(time.Second)
	disk, mem := f(w.disk), f(w.mem)
	for i := range disk {
		if de, ok := disk[i].(error); ok {
			me, _ := mem[i].(error)
			if me == nil || !strings.HasSuffix(de.Error(), me.Error()) { // SQLite's begins with the operation
				w.t.Fatalf("%s: SQLite says %v, Memory says %v", op, de, me)
			}
			return // what comes with an error means nothing
		}
		if d, m := fmt.Sprintf("%+v", disk[i]), fmt.Sprintf("%+v", mem[i]); d != m {
			w.t.Fatalf("%s:\nSQLite %s\nMemory %s", op, d, m)
		}
	}
}

// id is most often that of the latest basket.
func (w *twins) id() basket.ID {
	if len(w.ids) == 0 {
		return basket.ID{9}
	}
	back := max(0, rapid.IntRange(-5, 4).Draw(w.t, "back"))
	return w.ids[max(0, len(w.ids)-1-back)]
}

func (w *twins) elapse() time.Duration {
	w.ticks += time.Duration(rapid.IntRange(0, 3).Draw(w.t, "ticks"))
	return w.ticks
}

func (w *twins) open(t *rapid.T) {
	kind := rapid.SampledFrom([]basket.Kind{basket.Sale, basket.Sale, basket.Return, basket.Training}).Draw(t, "kind")
	b := basket.Basket{ID: basket.ID{1, byte(len(w.ids) >> 8), byte(len(w.ids))}, Kind: kind, OpenedAt: w.at, Operator: "anna"}
	ticks := w.elapse()
	w.both("open", func(j journaltest.Journal) []any { return []any{j.Open(context.Background(), b, ticks)} })
	if _, _, err := w.mem.Answer(context.Background(), b.ID, 0, basket.Answer{State: identity.Unresolved}); err == nil {
		w.ids, w.lines, w.swipe = append(w.ids, b.ID), 0, 0
	}
}

func (w *twins) describe(t *rapid.T) {
	b := basket.Basket{ID: w.id(), Kind: rapid.SampledFrom([]basket.Kind{basket.Sale, basket.Training}).Draw(t, "kind"), Transaction: "T"}
	ticks := w.elapse()
	w.both("describe", func(j journaltest.Journal) []any { return []any{j.Describe(context.Background(), b, ticks)} })
}

func (w *twins) line(t *rapid.T) {
	id, ticks := w.id(), w.elapse()
	w.lines += rapid.SampledFrom([]int{1, 1, 1, 1, 0, 2}).Draw(t, "step")
	l := basket.Line{Number: w.lines, At: w.at, UPC: "036000291452", Kind: basket.Item, Quantity: 1, Data: []byte{byte(w.lines)}}
	var err error
	w.both("append line", func(j journaltest.Journal) []any {
		err = j.AppendLine(context.Background(), id, l, ticks)
		return []any{err}
	})
	if err != nil {
		if r, ok, _ := w.mem.Resume(context.Background()); ok {
			w.lines = len(r.Basket.Lines)
		}
	}
}

func (w *twins) voidLine(t *rapid.T) {
	id, ticks, n, at := w.id(), w.elapse(), rapid.IntRange(0, 4).Draw(t, "line"), w.at
	w.both("void line", func(j journaltest.Journal) []any {
		return []any{j.VoidLine(context.Background(), id, n, at, ticks)}
	})
}

func (w *twins) identity(t *rapid.T) {
	w.swipe += rapid.SampledFrom([]int{1, 1, 1, 0}).Draw(t, "step")
	id := w.id()
	s := basket.Sealed{
		Basket: id, Swipe: w.swipe, Kind: rapid.SampledFrom([]identity.Kind{identity.Loyalty, identity.Payment, identity.Phone}).Draw(t, "kind"),
		At: w.at, SealedAt: w.at.UnixMilli(), EncTID: w.encTID(id, w.swipe),
		Deadline: w.ticks + time.Duration(rapid.IntRange(0, 20).Draw(t, "wait")),
	}
	s.Epoch[0] = byte(rapid.IntRange(1, 3).Draw(t, "epoch"))
	s.Enc, s.Key = bytes.Repeat(s.Epoch[:1], 1120), uint32(s.Epoch[0])
	ticks := w.elapse()
	var err error
	w.both("append identity", func(j journaltest.Journal) []any {
		err = j.AppendIdentity(context.Background(), s, ticks)
		return []any{err}
	})
	if err == nil {
		w.encTIDs = append(w.encTIDs, s.EncTID)
	}
}

// encTID is random to look at, and the same each time it is asked for.
func (w *twins) encTID(id basket.ID, swipe int) []byte {
	sum := sha256.Sum256(fmt.Append(nil, id, swipe, w.at.UnixNano()))
	return sum[:]
}

func (w *twins) drop(*rapid.T) {
	id := w.id()
	w.both("drop identities", func(j journaltest.Journal) []any { return []any{j.DropIdentities(context.Background(), id)} })
}

func (w *twins) close(t *rapid.T) {
	id, ticks, at := w.id(), w.elapse(), w.at
	outcome := rapid.SampledFrom([]basket.Outcome{basket.Closed, basket.Closed, basket.Voided, basket.Abandoned, "lost"}).Draw(t, "outcome")
	w.both("close", func(j journaltest.Journal) []any {
		b, err := j.Close(context.Background(), id, outcome, at, ticks)
		return []any{err, b}
	})
}

func (w *twins) answer(t *rapid.T) {
	id, swipe := w.id(), rapid.IntRange(1, 6).Draw(t, "swipe")
	if p, _ := w.mem.Pending(context.Background(), 0, 100); len(p) > 0 && rapid.Bool().Draw(t, "pending") {
		s := rapid.SampledFrom(p).Draw(t, "which")
		id, swipe = s.Basket, s.Swipe
	}
	a := rapid.SampledFrom([]basket.Answer{
		{State: identity.Resolved, HHID: identity.HHID{1, byte(swipe)}, DeIdentTID: identity.MakeDeIdentTID(1, [16]byte{byte(swipe)})},
		{State: identity.OptedOut}, {State: identity.Unresolved}, {State: identity.Pending},
	}).Draw(t, "answer")
	w.both("answer", func(j journaltest.Journal) []any {
		b, changed, err := j.Answer(context.Background(), id, swipe, a)
		return []any{err, changed, b}
	})
}

func (w *twins) expire(*rapid.T) {
	ticks := w.elapse()
	w.both("expire", func(j journaltest.Journal) []any {
		b, err := j.Expire(context.Background(), ticks)
		return []any{err, b}
	})
}

func (w *twins) acknowledge(t *rapid.T) {
	q, _ := w.mem.Queued(context.Background(), 0, 5)
	if len(q) == 0 {
		t.Skip("nothing is queued")
	}
	d, ticks := rapid.SampledFrom(q).Draw(t, "delivery"), w.elapse()
	r := basket.Receipt{LogID: rapid.SampledFrom([]string{"a", "a", "a", "a", "b", ""}).Draw(t, "log"), Digest: d.Digest, Watermark: d.Sequence, LoggedAt: w.at}
	w.both("acknowledge", func(j journaltest.Journal) []any {
		n, err := j.Acknowledge(context.Background(), d.Basket, d.Revision, r, ticks)
		return []any{err, n}
	})
}

func (w *twins) refuse(t *rapid.T) {
	id, revision := w.id(), rapid.IntRange(1, 3).Draw(t, "revision")
	w.both("refuse", func(j journaltest.Journal) []any { return []any{j.Refuse(context.Background(), id, revision, "no")} })
}

func (w *twins) purge(t *rapid.T) {
	ticks := w.ticks - time.Duration(rapid.IntRange(0, 10).Draw(t, "keep"))
	w.both("purge", func(j journaltest.Journal) []any {
		n, err := j.Purge(context.Background(), ticks)
		return []any{err, n}
	})
}

func (w *twins) restart(*rapid.T) {
	if err := w.disk.CloseFile(); err != nil {
		w.t.Fatal(err)
	}
	w.start()
}

// crash goes on with the files as they lay on the disk while the journal was
// open.
func (w *twins) crash(*rapid.T) {
	copied := filepath.Join(filepath.Dir(w.path), "crashed.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(w.path + suffix)
		if err == nil {
			err = os.WriteFile(copied+suffix, data, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.disk.CloseFile()
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Rename(copied+suffix, w.path+suffix); err != nil {
			w.t.Fatal(err)
		}
	}
	w.start()
}

// check compares everything that can be seen of both journals.
func (w *twins) check(t *rapid.T) {
	w.both("state", func(j journaltest.Journal) []any {
		ctx := context.Background()
		incarnation, last, err := j.Numbering(ctx)
		open, ok, err2 := j.Resume(ctx)
		outbox, err3 := j.Outbox(ctx)
		all := []any{errors.Join(err, err2, err3), incarnation, last, open, ok, outbox}
		for i := range outbox.Deliveries { // orders rise in both, by different steps
			outbox.Deliveries[i].Order = 0
		}
		queue, _ := j.Queued(ctx, 0, 1000)
		for i := range queue {
			queue[i].Order = 0
		}
		pending, _ := j.Pending(ctx, 0, 1000)
		for i := range pending {
			pending[i].Order = 0
		}
		all = append(all, queue, pending)
		for _, id := range w.ids {
			trace, err := j.Trace(ctx, id)
			all = append(all, fmt.Sprintf("%+v", trace), errors.Is(err, basket.ErrUnknown))
		}
		return all
	})
	w.searchFiles()
}

// searchFiles looks for every EncTID there ever was: of those that nobody waits
// for any more no byte is left, and the others are there, which shows that the
// search finds what is to be found.
func (w *twins) searchFiles() {
	var files []byte
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(w.path + suffix)
		if err != nil {
			w.t.Fatal(err)
		}
		files = append(files, data...)
	}
	waiting := map[string]bool{}
	pending, _ := w.mem.Pending(context.Background(), 0, 1000)
	for _, s := range pending {
		waiting[string(s.EncTID)] = true
	}
	for _, e := range w.encTIDs {
		for part := range slices.Chunk(e, 8) {
			if found := bytes.Contains(files, part); found != waiting[string(e)] {
				w.t.Fatalf("an EncTID is in the files: %v; is waited for: %v", found, waiting[string(e)])
			}
		}
	}
}

// memoryDir is a folder in memory where the machine has such: the property test
// waits thousands of times for a disk otherwise.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestBothJournalsAreOne(t *testing.T) {
	dir := memoryDir(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		w := &twins{t: t, path: filepath.Join(dir, fmt.Sprint(run), "journal.db"), mem: NewMemory(journaltest.Priority()), at: time.Unix(1800000000, 5)}
		if err := os.Mkdir(filepath.Dir(w.path), 0o700); err != nil {
			t.Fatal(err)
		}
		w.start()
		defer func() { w.disk.CloseFile(); os.RemoveAll(filepath.Dir(w.path)) }()
		w.mem.incarnation, w.mem.now = w.disk.incarnation, w.now
		t.Repeat(map[string]func(*rapid.T){
			"": w.check, "open": w.open, "describe": w.describe, "line": w.line, "line again": w.line, "void line": w.voidLine,
			"identity": w.identity, "identity again": w.identity, "drop": w.drop, "close": w.close, "close again": w.close,
			"answer": w.answer, "answer again": w.answer, "expire": w.expire, "acknowledge": w.acknowledge, "acknowledge again": w.acknowledge,
			"refuse": w.refuse, "purge": w.purge, "restart": w.restart, "crash": w.crash,
		})
	})
}
