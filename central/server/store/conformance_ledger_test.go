package store

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"posd/identity"
)

// of gives the household that card n belongs to.
func of(t testing.TB, s Store, n uint32) identity.HHID {
	t.Helper()
	e, created, err := s.Add(t.Context(), sample(n))
	if err != nil || created {
		t.Fatalf("card %d: %v, created %v", n, err, created)
	}
	return e.HHID
}

func testMerge(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a, b, c := add(t, s, 1).HHID, add(t, s, 2).HHID, add(t, s, 3).HHID
	plan, err := s.Merge(ctx, act(start), 1, a, b, true)
	if err != nil || plan.Number != 0 || plan.HHID != b || len(plan.Cards) != 1 || plan.Cards[0].DeIdentTID != deident(1) || plan.Cards[0].From != a || plan.Cards[0].To != b {
		t.Errorf("preview %+v, %v", plan, err)
	}
	if of(t, s, 1) != a {
		t.Error("a preview moved a card")
	}
	records, _ := s.Audit(ctx, 0, 100)
	done, err := s.Merge(ctx, act(start), 1, a, b, false)
	if err != nil || done.Number != 1 || !reflect.DeepEqual(done.Aliases, []AliasMove{{HHID: a, To: b}}) || of(t, s, 1) != b {
		t.Errorf("merged %+v, %v", done, err)
	}
	after, _ := s.Audit(ctx, 0, 100)
	if len(after) != len(records)+1 || strings.Contains(string(after[len(after)-1].Detail), "d1:") || !strings.Contains(string(after[len(after)-1].Detail), `"ledger":1`) {
		t.Errorf("audit log %+v", after)
	}
	if h, err := open().Household(ctx, 1, a); err != nil || h.HHID != b || len(h.Cards) != 2 || !slices.Equal(h.Merged, []identity.HHID{a}) {
		t.Errorf("the merged id is answered with %+v, %v", h, err)
	}
	if all, err := s.Households(ctx, 1, identity.HHID{}, 10); err != nil || len(all) != 2 {
		t.Errorf("list %+v, %v", all, err)
	}
	for name, c := range map[string]struct {
		from, into identity.HHID
		tenant     int64
		want       error
	}{
		"itself":                {b, b, 1, ErrSame},
		"into its alias":        {b, a, 1, ErrSame},
		"merged":                {a, c, 1, ErrMerged},
		"unknown":               {identity.HHID{9}, b, 1, ErrNoHousehold},
		"into unknown":          {b, identity.HHID{9}, 1, ErrNoHousehold},
		"another retailer's":    {b, c, 2, ErrNoHousehold},
		"no household":          {identity.HHID{}, c, 1, ErrNoHousehold},
		"into no household yet": {b, identity.HHID{}, 1, ErrNoHousehold},
	} {
		if e, err := s.Merge(ctx, act(start), c.tenant, c.from, c.into, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", name, e, err, c.want)
		}
	}
	if _, err := s.Merge(ctx, act(start), 1, a, c, false); err == nil || !strings.Contains(err.Error(), b.String()) {
		t.Errorf("the survivor is not named: %v", err)
	}
	// A chain stays flat; ids that were merged go on being good.
	if e, err := s.Merge(ctx, act(start), 1, b, c, false); err != nil || len(e.Aliases) != 2 || e.Aliases[0] != (AliasMove{a, b, c}) {
		t.Errorf("chain %+v, %v", e, err)
	}
	if h, err := s.Household(ctx, 1, a); err != nil || h.HHID != c || len(h.Merged) != 2 || len(h.Cards) != 3 {
		t.Errorf("through the chain: %+v, %v", h, err)
	}
	if e, err := s.Link(ctx, act(start), sample(4), a); err != nil || e.HHID != c {
		t.Errorf("a new card into a merged id: %+v, %v", e, err)
	}
	d := add(t, s, 5).HHID
	if e, err := s.LinkDeIdent(ctx, act(start), 1, deident(5), a); err != nil || e.HHID != c {
		t.Errorf("a known card into a merged id: %+v, %v", e, err)
	}
	if e, err := s.Merge(ctx, act(start), 1, d, a, false); err != nil || e.HHID != c || len(e.Cards) != 0 {
		t.Errorf("an empty household into a merged id: %+v, %v", e, err)
	}
}

