package server

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"posd/central"
	rfc9457 "posd/problem"
)

// How long a caller may take.
const (
	requestTimeout = 10 * time.Second // to send a request, from its first byte
	answerTimeout  = 20 * time.Second // to take the answer
	idleTimeout    = 2 * time.Minute  // between requests
	linger         = 100 * time.Millisecond
)

const (
	smallBuffer = 4 << 10 // holds a request that brings its enc
	maxHead     = 4 << 10 // longer heads are for net/http to refuse
)

// session reads requests from a connection and answers them, one after the other. It
// knows plain requests alone. When another comes, right or wrong, net/http
// takes the connection over for good.
type session struct {
	front   *front
	raw     net.Conn
	conn    net.Conn // the same under TLS; nil before the handshake
	visitor *visitor
	in      []byte // what was read and is not answered yet

	idling  atomic.Bool // it waits for a request
	rested  time.Time   // when the read deadline was set to the end of the idle time; zero: it is another
	written time.Time   // when the write deadline was set
}

// end ends the connection.
func (c *session) end() {
	c.conn.Close()
	c.front.forget(c.raw)
}

// serve answers until the connection ends, or is to be handed over.
func (c *session) serve() (handOver bool) {
	c.in = make([]byte, 0, smallBuffer)
	for {
		if len(c.in) == 0 && !c.idle() {
			return false
		}
		h, size, plain, ok := c.head()
		if !ok || !plain {
			return ok
		}
		if !c.fill(size + h.length) {
			return false
		}
		stay := c.answer(h, c.in[size:size+h.length])
		c.wipe(size + h.length)
		if !stay {
			return false
		}
	}
}

// idle waits for the first bytes of a request.
func (c *session) idle() bool {
	if cap(c.in) > smallBuffer {
		c.in = make([]byte, 0, smallBuffer)
	}
	if now := time.Now(); now.Sub(c.rested) > time.Second {
		c.rested = now
		c.conn.SetReadDeadline(now.Add(idleTimeout))
	}
	c.idling.Store(true)
	defer c.idling.Store(false)
	if c.front.stopping.Load() { // either this is seen here, or stop sees that it idles
		c.conn.SetReadDeadline(time.Now().Add(linger))
	}
	return c.read()
}

func (c *session) read() bool {
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	return n > 0 || err == nil
}

// head reads the head of a request, and tells its size. It is not plain if it is for
// net/http to read; ok is false if the connection has ended.
func (c *session) head() (h head, size int, plain, ok bool) {
	for {
		if end := bytes.Index(c.in, []byte("\r\n\r\n")); end >= 0 && end <= maxHead {
			h, plain = parseHead(c.in[:end], c.front.paths)
			return h, end + 4, plain && h.length <= c.front.paths[h.path].most, true
		}
		if len(c.in) >= maxHead {
			return head{}, 0, false, true
		}
		if !c.fill(len(c.in) + 1) {
			return head{}, 0, false, false
		}
	}
}

// fill reads until there is so much of a request.
func (c *session) fill(size int) bool {
	if len(c.in) >= size {
		return true
	}
	if !c.rested.IsZero() {
		c.rested = time.Time{}
		c.conn.SetReadDeadline(time.Now().Add(requestTimeout))
	}
	if size > cap(c.in) {
		c.in = append(make([]byte, 0, max(size, 2*cap(c.in))), c.in...)
	}
	for len(c.in) < size {
		if !c.read() {
			return false
		}
	}
	return true
}

// wipe forgets the request that has just been answered.
func (c *session) wipe(size int) {
	n := copy(c.in, c.in[size:])
	clear(c.in[n:])
	c.in = c.in[:n]
}

// plainBody is a body that was read already, and is known to be of JSON.
type plainBody []byte

func (b plainBody) read(int) ([]byte, *central.Problem) { return b, nil }

// answer answers a request, and tells whether the connection stays.
func (c *session) answer(h head, body []byte) bool {
	w := c.front.work.Get().(*work)
	defer c.front.work.Put(w)
	w.plain = body
	if a := c.visitor.activity; a != nil {
		a.runs(h.agent)
	}
	c.visitor.trace = h.trace
	text, p := c.front.paths[h.path].answer(c.visitor, &w.plain, w)
	now := time.Now()
	stay := !h.close && !c.front.stopping.Load()
	w.out = w.out[:0]
	if p != nil {
		w.out = c.problem(w.out, p, now, stay)
	} else {
		w.out = appendHead(w.out, http.StatusOK, "application/json", len(text), c.front.dates.at(now), stay)
		w.out = append(w.out, text...)
	}
	if now.Sub(c.written) > time.Second {
		c.written = now
		c.conn.SetWriteDeadline(now.Add(answerTimeout))
	}
	_, err := c.conn.Write(w.out)
	return stay && err == nil
}

func (c *session) problem(dst []byte, p *central.Problem, now time.Time, stay bool) []byte {
	body := p.JSON()
	dst = appendHead(dst, p.Status, rfc9457.MediaType, len(body), c.front.dates.at(now), stay)
	if retry := p.RetryAfterSeconds(); retry > 0 {
		dst = dst[:len(dst)-2]
		dst = append(strconv.AppendInt(append(dst, "Retry-After: "...), int64(retry), 10), "\r\n\r\n"...)
	}
	return append(dst, body...)
}

// appendHead appends the head of an answer, up to and with the empty line.
func appendHead(dst []byte, status int, kind string, length int, date string, stay bool) []byte {
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10)
	dst = append(append(dst, ' '), http.StatusText(status)...)
	dst = append(dst, "\r\nCache-Control: no-store\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	dst = append(append(dst, "\r\nContent-Type: "...), kind...)
	dst = append(append(dst, "\r\nDate: "...), date...)
	if !stay {
		dst = append(dst, "\r\nConnection: close"...)
	}
	return append(dst, "\r\n\r\n"...)
}
