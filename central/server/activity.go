package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"posd/central"
	"posd/central/server/store"
	"posd/enroll"
)

// activity is what this central saw of a lane since it began, for operators. Lookups
// write to it without waiting for each other.
type activity struct {
	machine enroll.Name

	seen                     atomic.Int64 // Unix milliseconds; 0: it never asked
	lookups, unknown, failed atomic.Uint64
	behind                   atomic.Int64  // how far its clock is behind, in milliseconds, at the least since the last flush
	epoch                    atomic.Uint64 // the first bytes of its id
	epochSince               atomic.Int64
	software                 atomic.Pointer[string]

	flushed store.Activity // owned by who flushes: the counts that were
}

// noBehind is that nothing is known of a clock.
const noBehind = math.MaxInt64

// asks notes a lookup that begins.
func (a *activity) asks(req *central.Request, now time.Time, c class) {
	if len(req.EncTID) > epochAt+8 {
		if e := binary.BigEndian.Uint64(req.EncTID[epochAt:]); a.epoch.Swap(e) != e {
			a.epochSince.Store(now.UnixMilli())
		}
	}
	if c != live {
		return // it waited on the lane, and says nothing of the lane's clock
	}
	// So may others have: of several the least counts.
	for behind := now.UnixMilli() - req.SealedAt; ; {
		least := a.behind.Load()
		if behind >= least || a.behind.CompareAndSwap(least, behind) {
			break
		}
	}
}

// epochAt is where an EncTID's epoch stands: behind version and key id.
const epochAt = 1 + 4

// asked notes what came of a lookup.
func (a *activity) asked(outcome string, now time.Time) {
	a.seen.Store(now.UnixMilli())
	a.lookups.Add(1)
	switch outcome {
	case outcomeCreated:
		a.unknown.Add(1)
	case outcomeRejected:
		a.failed.Add(1)
	}
}

// runs notes what the lane says it runs: version.Agent.
func (a *activity) runs(agent []byte) {
	software, ours := bytes.CutPrefix(agent, []byte("posd/"))
	if known := a.software.Load(); !ours || known != nil && string(software) == *known {
		return
	}
	if len(software) <= 64 && isVersion(software) {
		text := string(software)
		a.software.Store(&text)
	}
}

func isVersion(b []byte) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+_-"
	return len(bytes.Trim(b, allowed)) == 0
}

// since is what was seen since the last flush; ok is false if nothing was.
func (a *activity) since() (now store.Activity, ok bool) {
	lookups := a.lookups.Load()
	if lookups == a.flushed.Lookups {
		return now, false
	}
	now = store.Activity{
		Machine: a.machine, Seen: time.UnixMilli(a.seen.Load()), Epoch: binary.BigEndian.AppendUint64(nil, a.epoch.Load()),
		EpochSince: time.UnixMilli(a.epochSince.Load()), Lookups: lookups, Unknown: a.unknown.Load(), Failed: a.failed.Load(),
		BehindMS: a.flushed.BehindMS,
	}
	if behind := a.behind.Swap(noBehind); behind != noBehind {
		now.BehindMS = behind
	}
	if software := a.software.Load(); software != nil {
		now.Software = *software
	}
	return now, true
}

// activities are those of all lanes that have connected.
type activities struct {
	lanes sync.Map // enroll.Name -> *activity

	flushing sync.Mutex
	last     time.Time // flush
}

func (all *activities) of(n enroll.Name) *activity {
	if a, ok := all.lanes.Load(n); ok {
		return a.(*activity)
	}
	fresh := &activity{machine: n}
	fresh.behind.Store(noBehind)
	a, _ := all.lanes.LoadOrStore(n, fresh)
	return a.(*activity)
}

// flush tells the store what was seen since the last time, some hundred lanes at
// once. What cannot be told is told the next time.
func (all *activities) flush(ctx context.Context, st store.Store, now time.Time) error {
	all.flushing.Lock()
	defer all.flushing.Unlock()
	var lanes []*activity
	var seen, totals []store.Activity
	var err error
	tell := func() {
		if len(seen) == 0 || err != nil {
			return
		}
		if err = st.NoteActivity(ctx, now, now.Sub(all.last), seen); err == nil {
			for i, a := range lanes {
				a.flushed = totals[i]
			}
		}
		lanes, seen, totals = lanes[:0], seen[:0], totals[:0]
	}
	all.lanes.Range(func(_, v any) bool {
		a := v.(*activity)
		if total, ok := a.since(); ok {
			part := total
			part.Lookups, part.Unknown, part.Failed = total.Lookups-a.flushed.Lookups, total.Unknown-a.flushed.Unknown, total.Failed-a.flushed.Failed
			lanes, seen, totals = append(lanes, a), append(seen, part), append(totals, total)
		}
		if len(seen) >= 200 {
			tell()
		}
		return err == nil
	})
	tell()
	if err != nil {
		return fmt.Errorf("note the lanes' activity: %w", err)
	}
	all.last = now
	return nil
}

// activityEvery is how often the store is told what was seen of lanes.
const activityEvery = time.Minute

// followActivity tells the store what is seen of lanes, until ctx ends.
func (s *Server) followActivity(ctx context.Context) {
	tick := time.NewTicker(activityEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.activities.flush(ctx, s.store, s.now()); err != nil && ctx.Err() == nil {
			s.log.Warn("lists of lanes lack the last minutes", "error", err)
		}
	}
}

// Flush writes what is written from time to time: the lanes' activity, and the log of
// lookups.
func (s *Server) Flush(ctx context.Context) error {
	if s.lookupLog != nil {
		if err := s.lookupLog.Flush(ctx); err != nil {
			return err
		}
	}
	return s.activities.flush(ctx, s.store, s.now())
}
