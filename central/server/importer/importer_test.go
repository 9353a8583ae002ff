package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"posd/central/server/directory"
	"posd/central/server/rows"
	"posd/central/server/store"
	"posd/identity"
	"posd/tid"
)

var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a store with what imports into it.
type world struct {
	*store.SQL
	directory *directory.Directory
}

func newWorld(t testing.TB) world {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "central.db"), false)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	must(t, st.Init(t.Context(), store.Act{}, store.Installation{CreatedAt: begun}, "acme", nil))
	key := bytes.Repeat([]byte{7}, 32)
	d, err := directory.New(st, []directory.Tenant{{ID: 1, Name: "acme", Fingerprint: key, FingerprintKey: 1, SealTID: key, DeIdent: key, DeIdentVersion: 1}}, "", func() time.Time { return begun })
	must(t, err)
	return world{st, d}
}

func (w world) options(alone bool) Options {
	at := begun
	return Options{
		Store: w, Tenant: 1, Job: [16]byte{1}, Format: rows.NDJSON, Alone: alone, Memory: 4096, batch: 700,
		Row: func(t tid.TID, sealed []byte) (store.TID, error) { return w.directory.Row("acme", t, sealed) },
		Act: func(action string, detail map[string]any) store.Act {
			return store.Act{At: at, Action: action, Detail: detail}
		},
	}
}

// homes tells which cards live together: the households are named by their first card.
func (w world) homes(t testing.TB) map[[16]byte][16]byte {
	t.Helper()
	entries, err := w.Entries(t.Context(), 0, 1<<20)
	must(t, err)
	first, homes := map[identity.HHID][16]byte{}, map[[16]byte][16]byte{}
	slices.SortFunc(entries, func(a, b store.Entry) int { return bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]) })
	for _, e := range entries {
		if _, ok := first[e.HHID]; !ok {
			first[e.HHID] = e.Fingerprint
		}
		homes[e.Fingerprint] = first[e.HHID]
		if e.OptedOut {
			f := e.Fingerprint
			f[15] ^= 1
			homes[f] = e.Fingerprint
		}
	}
	return homes
}

// told is what an import told.
type told struct {
	rejected []string
	begun    *Begun
	result   *Result
}

func (o *told) take(e Event) error {
	switch {
	case e.Begun != nil:
		o.begun = e.Begun
	case e.Rejected != nil:
		o.rejected = append(o.rejected, fmt.Sprintf("%d %s", e.Rejected.Line, e.Rejected.Text))
	case e.Done != nil:
		o.result = e.Done
	}
	return nil
}

func phone(n int) string { return fmt.Sprintf("1415555%04d", n) }

