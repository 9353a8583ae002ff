package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posd/basket"
	"posd/identity"
	"posd/posmain"
	"posd/posmain/server"
)

// concurrent lets eight lanes send at once, every basket twice.
func concurrent(t *testing.T, open Opener) {
	s := mustOpen(t, open)
	const lanes, each = 8, 20
	var wg sync.WaitGroup
	for n := range lanes {
		for i := range each {
			d := Deliver(t, Basket(uint64(i+1)))
			d.From.Lane = fmt.Sprint(n)
			for range 2 {
				wg.Go(func() {
					if _, err := s.Log(t.Context(), d); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	wg.Wait()
	all, err := s.Lanes(t.Context())
	if err != nil || len(all) != lanes {
		t.Fatalf("%d lanes, %v", len(all), err)
	}
	for _, l := range all {
		if i := l.Incarnations[0]; i.Baskets != each || i.Watermark != each || len(i.Gaps) != 0 {
			t.Errorf("lane %s: %+v", l.Lane.Lane, i)
		}
	}
	if got, _ := s.Alarms(t.Context(), 1); len(got) != 0 {
		t.Errorf("alarms: %+v", got)
	}
}

// anyOrder holds the log against a model: deliveries of a few baskets in any
// order, doubled, conflicting and over restarts.
func anyOrder(t *testing.T, open Opener) {
	s := open(t)
	defer func() { s.Close() }()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := newModel(t, run)
		rt.Repeat(map[string]func(*rapid.T){
			"deliver": func(rt *rapid.T) { m.deliver(rt, s) },
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "one in ten") > 0 {
					rt.Skip()
				}
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = open(t)
			},
			"": func(rt *rapid.T) { m.check(rt, s) },
		})
	})
}

// model is a log in the simplest form. Its baskets have the numbers 1 to 4, of
// which two share number 2, and revisions 1 to 3, each in two contents.
type model struct {
	t       testing.TB
	lane    server.Lane
	clock   time.Time
	baskets []basket.Basket
	logged  map[basket.ID]map[int]posmain.Receipt
	first   map[uint64]basket.ID // of each number
}

func newModel(t testing.TB, run int) *model {
	m := &model{t: t, lane: Lane1, clock: T0, logged: map[basket.ID]map[int]posmain.Receipt{}, first: map[uint64]basket.ID{}}
	m.lane.Lane = fmt.Sprintf("model-%d", run)
	for _, sequence := range []uint64{1, 2, 2, 3, 4} {
		m.baskets = append(m.baskets, Basket(sequence))
	}
	return m
}

func (m *model) deliver(rt *rapid.T, s server.Store) {
	b := m.baskets[rapid.IntRange(0, len(m.baskets)-1).Draw(rt, "basket")]
	revision := rapid.IntRange(1, 3).Draw(rt, "revision")
	for b.Revision < revision {
		b = Resolved(b, identity.HHID{byte(b.Revision)}, identity.MakeDeIdentTID(b.Revision, [16]byte{1}))
	}
	b.Operator = rapid.SampledFrom([]string{"anna", "anna", "anna", "bert"}).Draw(rt, "operator")
	d := Deliver(m.t, b)
	m.clock = m.clock.Add(time.Second)
	d.From, d.At = m.lane, m.clock
	got, err := s.Log(m.t.Context(), d)
	want, ok := m.log(d)
	if !ok {
		if !errors.Is(err, server.ErrRevisionConflict) {
			rt.Fatalf("revision %d with other content: %+v, %v", revision, got, err)
		}
		return
	}
	want.LogID = got.LogID
	if err != nil || got != want {
		rt.Fatalf("receipt %+v, %v, want %+v", got, err, want)
	}
}

// log gives the receipt that is due, or false for a conflict.
func (m *model) log(d server.Delivery) (posmain.Receipt, bool) {
	b := d.Basket
	if _, taken := m.first[b.Sequence]; !taken {
		m.first[b.Sequence] = b.ID
	}
	if m.logged[b.ID] == nil {
		m.logged[b.ID] = map[int]posmain.Receipt{}
	}
	r, known := m.logged[b.ID][b.Revision]
	digest := posmain.Digest(d.Body)
	if known && r.Digest != digest {
		return posmain.Receipt{}, false
	}
	if !known {
		r = posmain.Receipt{Basket: b.ID.String(), Revision: b.Revision, Digest: digest, LoggedAt: d.At}
		if m.first[b.Sequence] != b.ID {
			r.Alarm = posmain.AlarmSequenceFork
		}
		m.logged[b.ID][b.Revision] = r
	}
	r.Watermark = m.watermark()
	return r, true
}

func (m *model) watermark() (n uint64) {
	for {
		if _, ok := m.first[n+1]; !ok {
			return n
		}
		n++
	}
}

func (m *model) check(rt *rapid.T, s server.Store) {
	for _, b := range m.baskets {
		t, err := s.Trace(m.t.Context(), b.ID)
		want := m.logged[b.ID]
		if len(want) == 0 && errors.Is(err, server.ErrUnknown) {
			continue
		}
		if err != nil || len(t.Revisions) != len(want) || t.Lane != m.lane || t.Sequence != b.Sequence {
			rt.Fatalf("trace %+v, %v; want %d revisions", t, err, len(want))
		}
		highest := 0
		for _, r := range t.Revisions {
			highest = max(highest, r.Revision)
			due := want[r.Revision]
			due.LogID, due.Watermark = r.Receipt.LogID, m.watermark()
			if r.Receipt != due || !r.Intact() {
				rt.Fatalf("revision %+v, want %+v", r.Receipt, due)
			}
		}
		if t.Current != highest {
			rt.Fatalf("revision %d counts, the highest is %d", t.Current, highest)
		}
	}
}
