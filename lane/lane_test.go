package lane

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posd/basket"
	"posd/central"
	"posd/enctid"
	"posd/identity"
	"posd/journal"
	"posd/msr"
	"posd/scanner"
	"posd/tid"
)

// atLane runs f in a bubble with a lane that runs.
func atLane(t *testing.T, cfg Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(journal.NewMemory(DefaultPriority()), cfg)
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		defer w.halt()
		f(t, w)
	})
}

func openBasket(t *testing.T, w *world) basket.Basket {
	t.Helper()
	b, ok, err := w.lane.Current(t.Context())
	if err != nil || !ok {
		t.Fatalf("no basket is open: %v, %v", ok, err)
	}
	return b
}

func closeBasket(t *testing.T, w *world) basket.Basket {
	t.Helper()
	b, err := w.lane.Close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.settled()
	return b
}

// events gives what the lane has told since it was subscribed to.
func events(ch <-chan Event) (all []Event) {
	synctest.Wait()
	for {
		select {
		case e := <-ch:
			all = append(all, e)
		default:
			return all
		}
	}
}

func find(all []Event, typ string) (Event, bool) {
	i := slices.IndexFunc(all, func(e Event) bool { return e.Type == typ })
	if i < 0 {
		return Event{}, false
	}
	return all[i], true
}

func TestBasketIsTaggedDuringTheTransaction(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.scan("A")
		w.swipe("00000001")
		w.scan("B")
		hhid, deident := idsOf("000100000001")
		if b := openBasket(t, w); b.State != identity.Resolved || b.HHID != hhid || b.DeIdentTID != deident || len(b.Lines) != 2 {
			t.Errorf("the open basket is %+v", b)
		}
		b := closeBasket(t, w)
		got, err := w.main.latest()
		if err != nil || got[1].Revision != 1 || got[1].HHID != hhid || got[1].ID != b.ID {
			t.Errorf("the POS main computer has %+v, %v", got, err)
		}
	})
}

func TestLateAnswerMakesRevision2(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		ch, cancel := w.lane.Subscribe()
		defer cancel()
		w.central.set(func() { w.central.slow = 3 * time.Second })
		w.scan("A")
		w.swipe("00000001")
		time.Sleep(time.Second)
		if e, ok := find(events(ch), EventIdentity); !ok || e.State != identity.Pending {
			t.Errorf("after 800 ms the event was %+v", e)
		}
		if w.sealer.rotated != 1 {
			t.Errorf("the epoch was given up %d times when an EncTID went pending, want once", w.sealer.rotated)
		}
		if b := closeBasket(t, w); b.State != identity.Pending {
			t.Errorf("closed as %s", b.State)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		got, err := w.main.latest()
		if hhid, _ := idsOf("000100000001"); err != nil || got[1].Revision != 2 || got[1].HHID != hhid || len(got[1].Lines) != 1 {
			t.Errorf("the POS main computer has %+v, %v", got[1], err)
		}
	})
}

func TestPriorityOfKindsPicksTheHousehold(t *testing.T) {
	atLane(t, Config{Priority: []identity.Kind{identity.Payment, identity.Loyalty}}, func(t *testing.T, w *world) {
		pay, err := tid.NewPayment([]byte("4111111111111111"))
		if err != nil {
			t.Fatal(err)
		}
		w.scan("A")
		w.show(Frame{Swipe: &msr.Swipe{Source: "card", TID: pay}})
		w.swipe("00000001")
		hhid, _ := idsOf("4111111111111111")
		if b := openBasket(t, w); b.HHID != hhid || len(b.Identities) != 2 || b.Identities[0].HHID == b.Identities[1].HHID {
			t.Errorf("the basket is %v of %+v", b.HHID, b.Identities)
		}
	})
}

