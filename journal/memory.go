package journal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"posd/basket"
	"posd/identity"
)

// Memory is a journal that is gone with its process. It satisfies lane.Journal.
type Memory struct {
	priority []identity.Kind
	now      func() time.Time

	mu          sync.Mutex
	incarnation string
	last        uint64
	clock       basket.Clock
	logID       string
	watermark   uint64
	baskets     []*entry // in the order in which they were opened
	sealed      []basket.Sealed
	deliveries  []*delivery
	orders      int64 // given to sealed and deliveries
}

// entry is one basket and what its wire form does not tell.
type entry struct {
	history   // its deliveries are in Memory
	lastSwipe int
	active    time.Duration
	closed    time.Duration // ticks
}

type delivery struct {
	deliveryTimes
	ticks time.Duration
}

// NewMemory gives an empty journal that tags baskets by priority.
func NewMemory(priority []identity.Kind) *Memory {
	var raw [8]byte
	rand.Read(raw[:])
	return &Memory{priority: priority, now: time.Now, incarnation: hex.EncodeToString(raw[:])}
}

// Numbering gives the incarnation and the last sequence number.
func (m *Memory) Numbering(context.Context) (incarnation string, last uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.incarnation, m.last, nil
}

// Clock gives what SetClock last stored.
func (m *Memory) Clock(context.Context) (basket.Clock, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock, nil
}

// SetClock stores c.
func (m *Memory) SetClock(_ context.Context, c basket.Clock) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = c
	return nil
}

// Resume gives the open basket, if there is one.
func (m *Memory) Resume(context.Context) (r basket.Resumed, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.open(); e != nil {
		return basket.Resumed{Basket: m.tagged(e), LastSwipe: e.lastSwipe, Active: e.active}, true, nil
	}
	return basket.Resumed{}, false, nil
}

