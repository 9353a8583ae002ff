package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"posd/central"
	"posd/identity"
)

var acme = Tenant{ID: 1, Name: "acme"}

// toKeep collects the lines of an erasure ledger.
type toKeep struct {
	lines []ErasureLine
	err   error
}

func (k *toKeep) keep(lines []ErasureLine) error {
	k.lines = append(k.lines, lines...)
	return k.err
}

// facts are what POS main computers are told, by id.
func facts(t *testing.T, s Store) map[string]central.Change {
	t.Helper()
	page, err := s.Changes(t.Context(), shop, "", 0, 1000)
	must(t, err)
	all := map[string]central.Change{}
	for _, c := range page.Changes {
		id := c.HHID.String()
		if c.DeIdentTID != "" {
			id = string(c.DeIdentTID)
		}
		all[id] = c
	}
	return all
}

func testErase(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a, b := add(t, s, 1), add(t, s, 2)
	_, err := s.LinkDeIdent(ctx, act(start), 1, deident(2), a.HHID) // entry 1 of the ledger
	must(t, err)
	one := sample(1)
	later := act(start.Add(time.Hour))

	for name, c := range map[string]struct {
		what Erasing
		want error
	}{
		"unknown card":      {Erasing{TID: &TID{Tenant: 1, Fingerprint: [16]byte{9}}}, ErrNoTID},
		"unknown pseudonym": {Erasing{DeIdent: deident(9)}, ErrNoTID},
		"unknown household": {Erasing{HHID: identity.HHID{9}}, ErrNoHousehold},
		"no pseudonym":      {Erasing{DeIdent: identity.MakeDeIdentTID(1, [16]byte{})}, ErrNoTID},
	} {
		var k toKeep
		if e, err := s.Erase(ctx, later, acme, c.what, false, k.keep); !errors.Is(err, c.want) || len(k.lines) != 0 {
			t.Errorf("%s: %+v, %v, %v", name, e, err, k.lines)
		}
	}
	var k toKeep
	plan, err := s.Erase(ctx, later, acme, Erasing{TID: &one}, true, k.keep)
	if err != nil || plan.Number != 0 || plan.Cards != 1 || plan.Left != 1 || plan.Scope != ScopeCard || !slices.Equal(plan.Kinds, []identity.Kind{identity.Payment}) || len(k.lines) != 0 {
		t.Errorf("preview %+v, %v", plan, err)
	}
	// Where the ledger cannot be written, nothing is done.
	if e, err := s.Erase(ctx, later, acme, Erasing{TID: &one}, false, (&toKeep{err: errors.New("boom")}).keep); err == nil {
		t.Errorf("erased without a ledger: %+v", e)
	}
	if of(t, s, 1) != a.HHID || len(facts(t, s)) != 1 {
		t.Error("something was erased")
	}

	done, err := s.Erase(ctx, later, acme, Erasing{TID: &one}, false, k.keep)
	if err != nil || done.Number != 1 || done.Cards != 1 {
		t.Fatalf("erased %+v, %v", done, err)
	}
	must(t, s.Scrub(ctx))
	line := k.lines[0]
	if len(k.lines) != 1 || line.Erasure != 1 || line.Tenant != "acme" || line.Fingerprint != fmt.Sprintf("%x", one.Fingerprint) || !slices.Equal(line.DeIdentTIDs, []identity.DeIdentTID{deident(1)}) ||
		!line.At.Equal(later.At) || line.Kind != identity.Payment || line.Check() != nil {
		t.Errorf("ledger %+v", k.lines)
	}
	e, created, err := open().Add(ctx, one)
	if err != nil || created || !e.OptedOut || !e.HHID.IsZero() || e.Change <= b.Change {
		t.Errorf("the card comes again: %+v, %v, %v", e, created, err)
	}
	if rows, err := s.SealedTIDs(ctx, 1, [16]byte{}, 10); err != nil || len(rows) != 2 || len(rows[0].Sealed) != 0 || rows[0].DeIdent != [16]byte{} {
		t.Errorf("stored %+v, %v", rows, err)
	}
	if h, err := s.Household(ctx, 1, a.HHID); err != nil || len(h.Cards) != 1 || h.Cards[0].DeIdentTID != deident(2) {
		t.Errorf("household %+v, %v", h, err)
	}
	if f := facts(t, s)[string(deident(1))]; f.Type != central.Erased {
		t.Errorf("told of it: %+v", f)
	}
	for name, what := range map[string]Erasing{"card": {TID: &one}, "pseudonym": {DeIdent: deident(1)}} {
		if _, err := s.Erase(ctx, later, acme, what, false, k.keep); !errors.Is(err, ErrErased) {
			t.Errorf("again, by %s: %v", name, err)
		}
	}
	if _, err := s.Link(ctx, later, one, b.HHID); !errors.Is(err, ErrErased) {
		t.Errorf("linked: %v", err)
	}
	if _, err := s.LinkDeIdent(ctx, later, 1, identity.MakeDeIdentTID(1, [16]byte{}), b.HHID); !errors.Is(err, ErrNoTID) {
		t.Errorf("linked as nobody: %v", err)
	}
	// The ledger of households shows nothing of an erased card.
	two, err := s.Erase(ctx, later, acme, Erasing{DeIdent: deident(2)}, false, k.keep)
	if err != nil || two.Number != 2 || two.Left != 0 {
		t.Errorf("by pseudonym: %+v, %v", two, err)
	}
	if all, err := s.Ledger(ctx, 1, 0, 10); err != nil || len(all) != 1 || len(all[0].Cards) != 0 {
		t.Errorf("ledger %+v, %v", all, err)
	}
	if _, err := s.Undo(ctx, later, 1, 1, false); err != nil {
		t.Errorf("undo of what is gone: %v", err)
	}
	if all, err := s.Households(ctx, 1, identity.HHID{}, 10); err != nil || len(all) != 2 {
		t.Errorf("households %+v, %v", all, err)
	}

	// Its owner comes back.
	if _, err := s.Lift(ctx, later, acme, sample(3), k.keep); !errors.Is(err, ErrNoTID) {
		t.Errorf("lift of a stranger: %v", err)
	}
	add(t, s, 3)
	if _, err := s.Lift(ctx, later, acme, sample(3), k.keep); !errors.Is(err, ErrNotErased) {
		t.Errorf("lift of one who was not erased: %v", err)
	}
	back, err := s.Lift(ctx, later, acme, one, k.keep)
	if err != nil || back.OptedOut || back.HHID.IsZero() || back.HHID == a.HHID || of(t, s, 1) != back.HHID {
		t.Errorf("lifted %+v, %v", back, err)
	}
	if last := k.lines[len(k.lines)-1]; !last.Lifted || last.Check() != nil {
		t.Errorf("ledger %+v", last)
	}
	if f := facts(t, s)[string(deident(1))]; f.Type != central.Moved || f.HHID != back.HHID {
		t.Errorf("told of it: %+v", f)
	}
}

