package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"posd/basket"
	"posd/central"
	"posd/enctid"
	"posd/identity"
	"posd/msr"
	"posd/posmain"
	"posd/scanner"
	"posd/tid"
)

// world is everything around a lane: a clock that can jump, a central and a POS
// main computer that can be away, slow or confused, and a disk that can be
// full. It lives in a synctest bubble.
type world struct {
	clock   *testClock
	journal *faultyJournal
	sealer  *testSealer
	central *testCentral
	main    *testMain
	cfg     Config

	lane *Lane
	stop context.CancelFunc
	done chan struct{}
}

func newWorld(j Journal, cfg Config) *world {
	s := &testSealer{}
	w := &world{
		clock:   &testClock{start: time.Now(), bootID: "boot-1"},
		journal: &faultyJournal{Journal: j},
		sealer:  s, central: &testCentral{sealer: s}, main: newTestMain(), cfg: cfg,
	}
	return w
}

func (w *world) run() error {
	ctx, stop := context.WithCancel(context.Background())
	l, err := New(ctx, w.cfg, Deps{Journal: w.journal, Sealer: w.sealer, Central: w.central, Main: w.main, Clock: w.clock})
	if err != nil {
		stop()
		return err
	}
	w.lane, w.stop, w.done = l, stop, make(chan struct{})
	go func() {
		defer close(w.done)
		if err := l.Run(ctx); err != nil {
			panic(err)
		}
	}()
	synctest.Wait()
	return nil
}

func (w *world) halt() {
	w.stop()
	<-w.done
}

// settled waits until the lane has nothing to do, close's own wait included.
func (w *world) settled() {
	time.Sleep(settle + time.Millisecond)
	synctest.Wait()
}

// show offers a frame and reports whether it was kept.
func (w *world) show(f Frame) bool {
	f.At = w.clock.Now()
	f.Device = "test"
	var answered, kept atomic.Bool
	f.Ack = func(k bool) { kept.Store(k); answered.Store(true) }
	if !w.lane.Offer(f) {
		return false
	}
	synctest.Wait()
	if !answered.Load() { // a close waits for stragglers
		w.settled()
	}
	return kept.Load()
}

func (w *world) scan(label string) bool {
	s := scanner.Scan{Data: []byte(label), Label: label, Symbology: "Code128", Kind: scanner.Item}
	return w.show(Frame{Scan: &s})
}

func (w *world) swipe(card string) bool {
	id, err := tid.NewLoyalty("0001", []byte(card))
	if err != nil {
		panic(err)
	}
	return w.show(Frame{Swipe: &msr.Swipe{Source: "card", TID: id}})
}

// testClock is the bubble's clock, with a wall clock that jumps and boots.
type testClock struct {
	start  time.Time
	jump   atomic.Int64
	bootID string
}

func (c *testClock) Now() time.Time      { return time.Now().Add(time.Duration(c.jump.Load())).Round(0) }
func (c *testClock) Boot() time.Duration { return time.Since(c.start) }
func (c *testClock) BootID() string      { return c.bootID }

func (c *testClock) reboot() {
	c.start = time.Now()
	c.bootID += "+"
}

// testSealer gives every TID a number and remembers what it stands for.
type testSealer struct {
	mu      sync.Mutex
	cards   []string
	rotated int
	noKey   bool
}

func (s *testSealer) Seal(t tid.TID, c enctid.Context) (enctid.Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noKey {
		return enctid.Sealed{}, enctid.ErrNoKey
	}
	t.Use(func(digits []byte) { s.cards = append(s.cards, string(digits)) })
	return enctid.Sealed{EncTID: binary.BigEndian.AppendUint64(nil, uint64(len(s.cards))), Key: 7, Enc: []byte("enc")}, nil
}

func (s *testSealer) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotated++
}

func (s *testSealer) card(encTID []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cards[binary.BigEndian.Uint64(encTID)-1]
}

var errAway = errors.New("connection refused")

// testCentral answers by the card; the household is a function of it.
type testCentral struct {
	sealer *testSealer
	mu     sync.Mutex
	away   bool
	slow   time.Duration
	refuse string    // a problem's type
	never  basket.ID // it refuses this basket's
	optOut bool
	old    bool // it knows no batches
	asked  atomic.Int64
	batch  atomic.Int64
}

func (c *testCentral) Resolve(ctx context.Context, r central.Request) (central.Answer, error) {
	c.mu.Lock()
	c.asked.Add(1)
	away, slow, refuse, optOut := c.away, c.slow, c.refuse, c.optOut
	if r.Basket == uuid.UUID(c.never) && r.Basket != uuid.Nil {
		refuse = central.ProblemEncTIDRejected
	}
	c.mu.Unlock()
	if away {
		return central.Answer{}, errAway
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return central.Answer{}, ctx.Err()
		}
	}
	if refuse != "" {
		return central.Answer{}, &central.Problem{Type: refuse, Status: 422, Title: "refused"}
	}
	a := central.Answer{Basket: r.Basket, Swipe: r.Swipe, State: identity.OptedOut}
	if !optOut {
		a.State = identity.Resolved
		a.HHID, a.DeIdentTID = idsOf(c.sealer.card(r.EncTID))
	}
	return a, nil
}

func (c *testCentral) ResolveBatch(ctx context.Context, all []central.Request) ([]central.Result, error) {
	c.batch.Add(1)
	c.mu.Lock()
	old := c.old && !c.away
	c.mu.Unlock()
	return batchOf(ctx, c, all, old)
}

