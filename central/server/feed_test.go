package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"posd/central"
	"posd/central/server/store"
	"posd/enroll"
	"posd/identity"
)

func (f *faulty) Changes(ctx context.Context, who enroll.Name, feed string, after uint64, limit int) (central.Changes, error) {
	if err := f.failure(); err != nil {
		return central.Changes{}, err
	}
	return f.Store.Changes(ctx, who, feed, after, limit)
}

func (f *faulty) Acknowledge(ctx context.Context, who enroll.Name, ack central.Ack, now time.Time) error {
	if err := f.failure(); err != nil {
		return err
	}
	return f.Store.Acknowledge(ctx, who, ack, now)
}

// changes asks for the feed as a POS main computer does.
func (m *machine) changes(query string) (c central.Changes) {
	m.h.t.Helper()
	w := m.h.want(200, "", m, "GET", central.ChangesPath+query, nil)
	must(m.h.t, json.Unmarshal(w.Body.Bytes(), &c))
	return c
}

// merge makes one household of two cards', and splits it again if asked to.
func (h *harness) merge(lane *machine) (from, into identity.HHID) {
	h.t.Helper()
	a, b := lane.resolve("378282246310005", 1), lane.resolve("6011111111111117", 2)
	_, err := h.st.Merge(h.t.Context(), store.Act{At: h.clock()}, 1, a.HHID, b.HHID, false)
	must(h.t, err)
	return a.HHID, b.HHID
}

// feedRefusals asks for all that the feed refuses.
func (h *harness) feedRefusals(lane, main *machine) {
	h.merge(lane)
	got := main.changes("")
	main.changes("?feed=" + got.Feed + "&after=1&wait=0")
	h.want(200, "", main, "POST", central.AckPath, central.Ack{Feed: got.Feed, Change: got.Next})
	h.want(409, central.ProblemOtherFeed, main, "POST", central.AckPath, central.Ack{Feed: got.Feed, Change: got.Next + 1000})
	h.want(409, central.ProblemOtherFeed, main, "POST", central.AckPath, central.Ack{Feed: "other", Change: 1})
	h.want(400, central.ProblemBadRequest, main, "GET", central.ChangesPath+"?after=-1", nil)
	h.want(400, central.ProblemBadRequest, main, "GET", central.ChangesPath+"?wait=x", nil)
	h.want(400, central.ProblemBadRequest, main, "POST", central.AckPath, "{}}")
	h.want(413, central.ProblemTooLarge, main, "POST", central.AckPath, strings.Repeat(" ", 5000))
	h.want(415, central.ProblemMediaType, main, "POST", central.AckPath, "{}", "text/plain")
	for _, m := range []*machine{nil, lane} {
		h.want(403, central.ProblemForbidden, m, "GET", central.ChangesPath, nil)
		h.want(403, central.ProblemForbidden, m, "POST", central.AckPath, central.Ack{Feed: got.Feed})
	}
	h.st.fail(errBoom)
	h.want(503, central.ProblemUnavailable, main, "GET", central.ChangesPath, nil)
	h.want(503, central.ProblemUnavailable, main, "POST", central.AckPath, central.Ack{Feed: got.Feed})
	h.st.fail(nil)
	must(h.t, h.s.followFeed(h.t.Context()))
	for range int(feedRate.Burst) + 1 {
		if w := h.do(main, "GET", central.ChangesPath, nil); w.Code == 429 {
			return
		}
	}
	h.t.Error("the feed may be asked without end")
}

