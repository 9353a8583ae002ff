package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/lane"
	"posd/lane/api"
	"posd/sim"
)

// Published test numbers.
const (
	anna   = "4111111111111111"
	ben    = "5555555555554444"
	cara   = "378282246310005"
	club   = "2900123456789"
	phone  = "2125550123"
	phone1 = "12125550123" // E.164
)

// TestClaim goes through claim 1 with real processes: UPCs are scanned and a
// card is swiped at a lane, central tells household and pseudonym during the
// transaction, the shop's log holds the tagged basket, and the household's
// baskets can be put together. No file holds a card number.
func TestClaim(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	one, two := s.openTill(1, true), s.openTill(2, true)

	one.scan("036000291452")
	first := one.resolved("swipe " + anna)
	if open, _, err := one.client.Basket(t.Context()); err != nil || open.State != identity.Resolved || open.HHID != first.HHID || open.Outcome != basket.Open {
		t.Errorf("the open basket is not tagged: %+v, %v", open, err)
	}
	one.scan("4006381333931")
	bought := one.close()
	one.logged(bought, 1)

	two.scan("9780201379624")
	again := two.resolved("swipe " + anna)
	other := two.resolved("swipe " + club)
	if again.HHID != first.HHID || other.HHID == first.HHID {
		t.Errorf("households: %s, then %s, another card's %s", first.HHID, again.HHID, other.HHID)
	}
	later := two.close()
	two.logged(later, 1)
	if later.HHID != other.HHID || len(later.Identities) != 2 {
		t.Errorf("the loyalty card does not go before the payment card: %+v", later)
	}

	keyed := two.resolved("key " + phone)
	two.scan("036000291452")
	third := two.close()
	two.logged(third, 1)

	log := s.exported()
	if got := log[bought.ID]; got.HHID != first.HHID || got.DeIdentTID == "" || len(got.Lines) != 2 || got.Lines[0].GTIN != "00036000291452" || got.Sequence != 1 {
		t.Errorf("logged %+v", got)
	}
	if log[later.ID].Identities[0].DeIdentTID != log[bought.ID].DeIdentTID {
		t.Error("one card has two pseudonyms")
	}
	if log[third.ID].HHID != keyed.HHID || log[third.ID].Identities[0].Kind != identity.Phone {
		t.Errorf("logged %+v", log[third.ID])
	}
	trace := s.call("", "posd", "trace", bought.ID.String(), "--config", one.config)
	for _, step := range []string{"number 1", "household " + first.HHID.String(), "line-committed", "sealed", "answered", "acknowledged"} {
		if !strings.Contains(trace, step) {
			t.Errorf("the trace does not tell of %q:\n%s", step, trace)
		}
	}
	if status := s.call("", "posd", "status", "--config", one.config); !strings.Contains(status, "Nothing needs to be looked at.") {
		t.Errorf("status:\n%s", status)
	}
	history := s.call("", "posmaind", "history", "--household", first.HHID.String(), "--database", s.path("posmain", "posmaind.db"))
	if !strings.Contains(history, bought.ID.String()) || strings.Contains(history, third.ID.String()) {
		t.Errorf("the household's history:\n%s", history)
	}
	s.searchFor(anna, club, phone1, phone)
}

// TestRestart ends posd in mid-basket, in good order and by a crash: the basket,
// its lines and identities are there again.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, true)
	l.scan("036000291452", "4006381333931")
	who := l.resolved("swipe " + anna)
	before, _, err := l.client.Basket(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if took := l.posd.stop(); took > time.Second {
		t.Errorf("SIGTERM took %s", took)
	}
	l.run()
	l.scan("9780201379624")
	l.posd.crash()
	l.run()
	after, open, err := l.client.Basket(t.Context())
	if err != nil || !open || after.ID != before.ID || len(after.Lines) != 3 || after.HHID != who.HHID || len(after.Identities) != 1 {
		t.Errorf("after the restarts: open %v, %+v, %v", open, after, err)
	}
	closed := l.close()
	l.logged(closed, 1)
	if got := s.exported()[closed.ID]; len(got.Lines) != 3 || got.HHID != who.HHID {
		t.Errorf("logged %+v", got)
	}
}