func testSplit(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a, b := add(t, s, 1).HHID, add(t, s, 2).HHID
	add(t, s, 3)
	for _, n := range []uint32{3} {
		_, err := s.LinkDeIdent(ctx, act(start), 1, deident(n), a)
		must(t, err)
	}
	_, err := s.Merge(ctx, act(start), 1, b, a, false)
	must(t, err) // 1, 2 and 3 are in a
	all := []identity.DeIdentTID{deident(1), deident(2), deident(3)}
	for name, c := range map[string]struct {
		from  identity.HHID
		cards []identity.DeIdentTID
		want  error
	}{
		"all":          {a, all, ErrSplit},
		"none":         {a, nil, ErrSplit},
		"a stranger":   {a, []identity.DeIdentTID{deident(1), deident(7)}, ErrNotIn},
		"merged":       {b, all[:1], ErrMerged},
		"unknown":      {identity.HHID{9}, all[:1], ErrNoHousehold},
		"no household": {identity.HHID{}, all[:1], ErrNoHousehold},
	} {
		if e, err := s.Split(ctx, act(start), 1, c.from, c.cards, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", name, e, err, c.want)
		}
	}
	plan, err := s.Split(ctx, act(start), 1, a, all[1:2], true)
	if err != nil || !plan.HHID.IsZero() || len(plan.Cards) != 1 || !plan.Cards[0].To.IsZero() || plan.Cards[0].From != a || of(t, s, 2) != a {
		t.Errorf("preview %+v, %v", plan, err)
	}
	done, err := s.Split(ctx, act(start), 1, a, []identity.DeIdentTID{deident(2), deident(3), deident(2)}, false)
	if err != nil || done.HHID.IsZero() || done.HHID == a || done.HHID == b || len(done.Cards) != 2 {
		t.Fatalf("split %+v, %v", done, err)
	}
	if of(t, s, 1) != a || of(t, s, 2) != done.HHID || of(t, s, 3) != done.HHID {
		t.Error("the cards are elsewhere")
	}
	// The split stands in the way of undoing the merge that came before.
	var moved *MovedSinceError
	if _, err := s.Undo(ctx, act(start), 1, 2, false); !errors.As(err, &moved) || !slices.Equal(moved.Later, []uint64{3}) {
		t.Errorf("undo of the merge: %v", err)
	}
	_, err = s.Undo(ctx, act(start), 1, 3, false)
	must(t, err)
	_, err = s.Undo(ctx, act(start), 1, 2, false)
	must(t, err)
	if of(t, s, 2) != b || of(t, s, 3) != a {
		t.Error("the merge was not undone")
	}
	if h, err := s.Household(ctx, 1, b); err != nil || h.HHID != b {
		t.Errorf("the merged household is %+v, %v", h, err)
	}
}

