package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"posd/basket"
	"posd/central"
	"posd/enctid"
	"posd/gs1"
	"posd/identity"
	"posd/msr"
	"posd/posmain"
	"posd/scanner"
	"posd/tid"
)

// Sealer turns a TID into an EncTID. *enctid.Sealer is one.
type Sealer interface {
	Seal(t tid.TID, c enctid.Context) (enctid.Sealed, error)
	// Rotate makes the next TID open a new epoch, so that this process can no
	// longer open what it has sealed before.
	Rotate()
}

// Central answers EncTIDs. *central.Client is one.
type Central interface {
	Resolve(ctx context.Context, r central.Request) (central.Answer, error)
	// ResolveBatch gives a result for each request, in their order. Of a central
	// that knows no batches it is a problem with status 404.
	ResolveBatch(ctx context.Context, all []central.Request) ([]central.Result, error)
}

// KeyRenewer fetches central's keys. *Keys is one.
type KeyRenewer interface {
	// Retired says that central opens nothing any more that is sealed to key.
	Retired(ctx context.Context, key enctid.KeyID)
}

// Main logs baskets. *posmain.Client is one.
type Main interface {
	Put(ctx context.Context, id string, body []byte) (posmain.Receipt, error)
}

// Config is how a lane behaves. Zero durations stand for the defaults, where
// there is one.
type Config struct {
	Rules          tid.Rules       // which numbers are read as TIDs
	Priority       []identity.Kind // which kind of identity counts for a basket, first to last
	OpenByPOS      bool            // only the POS program opens baskets
	CloseLabels    []string        // labels that close the basket where there is no POS program
	RandomWeight   []gs1.Pattern   // the shop's own numbers with a price or weight in them
	AbandonAfter   time.Duration   // a basket idle this long is closed as abandoned; 5 min
	AnonymousAfter time.Duration   // a basket without lines forgets its identities; 120 s
	CloseGuard     time.Duration   // a swipe this soon after a close is the last customer's; 2 s
	SameItemWindow time.Duration   // a bar code and a 2D code of one GTIN, read within this time, are one line; 0: they are two
	HoldFor        time.Duration   // an identity pending this long ends as unresolved; 14 days
	KeepFor        time.Duration   // acknowledged baskets are kept this long; 14 days
	AnswerWithin   time.Duration   // an answer later than this comes late: the identity shows as pending; 800 ms
}

// DefaultPriority is the order of kinds where the configuration gives none.
func DefaultPriority() []identity.Kind {
	return []identity.Kind{identity.Loyalty, identity.Payment, identity.Phone}
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.AbandonAfter, 5*time.Minute)
	def(&c.AnonymousAfter, 120*time.Second)
	def(&c.CloseGuard, 2*time.Second)
	def(&c.HoldFor, 14*24*time.Hour)
	def(&c.KeepFor, 14*24*time.Hour)
	def(&c.AnswerWithin, 800*time.Millisecond)
	if c.Priority == nil {
		c.Priority = DefaultPriority()
	}
	return c
}

// Deps is what a lane works with. Without Sealer and Central, as before the
// lane is enrolled, cards and numbers are refused; without Main, baskets wait
// in the outbox.
type Deps struct {
	Journal Journal
	Sealer  Sealer
	Central Central
	Keys    KeyRenewer // nil: nobody is told when central has retired a key
	Main    Main
	Clock   Clock        // nil: the machine's
	Log     *slog.Logger // nil: nothing is logged
}

// Frame is one thing that a device read: one of Scan, Swipe, Key and Fault is
// set. The lane takes over the Scan and the Swipe: it wipes every TID, and every
// label that does not become a line.
type Frame struct {
	Device string
	At     time.Time // when its last byte was read
	Scan   *scanner.Scan
	Swipe  *msr.Swipe
	Key    Key
	Fault  *Fault
	Ack    func(kept bool) // called once the frame is committed, or refused; may be nil
}

// Key is a key that is no number.
type Key string

// The keys of a keypad beside numbers.
const (
	KeyClose   Key = "close" // the basket is paid for
	KeyClear   Key = "clear"
	KeyTimeout Key = "timeout" // digits were keyed and left without Enter
)

// Fault is input that could not be read.
type Fault struct{ Code, Reason string }

// frameQueue is how many frames may wait for the loop: minutes of the fastest
// scanner.
const frameQueue = 1024

// ErrStopped is returned by calls on a lane that does not run.
var ErrStopped = errors.New("the lane is stopping")

// Lane is one checkout lane. Make it with New, then Run it.
type Lane struct {
	hub
	cfg   Config
	deps  Deps
	log   *slog.Logger
	ticks ticker

	frames   chan Frame
	commands chan command
	answers  chan answered
	stopped  chan struct{}

	resolver  *resolver
	forwarder *forwarder
	alive     atomic.Int64 // Boot time of the loop's last turn

	central, main link
	counts        counts

	mu         sync.Mutex
	numbering  numbering
	journalErr string
}

