package lane

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"posd/basket"
	"posd/central"
	"posd/enctid"
	"posd/identity"
)

const (
	askTimeout  = 10 * time.Second // of one request to central; late answers are still taken
	freshAtOnce = 8                // requests for cards just shown that may be under way
	backlogPage = 64               // asked for in one batch; central.MaxBatch at most
	batchAgain  = time.Hour        // a central that knew no batches may have been replaced
)

// resolver asks central whose the EncTIDs are. A card just shown is asked for
// at once, beside whatever else waits; the rest is asked for in passes over the
// journal, in batches, so that nothing waits behind one basket.
type resolver struct {
	*Lane
	fresh   chan basket.Sealed
	backlog *pump
	single  time.Duration // until then, by Clock.Boot, central is asked for one identity at a time

	mu       sync.Mutex
	underway map[swipeRef]bool
}

type swipeRef struct {
	basket basket.ID
	swipe  int
}

func newResolver(l *Lane) *resolver {
	r := &resolver{Lane: l, fresh: make(chan basket.Sealed, freshAtOnce), underway: map[swipeRef]bool{}}
	backlog := &sweep[basket.Sealed]{list: r.waiting, limit: backlogPage, order: func(s basket.Sealed) int64 { return s.Order }, do: r.askAll}
	r.backlog = newPump(backlog.pass)
	return r
}

// submit has a committed identity asked for. It never waits: what finds no
// place is asked for in the next pass.
func (r *resolver) submit(s basket.Sealed) {
	select {
	case r.fresh <- s:
	default:
		r.backlog.wake()
	}
}

func (r *resolver) run(ctx context.Context) {
	if r.deps.Central == nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { r.backlog.run(ctx) })
	for range freshAtOnce {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case s := <-r.fresh:
					r.askNow(ctx, s)
				}
			}
		})
	}
}

// askNow asks for a card just shown. If no answer comes in time the identity
// shows as pending, and the epoch is given up: from then on this lane's memory
// cannot open what it has sealed.
func (r *resolver) askNow(ctx context.Context, s basket.Sealed) {
	late := time.AfterFunc(r.cfg.AnswerWithin, func() { r.pending(s, "central has not answered yet") })
	err := r.ask(ctx, s)
	inTime := late.Stop()
	if err == nil {
		return
	}
	if inTime && ctx.Err() == nil {
		r.pending(s, err.Error())
	}
	r.backlog.retry()
}

func (r *resolver) pending(s basket.Sealed, why string) {
	r.deps.Sealer.Rotate()
	r.counts.add("identity-pending")
	r.publish(Event{At: r.deps.Clock.Now(), Type: EventIdentity, Basket: &s.Basket, Swipe: s.Swipe, Kind: s.Kind, State: identity.Pending, Reason: why})
}

// waiting lists what waits for an answer. What a pass finds was not answered at
// once: the epoch is given up, as in askNow.
func (r *resolver) waiting(ctx context.Context, after int64, limit int) ([]basket.Sealed, error) {
	page, err := r.deps.Journal.Pending(ctx, after, limit)
	if len(page) > 0 {
		r.deps.Sealer.Rotate()
	}
	return page, err
}

// ask asks for one identity and commits the answer. It returns nil if the
// identity is final then, or if somebody else is asking for it.
func (r *resolver) ask(ctx context.Context, s basket.Sealed) error {
	ref := swipeRef{s.Basket, s.Swipe}
	if !r.begin(ref) {
		return nil
	}
	defer r.end(ref)
	answer, err := r.request(ctx, s)
	return r.settle(ctx, s, answer, err)
}

// askAll is ask for a page of what waits. A central that knows no batches is asked for
// one after the other.
func (r *resolver) askAll(ctx context.Context, page []basket.Sealed) []error {
	now := r.deps.Clock.Boot()
	if len(page) == 1 || now < r.single {
		return oneByOne(r.ask)(ctx, page)
	}
	errs, err := r.askBatch(ctx, page)
	if p, ok := errors.AsType[*central.Problem](err); ok && p.Status == http.StatusNotFound {
		r.single = now + batchAgain
		return oneByOne(r.ask)(ctx, page)
	}
	return errs
}

// askBatch asks for a page in one batch, and commits the answers.
func (r *resolver) askBatch(ctx context.Context, page []basket.Sealed) (errs []error, err error) {
	errs = make([]error, len(page))
	var mine []int // nobody else is asking for these
	for i, s := range page {
		ref := swipeRef{s.Basket, s.Swipe}
		if r.begin(ref) {
			defer r.end(ref)
			mine = append(mine, i)
		}
	}
	results, err := r.requestAll(ctx, page, mine)
	if err != nil {
		r.central.failed(r.deps.Clock.Now(), err)
		for _, i := range mine {
			errs[i] = err
		}
		return errs, err
	}
	for n, i := range mine {
		errs[i] = r.settle(ctx, page[i], results[n].Answer, results[n].Err)
	}
	return errs, nil
}