func testUndo(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a, b, c := add(t, s, 1).HHID, add(t, s, 2).HHID, add(t, s, 3).HHID
	_, err := s.Merge(ctx, act(start), 1, a, b, false) // 1
	must(t, err)
	_, err = s.Merge(ctx, act(start), 1, b, c, false) // 2
	must(t, err)
	var moved *MovedSinceError
	if _, err := s.Undo(ctx, act(start), 1, 1, false); !errors.As(err, &moved) || !slices.Equal(moved.Later, []uint64{2}) || !strings.Contains(err.Error(), "2") {
		t.Errorf("undo 1 before 2: %v", err)
	}
	plan, err := s.Undo(ctx, act(start), 1, 2, true)
	if err != nil || plan.Number != 0 || plan.Undoes != 2 || len(plan.Cards) != 2 || of(t, s, 1) != c {
		t.Errorf("preview %+v, %v", plan, err)
	}
	done, err := s.Undo(ctx, act(start), 1, 2, false)
	if err != nil || done.Number != 3 || of(t, s, 1) != b || of(t, s, 2) != b || of(t, s, 3) != c {
		t.Errorf("undo 2: %+v, %v", done, err)
	}
	for n, want := range map[uint64]error{2: ErrUndone, 3: ErrUndone, 99: ErrNoEntry} {
		if _, err := s.Undo(ctx, act(start), 1, n, false); !errors.Is(err, want) {
			t.Errorf("undo %d: %v, want %v", n, err, want)
		}
	}
	if _, err := s.Undo(ctx, act(start), 2, 1, false); !errors.Is(err, ErrNoEntry) {
		t.Errorf("another retailer's: %v", err)
	}
	// A card left a household that was then merged: it can go back only once that
	// is undone.
	_, err = s.LinkDeIdent(ctx, act(start), 1, deident(3), b) // 4
	must(t, err)
	_, err = s.Merge(ctx, act(start), 1, c, b, false) // 5
	must(t, err)
	if _, err := s.Undo(ctx, act(start), 1, 4, false); !errors.As(err, &moved) || !slices.Equal(moved.Later, []uint64{5}) {
		t.Errorf("undo 4 before 5: %v", err)
	}
	all, err := open().Ledger(ctx, 1, 0, 100)
	if err != nil || len(all) != 5 || all[1].UndoneBy != 3 || all[2].Kind != Undone || all[2].Undoes != 2 || all[3].Kind != Linked ||
		all[3].Cards[0].From != c || all[3].HHID != b || all[4].HHID != b || all[0].Actor != "someone" || !all[0].At.Equal(start) {
		t.Errorf("ledger %+v, %v", all, err)
	}
	if page, err := s.Ledger(ctx, 1, 3, 1); err != nil || len(page) != 1 || page[0].Number != 4 {
		t.Errorf("page %+v, %v", page, err)
	}
	if none, err := s.Ledger(ctx, 2, 0, 100); err != nil || len(none) != 0 {
		t.Errorf("another retailer's %+v, %v", none, err)
	}
}

// model is what households should be: which card is where, and which id stands for
// which.
type model struct {
	card  map[uint32]identity.HHID
	alias map[identity.HHID]identity.HHID
	real  []identity.HHID // that were ever made
	live  []step          // what stands, and can be undone
	seen  uint64          // number of the last entry
}

// step is one entry of the ledger, with what it changed.
type step struct {
	number uint64
	card   map[uint32][2]identity.HHID
	alias  map[identity.HHID][2]identity.HHID
}