func TestTIDIsWipedWhateverHappens(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"kept":         func(*world) {},
		"disk full":    func(w *world) { w.journal.full.Store(true) },
		"no key":       func(w *world) { w.sealer.noKey = true },
		"after close":  func(w *world) { w.scan("A"); w.show(Frame{Key: KeyClose}) },
		"in training":  func(w *world) { w.lane.Start(context.Background(), Header{Kind: basket.Training}) },
		"idle on full": func(w *world) { w.scan("A"); w.journal.full.Store(true); time.Sleep(6 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			atLane(t, Config{}, func(t *testing.T, w *world) {
				prepare(w)
				id, _ := tid.NewLoyalty("0001", []byte("12345678"))
				w.show(Frame{Swipe: &msr.Swipe{Source: "card", TID: id}})
				id.Use(func(digits []byte) {
					if len(digits) != 0 {
						t.Error("the digits are still there")
					}
				})
			})
		})
	}
}

func TestSwipeAfterClose(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		ch, cancel := w.lane.Subscribe()
		defer cancel()
		w.scan("A")
		closeBasket(t, w)
		if w.swipe("00000001") {
			t.Error("a swipe right after the close was taken")
		}
		w.scan("B") // the next customer is quick, the last one's card still moving
		if w.swipe("00000001") {
			t.Error("the last customer's swipe was taken for the next one")
		}
		closeBasket(t, w)
		if e, ok := find(events(ch), EventRefused); !ok || e.Code != "after-close" {
			t.Errorf("the refusal was shown as %+v", e)
		}
		if _, err := w.lane.Start(t.Context(), Header{}); err != nil {
			t.Fatal(err)
		}
		if !w.swipe("00000001") {
			t.Error("after start the swipe is the next customer's")
		}
	})
}

func TestOnlyBordersWait(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.scan("A")
		began := time.Now()
		openBasket(t, w)
		w.lane.AddLine(t.Context(), "036000291452", 1)
		w.lane.VoidLine(t.Context(), 1)
		if took := time.Since(began); took != 0 {
			t.Errorf("a look, a line and a void waited %s", took)
		}
	})
}

func TestCloseTakesTheFramesReadBeforeIt(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.scan("A")
		began := w.clock.Now()
		done := make(chan basket.Basket)
		go func() {
			b, _ := w.lane.Close(context.Background())
			done <- b
		}()
		time.Sleep(10 * time.Millisecond) // the close waits for stragglers
		straggler := func(label string, at time.Time) {
			w.lane.Offer(Frame{Device: "test", At: at, Scan: &scanner.Scan{Data: []byte(label), Label: label, Kind: scanner.Item}})
		}
		straggler("late for the next", began.Add(5*time.Millisecond))
		straggler("B", began)
		if b := <-done; len(b.Lines) != 2 || b.Lines[1].UPC != "B" {
			t.Errorf("the closed basket holds %+v", b.Lines)
		}
		synctest.Wait()
		if b := openBasket(t, w); len(b.Lines) != 1 || b.Lines[0].UPC != "late for the next" {
			t.Errorf("the next basket holds %+v", b.Lines)
		}
	})
}

func TestStopCommitsWhatWasHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(journal.NewMemory(nil), Config{})
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		kept := 0
		for range 100 {
			w.lane.Offer(Frame{At: w.clock.Now(), Scan: &scanner.Scan{Label: "A", Data: []byte("A")}, Ack: func(k bool) {
				if k {
					kept++
				}
			}})
		}
		w.halt()
		if r, ok, _ := w.journal.Resume(t.Context()); !ok || len(r.Basket.Lines) != 100 || kept != 100 {
			t.Errorf("%d lines are kept, %d were acknowledged, of 100", len(r.Basket.Lines), kept)
		}
		if _, err := w.lane.Close(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("a call on a stopped lane gives %v", err)
		}
	})
}

func TestFullQueueRefusesAndCounts(t *testing.T) {
	w := newWorld(journal.NewMemory(nil), Config{})
	l, err := New(t.Context(), Config{}, Deps{Journal: w.journal})
	if err != nil {
		t.Fatal(err)
	}
	for range frameQueue {
		if !l.Offer(Frame{}) {
			t.Fatal("refused with room in the queue")
		}
	}
	if l.Offer(Frame{}) || l.counts.all()["overflow"] != 1 {
		t.Error("a full queue took a frame, or did not count it")
	}
}