// New returns a lane that goes on where its journal ends.
func New(ctx context.Context, cfg Config, deps Deps) (*Lane, error) {
	if deps.Clock == nil {
		deps.Clock = NewSystemClock()
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	last, err := deps.Journal.Clock(ctx)
	if err != nil {
		return nil, fmt.Errorf("start lane: %v", err)
	}
	incarnation, number, err := deps.Journal.Numbering(ctx)
	if err != nil {
		return nil, fmt.Errorf("start lane: %v", err)
	}
	l := &Lane{
		cfg: cfg.withDefaults(), deps: deps, log: deps.Log,
		ticks:  newTicker(deps.Clock, last),
		frames: make(chan Frame, frameQueue), commands: make(chan command), answers: make(chan answered),
		stopped:   make(chan struct{}),
		numbering: numbering{incarnation, number},
	}
	l.alive.Store(int64(deps.Clock.Boot()))
	l.resolver, l.forwarder = newResolver(l), newForwarder(l)
	return l, nil
}

// Run runs the lane until ctx ends: the loop, and beside it the requests to
// central and the deliveries to the POS main computer. Frames offered before
// that are still committed. Stop the devices first.
func (l *Lane) Run(ctx context.Context) error {
	defer close(l.stopped)
	t, err := newTill(ctx, l)
	if err != nil {
		return fmt.Errorf("start lane: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.resolver.run(ctx) })
	wg.Go(func() { l.forwarder.run(ctx) })
	t.run(ctx)
	wg.Wait()
	return nil
}

// Offer hands over a frame without waiting. It returns false, and counts, if
// the queue is full: the device then signals that the frame was not kept.
func (l *Lane) Offer(f Frame) bool {
	select {
	case l.frames <- f:
		return true
	default:
		wipe(f)
		l.counts.add("overflow")
		l.publish(Event{At: f.At, Type: EventRefused, Device: f.Device, Code: "overflow", Reason: "the lane did not keep up: scan again"})
		return false
	}
}

// Alive gives the time, on the clock's Boot scale, since the loop's last turn.
// The loop turns at least every 5 seconds.
func (l *Lane) Alive() time.Duration {
	return l.deps.Clock.Boot() - time.Duration(l.alive.Load())
}

// Header is what a POS program says of a transaction when it opens one.
type Header struct {
	Kind         basket.Kind `json:"kind"`
	Transaction  string      `json:"transaction,omitempty"`
	BusinessDate string      `json:"business_date,omitempty"`
	Operator     string      `json:"operator,omitempty"`
}

// command is a call of another goroutine, run by the loop. One that begins or
// ends a basket is a border: it comes after the frames that were read before it.
type command struct {
	at     time.Time
	border bool
	run    func(*till) error
	done   chan error
}

func (l *Lane) do(ctx context.Context, c command) error {
	c.at, c.done = l.deps.Clock.Now(), make(chan error, 1)
	select {
	case l.commands <- c:
	case <-l.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call runs a command and returns its result. A caller that gave up has none:
// the command may be running still.
func call[T any](ctx context.Context, l *Lane, run func(*till) (T, error)) (T, error) {
	return ask(ctx, l, false, run)
}

// cross is call for a command that is a border.
func cross[T any](ctx context.Context, l *Lane, run func(*till) (T, error)) (T, error) {
	return ask(ctx, l, true, run)
}

func ask[T any](ctx context.Context, l *Lane, border bool, run func(*till) (T, error)) (T, error) {
	result := make(chan T, 1)
	err := l.do(ctx, command{border: border, run: func(t *till) error {
		got, err := run(t)
		result <- got
		return err
	}})
	select {
	case got := <-result:
		return got, err
	default:
		var none T
		return none, err
	}
}

// Start opens a basket for the POS program. basket.ErrOpen if one is open that
// holds something.
func (l *Lane) Start(ctx context.Context, h Header) (basket.Basket, error) {
	return cross(ctx, l, func(t *till) (basket.Basket, error) { return t.start(h) })
}

// Close ends the open basket as paid for.
func (l *Lane) Close(ctx context.Context) (basket.Basket, error) {
	return cross(ctx, l, func(t *till) (basket.Basket, error) { return t.end(basket.Closed) })
}

// Void ends the open basket as given up.
func (l *Lane) Void(ctx context.Context) (basket.Basket, error) {
	return cross(ctx, l, func(t *till) (basket.Basket, error) { return t.end(basket.Voided) })
}

// VoidLine voids one line of the open basket.
func (l *Lane) VoidLine(ctx context.Context, number int) (basket.Basket, error) {
	return call(ctx, l, func(t *till) (basket.Basket, error) { return t.voidLine(number) })
}

// AddLine adds a label that the POS program or the clerk keyed in. A quantity
// of 0 stands for one piece. *RefusedError if the label may not become a line.
func (l *Lane) AddLine(ctx context.Context, label string, quantity int) (basket.Basket, error) {
	return call(ctx, l, func(t *till) (basket.Basket, error) { return t.keyIn(label, quantity) })
}

// Current gives the open basket; ok is false if none is open.
func (l *Lane) Current(ctx context.Context) (b basket.Basket, ok bool, err error) {
	open, err := call(ctx, l, func(t *till) (*basket.Basket, error) {
		if t.cur == nil {
			return nil, nil
		}
		b := t.snapshot()
		return &b, nil
	})
	if open == nil {
		return basket.Basket{}, false, err
	}
	return *open, true, err
}

// Outbox gives what has not reached the POS main computer or central yet.
func (l *Lane) Outbox(ctx context.Context) (basket.Outbox, error) { return l.deps.Journal.Outbox(ctx) }

// Trace gives the history of a basket. basket.ErrUnknown if it is not here.
func (l *Lane) Trace(ctx context.Context, id basket.ID) (basket.Trace, error) {
	return l.deps.Journal.Trace(ctx, id)
}
