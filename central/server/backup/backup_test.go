package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"posd/central/server/store"
	"posd/identity"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func central(t testing.TB, installation byte) *store.SQL {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "central.db"), false)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	keys := []store.Key{
		{Purpose: store.CA, Number: 1, State: "active", Wrapped: []byte{1}, Public: []byte{2}},
		{Purpose: store.Fingerprint, Tenant: 1, Number: 1, State: "active", Wrapped: []byte{3}},
		{Purpose: store.HPKE, Number: 1, State: "destroyed"},
	}
	i := store.Installation{ID: [16]byte{installation}, KEK: "kek", Salt: []byte("salt"), Hosts: []string{"central.example"}, CreatedAt: now}
	must(t, st.Init(t.Context(), store.Act{At: now, Action: "init"}, i, "acme", keys))
	return st
}

func addCards(t testing.TB, st *store.SQL, n int) {
	t.Helper()
	for i := range n {
		card := store.TID{Tenant: 1, Fingerprint: [16]byte{byte(i), byte(i >> 8)}, FingerprintKey: 1, Sealed: make([]byte, 60), DeIdent: [16]byte{1, byte(i), byte(i >> 8)}, DeIdentVersion: 1, Kind: identity.Phone, CreatedAt: now}
		_, _, err := st.Add(t.Context(), card)
		must(t, err)
	}
}

// files are those of a backup.
func files(t testing.TB, st *store.SQL) (keys, database []byte) {
	t.Helper()
	var joined, k, d bytes.Buffer
	_, err := Joined(t.Context(), st, now, "v1", &joined)
	must(t, err)
	_, err = io.Copy(struct{ io.Writer }{&Parted{Keys: &k, Database: &d}}, iotest.HalfReader(&joined))
	must(t, err)
	return k.Bytes(), d.Bytes()
}

func verify(keys, database []byte) (Verified, error) {
	return Verify(context.Background(), bytes.NewReader(keys), bytes.NewReader(database))
}

func TestBackupIsWhole(t *testing.T) {
	st := central(t, 1)
	addCards(t, st, 700)
	keys, database := files(t, st)
	v, err := verify(keys, database)
	must(t, err)
	m := v.Database
	if v.Rows["tids"] != 700 || v.Rows["households"] != 700 || v.KEK != "kek" || m.Records != 1 || m.Change != 700 || m.Program != "v1" ||
		!m.At.Equal(now) || m.Schema != store.Newest() || m.Installation != "01"+strings.Repeat("0", 30) || len(m.Needs) != 2 {
		t.Errorf("verified %+v", v)
	}
	k, err := ReadKeys(bytes.NewReader(keys))
	must(t, err)
	want, err := st.Keys(t.Context())
	must(t, err)
	if !reflect.DeepEqual(k.Keys, want) || string(k.Salt) != "salt" {
		t.Errorf("keys %+v, want %+v", k, want)
	}
	if bytes.Contains(database, []byte("wrapped")) {
		t.Error("the database's file holds keys")
	}
}

// TestAnyChangeShows changes, cuts and adds bytes everywhere.
func TestAnyChangeShows(t *testing.T) {
	st := central(t, 1)
	addCards(t, st, 20)
	keys, database := files(t, st)
	whole := [2][]byte{keys, database}
	r := rand.New(rand.NewPCG(1, 1))
	for which := range whole {
		for n := range 600 {
			changed := [2][]byte{bytes.Clone(keys), bytes.Clone(database)}
			b := changed[which]
			at := r.IntN(len(b))
			if n < 120 {
				at = n // every byte of the beginning
			}
			what := n % 3
			switch what {
			case 0:
				b[at] ^= byte(1 + r.IntN(255))
			case 1:
				b = b[:at]
			case 2:
				b = append(b, bytes.Repeat([]byte{'x'}, 1+at%50)...)
			}
			changed[which] = b
			if _, err := verify(changed[0], changed[1]); err == nil {
				t.Fatalf("file %d: change %d at byte %d does not show", which, what, at)
			}
		}
	}
}