func TestHoldForEndsAPendingIdentity(t *testing.T) {
	atLane(t, Config{HoldFor: 2 * time.Hour}, func(t *testing.T, w *world) {
		w.central.set(func() { w.central.away = true })
		w.scan("A")
		w.swipe("00000001")
		closeBasket(t, w)
		w.clock.jump.Store(int64(30 * 24 * time.Hour)) // the wall clock does not decide
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, _ := w.main.latest(); got[1].State != identity.Pending {
			t.Fatalf("after an hour the basket is %s", got[1].State)
		}
		time.Sleep(61 * time.Minute)
		w.central.set(func() { w.central.away = false })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		got, err := w.main.latest()
		if err != nil || got[1].State != identity.Unresolved || got[1].Revision != 2 {
			t.Errorf("after two hours the basket is %s, revision %d, %v", got[1].State, got[1].Revision, err)
		}
	})
}

func TestRefusedEncTIDIsFinalAndHoldsUpNobody(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.central.set(func() { w.central.refuse = central.ProblemEncTIDRejected })
		w.scan("A")
		w.swipe("00000001")
		if b := openBasket(t, w); b.State != identity.Unresolved {
			t.Errorf("the identity is %s", b.State)
		}
		w.central.set(func() { w.central.refuse = "" })
		w.swipe("00000002")
		if b := openBasket(t, w); b.State != identity.Resolved {
			t.Errorf("the next identity is %s", b.State)
		}
	})
}

func TestRefusedBasketIsSetAside(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.main.set(func() { w.main.refuse = true })
		w.scan("A")
		closeBasket(t, w)
		w.main.set(func() { w.main.refuse = false })
		w.scan("B")
		closeBasket(t, w)
		out, err := w.lane.Outbox(t.Context())
		if err != nil || out.Refused != 1 || out.Queued != 0 || out.Acknowledged != 1 {
			t.Errorf("the outbox is %+v, %v", out, err)
		}
	})
}

func TestAnswersComeSoonAfterCentralIsBack(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.central.set(func() { w.central.away = true })
		w.scan("A")
		w.swipe("00000001")
		time.Sleep(40 * time.Minute) // the back-off is at its longest
		w.central.set(func() { w.central.away = false })
		w.scan("B")
		w.swipe("00000002") // goes at once, and tells that central is back
		got, err := w.main.latest()
		if err != nil || got[1].State != identity.Resolved {
			t.Errorf("the old basket is %s still, %v", got[1].State, err)
		}
		asked := w.central.asked.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.central.asked.Load() != asked {
			t.Error("central is asked with nothing to ask for")
		}
	})
}

func TestBackOff(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.central.set(func() { w.central.away = true })
		w.scan("A")
		w.swipe("00000001")
		time.Sleep(time.Hour)
		if n := w.central.asked.Load(); n < 50 || n > 150 {
			t.Errorf("central was asked %d times in an hour's outage, want one or two a minute", n)
		}
	})
}

func TestOpenByPOS(t *testing.T) {
	atLane(t, Config{OpenByPOS: true}, func(t *testing.T, w *world) {
		if w.scan("A") || w.swipe("00000001") {
			t.Error("something was taken without a basket")
		}
		if _, err := w.lane.Start(t.Context(), Header{Transaction: "T-1", BusinessDate: "2026-11-23", Operator: "anna"}); err != nil {
			t.Fatal(err)
		}
		if !w.scan("A") {
			t.Error("a scan was refused with a basket open")
		}
		if _, err := w.lane.Start(t.Context(), Header{}); !errors.Is(err, basket.ErrOpen) {
			t.Errorf("a second start gave %v", err)
		}
		if b := closeBasket(t, w); b.Transaction != "T-1" || b.Operator != "anna" {
			t.Errorf("the basket is %+v", b)
		}
	})
}