// testLedgerModel does what comes, and holds it against a model after each step.
func testLedgerModel(t *testing.T, open func() Store) {
	s := open()
	next, seen := uint32(0), uint64(0)
	rapid.Check(t, func(r *rapid.T) {
		m := &model{card: map[uint32]identity.HHID{}, alias: map[identity.HHID]identity.HHID{}}
		first := next + 1
		for range rapid.IntRange(2, 5).Draw(r, "cards") {
			next++
			e, _, err := s.Add(t.Context(), sample(next))
			must(t, err)
			m.card[next] = e.HHID
			m.real = append(m.real, e.HHID)
		}
		last := next
		begun := maps.Clone(m.card)
		if all, err := s.Ledger(t.Context(), 1, seen, 1<<20); err == nil && len(all) > 0 {
			seen = all[len(all)-1].Number
		}
		m.seen = seen
		someCard := rapid.Uint32Range(first, last)
		some := func() identity.HHID { return rapid.SampledFrom(m.real).Draw(r, "household") }
		r.Repeat(map[string]func(*rapid.T){
			"": func(r *rapid.T) { m.check(t, r, s) },
			"merge": func(r *rapid.T) {
				from, into := some(), some()
				e, err := s.Merge(t.Context(), act(start), 1, from, into, rapid.Bool().Draw(r, "preview"))
				m.merge(r, from, into, e, err)
			},
			"split": func(r *rapid.T) {
				n := someCard.Draw(r, "card")
				from, ds := m.card[n], []identity.DeIdentTID{deident(n)}
				e, err := s.Split(t.Context(), act(start), 1, from, ds, false)
				m.split(r, n, e, err)
			},
			"link": func(r *rapid.T) {
				n, to := someCard.Draw(r, "card"), some()
				e, err := s.LinkDeIdent(t.Context(), act(start), 1, deident(n), to)
				must(t, err)
				m.link(t, s, n, to, e)
			},
			"undo": func(r *rapid.T) {
				if len(m.live) == 0 {
					r.Skip("nothing to undo")
				}
				i := rapid.IntRange(0, len(m.live)-1).Draw(r, "entry")
				e, err := s.Undo(t.Context(), act(start), 1, m.live[i].number, false)
				m.undo(r, i, e, err)
			},
		})
		for i := len(m.live) - 1; i >= 0; i-- {
			e, err := s.Undo(t.Context(), act(start), 1, m.live[i].number, false)
			m.undo(r, i, e, err)
		}
		if m.check(t, r, s); !maps.Equal(m.card, begun) || len(m.alias) != 0 {
			r.Fatalf("all was undone, and %v is not %v, aliases %v", m.card, begun, m.alias)
		}
	})
}

func (m *model) now(id identity.HHID) identity.HHID {
	if to, ok := m.alias[id]; ok {
		return to
	}
	return id
}

// apply does a step to the model: [0] was, [1] becomes.
func (m *model) apply(st step) {
	m.seen = max(m.seen, st.number)
	for n, h := range st.card {
		m.card[n] = h[1]
	}
	for id, h := range st.alias {
		if h[1].IsZero() {
			delete(m.alias, id)
		} else {
			m.alias[id] = h[1]
		}
	}
}

func (m *model) merge(r *rapid.T, from, into identity.HHID, e LedgerEntry, err error) {
	to := m.now(into)
	_, merged := m.alias[from]
	switch {
	case merged:
		if !errors.Is(err, ErrMerged) {
			r.Fatalf("merge of a merged household: %v", err)
		}
		return
	case from == to:
		if !errors.Is(err, ErrSame) {
			r.Fatalf("merge into itself: %v", err)
		}
		return
	case err != nil:
		r.Fatalf("merge: %v", err)
	case e.Number == 0:
		return // a preview
	}
	st := step{e.Number, map[uint32][2]identity.HHID{}, map[identity.HHID][2]identity.HHID{from: {{}, to}}}
	for n, h := range m.card {
		if h == from {
			st.card[n] = [2]identity.HHID{from, to}
		}
	}
	for id, h := range m.alias {
		if h == from {
			st.alias[id] = [2]identity.HHID{from, to}
		}
	}
	m.apply(st)
	m.live = append(m.live, st)
}

func (m *model) split(r *rapid.T, n uint32, e LedgerEntry, err error) {
	mates := 0
	for _, h := range m.card {
		if h == m.card[n] {
			mates++
		}
	}
	if mates == 1 {
		if !errors.Is(err, ErrSplit) {
			r.Fatalf("split of all cards: %v", err)
		}
		return
	}
	if err != nil || slices.Contains(m.real, e.HHID) {
		r.Fatalf("split: %+v, %v", e, err)
	}
	m.real = append(m.real, e.HHID)
	st := step{e.Number, map[uint32][2]identity.HHID{n: {m.card[n], e.HHID}}, nil}
	m.apply(st)
	m.live = append(m.live, st)
}