func (r *resolver) begin(ref swipeRef) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underway[ref] {
		return false
	}
	r.underway[ref] = true
	return true
}

func (r *resolver) end(ref swipeRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.underway, ref)
}

func inquiry(s basket.Sealed) central.Request {
	return central.Request{EncTID: s.EncTID, Basket: s.Basket, Swipe: uint32(s.Swipe), SealedAt: s.SealedAt}
}

// request sends the EncTID, and sends it again with the epoch's encapsulated
// key if central asks for that.
func (r *resolver) request(ctx context.Context, s basket.Sealed) (central.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	q := inquiry(s)
	a, err := r.deps.Central.Resolve(ctx, q)
	if problemType(err) == central.ProblemUnknownEpoch {
		if q.EncTID, err = enctid.WithEnc(s.EncTID, s.Enc); err != nil {
			return central.Answer{}, err
		}
		a, err = r.deps.Central.Resolve(ctx, q)
	}
	return a, err
}

// requestAll is request for those of a page.
func (r *resolver) requestAll(ctx context.Context, page []basket.Sealed, which []int) ([]central.Result, error) {
	if len(which) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	queries := make([]central.Request, len(which))
	for n, i := range which {
		queries[n] = inquiry(page[i])
	}
	results, err := r.deps.Central.ResolveBatch(ctx, queries)
	if err != nil {
		return nil, err
	}
	r.requestAgain(ctx, page, which, queries, results)
	return results, nil
}

// requestAgain asks for those once more whose epoch central does not know. It learns
// an epoch from the first of its EncTIDs.
func (r *resolver) requestAgain(ctx context.Context, page []basket.Sealed, which []int, queries []central.Request, results []central.Result) {
	taught := map[[16]byte]bool{}
	var again []central.Request
	var at []int
	for n, i := range which {
		if problemType(results[n].Err) != central.ProblemUnknownEpoch {
			continue
		}
		q := queries[n]
		if s := page[i]; !taught[s.Epoch] {
			long, err := enctid.WithEnc(s.EncTID, s.Enc)
			if err != nil {
				results[n].Err = err
				continue
			}
			q.EncTID, taught[s.Epoch] = long, true
		}
		again, at = append(again, q), append(at, n)
	}
	if len(again) == 0 {
		return
	}
	second, err := r.deps.Central.ResolveBatch(ctx, again)
	for n, i := range at {
		if results[i].Err = err; err == nil {
			results[i] = second[n]
		}
	}
}

// settle commits what central has answered. What it will never answer is unresolved.
func (r *resolver) settle(ctx context.Context, s basket.Sealed, a central.Answer, err error) error {
	answer := basket.Answer{State: a.State, HHID: a.HHID, DeIdentTID: a.DeIdentTID}
	kind := problemType(err)
	switch kind {
	case central.ProblemEncTIDRejected, central.ProblemKeyRetired, central.ProblemBadRequest, central.ProblemTooLarge:
		r.alarm(s.Basket, "identity-refused", "central will not answer for this identity: "+err.Error())
		answer = basket.Answer{State: identity.Unresolved}
	default:
		if err != nil {
			r.central.failed(r.deps.Clock.Now(), err)
			return err
		}
	}
	err = r.commit(ctx, s, answer)
	if kind == central.ProblemKeyRetired && r.deps.Keys != nil {
		r.deps.Keys.Retired(ctx, enctid.KeyID(s.Key))
	}
	return err
}

// problemType is the type of problem that central answered with, or "".
func problemType(err error) string {
	var p *central.Problem
	if errors.As(err, &p) {
		return p.Type
	}
	return ""
}

func (r *resolver) commit(ctx context.Context, s basket.Sealed, a basket.Answer) error {
	away := r.central.worked(r.deps.Clock.Now())
	b, changed, err := r.deps.Journal.Answer(context.WithoutCancel(ctx), s.Basket, s.Swipe, a)
	if err != nil {
		r.log.Error("keep central's answer", "basket", s.Basket, "err", err)
		return err
	}
	if changed {
		r.tell(ctx, s, a, b)
	}
	if away {
		r.backlog.wake()
	}
	return nil
}

// tell makes a committed answer known to the loop, to whoever listens and to
// the forwarder.
func (r *resolver) tell(ctx context.Context, s basket.Sealed, a basket.Answer, b basket.Basket) {
	select {
	case r.answers <- answered{s.Basket, s.Swipe, a}:
	case <-r.stopped:
	case <-ctx.Done():
	}
	r.counts.add("identity-" + string(a.State))
	r.publish(Event{At: r.deps.Clock.Now(), Type: EventIdentity, Basket: &s.Basket, Swipe: s.Swipe, Kind: s.Kind, State: a.State, HHID: a.HHID})
	if b.Outcome != basket.Open {
		r.forwarder.wake()
	}
}
