package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"posd/central"
	"posd/central/server/store"
	"posd/enroll"
	"posd/traceparent"
)

const (
	maxWait   = 25 * time.Second // how long a POS main computer may wait for changes
	feedSlack = 10 * time.Second // to write a page over a slow line
)

// feedRate bounds how often one POS main computer asks for changes: a feed of a
// million is read in minutes.
var feedRate = Rate{20, 200}

// feed wakes those who wait for changes.
type feed struct {
	mu    sync.Mutex
	head  uint64
	wake  chan struct{} // closed at the next change
	ended chan struct{} // closed when the server ends
}

// next gives the channel that is closed at the next change.
func (f *feed) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wake
}

// advance wakes those who wait, if head is new to them.
func (f *feed) advance(head uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if head == f.head {
		return
	}
	f.head = head
	close(f.wake)
	f.wake = make(chan struct{})
}

// followFeed looks whether there is something new in the feed.
func (s *Server) followFeed(ctx context.Context) error {
	head, err := s.store.FeedHead(ctx)
	if err == nil {
		s.feed.advance(max(head, s.revokedChange))
	}
	return err
}

// changes answers GET /v1/changes.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	q, p := parseChanges(r.URL.Query())
	if p == nil {
		// The listener's own deadlines are for requests that wait for nothing. Not
		// every test has a connection that could set them.
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Time{})
		_ = control.SetWriteDeadline(time.Now().Add(q.wait + feedSlack))
		var page central.Changes
		if page, p = s.page(r, q); p == nil {
			writeJSON(w, http.StatusOK, page)
			return
		}
	}
	p.Write(w)
}

// changesQuery is what a POS main computer asks for.
type changesQuery struct {
	feed  string
	after uint64
	wait  time.Duration
}

func parseChanges(values url.Values) (q changesQuery, p *central.Problem) {
	wait := uint64(0)
	for name, at := range map[string]*uint64{"after": &q.after, "wait": &wait} {
		if text := values.Get(name); text != "" {
			var err error
			if *at, err = strconv.ParseUint(text, 10, 63); err != nil {
				return q, badRequest(name + " must be a number")
			}
		}
	}
	q.feed, q.wait = values.Get("feed"), min(time.Duration(min(wait, 3600))*time.Second, maxWait)
	return q, nil
}

// page waits until there is something to tell, or for as long as it is asked to.
func (s *Server) page(r *http.Request, q changesQuery) (central.Changes, *central.Problem) {
	over := time.NewTimer(q.wait)
	defer over.Stop()
	for last := q.wait == 0; ; {
		next := s.feed.next()
		page, p := s.look(r, q)
		if p != nil || last || len(page.Changes) > 0 || page.After != q.after || page.Feed != q.feed {
			return page, p
		}
		select {
		case <-next:
		case <-over.C:
			last = true
		case <-s.feed.ended:
			last = true
		case <-r.Context().Done():
			last = true
		}
	}
}

// look gives what there is. Who asks is checked each time: it may have been revoked
// while it waited.
func (s *Server) look(r *http.Request, q changesQuery) (central.Changes, *central.Problem) {
	name, p := s.posmain(r)
	if p != nil {
		return central.Changes{}, p
	}
	if wait, ok := s.polls.take(name.String(), s.now()); !ok {
		return central.Changes{}, overQuota(wait, "this POS main computer asks too often")
	}
	page, err := s.store.Changes(r.Context(), name, q.feed, q.after, central.MaxChanges)
	if err != nil {
		return page, s.feedFailed(r, name, err)
	}
	return page, nil
}

// posmain is the POS main computer that asks.
func (s *Server) posmain(r *http.Request) (enroll.Name, *central.Problem) {
	v := s.visitorOf(r)
	p := s.greet(v, s.now())
	if p == nil && v.name.Role != enroll.POSMain {
		p = forbidden("only POS main computers follow changes; this certificate is of role " + string(v.name.Role))
	}
	return v.name, p
}

func (s *Server) feedFailed(r *http.Request, name enroll.Name, err error) *central.Problem {
	if r.Context().Err() != nil {
		return unavailable("the request was given up")
	}
	traceparent.Log(s.log, traceparent.Of(r)).Error("changes not told", "to", name.String(), "error", err)
	return unavailable(storeDetail(err))
}

// acknowledge answers POST /v1/changes/ack.
func (s *Server) acknowledge(r *http.Request) (any, *central.Problem) {
	name, p := s.posmain(r)
	if p != nil {
		return nil, p
	}
	var ack central.Ack
	if p := decode(r, &ack); p != nil {
		return nil, p
	}
	switch err := s.store.Acknowledge(r.Context(), name, ack, s.now()); {
	case errors.Is(err, store.ErrOtherFeed):
		return nil, problem(central.ProblemOtherFeed, http.StatusConflict, "other feed", "that is no change of this feed: read it from the start")
	case errors.Is(err, store.ErrNoMachine):
		return nil, problem(central.ProblemForbidden, http.StatusForbidden, "forbidden", "central does not know this machine: was central restored from a backup?")
	case err != nil:
		s.noteWrite(true, err)
		return nil, s.feedFailed(r, name, err)
	}
	return ack, nil
}