func testEraseHousehold(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a, b, c := add(t, s, 1).HHID, add(t, s, 2).HHID, add(t, s, 3).HHID
	_, err := s.Merge(ctx, act(start), 1, a, b, false)
	must(t, err)
	_, err = s.LinkDeIdent(ctx, act(start), 1, deident(2), c)
	must(t, err)
	_, err = s.LinkDeIdent(ctx, act(start), 1, deident(3), b)
	must(t, err) // 1 and 3 are in b, which a stands for; 2 is in c
	var k toKeep
	plan, err := s.Erase(ctx, act(start), acme, Erasing{HHID: a}, true, k.keep)
	if err != nil || plan.Scope != ScopeHousehold || plan.Cards != 2 || len(k.lines) != 0 {
		t.Errorf("preview %+v, %v", plan, err)
	}
	done, err := s.Erase(ctx, act(start), acme, Erasing{HHID: a}, false, k.keep)
	if err != nil || done.Number != 1 || done.Cards != 2 || len(k.lines) != 4 {
		t.Fatalf("erased %+v, %v, %+v", done, err, k.lines)
	}
	told := facts(t, s)
	for _, id := range []string{a.String(), b.String(), string(deident(1)), string(deident(3))} {
		if told[id].Type != central.Erased {
			t.Errorf("told of %s: %+v", id, told[id])
		}
	}
	if told[string(deident(2))].Type != central.Moved || of(t, s, 2) != c {
		t.Error("a card of another household was touched")
	}
	for _, id := range []identity.HHID{a, b} {
		if _, err := s.Household(ctx, 1, id); !errors.Is(err, ErrNoHousehold) {
			t.Errorf("household %v: %v", id, err)
		}
		if _, err := s.Erase(ctx, act(start), acme, Erasing{HHID: id}, false, k.keep); !errors.Is(err, ErrErased) {
			t.Errorf("again: %v", err)
		}
	}
	if _, err := s.Undo(ctx, act(start), 1, 1, false); err != nil {
		t.Errorf("undo of a merge that is gone: %v", err)
	}

	// Who is done with it.
	if _, err := s.ErasureCertificate(ctx, 1, 9); !errors.Is(err, ErrNoErasure) {
		t.Errorf("no such erasure: %v", err)
	}
	if _, err := s.ErasureCertificate(ctx, 2, 1); !errors.Is(err, ErrNoErasure) {
		t.Errorf("another retailer's: %v", err)
	}
	shop13, shop14, invited := shop, shop, shop
	shop13.Shop, shop14.Shop, invited.Shop = "13", "14", "15"
	enrolled(t, s, shop, 1)
	enrolled(t, s, shop13, 2)
	enrolled(t, s, shop14, 3)
	enrolled(t, s, lane1, 4)
	must(t, s.CreateTokens(ctx, act(start), []Token{{Hash: [32]byte{15}, Name: invited, ExpiresAt: start.Add(time.Hour)}}, false))
	must(t, s.Revoke(ctx, act(start), shop14))
	page, err := s.Changes(ctx, shop, "", 0, 1000)
	must(t, err)
	must(t, s.Acknowledge(ctx, shop, central.Ack{Feed: page.Feed, Change: page.Changes[0].Number}, start))
	cert, err := open().ErasureCertificate(ctx, 1, 1)
	if err != nil || cert.Tenant != "acme" || cert.Cards != 2 || cert.Scope != ScopeHousehold || cert.Outstanding != 2 || cert.Actor != "someone" {
		t.Errorf("certificate %+v, %v", cert, err)
	}
	at := start.Add(time.Minute)
	must(t, s.Acknowledge(ctx, shop, central.Ack{Feed: page.Feed, Change: page.Next}, at))
	must(t, s.Acknowledge(ctx, shop, central.Ack{Feed: page.Feed, Change: page.Next}, at.Add(time.Hour)))
	cert, err = s.ErasureCertificate(ctx, 1, 1)
	want := []ErasureShop{{"12", Acknowledged, at}, {"13", Outstanding, time.Time{}}, {"14", string(Revoked), time.Time{}}}
	if err != nil || cert.Outstanding != 1 || !slices.Equal(cert.Shops, want) {
		t.Errorf("certificate %+v, %v, want %+v", cert, err, want)
	}
}

