package lane

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"posd/basket"
	"posd/journal"
	"posd/scanner"
	"posd/tid"
)

func TestLabelsThatBecomeNoLineAreWiped(t *testing.T) {
	cfg := Config{Rules: tid.Rules{Issuer: "0001", Loyalty: []*regexp.Regexp{regexp.MustCompile("2900[0-9]{9}")}}}
	for name, c := range map[string]struct {
		label   string
		prepare func(*world)
	}{
		"taken as a loyalty number": {"2900000000018", func(*world) {}},
		"refused as a card number":  {"4111111111111111", func(*world) {}},
		"refused by the journal":    {"2900000000018", func(w *world) { w.journal.full.Store(true) }},
		"idle on a full disk": {"4111111111111111", func(w *world) {
			w.scan("A")
			w.journal.full.Store(true)
			time.Sleep(6 * time.Minute)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			atLane(t, cfg, func(t *testing.T, w *world) {
				c.prepare(w)
				s := scanner.Scan{Data: []byte(c.label), Label: c.label, Symbology: "Code128"}
				data := s.Data
				w.show(Frame{Scan: &s})
				if s.Label != "" || !bytes.Equal(data, make([]byte, len(data))) {
					t.Errorf("left are the label %q and the data %q", s.Label, data)
				}
			})
		})
	}
}

func TestFullQueueWipesWhatItRefuses(t *testing.T) {
	l, err := New(t.Context(), Config{}, Deps{Journal: journal.NewMemory(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for range frameQueue {
		l.Offer(Frame{})
	}
	s := scanner.Scan{Data: []byte("4111111111111111"), Label: "4111111111111111"}
	data := s.Data
	if l.Offer(Frame{Scan: &s}) || s.Label != "" || data[0] != 0 {
		t.Errorf("left are the label %q and the data %q", s.Label, data)
	}
}

func TestRefusedSwipeOpensNoBasket(t *testing.T) {
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
		if w.swipe("00000001") {
			t.Error("a lane that is not enrolled took a card")
		}
		if b, ok, err := l.Current(ctx); ok || err != nil {
			t.Errorf("it opened %+v, %v", b, err)
		}
		stop()
		<-done
	})
}

// A customer's close key and the next one's first scan are on their way when the
// POS program closes: the scan was read before that close and belongs to it.
func TestCloseTakesWhatAnotherCloseHeldBack(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.scan("A")
		time.Sleep(time.Second)
		began := w.clock.Now()
		type result struct {
			b   basket.Basket
			err error
		}
		done := make(chan result)
		go func() {
			b, err := w.lane.Close(context.Background())
			done <- result{b, err}
		}()
		synctest.Wait()
		w.lane.Offer(Frame{Device: "keypad", At: began.Add(-10 * time.Millisecond), Key: KeyClose})
		w.lane.Offer(Frame{Device: "scanner", At: began.Add(-5 * time.Millisecond), Scan: &scanner.Scan{Data: []byte("B"), Label: "B"}})
		got := <-done
		if got.err != nil || len(got.b.Lines) != 1 || got.b.Lines[0].UPC != "B" || got.b.Sequence != 2 {
			t.Errorf("the program's close gave %+v, %v", got.b, got.err)
		}
	})
}

func TestJournalErrorIsToldAsLongAsItLasts(t *testing.T) {
	atLane(t, Config{}, func(t *testing.T, w *world) {
		w.journal.full.Store(true)
		if _, err := w.lane.Start(t.Context(), Header{}); !errors.Is(err, errFull) {
			t.Fatalf("start on a full disk gave %v", err)
		}
		if s, _ := w.lane.Status(t.Context()); s.JournalError == "" {
			t.Error("the status does not tell of the full disk")
		}
		w.journal.full.Store(false)
		if _, err := w.lane.Start(t.Context(), Header{}); err != nil {
			t.Fatal(err)
		}
		if s, _ := w.lane.Status(t.Context()); s.JournalError != "" {
			t.Errorf("the status still tells: %s", s.JournalError)
		}
	})
}
