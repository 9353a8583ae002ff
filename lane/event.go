package lane

import (
	"sync"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/msr"
)

// The types of event.
const (
	EventOpened   = "basket-opened"
	EventClosed   = "basket-closed"
	EventScan     = "scan"        // committed as a line, or taken as a control label or as the other code of a line's item (Code)
	EventSwipe    = "swipe"       // a card or a keyed number was read
	EventIdentity = "identity"    // the state of an identity changed
	EventVoided   = "line-voided" // the clerk took a line back
	EventDropped  = "identities-dropped"
	EventKey      = "key"      // a key that is no number: close, clear, time-out
	EventRefused  = "refused"  // something was read and not kept; Code and Reason say why
	EventFault    = "fault"    // something could not be read
	EventDelivery = "delivery" // a revision was acknowledged or refused
	EventAlarm    = "alarm"    // a person must look
)

// Event is something that happened on the lane, for people and the POS program
// to follow. It holds no digits of a card or number beyond the last four, and
// never those beside a DeIdentTID.
type Event struct {
	At       time.Time      `json:"at"`
	Type     string         `json:"type"`
	Device   string         `json:"device,omitempty"`
	Basket   *basket.ID     `json:"basket,omitempty"`
	Line     *basket.Line   `json:"line,omitempty"`
	Outcome  basket.Outcome `json:"outcome,omitempty"`
	Sequence uint64         `json:"sequence,omitempty"`
	Revision int            `json:"revision,omitempty"`
	Source   string         `json:"source,omitempty"` // of a swipe: card, keypad, label
	Tracks   []msr.Track    `json:"tracks,omitempty"`
	Last4    string         `json:"last4,omitempty"`
	Swipe    int            `json:"swipe,omitempty"`
	Kind     identity.Kind  `json:"kind,omitempty"`
	State    identity.State `json:"state,omitempty"`
	HHID     identity.HHID  `json:"hhid,omitzero"`
	Code     string         `json:"code,omitempty"`
	Reason   string         `json:"reason,omitempty"`
}

// subscriberQueue is how far a subscriber may fall behind.
const subscriberQueue = 256

// hub hands events to whoever listens. It never waits for a listener: one that
// falls behind is cut off.
type hub struct {
	mu   sync.Mutex
	subs map[chan Event]struct{}
}

// Subscribe gives the events from now on. The channel is closed when the
// subscriber falls more than 256 events behind, or calls cancel.
func (h *hub) Subscribe() (events <-chan Event, cancel func()) {
	ch := make(chan Event, subscriberQueue)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[chan Event]struct{}{}
	}
	h.subs[ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.remove(ch)
	}
}

func (h *hub) remove(ch chan Event) {
	if _, ok := h.subs[ch]; ok {
		delete(h.subs, ch)
		close(ch)
	}
}

func (h *hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subs {
		select {
		case ch <- e:
		default:
			h.remove(ch)
		}
	}
}