// Open begins b.
func (m *Memory) Open(_ context.Context, b basket.Basket, ticks time.Duration) error {
	if b.ID == (basket.ID{}) {
		return errNoID
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open() != nil {
		return basket.ErrOpen
	}
	if m.find(b.ID) != nil {
		return errIDUsed
	}
	e := &entry{active: ticks, history: history{basket: basket.Basket{
		V: basket.Version, ID: b.ID, OpenedAt: inUTC(b.OpenedAt), Lines: []basket.Line{}, Identities: []basket.Identity{},
	}}}
	e.describe(b)
	m.baskets = append(m.baskets, e)
	return nil
}

func (e *entry) describe(b basket.Basket) {
	e.basket.Kind, e.basket.Transaction, e.basket.BusinessDate, e.basket.Operator = b.Kind, b.Transaction, b.BusinessDate, b.Operator
}

// Describe gives the open basket a kind and a header.
func (m *Memory) Describe(_ context.Context, b basket.Basket, ticks time.Duration) error {
	return m.change(b.ID, ticks, func(e *entry) error {
		e.describe(b)
		return nil
	})
}

// AppendLine adds l to the open basket.
func (m *Memory) AppendLine(_ context.Context, id basket.ID, l basket.Line, ticks time.Duration) error {
	return m.change(id, ticks, func(e *entry) error {
		if l.Number != len(e.basket.Lines)+1 {
			return errLineNumber(l.Number)
		}
		l.At, l.Data = inUTC(l.At), bytes.Clone(l.Data)
		if len(l.Data) == 0 {
			l.Data = nil
		}
		l.VoidedAt = nil
		e.basket.Lines = append(e.basket.Lines, l)
		e.committed = append(e.committed, inUTC(m.now()))
		return nil
	})
}

// VoidLine marks a line of the open basket.
func (m *Memory) VoidLine(_ context.Context, id basket.ID, number int, at time.Time, ticks time.Duration) error {
	return m.change(id, ticks, func(e *entry) error {
		if number < 1 || number > len(e.basket.Lines) || e.basket.Lines[number-1].VoidedAt != nil {
			return basket.ErrNoSuchLine
		}
		at = inUTC(at)
		e.basket.Lines[number-1].VoidedAt = &at
		return nil
	})
}

// AppendIdentity adds a pending identity to the open basket.
func (m *Memory) AppendIdentity(_ context.Context, s basket.Sealed, ticks time.Duration) error {
	if err := checkSealed(s); err != nil {
		return err
	}
	return m.change(s.Basket, ticks, func(e *entry) error {
		if s.Swipe <= e.lastSwipe {
			return errSwipeUsed
		}
		e.lastSwipe = s.Swipe
		s.At, s.EncTID, s.Enc, s.Order = inUTC(s.At), bytes.Clone(s.EncTID), bytes.Clone(s.Enc), m.order()
		e.basket.Identities = append(e.basket.Identities, basket.Identity{Swipe: s.Swipe, Kind: s.Kind, At: s.At, State: identity.Pending})
		e.identities = append(e.identities, identityTimes{sealed: time.UnixMilli(s.SealedAt).UTC()})
		m.sealed = append(m.sealed, s)
		return nil
	})
}

// DropIdentities forgets the identities of the open basket.
func (m *Memory) DropIdentities(_ context.Context, id basket.ID) error {
	return m.change(id, 0, func(e *entry) error {
		m.drop(e)
		return nil
	})
}

// Close ends the open basket.
func (m *Memory) Close(_ context.Context, id basket.ID, outcome basket.Outcome, at time.Time, ticks time.Duration) (b basket.Basket, err error) {
	if err := checkOutcome(outcome); err != nil {
		return basket.Basket{}, err
	}
	err = m.change(id, ticks, func(e *entry) error {
		e.basket.Outcome, e.basket.ClosedAt, e.closed = outcome, inUTC(at), ticks
		if e.basket.Kind == basket.Training {
			m.drop(e)
			b = m.tagged(e)
			return nil
		}
		if outcome == basket.Voided {
			for i := range e.basket.Identities {
				m.answer(e, i, basket.Answer{State: identity.Unresolved})
			}
		}
		m.last++
		e.basket.Incarnation, e.basket.Sequence = m.incarnation, m.last
		b, err = m.revise(e)
		return err
	})
	return b, err
}

// change runs fn on the open basket, if it is id.
func (m *Memory) change(id basket.ID, ticks time.Duration, fn func(*entry) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.find(id)
	if e == nil || e.basket.Outcome != basket.Open {
		return basket.ErrNotOpen
	}
	if err := fn(e); err != nil {
		return err
	}
	e.active = max(e.active, ticks)
	return nil
}

func (m *Memory) find(id basket.ID) *entry {
	for _, e := range slices.Backward(m.baskets) {
		if e.basket.ID == id {
			return e
		}
	}
	return nil
}

// open gives the open basket. No basket is opened beside it, so it is the last.
func (m *Memory) open() *entry {
	if n := len(m.baskets); n > 0 && m.baskets[n-1].basket.Outcome == basket.Open {
		return m.baskets[n-1]
	}
	return nil
}

func (m *Memory) order() int64 {
	m.orders++
	return m.orders
}

// tagged is a copy of a basket that its reader may keep and change.
func (m *Memory) tagged(e *entry) basket.Basket {
	b := e.basket
	b.Lines = slices.Clone(b.Lines)
	for i, l := range b.Lines {
		b.Lines[i].Data = bytes.Clone(l.Data)
		if l.VoidedAt != nil {
			at := *l.VoidedAt
			b.Lines[i].VoidedAt = &at
		}
	}
	b.Identities = slices.Clone(b.Identities)
	b.Tag(m.priority)
	return b
}

func (m *Memory) drop(e *entry) {
	m.sealed = slices.DeleteFunc(m.sealed, func(s basket.Sealed) bool { return s.Basket == e.basket.ID })
	e.basket.Identities, e.identities = []basket.Identity{}, nil
}

// answer is the compare-and-set of identity number i.
func (m *Memory) answer(e *entry, i int, a basket.Answer) bool {
	id := &e.basket.Identities[i]
	if id.State != identity.Pending {
		return false
	}
	id.State, id.HHID, id.DeIdentTID = a.State, a.HHID, a.DeIdentTID
	e.identities[i].answered = inUTC(m.now())
	m.sealed = slices.DeleteFunc(m.sealed, func(s basket.Sealed) bool { return s.Basket == e.basket.ID && s.Swipe == id.Swipe })
	return true
}