// batchOf answers a batch as its single requests are answered.
func batchOf(ctx context.Context, c interface {
	Resolve(context.Context, central.Request) (central.Answer, error)
}, all []central.Request, old bool) ([]central.Result, error) {
	if old {
		return nil, fmt.Errorf("resolve batch: %w", &central.Problem{Type: central.ProblemNotFound, Status: 404})
	}
	results := make([]central.Result, len(all))
	for i, r := range all {
		if results[i].Answer, results[i].Err = c.Resolve(ctx, r); errors.Is(results[i].Err, errAway) {
			return nil, errAway
		}
	}
	return results, nil
}

// idsOf gives the ids of a card: every card has a household of its own.
func idsOf(card string) (identity.HHID, identity.DeIdentTID) {
	var h identity.HHID
	copy(h[:], card[len(card)-8:])
	var mac [16]byte
	copy(mac[:], card)
	return h, identity.MakeDeIdentTID(1, mac)
}

// testMain keeps what it is sent, by the rules of the POS main computer.
type testMain struct {
	mu          sync.Mutex
	away        bool
	loseReceipt bool
	refuse      bool
	logID       string
	log         map[basket.ID]map[int][]byte
	ever        map[basket.ID]map[int][]byte
	conflict    error
}

func newTestMain() *testMain {
	return &testMain{logID: "log-1", log: map[basket.ID]map[int][]byte{}, ever: map[basket.ID]map[int][]byte{}}
}

func (m *testMain) Put(_ context.Context, id string, body []byte) (posmain.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return posmain.Receipt{}, errAway
	}
	if m.refuse {
		return posmain.Receipt{}, &posmain.Problem{Type: posmain.ProblemInvalidBasket, Status: 422, Title: "refused"}
	}
	b, err := basket.Parse(body)
	if err != nil || b.ID.String() != id {
		m.conflict = errors.Join(m.conflict, fmt.Errorf("basket %s: %v", id, err))
	}
	for _, seen := range []map[basket.ID]map[int][]byte{m.ever, m.log} {
		if seen[b.ID] == nil {
			seen[b.ID] = map[int][]byte{}
		}
		if old, ok := seen[b.ID][b.Revision]; ok && string(old) != string(body) {
			m.conflict = errors.Join(m.conflict, fmt.Errorf("basket %s revision %d came with other content", id, b.Revision))
		}
		seen[b.ID][b.Revision] = body
	}
	if m.loseReceipt {
		return posmain.Receipt{}, errAway
	}
	return posmain.Receipt{Basket: id, Revision: b.Revision, Digest: basket.Digest(body), LogID: m.logID, LoggedAt: time.Now()}, nil
}

// restore makes the log an empty one, as after a loss.
func (m *testMain) restore() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logID += "+"
	m.log = map[basket.ID]map[int][]byte{}
}

// latest gives the newest revision of each basket, by sequence number.
func (m *testMain) latest() (map[uint64]basket.Basket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[uint64]basket.Basket{}
	for _, revisions := range m.log {
		var newest basket.Basket
		for _, body := range revisions {
			b, err := basket.Parse(body)
			if err != nil {
				return nil, err
			}
			if b.Revision > newest.Revision {
				newest = b
			}
		}
		if other, ok := out[newest.Sequence]; ok {
			return nil, fmt.Errorf("number %d was given to baskets %s and %s", newest.Sequence, other.ID, newest.ID)
		}
		out[newest.Sequence] = newest
	}
	return out, m.conflict
}

// faultyJournal refuses to keep anything while its disk is full.
type faultyJournal struct {
	Journal
	full atomic.Bool
}

var errFull = errors.New("database or disk is full")

func (j *faultyJournal) fault() error {
	if j.full.Load() {
		return errFull
	}
	return nil
}

func (j *faultyJournal) Open(ctx context.Context, b basket.Basket, ticks time.Duration) error {
	if err := j.fault(); err != nil {
		return err
	}
	return j.Journal.Open(ctx, b, ticks)
}

func (j *faultyJournal) AppendLine(ctx context.Context, id basket.ID, l basket.Line, ticks time.Duration) error {
	if err := j.fault(); err != nil {
		return err
	}
	return j.Journal.AppendLine(ctx, id, l, ticks)
}

func (j *faultyJournal) AppendIdentity(ctx context.Context, s basket.Sealed, ticks time.Duration) error {
	if err := j.fault(); err != nil {
		return err
	}
	return j.Journal.AppendIdentity(ctx, s, ticks)
}

func (j *faultyJournal) Close(ctx context.Context, id basket.ID, o basket.Outcome, at time.Time, ticks time.Duration) (basket.Basket, error) {
	if err := j.fault(); err != nil {
		return basket.Basket{}, err
	}
	return j.Journal.Close(ctx, id, o, at, ticks)
}

func (j *faultyJournal) DropIdentities(ctx context.Context, id basket.ID) error {
	if err := j.fault(); err != nil {
		return err
	}
	return j.Journal.DropIdentities(ctx, id)
}

func (j *faultyJournal) VoidLine(ctx context.Context, id basket.ID, n int, at time.Time, ticks time.Duration) error {
	if err := j.fault(); err != nil {
		return err
	}
	return j.Journal.VoidLine(ctx, id, n, at, ticks)
}

func (j *faultyJournal) Answer(ctx context.Context, id basket.ID, swipe int, a basket.Answer) (basket.Basket, bool, error) {
	if err := j.fault(); err != nil {
		return basket.Basket{}, false, err
	}
	return j.Journal.Answer(ctx, id, swipe, a)
}

func (j *faultyJournal) Acknowledge(ctx context.Context, id basket.ID, rev int, r basket.Receipt, ticks time.Duration) (int, error) {
	if err := j.fault(); err != nil {
		return 0, err
	}
	return j.Journal.Acknowledge(ctx, id, rev, r, ticks)
}