func TestWrongFiles(t *testing.T) {
	st := central(t, 1)
	keys, database := files(t, st)
	otherKeys, otherDatabase := files(t, central(t, 2))
	must(t, st.ChangeKeys(t.Context(), store.Act{At: now}, func(r *store.Keyring) error {
		r.Keys = append(r.Keys, store.Key{Purpose: store.HPKE, Number: 2, State: "active", Wrapped: []byte{9}})
		return nil
	}))
	laterKeys, laterDatabase := files(t, st)
	must(t, st.ChangeKeys(t.Context(), store.Act{At: now}, func(r *store.Keyring) error {
		for i := range r.Keys {
			if k := &r.Keys[i]; k.Purpose == store.Fingerprint || k.Purpose == store.HPKE {
				k.State, k.Wrapped = store.Destroyed, nil
			}
		}
		return nil
	}))
	emptyKeys, _ := files(t, st)
	for _, tc := range []struct {
		name           string
		keys, database []byte
		says           string // "": it is good
	}{
		{"other keys", otherKeys, database, "the keys are of another installation (02000000) than the database (01000000)"},
		{"other database", keys, otherDatabase, "another installation"},
		{"later keys", laterKeys, database, ""},
		{"earlier keys", keys, laterDatabase, "lacks hpke key 2"},
		{"destroyed keys", emptyKeys, database, "lacks fingerprint key 1"},
		{"twice the keys", keys, keys, "it is the file of the keys, where that of the database is due"},
		{"twice the database", database, database, "it is the file of the database"},
		{"something else", []byte("SQLite format 3"), database, "it is no backup of centrald"},
		{"nothing", nil, database, "it is no backup"},
	} {
		_, err := verify(tc.keys, tc.database)
		if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestAuditLogIsFollowed writes a backup whose audit log somebody has touched.
func TestAuditLogIsFollowed(t *testing.T) {
	st := central(t, 1)
	for n := range 3 {
		must(t, st.Record(t.Context(), store.Act{At: now, Actor: "a", Action: fmt.Sprint("do ", n), Detail: n}))
	}
	for _, tc := range []struct {
		touch func(values []any) bool
		says  string
	}{
		{func(v []any) bool { return true }, ""},
		{func(v []any) bool { v[2] = "b"; return true }, "record 1 of the audit log was changed"},
		{func(v []any) bool { return v[0] != int64(2) }, "record 2 of the audit log was changed, or is missing"},
		{func(v []any) bool { return v[0] != int64(4) }, "another end"},
	} {
		var k, d bytes.Buffer
		_, err := Write(t.Context(), touched{st, tc.touch}, now, "v1", func(b []byte) error { k.Write(b); return nil }, &d)
		must(t, err)
		if _, err = verify(k.Bytes(), d.Bytes()); (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%q: %v", tc.says, err)
		}
	}
}

type touched struct {
	*store.SQL
	touch func([]any) bool
}

func (s touched) Dump(ctx context.Context, begin func(store.Snapshot) error, row func(string, []string, []any) error) error {
	return s.SQL.Dump(ctx, begin, func(table string, columns []string, values []any) error {
		if table == "audit" && !s.touch(values) {
			return nil
		}
		return row(table, columns, values)
	})
}

func TestReadingEndsWithTheReader(t *testing.T) {
	st := central(t, 1)
	addCards(t, st, 5)
	_, database := files(t, st)
	boom := errors.New("boom")
	d, err := OpenDatabase(bytes.NewReader(database))
	must(t, err)
	if err := d.Each(func(string, []string, iter.Seq[[]any]) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keys, _ := files(t, st)
	if _, err := Verify(ctx, bytes.NewReader(keys), bytes.NewReader(database)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	st := central(f, 1)
	addCards(f, st, 2)
	keys, database := files(f, st)
	f.Add(keys)
	f.Add(database)
	f.Fuzz(func(t *testing.T, b []byte) {
		ReadKeys(bytes.NewReader(b))
		if d, err := OpenDatabase(bytes.NewReader(b)); err == nil {
			d.Each(func(_ string, _ []string, rows iter.Seq[[]any]) error {
				for range rows {
				}
				return nil
			})
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, v := range []any{nil, int64(-5), "text", []byte("blob"), 0.5} {
		b, _ := appendValue(nil, v)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := takeValue(b)
		if err != nil {
			return
		}
		again, err := appendValue(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		if w, _, err := takeValue(again); err != nil || fmt.Sprintf("%T %v", v, v) != fmt.Sprintf("%T %v", w, w) || len(rest) > len(b) {
			t.Errorf("%v, then %v, %v", v, w, err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