func TestReturnCountsBackwards(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.lane.Start(t.Context(), Header{Kind: basket.Return})
		w.scan("A")
		b, err := w.lane.AddLine(t.Context(), "036000291452", 3)
		if err != nil || b.Lines[0].Quantity != -1 || b.Lines[1].Quantity != 3 || b.Lines[1].GTIN != "00036000291452" {
			t.Errorf("the lines are %+v, %v", b.Lines, err)
		}
	})
}

func TestStartRefusesBadHeaders(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		for _, h := range []Header{{Kind: "gift"}, {BusinessDate: "today"}, {Operator: "a\nb"}} {
			var r *RefusedError
			if _, err := w.lane.Start(t.Context(), h); !errors.As(err, &r) {
				t.Errorf("%+v gave %v", h, err)
			}
		}
		if _, ok, _ := w.lane.Current(t.Context()); ok {
			t.Error("a basket was opened")
		}
	})
}

func TestRoutes(t *testing.T) {
	cfg := Config{CloseLabels: []string{"CLOSE-1"}, Rules: tid.Rules{Country: "US", Issuer: "0001", Loyalty: []*regexp.Regexp{regexp.MustCompile("2900[0-9]{9}")}}}
	atLane(t, cfg, func(t *testing.T, w *world) {
		scan := func(s scanner.Scan) bool { s.Data = []byte(s.Label); return w.show(Frame{Scan: &s}) }
		if !scan(scanner.Scan{Label: "2900000000018", Symbology: "EAN13"}) {
			t.Error("a loyalty label was refused")
		}
		if b := openBasket(t, w); len(b.Lines) != 0 || len(b.Identities) != 1 || b.Identities[0].Kind != identity.Loyalty {
			t.Errorf("a loyalty label made %+v, %+v", b.Lines, b.Identities)
		}
		for _, label := range []string{"4111111111111111", "4111 1111 1111 1111", "@\n\x1e\rANSI 636000", ""} {
			if scan(scanner.Scan{Label: label, Symbology: "PDF417"}) {
				t.Errorf("%q was taken", label)
			}
		}
		gsrn := scanner.Decode([]byte("]C18018400000000000000006"), scanner.Options{})
		if gsrn.Elements() == nil || w.show(Frame{Scan: &gsrn}) {
			t.Errorf("the service relation number %+v was taken", gsrn)
		}
		scan(scanner.Scan{Label: "99123", Symbology: "EAN13", Kind: scanner.Coupon})
		if b := openBasket(t, w); len(b.Lines) != 1 || b.Lines[0].Kind != basket.Coupon {
			t.Errorf("a coupon made %+v", b.Lines)
		}
		if !scan(scanner.Scan{Label: "CLOSE-1", Symbology: "Code128"}) {
			t.Error("the close label was refused")
		}
		if _, ok, _ := w.lane.Current(t.Context()); ok {
			t.Error("the close label did not close")
		}
		if _, err := w.lane.AddLine(t.Context(), "4111111111111111", 1); err == nil || strings.Contains(err.Error(), "4111") {
			t.Errorf("keying in a card number gave %v", err)
		}
	})
}

func TestBadLabelIsKeptWithItsProblem(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		s := scanner.Decode([]byte("036000291453"), scanner.Options{})
		if s.Problem == nil || !w.show(Frame{Scan: &s}) {
			t.Fatalf("%+v was not kept", s)
		}
		if l := openBasket(t, w).Lines[0]; l.Problem != s.Problem.Code || l.GTIN != "" {
			t.Errorf("the line is %+v", l)
		}
	})
}

func TestUnenrolledLaneSells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(journal.NewMemory(nil), Config{})
		ctx, stop := context.WithCancel(t.Context())
		l, err := New(ctx, Config{}, Deps{Journal: w.journal, Clock: w.clock})
		if err != nil {
			t.Fatal(err)
		}
		w.lane = l
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		if !w.scan("A") || w.swipe("00000001") {
			t.Error("want the scan taken and the swipe refused")
		}
		s, err := l.Status(ctx)
		if err != nil || s.Counts["refused-not-enrolled"] != 1 || s.Central.State != "off" || s.Basket == nil {
			t.Errorf("the status is %+v, %v", s, err)
		}
		stop()
		<-done
	})
}

