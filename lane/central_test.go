package lane_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"posd/basket"
	"posd/central"
	"posd/central/server/servertest"
	"posd/enctid"
	"posd/enroll"
	"posd/identity"
	"posd/journal"
	"posd/lane"
	"posd/msr"
	"posd/tid"
)

// remote is a real central that can be out of reach, or of a time before batches.
type remote struct {
	*central.Client
	away, old     atomic.Bool
	batches, asks atomic.Int64
}

var errAway = errors.New("no route to central")

func (r *remote) Resolve(ctx context.Context, q central.Request) (central.Answer, error) {
	if r.away.Load() {
		return central.Answer{}, errAway
	}
	r.asks.Add(1)
	return r.Client.Resolve(ctx, q)
}

func (r *remote) ResolveBatch(ctx context.Context, all []central.Request) ([]central.Result, error) {
	switch {
	case r.away.Load():
		return nil, errAway
	case r.old.Load():
		return nil, &central.Problem{Type: central.ProblemNotFound, Status: 404}
	}
	r.batches.Add(1)
	return r.Client.ResolveBatch(ctx, all)
}

// TestBacklogAtARealCentral: whether central knows batches or not, what a lane could not ask
// for gets the households that it would have got at once.
func TestBacklogAtARealCentral(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, nil)
	credentials := c.Enrol(t, "12", "1")
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("old=%v", old), func(t *testing.T) {
			r := &remote{Client: c.Client(t, credentials)}
			r.old.Store(old)
			r.away.Store(true)
			l, sell := open(t, r, credentials)
			events, cancel := l.Subscribe()
			defer cancel()
			cards := []string{"00000001", "00000002", "00000001", "00000003", "00000002"}
			var all []basket.ID
			for _, card := range cards {
				all = append(all, sell(card))
			}
			r.away.Store(false)
			for left := len(cards); left > 0; {
				if e := <-events; e.Type == lane.EventIdentity && e.State == identity.Resolved {
					left--
				}
			}
			households := map[string]identity.HHID{}
			for i, id := range all {
				trace, err := l.Trace(t.Context(), id)
				must(t, err)
				if known, ok := households[cards[i]]; ok && known != trace.Basket.HHID || trace.Basket.HHID.IsZero() {
					t.Errorf("card %s is of %v, then of %v", cards[i], known, trace.Basket.HHID)
				}
				households[cards[i]] = trace.Basket.HHID
			}
			if len(households) != 3 || households[cards[0]] == households[cards[1]] || old == (r.batches.Load() > 0) || old == (r.asks.Load() == 0) {
				t.Errorf("households %v, after %d batches and %d requests", households, r.batches.Load(), r.asks.Load())
			}
		})
	}
}

// open runs a lane, and gives a function that sells something to a customer with a card.
func open(t *testing.T, r *remote, credentials *enroll.Store) (*lane.Lane, func(card string) basket.ID) {
	t.Helper()
	own := credentials.Current()
	signed, err := r.Client.Manifest(t.Context(), 0)
	must(t, err)
	m, err := signed.Verify(own.ManifestKey, time.Now(), 0)
	must(t, err)
	key, err := m.SealingKey(time.Now())
	must(t, err)
	sealer, err := enctid.NewSealer(enctid.Binding{Tenant: own.Name.Tenant, Lane: own.Name.LaneName()})
	must(t, err)
	must(t, sealer.SetKey(enctid.PublicKey{ID: enctid.KeyID(key.ID), Key: key.PublicKey}))
	t.Cleanup(sealer.Close)

	ctx, stop := context.WithCancel(context.Background())
	l, err := lane.New(ctx, lane.Config{}, lane.Deps{Journal: journal.NewMemory(lane.DefaultPriority()), Sealer: sealer, Central: r})
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
	return l, func(card string) basket.ID {
		_, err := l.Start(ctx, lane.Header{})
		must(t, err)
		_, err = l.AddLine(ctx, "012345678905", 1)
		must(t, err)
		id, err := tid.NewLoyalty("0001", []byte(card))
		must(t, err)
		kept := make(chan bool, 1)
		if !l.Offer(lane.Frame{Device: "test", At: time.Now(), Swipe: &msr.Swipe{Source: "card", TID: id}, Ack: func(k bool) { kept <- k }}) || !<-kept {
			t.Fatal("the swipe was refused")
		}
		b, err := l.Close(ctx)
		must(t, err)
		return b.ID
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
