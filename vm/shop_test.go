package vm

import (
	"strings"
	"testing"

	"posd/lane"
)

// TestShop: the three programs under their own hardened units, set up as the units
// say, with a scanner, a card reader and a numeric pad. A sale ends as a basket with
// a household in the shop's log.
func TestShop(t *testing.T) {
	inGuest(t, func(g *guest) {
		g.sh("install -d -m 0700 /etc/centrald && centrald init --kek /etc/centrald/kek --host localhost --tenant acme")
		g.sh("systemctl start centrald-lookups.socket centrald-operations.socket centrald.service")
		g.sh("centrald tokens create --store 12 --role posmain | posmaind enroll --central https://localhost:8444")
		g.sh("systemctl start posmaind.socket posmaind.service")

		scanner, pad := g.hidpos("S1"), keyboardGear(readRecordings(t, "keyboard-keypad")["pad-phone"], "S3")
		swiped := readRecordings(t, "magtek-msr")["magtek"]
		reader := hidGear(swiped, "S2")
		config := "[posmain]\nurl = \"https://localhost:9443\"\n" +
			table("till", "scanner", scanner.id()) + table("reader", "msr", reader.id()) + table("pad", "keypad", pad.id())
		g.posd(config)
		g.sh("centrald tokens create --store 12 --lane 3 | setpriv --reuid=posd --regid=posd --init-groups posd enroll --central https://localhost:8444")
		p := g.posd(config)
		for n, d := range []*gear{scanner, reader, pad} {
			d.plug(t, n)
		}
		for _, name := range []string{"till", "reader", "pad"} {
			p.state(t, name, "reading")
		}
		scanner.reads(t, p, "till", upc, gotUPC, 1)
		reader.hid.Send(swiped.Entries[0].Data)
		card := p.event(t, "a household", func(e lane.Event) bool { return e.Type == lane.EventIdentity && !e.HHID.IsZero() })
		scanner.reads(t, p, "till", ean, gotEAN, 2)
		b, err := p.api.Close(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.event(t, "the receipt", func(e lane.Event) bool {
			return e.Type == lane.EventDelivery && e.Basket != nil && *e.Basket == b.ID && e.Code == "acknowledged"
		})
		history := g.sh("posmaind history --database /var/lib/posmaind/posmaind.db --household " + card.HHID.String())
		if !strings.Contains(history, b.ID.String()) || !strings.Contains(history, "00036000291452") {
			t.Errorf("the shop's log says\n%s", history)
		}
		for _, unit := range []string{"centrald", "posmaind", "posd"} {
			if n := g.sh("systemctl show -p NRestarts --value " + unit); n != "0" {
				t.Errorf("%s was started again %s times", unit, n)
			}
		}
	})
}
