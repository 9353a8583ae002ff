package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"posd/basket"
	"posd/enctid"
	"posd/identity"
	"posd/scanner"
	"posd/tid"
)

// settle is how long a close waits for frames that were read before it and are
// still on their way through a driver.
const settle = 20 * time.Millisecond

// RefusedError says why something read or keyed in was not kept.
type RefusedError struct{ Code, Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refused(code, reason string) *RefusedError { return &RefusedError{code, reason} }

// till is the loop's own state; only its goroutine touches it.
type till struct {
	*Lane
	ctx  context.Context // of journal calls: a commit that has begun is never cut off
	cur  *current        // nil: no basket is open
	held []Frame         // read after a command that is being run

	hasClosed   bool          // and the POS program has started no basket since
	closedTicks time.Duration // when a customer last left
	choresTicks time.Duration // of the last chores
}

// current is the open basket.
type current struct {
	basket.Basket
	lastSwipe int
	active    time.Duration // ticks of the last scan, swipe or command
	reads     []read        // of the last moment, oldest first
}

func newTill(ctx context.Context, l *Lane) (*till, error) {
	t := &till{Lane: l, ctx: context.WithoutCancel(ctx), choresTicks: l.ticks.now()}
	r, ok, err := l.deps.Journal.Resume(ctx)
	if err != nil {
		return nil, err
	}
	if ok {
		t.cur = &current{Basket: r.Basket, lastSwipe: r.LastSwipe, active: r.Active}
		t.cur.Tag(t.cfg.Priority)
	}
	return t, nil
}

func (t *till) run(ctx context.Context) {
	timer := time.NewTimer(t.pause())
	defer timer.Stop()
	for {
		t.alive.Store(int64(t.deps.Clock.Boot()))
		t.release()
		timer.Reset(t.pause())
		select {
		case <-ctx.Done():
			t.finish()
			return
		case f := <-t.frames:
			t.frame(f)
		case c := <-t.commands:
			if c.border {
				t.drain(c.at)
			}
			c.done <- t.command(c)
		case a := <-t.answers:
			t.answered(a)
		case <-timer.C:
			if err := t.keepHouse(); err != nil {
				t.log.Error("keep house", "err", err)
			}
		}
	}
}

// turn is how often the loop turns at the least, to show that it lives.
const turn = 5 * time.Second

// pause is the time until the loop has something to do by itself. What is
// overdue, since the journal refused, is tried again at the next turn.
func (t *till) pause() time.Duration {
	d := turn
	if t.cur == nil {
		return d
	}
	idle := t.ticks.now() - t.cur.active
	if due := t.cfg.AbandonAfter - idle; due > 0 {
		d = min(d, due)
	}
	if due := t.cfg.AnonymousAfter - idle; due > 0 && t.forgettable() {
		d = min(d, due)
	}
	return d
}

// release handles the frames that a command held back.
func (t *till) release() {
	for len(t.held) > 0 {
		f := t.held[0]
		t.held = t.held[1:]
		t.frame(f)
	}
}

// finish commits what devices handed over before the end.
func (t *till) finish() {
	for {
		t.release()
		select {
		case f := <-t.frames:
			t.frame(f)
		default:
			if err := t.deps.Journal.SetClock(t.ctx, t.ticks.snapshot()); err != nil {
				t.log.Error("store the clock", "err", err)
			}
			return
		}
	}
}

// drain handles the frames read before until, and holds back later ones. One of
// them may close the basket by itself, and so hold back what this drain is for.
func (t *till) drain(until time.Time) {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	for {
		select {
		case f := <-t.frames:
			if f.At.After(until) {
				t.held = append(t.held, f)
			} else {
				t.frame(f)
			}
		case <-timer.C:
			t.releaseUntil(until)
			return
		}
	}
}

// releaseUntil handles the held frames that were read before until.
func (t *till) releaseUntil(until time.Time) {
	due := func(f Frame) bool { return !f.At.After(until) }
	for i := slices.IndexFunc(t.held, due); i >= 0; i = slices.IndexFunc(t.held, due) {
		f := t.held[i]
		t.held = slices.Delete(t.held, i, i+1)
		t.frame(f)
	}
}

func (t *till) command(c command) error {
	if err := t.keepHouse(); err != nil {
		return err
	}
	return c.run(t)
}

func (t *till) frame(f Frame) {
	if err := t.keepHouse(); err != nil {
		t.refuse(f, asRefused("journal", err))
		return
	}
	switch {
	case f.Fault != nil:
		t.counts.add("fault")
		t.ack(f, false)
		t.publish(Event{At: f.At, Type: EventFault, Device: f.Device, Code: f.Fault.Code, Reason: f.Fault.Reason})
	case f.Swipe != nil:
		t.swipe(f)
	case f.Scan != nil:
		t.scan(f)
	case f.Key != "":
		t.key(f)
	}
}

// wipe forgets what a device read. A label may have been a person's number.
func wipe(f Frame) {
	if f.Swipe != nil {
		f.Swipe.Wipe()
	}
	if f.Scan != nil {
		clear(f.Scan.Data)
		*f.Scan = scanner.Scan{}
	}
}

func (t *till) key(f Frame) {
	t.publish(Event{At: f.At, Type: EventKey, Device: f.Device, Code: string(f.Key)})
	if f.Key == KeyClose {
		t.closeBy(f)
		return
	}
	t.ack(f, true)
}

// closeBy closes the basket for a key or a label.
func (t *till) closeBy(f Frame) {
	t.drain(f.At)
	if _, err := t.end(basket.Closed); err != nil {
		t.refuse(f, asRefused("no-basket", err))
		return
	}
	t.ack(f, true)
}

func (t *till) scan(f Frame) {
	t.counts.add("scan")
	route := t.route(*f.Scan)
	switch {
	case route.err != nil:
		t.refuse(f, route.err)
	case route.close:
		t.publish(Event{At: f.At, Type: EventScan, Device: f.Device, Code: "control", Reason: "close"})
		t.closeBy(f)
	case !route.tid.IsZero():
		t.publish(Event{At: f.At, Type: EventSwipe, Device: f.Device, Source: "label", Last4: route.tid.Last4(), Kind: kindOf(route.tid)})
		t.identify(f, route.tid)
		wipe(f)
	case t.sameItem(f, route.kind):
		t.ack(f, true)
		wipe(f)
	default:
		if err := t.append(f.At, f.Device, *f.Scan, route.kind, 0); err != nil {
			t.refuse(f, asRefused("journal", err))
			return
		}
		t.noteRead(f)
		t.ack(f, true)
	}
}

// append commits a line. A quantity of 0 is one piece, coming or going as the
// basket's kind has it.
func (t *till) append(at time.Time, device string, s scanner.Scan, kind basket.LineKind, quantity int) error {
	if err := t.ensureOpen(at); err != nil {
		return err
	}
	if len(t.cur.Lines) >= basket.MaxLines {
		return refused("full", fmt.Sprintf("the basket has %d lines: close it first", basket.MaxLines))
	}
	l := newLine(len(t.cur.Lines)+1, at, device, s, kind)
	t.measure(&l, s)
	if l.Quantity = quantity; quantity == 0 {
		l.Quantity = 1
		if t.cur.Kind == basket.Return {
			l.Quantity = -1
		}
	}
	now := t.ticks.now()
	if err := t.deps.Journal.AppendLine(t.ctx, t.cur.ID, l, now); err != nil {
		return t.journalFailed("keep the scan", err)
	}
	t.journalWorks()
	t.cur.active = now
	t.cur.Lines = append(t.cur.Lines, l)
	t.publish(Event{At: at, Type: EventScan, Device: device, Basket: &t.cur.ID, Line: &l})
	return nil
}

func newLine(number int, at time.Time, device string, s scanner.Scan, kind basket.LineKind) basket.Line {
	l := basket.Line{
		Number: number, At: stamp(at), UPC: s.Label, GTIN: string(s.GTIN), Symbology: string(s.Symbology),
		AddOn: s.AddOn, Kind: kind, Device: device,
	}
	if string(s.Data) != s.Label {
		l.Data = slices.Clone(s.Data)
	}
	if s.Problem != nil {
		l.Problem, l.Error = s.Problem.Code, s.Problem.Reason
	}
	return l
}

// measure gives a line the price or weight that its label says.
func (l *Lane) measure(line *basket.Line, s scanner.Scan) {
	m := s.Measure(l.cfg.RandomWeight)
	line.Reference, line.Price, line.Weight = string(m.Reference), m.Price, m.Weight
	if m.Problem != "" && line.Problem == "" {
		line.Problem, line.Error = scanner.CodeMeasure, m.Problem
	}
}

// stamp is a time as baskets carry it: UTC, to the millisecond.
func stamp(at time.Time) time.Time { return at.UTC().Truncate(time.Millisecond) }

func (t *till) swipe(f Frame) {
	s := f.Swipe
	t.counts.add("swipe")
	e := Event{At: f.At, Type: EventSwipe, Device: f.Device, Source: s.Source, Tracks: s.Tracks, Code: s.Code, Reason: s.Reason}
	if s.TID.IsZero() {
		t.counts.add("swipe-unreadable")
		t.ack(f, false)
		t.publish(e)
		return
	}
	e.Last4, e.Kind = s.Last4(), kindOf(s.TID)
	t.publish(e)
	t.identify(f, s.TID)
}

func kindOf(id tid.TID) identity.Kind { return identity.Kind(id.Kind().String()) }

// identify seals the TID, wipes it, commits the EncTID and only then has it
// sent.
func (t *till) identify(f Frame, id tid.TID) {
	defer id.Wipe()
	if err := t.mayIdentify(); err != nil {
		t.refuse(f, err)
		return
	}
	if err := t.ensureOpen(f.At); err != nil {
		t.refuse(f, asRefused("journal", err))
		return
	}
	s, err := t.seal(f.At, id)
	if err != nil {
		t.refuse(f, asRefused("not-sealed", err))
		return
	}
	if err := t.deps.Journal.AppendIdentity(t.ctx, s, t.ticks.now()); err != nil {
		t.refuse(f, asRefused("journal", t.journalFailed("keep the identity", err)))
		return
	}
	t.journalWorks()
	t.cur.active = t.ticks.now()
	t.cur.Identities = append(t.cur.Identities, basket.Identity{Swipe: s.Swipe, Kind: s.Kind, At: s.At, State: identity.Pending})
	t.cur.Tag(t.cfg.Priority)
	t.ack(f, true)
	t.resolver.submit(s)
}

// mayIdentify says why no card or number is taken now, if none is. It is asked
// before a basket is opened: what is refused opens none.
func (t *till) mayIdentify() *RefusedError {
	switch {
	case t.deps.Sealer == nil:
		return refused("not-enrolled", "this lane is not enrolled with central: run posd enroll")
	case t.guarded():
		return refused("after-close", "shown right after the last basket was closed: show it again for this customer")
	case t.cur == nil:
		return nil
	case t.cur.Kind == basket.Training:
		return refused("training", "cards and numbers are not read in training")
	case len(t.cur.Identities) >= basket.MaxIdentities:
		return refused("full", "too many cards and numbers were shown for this basket: close it first")
	}
	return nil
}

// guarded reports whether a card shown now is the last customer's. Items of the
// next one may have been scanned already; only the POS program's start says that
// the cards are the next one's too.
func (t *till) guarded() bool {
	return t.hasClosed && t.ticks.now()-t.closedTicks < t.cfg.CloseGuard
}

func (t *till) seal(at time.Time, id tid.TID) (basket.Sealed, error) {
	t.cur.lastSwipe++ // never used twice, whatever becomes of this one
	s := basket.Sealed{
		Basket: t.cur.ID, Swipe: t.cur.lastSwipe, Kind: kindOf(id), At: stamp(at),
		SealedAt: t.deps.Clock.Now().UnixMilli(), Deadline: t.ticks.now() + t.cfg.HoldFor,
	}
	sealed, err := t.deps.Sealer.Seal(id, enctid.Context{Basket: s.Basket, Swipe: uint32(s.Swipe), SealedAt: s.SealedAt})
	if err != nil {
		return basket.Sealed{}, err
	}
	s.EncTID, s.Epoch, s.Key, s.Enc = sealed.EncTID, sealed.Epoch, uint32(sealed.Key), sealed.Enc
	return s, nil
}

// snapshot is the open basket for others to keep.
func (t *till) snapshot() basket.Basket {
	b := t.cur.Basket
	b.Lines, b.Identities = slices.Clone(b.Lines), slices.Clone(b.Identities)
	return b
}

// refuse tells that f was not kept, and forgets it.
func (t *till) refuse(f Frame, err *RefusedError) {
	wipe(f)
	t.counts.add("refused-" + err.Code)
	t.ack(f, false)
	t.publish(Event{At: f.At, Type: EventRefused, Device: f.Device, Code: err.Code, Reason: err.Reason})
}

func (t *till) ack(f Frame, kept bool) {
	if f.Ack != nil {
		f.Ack(kept)
	}
}

// asRefused keeps a RefusedError as it is and gives any other error code.
func asRefused(code string, err error) *RefusedError {
	var r *RefusedError
	if errors.As(err, &r) {
		return r
	}
	return refused(code, err.Error())
}