func testReplayErasures(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a, b := add(t, s, 1).HHID, add(t, s, 2).HHID
	add(t, s, 3)
	_, err := s.LinkDeIdent(ctx, act(start), 1, deident(3), a)
	must(t, err)
	_, err = s.Merge(ctx, act(start), 1, b, a, false)
	must(t, err) // all are in a, which b stands for
	before, err := s.Changes(ctx, shop, "", 0, 100)
	must(t, err)
	line := func(n uint32, change func(*ErasureLine)) ErasureLine {
		l := ErasureLine{Erasure: uint64(n), At: start, Tenant: "acme", Kind: identity.Phone, Fingerprint: fmt.Sprintf("%x", sample(n).Fingerprint), FingerprintKey: 1, DeIdentTIDs: []identity.DeIdentTID{deident(n)}}
		if change != nil {
			change(&l)
		}
		return l
	}
	lines := []ErasureLine{
		line(1, nil),
		line(2, func(l *ErasureLine) { l.Fingerprint = fmt.Sprintf("%x", [16]byte{7}) }), // found by its pseudonym
		line(4, nil), // came after the backup
		line(5, nil), // its owner came back
		line(5, func(l *ErasureLine) { l.Lifted, l.DeIdentTIDs = true, nil }),
		line(6, func(l *ErasureLine) { l.Tenant = "bravo" }),
		{Erasure: 7, At: start, Tenant: "acme", HHID: a},
		{Erasure: 7, At: start, Tenant: "acme", HHID: identity.HHID{9}},
	}
	want := Replayed{Erased: 3, Lifted: 1, Ids: 2, Foreign: 1}
	if done, err := s.ReplayErasures(ctx, act(start), lines); err != nil || done != want {
		t.Fatalf("replayed %+v, %v, want %+v", done, err, want)
	}
	for n, erased := range map[uint32]bool{1: true, 2: true, 3: false, 4: true} {
		if e, created, err := s.Add(ctx, sample(n)); err != nil || created || e.OptedOut != erased {
			t.Errorf("card %d: %+v, %v, %v", n, e, created, err)
		}
	}
	if _, created, err := s.Add(ctx, sample(5)); err != nil || !created {
		t.Errorf("one that was lifted: %v", err)
	}
	// Card 3 had gone elsewhere before its household was erased.
	if now := of(t, s, 3); now == a || now == b || now.IsZero() {
		t.Errorf("card 3 is in %v", now)
	}
	if _, err := s.Household(ctx, 1, a); !errors.Is(err, ErrNoHousehold) {
		t.Errorf("the household: %v", err)
	}
	if h, err := s.Household(ctx, 1, b); err != nil || h.HHID != b {
		t.Errorf("what was merged into it: %+v, %v", h, err)
	}
	told := facts(t, s)
	for _, id := range []string{string(deident(1)), string(deident(2)), string(deident(4)), a.String(), identity.HHID{9}.String()} {
		if told[id].Type != central.Erased {
			t.Errorf("told of %s: %+v", id, told[id])
		}
	}
	for _, id := range []string{string(deident(3)), string(deident(5)), b.String()} {
		if told[id].Type == central.Erased {
			t.Errorf("told of %s: %+v", id, told[id])
		}
	}
	if after, err := s.Changes(ctx, shop, before.Feed, before.Next, 100); err != nil || after.Feed == before.Feed || after.After != 0 {
		t.Errorf("the feed does not begin anew: %+v, %v", after, err)
	}
	if c, err := s.ErasureCertificate(ctx, 1, 7); err != nil || c.Scope != ScopeHousehold {
		t.Errorf("certificate %+v, %v", c, err)
	}
	if c, err := s.ErasureCertificate(ctx, 1, 1); err != nil || c.Cards != 1 || !c.At.Equal(start) {
		t.Errorf("certificate %+v, %v", c, err)
	}
	// Again, it changes nothing; a new erasure gets a number of its own.
	if done, err := s.ReplayErasures(ctx, act(start), lines); err != nil || done != (Replayed{Same: 3, Lifted: 1, Ids: 2, Foreign: 1}) {
		t.Errorf("again: %+v, %v", done, err)
	}
	var k toKeep
	if e, err := s.Erase(ctx, act(start), acme, Erasing{DeIdent: deident(3)}, false, k.keep); err != nil || e.Number != 8 {
		t.Errorf("the next: %+v, %v", e, err)
	}
}

func testErasedAreNotTakenBack(t *testing.T, open func() Store) {
	s, ctx := open(), t.Context()
	a := add(t, s, 1).HHID
	b := add(t, s, 2).HHID
	var k toKeep
	for _, what := range []Erasing{{DeIdent: deident(1)}, {HHID: b}} {
		_, err := s.Erase(ctx, act(start), acme, what, false, k.keep)
		must(t, err)
	}
	rows := []ImportRow{
		{TID: sample(1), HHID: a}, {DeIdent: deident(1), HHID: a}, {TID: sample(1), HHID: a, OptedOut: true}, {TID: sample(7), HHID: b, Create: true},
	}
	_, refused, err := s.ImportRows(ctx, act(start), begin(t, s, 1, false), rows, Position{Phase: Linewise})
	if err != nil || !errors.Is(refused[0], ErrErased) || !errors.Is(refused[1], ErrNoTID) || refused[2] != nil || !errors.Is(refused[3], ErrErased) {
		t.Errorf("imported: %v, %v", refused, err)
	}
	if e, _, err := s.Add(ctx, sample(1)); err != nil || !e.OptedOut {
		t.Errorf("card %+v, %v", e, err)
	}
}
