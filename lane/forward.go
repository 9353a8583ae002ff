package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posd/basket"
	"posd/posmain"
)

const (
	putTimeout  = 10 * time.Second
	forwardPage = 32
)

// forwarder hands closed baskets to the POS main computer, each revision until
// it has a receipt. A basket that is refused is set aside for a person; one
// that fails does not hold up the next.
type forwarder struct {
	*Lane
	*pump
}

func newForwarder(l *Lane) *forwarder {
	f := &forwarder{Lane: l}
	queue := &sweep[basket.Delivery]{list: l.deps.Journal.Queued, limit: forwardPage, order: func(d basket.Delivery) int64 { return d.Order }, do: oneByOne(f.send)}
	f.pump = newPump(queue.pass)
	return f
}

func (f *forwarder) run(ctx context.Context) {
	if f.deps.Main != nil {
		f.pump.run(ctx)
	}
}

// errLogReplaced ends a pass as a failure, so that what must be sent again goes
// in another one, after a delay: the log id may change every time.
var errLogReplaced = errors.New("the POS main computer has a new log")

// send returns nil if nothing is left to be sent for the delivery's sake.
func (f *forwarder) send(ctx context.Context, d basket.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	receipt, err := f.deps.Main.Put(ctx, d.Basket.String(), d.Body)
	switch {
	case err == nil:
		f.main.worked(f.deps.Clock.Now())
		return f.acknowledge(ctx, d, receipt)
	case posmain.Final(err):
		f.main.worked(f.deps.Clock.Now())
		return f.setAside(ctx, d, err)
	}
	f.main.failed(f.deps.Clock.Now(), err)
	return err
}

func (f *forwarder) acknowledge(ctx context.Context, d basket.Delivery, r posmain.Receipt) error {
	resent, err := f.deps.Journal.Acknowledge(context.WithoutCancel(ctx), d.Basket, d.Revision, basket.Receipt{
		LogID: r.LogID, Digest: r.Digest, Watermark: r.Watermark, LoggedAt: r.LoggedAt, Alarm: r.Alarm,
	}, f.ticks.now())
	if err != nil {
		f.log.Error("keep the receipt", "basket", d.Basket, "err", err)
		return err
	}
	f.counts.add("delivered")
	f.publish(Event{At: f.deps.Clock.Now(), Type: EventDelivery, Basket: &d.Basket, Sequence: d.Sequence, Revision: d.Revision, Code: string(basket.Acknowledged)})
	if r.Alarm != "" {
		f.alarm(d.Basket, r.Alarm, "the POS main computer raised an alarm for this basket")
	}
	if resent > 0 {
		f.alarm(d.Basket, "log-replaced", fmt.Sprintf("the POS main computer has a new log: %d deliveries are sent again", resent))
		return errLogReplaced
	}
	return nil
}

func (f *forwarder) setAside(ctx context.Context, d basket.Delivery, refusal error) error {
	if err := f.deps.Journal.Refuse(context.WithoutCancel(ctx), d.Basket, d.Revision, refusal.Error()); err != nil {
		f.log.Error("set a refused basket aside", "basket", d.Basket, "err", err)
		return err
	}
	f.counts.add("delivery-refused")
	f.alarm(d.Basket, "delivery-refused", refusal.Error())
	return nil
}