func TestFeedTellsWhatHasChanged(t *testing.T) {
	h := start(t)
	lane, main := h.enrol(lane1), h.enrol(shop)
	from, into := h.merge(lane)
	got := main.changes("")
	if len(got.Changes) != 2 || got.Changes[0].Type != central.Merged || got.Changes[0].HHID != from || got.Changes[0].Survivor != into ||
		got.Changes[1].Type != central.Moved || got.Changes[1].HHID != into || got.More || got.Feed == "" || got.After != 0 {
		t.Fatalf("%+v", got)
	}
	here := fmt.Sprintf("?feed=%s&after=%d", got.Feed, got.Next)
	if none := main.changes(here); len(none.Changes) != 0 || none.Next != got.Next || none.After != got.Next {
		t.Errorf("nothing new: %+v", none)
	}
	// A revoked lane of the shop is told, and one of another shop is not.
	other := enroll.Name{Tenant: "acme", Shop: "13", Role: enroll.Lane, Lane: "1"}
	h.enrol(other)
	for _, n := range []enroll.Name{lane1, other} {
		must(t, h.st.Revoke(t.Context(), store.Act{At: h.clock()}, n))
	}
	if more := main.changes(here); len(more.Changes) != 1 || more.Changes[0].Type != central.Revoked || more.Changes[0].Serial != fmt.Sprintf("%x", lane.cert.SerialNumber.Bytes()) {
		t.Errorf("revoked: %+v", more)
	}
	// What is not of this feed begins from the start.
	for _, query := range []string{"?after=3", "?feed=other&after=3", fmt.Sprintf("?feed=%s&after=100000", got.Feed)} {
		if all := main.changes(query); all.After != 0 || len(all.Changes) != 3 {
			t.Errorf("%s: %+v", query, all)
		}
	}
	// A POS main computer that was revoked is told nothing.
	must(t, h.st.Revoke(t.Context(), store.Act{At: h.clock()}, shop))
	must(t, h.s.followRevocations(t.Context()))
	h.want(403, central.ProblemRevoked, main, "GET", central.ChangesPath, nil)
}

func TestFeedWakesWhoWaits(t *testing.T) {
	h := start(t)
	lane, main := h.enrol(lane1), h.enrol(shop)
	at := main.changes("")
	asked := make(chan central.Changes)
	go func() { asked <- main.changes(fmt.Sprintf("?feed=%s&after=%d&wait=25", at.Feed, at.Next)) }()
	from, _ := h.merge(lane)
	must(t, h.s.followFeed(t.Context()))
	if got := <-asked; !slices.ContainsFunc(got.Changes, func(c central.Change) bool { return c.Type == central.Merged && c.HHID == from }) {
		t.Errorf("woken with %+v", got)
	}
	// One that waits does not hold the server's end up.
	at = main.changes("")
	go func() { asked <- main.changes(fmt.Sprintf("?feed=%s&after=%d&wait=25", at.Feed, at.Next)) }()
	close(h.s.feed.ended)
	if got := <-asked; len(got.Changes) != 0 || got.Next != at.Next {
		t.Errorf("at the end: %+v", got)
	}
}

// The listener's deadlines, which are shorter, do not end a request that waits.
func TestFeedOutlastsTheListenersDeadlines(t *testing.T) {
	h := start(t)
	var deadlines []time.Time
	w := &deadlineRecorder{header: http.Header{}, set: func(at time.Time) { deadlines = append(deadlines, at) }}
	main := h.enrol(shop)
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://central.example"+central.ChangesPath, nil)
	must(t, err)
	r.TLS = main.state()
	h.s.changes(w, r)
	if len(deadlines) != 2 || !deadlines[0].IsZero() || time.Until(deadlines[1]) < feedSlack/2 {
		t.Errorf("deadlines %v", deadlines)
	}
}

type deadlineRecorder struct {
	header http.Header
	set    func(time.Time)
}

func (d *deadlineRecorder) Header() http.Header                 { return d.header }
func (d *deadlineRecorder) Write(b []byte) (int, error)         { return len(b), nil }
func (d *deadlineRecorder) WriteHeader(int)                     {}
func (d *deadlineRecorder) SetReadDeadline(at time.Time) error  { d.set(at); return nil }
func (d *deadlineRecorder) SetWriteDeadline(at time.Time) error { d.set(at); return nil }