func TestUnknownEpochBringsEnc(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		c := &epochCentral{testCentral: w.central}
		w.lane.deps.Central = c
		w.lane.deps.Sealer = realSealer{w.sealer}
		w.scan("A")
		w.swipe("00000001")
		if b := openBasket(t, w); b.State != identity.Resolved || c.plain != 1 || c.withEnc != 1 {
			t.Errorf("the identity is %s after %d requests without enc and %d with it", b.State, c.plain, c.withEnc)
		}
	})
}

// realSealer gives EncTIDs of the real wire form, so that enc can be inserted.
type realSealer struct{ *testSealer }

func (s realSealer) Seal(t tid.TID, c enctid.Context) (enctid.Sealed, error) {
	key, err := newTestKey()
	if err != nil {
		return enctid.Sealed{}, err
	}
	e, err := enctid.NewEpoch(key, enctid.Binding{Tenant: "t", Lane: "1/1"})
	if err != nil {
		return enctid.Sealed{}, err
	}
	wire, err := e.Seal(t, c)
	return enctid.Sealed{EncTID: wire, Epoch: e.ID(), Key: e.Key(), Enc: e.Enc()}, err
}

func newTestKey() (enctid.PublicKey, error) {
	kem, _, _ := enctid.Suite()
	private, err := kem.GenerateKey()
	if err != nil {
		return enctid.PublicKey{}, err
	}
	return enctid.PublicKey{ID: 1, Key: private.PublicKey().Bytes()}, nil
}

// epochCentral knows no epoch until it is told.
type epochCentral struct {
	*testCentral
	plain, withEnc int
	known          map[enctid.EpochID]bool
}

func (c *epochCentral) ResolveBatch(ctx context.Context, all []central.Request) ([]central.Result, error) {
	return batchOf(ctx, c, all, false)
}

func (c *epochCentral) Resolve(_ context.Context, r central.Request) (central.Answer, error) {
	m, err := enctid.Parse(r.EncTID)
	if err != nil {
		return central.Answer{}, err
	}
	switch {
	case len(m.Enc) > 0:
		c.withEnc++
		if c.known != nil {
			c.known[m.Epoch] = true
		}
	case !c.known[m.Epoch]:
		c.plain++
		return central.Answer{}, &central.Problem{Type: central.ProblemUnknownEpoch, Status: 409}
	}
	hhid, deident := idsOf("000100000001")
	return central.Answer{Basket: r.Basket, Swipe: r.Swipe, State: identity.Resolved, HHID: hhid, DeIdentTID: deident}, nil
}

func TestSlowSubscriberIsCutOff(t *testing.T) {
	var h hub
	slow, cancel := h.Subscribe()
	defer cancel()
	for range subscriberQueue + 1 {
		h.publish(Event{})
	}
	n := 0
	for range slow {
		n++
	}
	if n != subscriberQueue {
		t.Errorf("%d events came before the end, want %d", n, subscriberQueue)
	}
	cancel() // a second time does no harm
}

func TestTicksCountAcrossRestartsNotOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &testClock{start: time.Now(), bootID: "one"}
		time.Sleep(time.Hour)
		first := newTicker(c, basket.Clock{})
		if got := first.now(); got != 0 {
			t.Errorf("a new journal begins at %v", got)
		}
		time.Sleep(time.Minute)
		kept := first.snapshot()
		time.Sleep(time.Minute) // the program is down, the machine is not
		if got := newTicker(c, kept).now(); got != 2*time.Minute {
			t.Errorf("after a restart: %v", got)
		}
		c.reboot()
		time.Sleep(time.Second)
		if got := newTicker(c, kept).now(); got != time.Minute+time.Second {
			t.Errorf("after a reboot: %v", got)
		}
	})
}
