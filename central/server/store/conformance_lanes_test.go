package store

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"posd/enroll"
)

func testQuarantine(t *testing.T, open func() Store) {
	s := open()
	if err := s.Quarantine(t.Context(), act(start), lane1, true); !errors.Is(err, ErrNoMachine) {
		t.Errorf("a lane that never was there: %v", err)
	}
	token1(t, s, lane1, 1)
	token1(t, s, lane2, 2)
	if err := s.Quarantine(t.Context(), act(start), lane1, false); !errors.Is(err, ErrNotQuarantined) {
		t.Errorf("released without: %v", err)
	}
	must(t, s.Quarantine(t.Context(), act(start), lane1, true))
	must(t, s.Quarantine(t.Context(), act(start), lane2, true))
	if err := s.Quarantine(t.Context(), act(start), lane1, true); !errors.Is(err, ErrQuarantined) {
		t.Errorf("twice: %v", err)
	}
	all, err := open().Quarantines(t.Context(), 0, 10)
	must(t, err)
	if len(all) != 2 || all[0].Machine != lane1 || !all[0].On || all[1].Machine != lane2 || all[1].Change <= all[0].Change {
		t.Fatalf("quarantines %+v", all)
	}
	must(t, s.Quarantine(t.Context(), act(start), lane1, false))
	later, err := s.Quarantines(t.Context(), all[1].Change, 10)
	must(t, err)
	if len(later) != 1 || later[0].Machine != lane1 || later[0].On {
		t.Errorf("afterwards %+v", later)
	}
	if one, err := s.Quarantines(t.Context(), 0, 1); err != nil || len(one) != 1 || one[0].Machine != lane2 {
		t.Errorf("the first: %+v, %v", one, err)
	}
	machines, err := s.Machines(t.Context(), start)
	must(t, err)
	for _, m := range machines {
		if m.Quarantined != (m.Name() == lane2) {
			t.Errorf("%s: quarantined %v", m.Name(), m.Quarantined)
		}
	}
	records, err := s.Audit(t.Context(), 0, 100)
	if must(t, err); len(records) != 6 { // init, two tokens, three that were done
		t.Errorf("%d records", len(records))
	}
}

func testActivity(t *testing.T, open func() Store) {
	s := open()
	token1(t, s, lane1, 1)
	token1(t, s, lane2, 2)
	nobody := enroll.Name{Tenant: "acme", Shop: "0", Role: enroll.Lane, Lane: "0"}
	now := start
	one := Activity{Machine: lane1, Seen: start, Software: "1.0", Epoch: []byte{1, 2}, EpochSince: start, BehindMS: -5, Lookups: 60, Unknown: 2, Failed: 1}
	for range 30 { // one lookup a second
		now = now.Add(time.Minute)
		one.Seen = now
		must(t, s.NoteActivity(t.Context(), now, time.Minute, []Activity{one, {Machine: nobody, Lookups: 1}}))
	}
	older := one // another central, which saw the lane before
	older.Seen, older.Software, older.Lookups = start, "0.9", 1
	must(t, s.NoteActivity(t.Context(), now, time.Minute, []Activity{older}))
	got := activityOf(t, open(), now, lane1)
	if got.Lookups != 30*60+1 || got.Unknown != 31*2 || got.Failed != 31 || got.Software != "1.0" || !got.Seen.Equal(now) ||
		!slices.Equal(got.Epoch, one.Epoch) || !got.EpochSince.Equal(start) || got.BehindMS != -5 {
		t.Errorf("activity %+v", got)
	}
	// The means are of the last minute, and of the last hour of which half an hour was seen.
	if math.Abs(got.PerMinute-61) > 1 || got.PerHour < 1300 || got.PerHour > 1500 {
		t.Errorf("%v a minute, %v an hour", got.PerMinute, got.PerHour)
	}
	if got := activityOf(t, s, now.Add(10*time.Minute), lane1); got.PerMinute > 0.01 || got.PerHour < 1000 {
		t.Errorf("ten minutes later %v a minute, %v an hour", got.PerMinute, got.PerHour)
	}
	if got := activityOf(t, s, now, lane2); got != nil {
		t.Errorf("a lane that never asked: %+v", got)
	}
}

func activityOf(t *testing.T, s Store, now time.Time, n enroll.Name) *Activity {
	t.Helper()
	machines, err := s.Machines(t.Context(), now)
	must(t, err)
	for _, m := range machines {
		if m.Name() == n {
			return m.Activity
		}
	}
	t.Fatalf("%s is not there", n)
	return nil
}
