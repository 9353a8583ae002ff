package emul

import "sync"

// EndpointKind is how an endpoint transfers.
type EndpointKind byte

// The kinds of endpoint that there are here.
const (
	Bulk      EndpointKind = 2
	Interrupt EndpointKind = 3
)

// In is the bit of an endpoint's address by which it sends to the host.
const In = 0x80

// Endpoint is an endpoint of an interface. What an In endpoint sends waits until
// the host asks for it.
type Endpoint struct {
	Address byte
	Kind    EndpointKind
	Out     func([]byte) // takes what the host sends to an endpoint that is not In

	mu    sync.Mutex
	link  *link
	asked []request // by the host, and not answered yet
	waits [][]byte  // to be sent
	sent  sync.Cond // on mu: something was, or the cable was pulled
}

// interval is how often the host asks, in ms.
func (e *Endpoint) interval() byte {
	if e.Kind == Interrupt {
		return 1
	}
	return 0
}

// Send sends data when the host asks for it: one report, or some bytes of a
// stream. What waits when the cable is pulled is lost.
func (e *Endpoint) Send(data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waits = append(e.waits, append([]byte{}, data...))
	e.match()
}

// Drain waits until the host has taken all that was sent, and reports whether it
// did: not, if the cable was pulled.
func (e *Endpoint) Drain() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent.L = &e.mu
	for len(e.waits) > 0 && e.link != nil {
		e.sent.Wait()
	}
	return e.link != nil
}

// match answers what the host asked for with what waits.
func (e *Endpoint) match() {
	for len(e.asked) > 0 && len(e.waits) > 0 {
		r, data := e.asked[0], e.waits[0]
		n := min(len(data), int(r.length))
		e.link.answer(r, 0, data[:n])
		e.asked = e.asked[1:]
		if e.waits[0] = data[n:]; n == len(data) {
			e.waits = e.waits[1:]
		}
	}
	if len(e.waits) == 0 {
		e.sent.Broadcast()
	}
}

// ask takes the host's request to read.
func (e *Endpoint) ask(r request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, r)
	e.match()
}

// forget drops a request that the host takes back, and reports whether it was
// still waiting.
func (e *Endpoint) forget(number uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, r := range e.asked {
		if r.number == number {
			e.asked = append(e.asked[:i], e.asked[i+1:]...)
			return true
		}
	}
	return false
}

// connect gives the endpoint the cable, or nil when that was pulled.
func (e *Endpoint) connect(l *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.link, e.asked, e.waits = l, nil, nil
	e.sent.Broadcast()
}
