package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/rogpeppe/go-internal/testscript"

	"posd/basket"
	"posd/central"
	"posd/cli/clitest"
	"posd/identity"
	"posd/posmain/server"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"posmaind": main})
}

func TestCommands(t *testing.T) { clitest.Tree(t, root) }

// TestScripts runs the commands on a log that this process serves meanwhile.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			store, err := server.Open(context.Background(), filepath.Join(env.WorkDir, "posmaind.db"))
			if err != nil {
				return err
			}
			env.Defer(func() { store.Close() })
			env.Values["store"] = store
			return fill(store)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"stop-serving": stopServing, "change-body": changeBody, "follow": follow, "erase": erase},
	})
}

func stopServing(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Value("store").(server.Store).Close())
}

// changeBody changes revision 2 of every basket behind the program's back.
func changeBody(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite3", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = db.Exec("UPDATE revisions SET body = CAST(replace(CAST(body AS TEXT), '036000291452', '036000291453') AS BLOB) WHERE revision = 2")
	ts.Check(errors.Join(err, db.Close()))
}

// follow has the log follow a merge, a card that moved and a lane that was revoked.
func follow(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Value("store").(server.Store).Follow(context.Background(), central.Changes{Feed: "f", Next: 4, Changes: []central.Change{
		{Number: 1, Type: central.Merged, HHID: before, Survivor: family}, {Number: 2, Type: central.Moved, DeIdentTID: annCard, HHID: identity.HHID{7: 9}},
		{Number: 3, Type: central.Revoked, Serial: "0a"},
	}}, time.Now()))
}

// erase has the log follow an erasure, as far as it can without central.
func erase(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value("store").(server.Store)
	page := central.Changes{Feed: "f", After: 4, Next: 5, Changes: []central.Change{{Number: 5, Type: central.Erased, DeIdentTID: annCard}}}
	ts.Check(s.Follow(context.Background(), page, time.Now()))
	for more, err := true, error(nil); more; {
		more, err = s.Blank(context.Background(), 10, time.Now())
		ts.Check(err)
	}
}

var (
	lane1 = server.Lane{Tenant: "acme", Shop: "12", Lane: "1"}
	lane2 = server.Lane{Tenant: "acme", Shop: "12", Lane: "2"}

	family = identity.HHID{7: 1}
	before = identity.HHID{7: 2} // Ann's household until she joined the family

	annCard = identity.MakeDeIdentTID(1, [16]byte{15: 1})
	annClub = identity.MakeDeIdentTID(1, [16]byte{15: 2})
	bobCard = identity.MakeDeIdentTID(1, [16]byte{15: 3})
)

// fill logs what a family of two bought on three days at two lanes.
func fill(s server.Store) error {
	day := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	ann := sold(1, day, item("036000291452", 2), item("036000291452", 1), item("9780201379624", 1), item("0123456789", 1))
	ann.Transaction, ann.Operator, ann.BusinessDate = "T-17", "eva", "2026-11-20"
	ann.Lines[3].GTIN, ann.Lines[3].Kind = "", basket.Coupon
	ann.Lines[2].VoidedAt = &day
	pending := shown(ann, basket.Identity{State: identity.Pending, Kind: identity.Payment})
	first := shown(pending, basket.Identity{State: identity.Resolved, Kind: identity.Payment, HHID: before, DeIdentTID: annCard})
	second := shown(first, basket.Identity{State: identity.Resolved, Kind: identity.Payment, HHID: family, DeIdentTID: annCard})
	pending.Revision, first.Revision, second.Revision = 1, 2, 3

	bob := shown(sold(2, day.AddDate(0, 0, 1), item("4006381333931", -1)), basket.Identity{State: identity.Resolved, Kind: identity.Payment, HHID: family, DeIdentTID: bobCard},
		basket.Identity{State: identity.Resolved, Kind: identity.Loyalty, HHID: family, DeIdentTID: annClub})
	bob.Kind = basket.Return
	twin := sold(3, day.AddDate(0, 0, 2))
	twin.Sequence, twin.Outcome = 2, basket.Voided
	far := sold(4, day.AddDate(0, 0, 2), item("036000291452", 1))
	far.Sequence = 9
	for i, d := range []server.Delivery{
		{From: lane1, Basket: pending, Software: "v1.4.0"}, {From: lane1, Basket: first}, {From: lane1, Basket: second},
		{From: lane2, Basket: bob}, {From: lane2, Basket: twin}, {From: lane1, Basket: far},
	} {
		d.At = day.Add(time.Duration(i) * 12 * time.Hour)
		if err := deliver(s, d); err != nil {
			return err
		}
	}
	return nil
}

func deliver(s server.Store, d server.Delivery) (err error) {
	if d.Body, err = basket.Marshal(d.Basket); err != nil {
		return err
	}
	if d.Basket, err = basket.Parse(d.Body); err != nil {
		return err
	}
	_, err = s.Log(context.Background(), d)
	return err
}

func sold(n byte, at time.Time, lines ...basket.Line) basket.Basket {
	b := basket.Basket{V: basket.Version, ID: basket.ID{0: 1, 15: n}, Revision: 1, Incarnation: "00c0ffee00c0ffee", Sequence: uint64(n),
		Kind: basket.Sale, Outcome: basket.Closed, OpenedAt: at.Add(-time.Minute), ClosedAt: at, State: identity.Anonymous}
	for i, l := range lines {
		l.Number, l.At = i+1, b.OpenedAt
		b.Lines = append(b.Lines, l)
	}
	return b
}

func item(upc string, quantity int) basket.Line {
	return basket.Line{UPC: upc, GTIN: ("00000000000000" + upc)[len(upc):], Symbology: "EAN13", Kind: basket.Item, Quantity: quantity}
}

func shown(b basket.Basket, ids ...basket.Identity) basket.Basket {
	b.Identities = nil
	for i, id := range ids {
		id.Swipe, id.At = i+1, b.OpenedAt
		b.Identities = append(b.Identities, id)
	}
	b.Tag([]identity.Kind{identity.Payment, identity.Loyalty})
	return b
}