// file makes rows of few cards in few households, in all forms, some of them bad.
func file(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for home := range min(n/3+1, 256) { // a household that comes later is there only if all is sorted
		fmt.Fprintf(&b, "{\"hhid\":\"%s\",\"kind\":\"phone\",\"tid\":\"1416555%04d\"}\n", identity.HHID{9, byte(home)}, home)
	}
	for range n {
		card := phone(r.IntN(n))
		switch home := r.IntN(n/3 + 1); r.IntN(20) {
		case 0:
			fmt.Fprintf(&b, `{"household":"%s","kind":"phone","tid":"%s"}`, identity.HHID{9 + byte(home%2), byte(home)}, card)
		case 1:
			b.WriteString(`{"kind":"phone"`)
		case 2:
			b.WriteString("\r")
		case 3, 4, 5, 6:
			fmt.Fprintf(&b, `{"hhid":"%s","kind":"phone","tid":"%s","opted_out":%v}`, identity.HHID{9, byte(home)}, card, home%7 == 0)
		default:
			fmt.Fprintf(&b, `{"family":"%d","kind":"phone","tid":"%s"}`, home, card)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestSortedOrNotItIsTheSame imports files both ways.
func TestSortedOrNotItIsTheSame(t *testing.T) {
	for seed := range uint64(40) {
		text := file(seed, 120)
		sorted, linewise := newWorld(t), newWorld(t)
		var a, b told
		must(t, Run(t.Context(), sorted.options(true), strings.NewReader(text), a.take))
		must(t, Run(t.Context(), linewise.options(false), iotest.HalfReader(strings.NewReader(text)), b.take))
		if !a.begun.Bulk || b.begun.Bulk {
			t.Fatalf("bulk: %v, %v", a.begun.Bulk, b.begun.Bulk)
		}
		if !maps.Equal(sorted.homes(t), linewise.homes(t)) {
			t.Errorf("seed %d: cards live elsewhere", seed)
		}
		slices.Sort(a.rejected)
		slices.Sort(b.rejected)
		if len(b.rejected) == 0 || a.result.Added != b.result.Added || a.result.Rejected != uint64(len(a.rejected)) {
			t.Errorf("seed %d: %+v and %+v, %d and %d rejected", seed, a.result, b.result, len(a.rejected), len(b.rejected))
		}
		if !slices.Equal(a.rejected, b.rejected) {
			t.Errorf("seed %d: rejected %q, and %q", seed, a.rejected, b.rejected)
		}
	}
}

// failing is a store that fails at its nth transaction of rows, before or after it.
type failing struct {
	world
	left  *int
	after bool
}

var errKilled = errors.New("killed")

func (f failing) try(do func() error) error {
	*f.left--
	if *f.left == 0 && !f.after {
		return errKilled
	}
	err := do()
	if *f.left == 0 && err == nil {
		err = errKilled
	}
	return err
}

func (f failing) ImportHouseholds(ctx context.Context, i store.Import, ids []identity.HHID, p store.Position) error {
	return f.try(func() error { return f.world.ImportHouseholds(ctx, i, ids, p) })
}

func (f failing) ImportCards(ctx context.Context, by store.Act, i store.Import, c []store.ImportRow, p store.Position) (after store.Position, err error) {
	err = f.try(func() error { after, err = f.world.ImportCards(ctx, by, i, c, p); return err })
	return after, err
}

func (f failing) ImportRows(ctx context.Context, by store.Act, i store.Import, r []store.ImportRow, p store.Position) (after store.Position, refused []error, err error) {
	err = f.try(func() error { after, refused, err = f.world.ImportRows(ctx, by, i, r, p); return err })
	return after, refused, err
}

// TestGoesOnBehindTheLastRow stops an import at each of its transactions.
func TestGoesOnBehindTheLastRow(t *testing.T) {
	text := file(99, 2200) // more than one transaction of every sort
	for _, alone := range []bool{true, false} {
		whole := newWorld(t)
		var want told
		must(t, Run(t.Context(), whole.options(alone), strings.NewReader(text), want.take))
		for stop := 1; ; stop++ {
			w := newWorld(t)
			left := stop
			opt := w.options(alone)
			opt.Store = failing{w, &left, stop%2 == 0}
			var first, second told
			err := Run(t.Context(), opt, strings.NewReader(text), first.take)
			if err == nil {
				break
			}
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			must(t, Run(t.Context(), w.options(alone), strings.NewReader(text), second.take))
			if !second.result.Resumed || second.result.Added != want.result.Added || second.result.Rejected != want.result.Rejected {
				t.Errorf("stopped at %d: %+v, want %+v", stop, second.result, want.result)
			}
			if !maps.Equal(w.homes(t), whole.homes(t)) {
				t.Errorf("stopped at %d: cards live elsewhere", stop)
			}
		}
	}
}

func TestOtherInputIsRefused(t *testing.T) {
	for _, alone := range []bool{true, false} {
		w := newWorld(t)
		left := 2
		opt := w.options(alone)
		opt.Store = failing{w, &left, true}
		text := file(1, 9000)
		if err := Run(t.Context(), opt, strings.NewReader(text), new(told).take); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		for _, other := range []string{file(2, 9000), text[:100]} {
			if err := Run(t.Context(), w.options(alone), strings.NewReader(other), new(told).take); !errors.Is(err, errOtherInput) {
				t.Errorf("other input: %v", err)
			}
		}
		opt = w.options(alone)
		opt.Forget = true
		must(t, Run(t.Context(), opt, strings.NewReader(file(2, 9000)), new(told).take))
	}
}

func TestBadInput(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		in   []byte
		says string
	}{
		{nil, "no row"}, {[]byte("\n \n"), "no row"}, {bytes.Repeat([]byte{'4'}, 2*maxText), "line 1 is longer than"},
	} {
		if err := Run(t.Context(), newWorld(t).options(true), bytes.NewReader(tc.in), new(told).take); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%.10q: %v", tc.in, err)
		}
	}
	if err := Run(t.Context(), newWorld(t).options(false), iotest.ErrReader(boom), new(told).take); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, newWorld(t).options(false), strings.NewReader(file(1, 10)), new(told).take); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	long := strings.Repeat("4", bytesPerBlock+10)
	var o told
	must(t, Run(t.Context(), newWorld(t).options(false), strings.NewReader(long+"\n"+file(1, 20)), o.take))
	if len(o.rejected) == 0 || o.rejected[0] != "1 "+long+"\n" {
		t.Error("a long line is not given back whole")
	}
}

func TestNothingIsLeftOfNumbers(t *testing.T) {
	w := newWorld(t)
	cut := newCutter(strings.NewReader(file(3, 5000)))
	i, _, err := w.BeginImport(t.Context(), store.Act{At: begun}, [16]byte{1}, 1, false)
	must(t, err)
	r := newReader(rows.NewParser(rows.NDJSON), i, w.options(false).Row)
	var texts [][]byte
	must(t, cut.each(t.Context(), 2, r.read, func(b *block) error {
		texts = append(texts, b.text)
		for _, one := range b.rejected {
			texts = append(texts, one.Text)
		}
		return nil
	}))
	texts = append(texts, cut.buf)
	for _, text := range texts {
		if bytes.ContainsFunc(text, func(c rune) bool { return c != 0 }) {
			t.Error("a buffer was not wiped")
		}
	}
}

func TestSorter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 3, 100, 1000} {
		s := newSorter(t.TempDir(), 16, 12, 20*16)
		var want [][]byte
		for range n {
			record := make([]byte, 16)
			for i := range record {
				record[i] = byte(r.IntN(3))
			}
			want = append(want, record)
			must(t, s.add(record))
		}
		byKey := func(a, b []byte) int { return bytes.Compare(a[:12], b[:12]) }
		slices.SortFunc(want, byKey)
		i := 0
		for record, err := range s.sorted() {
			must(t, err)
			if !bytes.Equal(record[:12], want[i][:12]) {
				t.Fatalf("record %d of %d", i, n)
			}
			i++
		}
		if i != n {
			t.Errorf("%d of %d records", i, n)
		}
		s.close()
	}
}

func BenchmarkImport(b *testing.B) {
	for name, alone := range map[string]bool{"empty": true, "populated": false} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			var text strings.Builder
			for n := range b.N {
				fmt.Fprintf(&text, "{\"family\":\"f%d\",\"kind\":\"loyalty\",\"tid\":\"0001%010d\"}\n", n/2, n)
			}
			opt := w.options(alone)
			opt.Memory = 0
			b.ResetTimer()
			var o told
			must(b, Run(b.Context(), opt, strings.NewReader(text.String()), o.take))
			b.ReportMetric(o.result.Rate, "rows/s")
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
