package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The shoppers: published test numbers of payment cards, and a telephone
// number of the range kept for fiction.
const (
	annasCard = "4111111111111111"
	bensCard  = "5555555555554444"
	carasNo   = "2025550143"
)

// groceries are UPCs with what a receipt would call them.
var groceries = map[string]string{
	"036000291452":  "tissues",
	"012345678905":  "oat milk",
	"042100005264":  "bread",
	"4006381333931": "marker",
}

// story is the tale that the demo tells. Every step is checked.
type story struct {
	*world
	*shop
	say *teller

	family  string // the household's id
	pending string // the basket that was closed while central was away
}

func (s *story) tell() (err error) {
	s.say.chapter(1, "A shop opens: central, the POS main computer, two lanes. Every link is TLS 1.3 with certificates on both sides.")
	if s.shop, err = s.openShop(); err != nil {
		return err
	}
	s.say.good("central knows one tenant; the POS main computer and lanes 1 and 2 enrolled with one-time tokens")
	for _, chapter := range []func() error{s.annaShops, s.benJoins, s.benShops, s.centralFails, s.centralReturns, s.caraShops, s.theLog, s.theSearch} {
		if err := chapter(); err != nil {
			return err
		}
	}
	return nil
}

// sell scans items, shows a card in the midst of them, and pays. It returns the
// event of the identity, the one of the close, and how long the answer took.
func (s *story) sell(n int, items []string, show, state string) (id, closed event, took time.Duration, err error) {
	l := s.lanes[n]
	l.nextCustomer()
	scan := func(upc string) error {
		if err := l.do("scan " + upc); err != nil {
			return err
		}
		_, err := l.wait("the scan of "+upc, func(e event) bool { return e.Type == "scan" && e.Line != nil })
		return err
	}
	if err := scan(items[0]); err != nil {
		return id, closed, 0, err
	}
	if err := l.do(show); err != nil {
		return id, closed, 0, err
	}
	swipe, err := l.wait("the card or number", func(e event) bool { return e.Type == "swipe" })
	if err != nil {
		return id, closed, 0, err
	}
	if id, err = l.wait("the household", func(e event) bool { return e.Type == "identity" && e.State == state }); err != nil {
		return id, closed, 0, err
	}
	for _, upc := range items[1:] {
		if err := scan(upc); err != nil {
			return id, closed, 0, err
		}
	}
	if err := l.do("key-close"); err != nil {
		return id, closed, 0, err
	}
	closed, err = l.wait("the close", func(e event) bool { return e.Type == "basket-closed" })
	l.lastClose = time.Now()
	return id, closed, id.At.Sub(swipe.At), err
}

// delivered waits for a revision of a basket to be at the POS main computer.
func (s *story) delivered(n int, basket string, revision int) error {
	_, err := s.lanes[n].wait(fmt.Sprintf("revision %d at the POS main computer", revision), func(e event) bool {
		return e.Type == "delivery" && e.Basket == basket && e.Revision == revision && e.Code == "acknowledged"
	})
	return err
}

func list(items []string) string {
	var names []string
	for _, upc := range items {
		names = append(names, groceries[upc])
	}
	return strings.Join(names, ", ")
}

func (s *story) annaShops() error {
	s.say.chapter(2, "Anna shops at lane 1 and pays with her card")
	items := []string{"036000291452", "012345678905", "042100005264"}
	id, closed, took, err := s.sell(1, items, "swipe "+annasCard, "resolved")
	if err != nil {
		return err
	}
	s.family = id.HHID
	s.say.line("scanned: %s; swiped: a card that ends in %s", list(items), annasCard[12:])
	s.say.good("her household %s was known %d ms after the swipe, while items were still being scanned", id.HHID, took.Milliseconds())
	if err := s.delivered(1, closed.Basket, 1); err != nil {
		return err
	}
	s.say.good("basket %d of lane 1 is in the shop's log: UPCs, household, and a pseudonym of the card", closed.Sequence)
	return nil
}

func (s *story) benJoins() error {
	s.say.chapter(3, "Ben is Anna's husband. The retailer tells central that his card belongs to her household")
	row, err := json.Marshal(map[string]string{"household": s.family, "kind": "payment", "tid": bensCard})
	if err != nil {
		return err
	}
	if _, err := s.call(string(row)+"\n", "centrald", "import", "--database", s.centralDatabase, "-"); err != nil {
		return err
	}
	s.say.aside("centrald import -")
	s.say.good("linked; no file holds the number: it went in by a pipe, and is kept sealed")
	return nil
}

func (s *story) benShops() error {
	s.say.chapter(4, "Ben shops at lane 2 with his own card")
	items := []string{"4006381333931", "012345678905"}
	id, closed, took, err := s.sell(2, items, "swipe "+bensCard, "resolved")
	if err != nil {
		return err
	}
	s.say.line("scanned: %s; swiped: a card that ends in %s", list(items), bensCard[12:])
	if id.HHID != s.family {
		return fmt.Errorf("Ben's household is %s, Anna's %s: they should be one", id.HHID, s.family)
	}
	s.say.good("another card, another lane, the same household %s, after %d ms", id.HHID, took.Milliseconds())
	return s.delivered(2, closed.Basket, 1)
}

