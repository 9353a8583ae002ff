package server

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"posd/central"
	"posd/enctid"
	"posd/tid"
	"posd/traceparent"
)

// lookup is one path of the lookup listener. Whoever has read the request, a session or
// net/http, it is answered by the same function, with JSON or a problem. The JSON is
// good until work is used for something else.
type lookup struct {
	path   string
	most   int // bytes of the body
	answer func(*visitor, body, *work) ([]byte, *central.Problem)
}

func (s *Server) lookupPaths() []lookup {
	return []lookup{
		{central.ResolvePath, central.MaxRequest, s.resolve},
		{central.BatchPath, central.MaxBatchRequest, s.resolveBatch},
		{central.ManifestPath, central.MaxRequest, s.manifest},
	}
}

// body is that of a request. It must be JSON, of so many bytes at most; whoever
// brings it wipes it.
type body interface {
	read(most int) ([]byte, *central.Problem)
}

// work is the memory that a request needs, used again for the next.
type work struct {
	plain  plainBody
	req    central.Request
	enctid [enctid.SizeWithEnc + 2]byte // base64 tells its size only to three bytes
	slot   *tid.Slot
	answer []byte
	out    []byte
}

func newWork() *work { return &work{slot: tid.NewSlot()} }

// overHTTP answers through net/http.
func (s *Server) overHTTP(l lookup) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := &httpBody{r: r}
		defer in.wipe()
		v := s.visitorOf(r)
		if v.activity != nil {
			v.activity.runs([]byte(r.UserAgent()))
		}
		v.trace = traceparent.Of(r)
		text, p := l.answer(v, in, newWork())
		if p != nil {
			p.Write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.Write(text)
	})
}

// visitorKey is that of a connection's visitor in the context of its requests.
type visitorKey struct{}

func (s *Server) visitorOf(r *http.Request) *visitor {
	if v, ok := r.Context().Value(visitorKey{}).(*visitor); ok {
		return v
	}
	var state tls.ConnectionState
	if r.TLS != nil {
		state = *r.TLS
	}
	return s.visitor(state)
}

type httpBody struct {
	r    *http.Request
	text []byte
}

func (b *httpBody) read(most int) (_ []byte, p *central.Problem) {
	b.text, p = readBody(b.r, most)
	return b.text, p
}

func (b *httpBody) wipe() { clear(b.text) }

func marshal(v any) ([]byte, *central.Problem) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, problem("about:blank", http.StatusInternalServerError, "internal error", "")
	}
	return text, nil
}

// dates writes the Date header, once a second.
type dates struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   string
}

func (d *dates) at(now time.Time) string {
	last := d.last.Load()
	if last == nil || last.second != now.Unix() {
		last = &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
		d.last.Store(last)
	}
	return last.text
}
