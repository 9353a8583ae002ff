package journaltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"reflect"
	"testing"
	"time"

	"posd/basket"
	"posd/identity"
)

// rig is a journal under test with the words that the tests are written in.
type rig struct {
	*testing.T
	Journal
	restart func() Journal
}

var ctx = context.Background()

// noon has nanoseconds and a zone, which a journal must not lose or be confused by.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("EST", -5*3600))

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(err, want error) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Fatalf("got error %v, want %v", err, want)
	}
}

func (r *rig) refused(err error) {
	r.Helper()
	if err == nil {
		r.Fatal("taken, want an error")
	}
}

func (r *rig) same(what string, got, want any) {
	r.Helper()
	if !reflect.DeepEqual(got, want) {
		r.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// again restarts the journal.
func (r *rig) again() { r.Journal = r.restart() }

func (r *rig) open(kind basket.Kind) basket.ID {
	r.Helper()
	b := basket.Basket{ID: basket.NewID(), Kind: kind, OpenedAt: at(0)}
	r.ok(r.Open(ctx, b, 0))
	return b.ID
}

func (r *rig) line(id basket.ID, number int) {
	r.Helper()
	r.ok(r.AppendLine(ctx, id, aLine(number), 0))
}

func aLine(number int) basket.Line {
	return basket.Line{Number: number, At: at(number).UTC(), UPC: "036000291452", GTIN: "00036000291452", Symbology: "UPCA", Kind: basket.Item, Quantity: 1, Device: "scanner"}
}

func (r *rig) swipe(id basket.ID, swipe int, kind identity.Kind, deadline time.Duration) basket.Sealed {
	r.Helper()
	s := aSealed(id, swipe, kind, deadline)
	r.ok(r.AppendIdentity(ctx, s, 0))
	return s
}

func aSealed(id basket.ID, swipe int, kind identity.Kind, deadline time.Duration) basket.Sealed {
	s := basket.Sealed{
		Basket: id, Swipe: swipe, Kind: kind, At: at(100 + swipe).UTC(), SealedAt: at(100 + swipe).UnixMilli(),
		EncTID: make([]byte, 82), Key: 7, Enc: make([]byte, 1120), Deadline: deadline,
	}
	rand.Read(s.EncTID)
	rand.Read(s.Epoch[:])
	rand.Read(s.Enc)
	return s
}

func (r *rig) close(id basket.ID, outcome basket.Outcome) basket.Basket {
	r.Helper()
	b, err := r.Close(ctx, id, outcome, at(500), 0)
	r.ok(err)
	return b
}

// sale is a closed basket of one line with a pending identity for each kind.
func (r *rig) sale(kinds ...identity.Kind) basket.Basket {
	r.Helper()
	id := r.open(basket.Sale)
	r.line(id, 1)
	for i, kind := range kinds {
		r.swipe(id, i+1, kind, time.Hour)
	}
	return r.close(id, basket.Closed)
}

func resolved(n byte) basket.Answer {
	return basket.Answer{State: identity.Resolved, HHID: identity.HHID{1, n}, DeIdentTID: identity.MakeDeIdentTID(1, [16]byte{n})}
}

var unresolved = basket.Answer{State: identity.Unresolved}

func (r *rig) answer(id basket.ID, swipe int, a basket.Answer) basket.Basket {
	r.Helper()
	b, changed, err := r.Answer(ctx, id, swipe, a)
	r.ok(err)
	if !changed {
		r.Fatalf("the answer to swipe %d changed nothing", swipe)
	}
	return b
}

// late gives an answer that comes too late for anything.
func (r *rig) late(id basket.ID, swipe int) {
	r.Helper()
	before, err := r.Trace(ctx, id)
	r.ok(err)
	b, changed, err := r.Answer(ctx, id, swipe, resolved(99))
	r.ok(err)
	if changed {
		r.Fatal("a late answer changed the basket")
	}
	r.same("basket", b, before.Basket)
	after, err := r.Trace(ctx, id)
	r.ok(err)
	r.same("trace", after, before)
}

func (r *rig) resume() basket.Resumed {
	r.Helper()
	res, ok, err := r.Resume(ctx)
	r.ok(err)
	if !ok {
		r.Fatal("no basket is open")
	}
	return res
}

func (r *rig) queue() []basket.Delivery {
	r.Helper()
	q, err := r.Queued(ctx, 0, 1000)
	r.ok(err)
	return q
}

func (r *rig) waiting() []basket.Sealed {
	r.Helper()
	p, err := r.Pending(ctx, 0, 1000)
	r.ok(err)
	return p
}

func (r *rig) receipt(d basket.Delivery, logID string) basket.Receipt {
	return basket.Receipt{LogID: logID, Digest: d.Digest, Watermark: d.Sequence, LoggedAt: at(900).UTC()}
}

func (r *rig) ack(d basket.Delivery, logID string, ticks time.Duration) (resent int) {
	r.Helper()
	resent, err := r.Acknowledge(ctx, d.Basket, d.Revision, r.receipt(d, logID), ticks)
	r.ok(err)
	return resent
}

// sent checks that d is b, byte for byte, as a POS main computer would take it.
func (r *rig) sent(d basket.Delivery, b basket.Basket) {
	r.Helper()
	body, err := basket.Marshal(b)
	r.ok(err)
	if !bytes.Equal(d.Body, body) || d.Digest != basket.Digest(body) {
		r.Fatalf("queued:\n%s\nwant\n%s", d.Body, body)
	}
	_, err = basket.Parse(d.Body)
	r.ok(err)
	if d.Basket != b.ID || d.Revision != b.Revision || d.Sequence != b.Sequence || d.State != basket.Queued || d.CreatedAt.IsZero() {
		r.Fatalf("queued as %+v", d)
	}
}