func (s *story) centralFails() error {
	s.say.chapter(5, "Central is stopped. Anna comes back, and the sale goes on")
	if err := s.central.stop(); err != nil {
		return err
	}
	_, closed, _, err := s.sell(1, []string{"042100005264", "036000291452"}, "swipe "+annasCard, "pending")
	if err != nil {
		return err
	}
	if err := s.delivered(1, closed.Basket, 1); err != nil {
		return err
	}
	s.pending = closed.Basket
	s.say.good("basket %d of lane 1 was closed and logged; its identity is pending, the card number is encrypted in the lane's journal", closed.Sequence)
	return nil
}

func (s *story) centralReturns() error {
	s.say.chapter(6, "Central returns")
	if err := s.startCentral(s.world); err != nil {
		return err
	}
	id, err := s.lanes[1].wait("the late answer", func(e event) bool { return e.Type == "identity" && e.Basket == s.pending && e.State == "resolved" })
	if err != nil {
		return err
	}
	if id.HHID != s.family {
		return fmt.Errorf("the late answer names household %s, not %s", id.HHID, s.family)
	}
	if err := s.delivered(1, s.pending, 2); err != nil {
		return err
	}
	s.say.good("the identity followed: revision 2 of that basket names household %s", id.HHID)
	return nil
}

func (s *story) caraShops() error {
	s.say.chapter(7, "Cara, of another family, keys in her telephone number at lane 2")
	id, closed, _, err := s.sell(2, []string{"042100005264"}, "key "+carasNo, "resolved")
	if err != nil {
		return err
	}
	if id.HHID == s.family {
		return fmt.Errorf("Cara is in household %s, which is Anna's and Ben's", id.HHID)
	}
	s.say.good("a household of her own: %s", id.HHID)
	return s.delivered(2, closed.Basket, 1)
}

// historyRow is what posmaind history --json tells of a basket.
type historyRow struct {
	ID         string `json:"id"`
	Lane       string `json:"lane"`
	HHID       string `json:"hhid"`
	DeIdentTID string `json:"deident_tid"`
}

func (s *story) theLog() error {
	s.say.chapter(8, "What the shop knows of this household")
	text, err := s.call("", "posmaind", "history", "--database", s.mainDatabase, "--household", s.family)
	if err != nil {
		return err
	}
	s.say.aside("posmaind history --household " + s.family)
	s.say.aside(text)
	rows, err := s.history("--household", s.family)
	if err != nil {
		return err
	}
	lanes, pseudonyms := map[string]bool{}, map[string]bool{}
	for _, r := range rows {
		lanes[r.Lane], pseudonyms[r.DeIdentTID] = true, true
	}
	if len(rows) != 3 || len(lanes) != 2 || len(pseudonyms) != 2 {
		return fmt.Errorf("the household has %d baskets on %d lanes with %d cards; the story has 3, 2 and 2", len(rows), len(lanes), len(pseudonyms))
	}
	s.say.good("3 baskets over time, 2 lanes, 2 cards, 1 household; no name, no card number")
	for p := range pseudonyms {
		one, err := s.history("--shopper", p)
		if err != nil {
			return err
		}
		if len(one) == 0 || slices.ContainsFunc(one, func(r historyRow) bool { return r.HHID != s.family }) {
			return fmt.Errorf("the history of shopper %s is %v", p, one)
		}
	}
	return nil
}

func (s *story) history(flag, value string) (rows []historyRow, err error) {
	out, err := s.call("", "posmaind", "history", "--database", s.mainDatabase, flag, value, "--json")
	if err != nil {
		return nil, err
	}
	return rows, json.Unmarshal([]byte(out), &rows)
}

func (s *story) theSearch() error {
	s.say.chapter(9, "Where are the card numbers?")
	files, bytes, found, err := search(s.dir, annasCard, bensCard, carasNo)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("a number was found in %s", strings.Join(found, ", "))
	}
	s.say.good("searched all %d files written (%d kB: databases, write-ahead logs, journals, logs) for the three numbers,", files, bytes/1024)
	s.say.line("  as text, UTF-16, packed decimal, hexadecimal and base64: none")
	return nil
}

// invite says what to try while everything is running.
func (s *story) invite() error {
	if err := s.lanes[1].takeCommands(s.world); err != nil {
		return err
	}
	config := s.lanes[1].config
	s.say.line("")
	s.say.line("It is still running. In another terminal, try:")
	for _, command := range []string{
		fmt.Sprintf("%s/posd monitor --config %s", s.bin, config),
		fmt.Sprintf("%s/posd devices --config %s", s.bin, config),
		fmt.Sprintf("echo 'scan 012345678905' > %s", s.lanes[1].fifo),
		fmt.Sprintf("echo 'swipe %s' > %s", annasCard, s.lanes[1].fifo),
		fmt.Sprintf("echo key-close > %s", s.lanes[1].fifo),
		fmt.Sprintf("%s/posd outbox --config %s", s.bin, config),
		fmt.Sprintf("%s/posmaind lanes --database %s", s.bin, s.mainDatabase),
		fmt.Sprintf("%s/centrald households list --database %s", s.bin, s.centralDatabase),
	} {
		s.say.aside(command)
	}
	s.say.line("Ctrl-C ends it and deletes everything.")
	return nil
}