// TestAcknowledgedScansSurvive crashes posd while labels are scanned as fast as
// they come: every scan that was acknowledged to the scanner is in the basket,
// once and in order.
func TestAcknowledgedScansSurvive(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, false)
	go func() {
		for e := range l.events {
			if e.Type == lane.EventScan && e.Line.Number == 20 {
				l.posd.cmd.Process.Signal(syscall.SIGKILL)
				return
			}
		}
	}()
	sent := 0
	for range 400 {
		select {
		case <-l.posd.exited:
		default:
			l.do(fmt.Sprintf("scan %06d", 100000+sent))
			sent++
		}
	}
	<-l.posd.exited
	acknowledged := strings.Count(string(l.sim.Received(sim.Scanner)), "\x06")
	l.run()
	b, _, err := l.client.Basket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Lines) < acknowledged || acknowledged < 10 {
		t.Errorf("%d scans were acknowledged, %d are in the basket", acknowledged, len(b.Lines))
	}
	for i, line := range b.Lines[:min(acknowledged, len(b.Lines))] {
		if want := fmt.Sprintf("%06d", 100000+i); line.UPC != want {
			t.Fatalf("line %d is %s, want %s", i+1, line.UPC, want)
		}
	}
}

// TestCentralAway cuts central's power: the sale goes on, the basket is logged as
// pending, and revision 2 brings the identity when central is back, also after
// the lane was restarted.
func TestCentralAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, true)
	known := l.resolved("swipe " + anna)
	l.scan("036000291452")
	l.logged(l.close(), 1)

	s.central.crash()
	l.scan("036000291452")
	l.do("swipe " + anna)
	l.await(lane.EventSwipe, func(e lane.Event) bool { return e.Last4 == "1111" })
	l.scan("4006381333931")
	pending := l.close()
	l.logged(pending, 1)
	if pending.State != identity.Pending || s.exported()[pending.ID].State != identity.Pending {
		t.Errorf("state %s", pending.State)
	}
	s.searchFor(anna)
	l.posd.stop()
	l.run()
	s.startCentral()
	l.logged(pending, 2)
	if got := s.exported()[pending.ID]; got.Revision != 2 || got.HHID != known.HHID || len(got.Lines) != 2 {
		t.Errorf("logged %+v", got)
	}
	until(t, "nothing is pending", func() bool {
		st, err := l.client.Status(t.Context())
		return err == nil && st.Lane.Pending == 0 && st.Lane.Queued == 0
	})
	s.searchFor(anna)
}

// TestMainAway stops the POS main computer: baskets wait, and follow in any
// order that keeps every number.
func TestMainAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, true)
	s.posmain.stop()
	var closed []basket.Basket
	for range 3 {
		l.scan("036000291452")
		l.resolved("swipe " + ben)
		closed = append(closed, l.close())
	}
	if out, err := l.client.Outbox(t.Context()); err != nil || out.Queued != 3 {
		t.Errorf("outbox %+v, %v", out, err)
	}
	if took := l.posd.stop(); took > time.Second {
		t.Errorf("SIGTERM took %s", took)
	}
	l.run()
	s.startMain()
	until(t, "all are sent", func() bool {
		out, err := l.client.Outbox(t.Context())
		return err == nil && out.Queued == 0 && out.Watermark == 3
	})
	log := s.exported()
	for _, b := range closed {
		if got := log[b.ID]; got.Sequence != b.Sequence || got.HHID.IsZero() {
			t.Errorf("logged %+v", got)
		}
	}
}

