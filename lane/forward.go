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
	f.pump = newPump(f.deliver)
	return f
}

func (f *forwarder) run(ctx context.Context) {
	if f.deps.Main != nil {
		f.pump.run(ctx)
	}
}

// deliver sends once whatever is queued.
func (f *forwarder) deliver(ctx context.Context) error {
	var after int64
	var failed error
	for inRow := 0; ; {
		page, err := f.deps.Journal.Queued(ctx, after, forwardPage)
		if err != nil || len(page) == 0 {
			return errors.Join(failed, err)
		}
		for _, d := range page {
			after = d.Order
			if err := f.send(ctx, d); err == nil {
				inRow = 0
			} else if failed, inRow = err, inRow+1; inRow == giveUpAfter || ctx.Err() != nil {
				return failed
			}
		}
	}
}

// send returns nil if the delivery is acknowledged or refused for good.
func (f *forwarder) send(ctx context.Context, d basket.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	receipt, err := f.deps.Main.Put(ctx, d.Basket.String(), d.Body)
	var p *posmain.Problem
	switch {
	case err == nil:
		f.main.worked(f.deps.Clock.Now())
		return f.acknowledge(ctx, d, receipt)
	case errors.As(err, &p) && !p.Temporary():
		f.main.worked(f.deps.Clock.Now())
		return f.setAside(ctx, d, p)
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
		f.wake()
	}
	return nil
}

func (f *forwarder) setAside(ctx context.Context, d basket.Delivery, p *posmain.Problem) error {
	if err := f.deps.Journal.Refuse(context.WithoutCancel(ctx), d.Basket, d.Revision, p.Error()); err != nil {
		f.log.Error("set a refused basket aside", "basket", d.Basket, "err", err)
		return err
	}
	f.counts.add("delivery-refused")
	f.alarm(d.Basket, "delivery-refused", p.Error())
	return nil
}