func (m *model) link(t *testing.T, s Store, n uint32, to identity.HHID, e Entry) {
	if to = m.now(to); e.HHID != to {
		t.Fatalf("linked into %v, want %v", e.HHID, to)
	}
	if m.card[n] == to {
		return // nothing was done
	}
	all, err := s.Ledger(t.Context(), 1, m.seen, 1)
	if err != nil || len(all) != 1 {
		t.Fatalf("a link is not in the ledger: %+v, %v", all, err)
	}
	st := step{all[0].Number, map[uint32][2]identity.HHID{n: {m.card[n], to}}, nil}
	m.apply(st)
	m.live = append(m.live, st)
}

// undo expects a refusal that names the steps in the way, or a step back.
func (m *model) undo(r *rapid.T, i int, e LedgerEntry, err error) {
	st, blocking := m.live[i], []uint64(nil)
	for _, later := range m.live[i+1:] {
		if st.touchedBy(later) {
			blocking = append(blocking, later.number)
		}
	}
	if blocking != nil {
		var moved *MovedSinceError
		if !errors.As(err, &moved) || !slices.Equal(moved.Later, blocking) {
			r.Fatalf("undo %d: %v, want to undo first: %v", st.number, err, blocking)
		}
		return
	}
	if err != nil {
		r.Fatalf("undo %d: %v", st.number, err)
	}
	m.apply(st.back(e.Number))
	m.live = slices.Delete(m.live, i, i+1)
}

func (st step) back(number uint64) step {
	back := step{number, map[uint32][2]identity.HHID{}, map[identity.HHID][2]identity.HHID{}}
	for n, h := range st.card {
		back.card[n] = [2]identity.HHID{h[1], h[0]}
	}
	for id, h := range st.alias {
		back.alias[id] = [2]identity.HHID{h[1], h[0]}
	}
	return back
}

// touchedBy reports whether a later step moved a card or alias of st, or merged a
// household that st would give one back to.
func (st step) touchedBy(later step) bool {
	for n, h := range st.card {
		if _, ok := later.card[n]; ok {
			return true
		}
		if _, ok := later.alias[h[0]]; ok {
			return true
		}
	}
	for id, h := range st.alias {
		if _, ok := later.alias[id]; ok {
			return true
		}
		if _, ok := later.alias[h[0]]; ok {
			return true
		}
	}
	return false
}

// check holds the store against the model.
func (m *model) check(t *testing.T, r *rapid.T, s Store) {
	for _, to := range m.alias {
		if _, ok := m.alias[to]; ok {
			r.Fatalf("aliases are not flat: %v", m.alias)
		}
	}
	for n, h := range m.card {
		if _, ok := m.alias[h]; ok {
			r.Fatalf("card %d is in %v, which was merged", n, h)
		}
	}
	for _, id := range m.real {
		h, err := s.Household(t.Context(), 1, id)
		if err != nil || h.HHID != m.now(id) {
			r.Fatalf("%v is %v, %v, want %v", id, h.HHID, err, m.now(id))
		}
		var merged []identity.HHID
		for a, to := range m.alias {
			if to == h.HHID {
				merged = append(merged, a)
			}
		}
		slices.SortFunc(merged, func(a, b identity.HHID) int { return bytes.Compare(a[:], b[:]) })
		if !slices.Equal(h.Merged, merged) {
			r.Fatalf("%v has the aliases %v, want %v", h.HHID, h.Merged, merged)
		}
		var cards, want []identity.DeIdentTID
		for _, c := range h.Cards {
			cards = append(cards, c.DeIdentTID)
		}
		for n, in := range m.card {
			if in == h.HHID {
				want = append(want, deident(n))
			}
		}
		slices.SortFunc(cards, cmp.Compare)
		slices.SortFunc(want, cmp.Compare)
		if !slices.Equal(cards, want) {
			r.Fatalf("%v holds %v, want %v", h.HHID, cards, want)
		}
	}
}