// TestNotEnrolled sells without a certificate: scans are kept, cards are refused
// in words, and enrolment with a restart mends it.
func TestNotEnrolled(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, false)
	l.scan("036000291452")
	l.do("swipe " + cara)
	if e := l.await(lane.EventRefused, nil); e.Code != "not-enrolled" || !strings.Contains(e.Reason, "posd enroll") {
		t.Errorf("refused %+v", e)
	}
	st, err := l.client.Status(t.Context())
	if err != nil || st.OK || st.Enrolment.Enrolled || !slices.ContainsFunc(st.Problems, func(p string) bool { return strings.Contains(p, "posd enroll") }) {
		t.Errorf("status %+v, %v", st, err)
	}
	s.enroll([]string{"--lane", "1"}, "posd", "--config", l.config)
	if _, err := os.Stat(s.path("lane1", manifestName)); err != nil {
		t.Errorf("enrolment does not bring central's keys: %v", err)
	}
	l.posd.stop()
	l.run()
	l.resolved("swipe " + cara)
	b := l.close()
	l.logged(b, 1)
	if b.State != identity.Resolved || len(b.Lines) != 1 {
		t.Errorf("closed %+v", b)
	}
	until(t, "nothing is to be looked at", func() bool {
		st, err := l.client.Status(t.Context())
		return err == nil && st.OK
	})
}

// TestMonitor follows a lane with the command.
func TestMonitor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, true)
	monitor := s.start("posd", "monitor", "--config", l.config)
	machine := s.start("posd", "monitor", "--json", "--config", l.config)
	until(t, "the monitors tell of a key", func() bool {
		l.do("key-clear")
		return strings.Contains(monitor.out.String(), "clear") && strings.Contains(machine.out.String(), `"code":"clear"`)
	})
	l.scan("036000291452")
	l.resolved("swipe " + anna)
	until(t, "the monitors tell of the household", func() bool {
		return strings.Contains(monitor.out.String(), "household hh:") && strings.Contains(machine.out.String(), `"hhid":"hh:`)
	})
	monitor.stop()
	for _, want := range []string{"036000291452  GTIN 00036000291452", "payment number ending in 1111", "basket-opened", "resolved"} {
		if !strings.Contains(monitor.out.String(), want) {
			t.Errorf("the monitor does not tell %q:\n%s", want, monitor.out.String())
		}
	}
	l.posd.stop()
	<-machine.exited
	if machine.err == nil || !strings.Contains(machine.log.String(), "posd stops") {
		t.Errorf("the monitor of a posd that stops: %v %s", machine.err, machine.log)
	}
	for _, text := range []string{monitor.out.String(), machine.out.String()} {
		if strings.Contains(text, anna[:12]) || strings.Contains(text, anna[:6]) {
			t.Errorf("a monitor tells the number:\n%s", text)
		}
	}
}

// TestGuarded looks whether the running daemon can leave its memory behind.
func TestGuarded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, false)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", l.posd.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("core dumps are not forbidden:\n%s", limits)
	}
}

// TestDevicesComeAndGo pulls the scanner's cable, with half a label sent, and
// puts it back.
func TestDevicesComeAndGo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	l := s.openTill(1, false)
	state := func(want bool) {
		t.Helper()
		until(t, fmt.Sprint("the scanner is read: ", want), func() bool {
			devices, err := l.client.Devices(t.Context())
			return err == nil && (devices[0].State == api.Reading) == want
		})
	}
	l.scan("036000291452")
	l.do("send scanner 30 33 36", "unplug scanner")
	state(false)
	l.do("plug scanner")
	state(true)
	l.scan("4006381333931")
	l.do("key-close")
	closed := l.await(lane.EventClosed, nil)
	trace, err := l.client.Trace(t.Context(), *closed.Basket)
	if err != nil || len(trace.Basket.Lines) != 2 || trace.Basket.Outcome != basket.Closed {
		t.Errorf("closed %+v, %v", trace.Basket, err)
	}
}
