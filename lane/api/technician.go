package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"posd/lane"
)

// How long a technician's stream may last, in seconds.
const (
	defaultSeconds = 30
	maxSeconds     = 600
)

// letGo is how long it may take to notice that the listener before has gone.
const letGo = time.Second

// ErrBusy is returned by Program's Listen and Record for a device that somebody
// listens to already.
var ErrBusy = errors.New("somebody listens to this device already")

// Why a stream ends before its time.
var (
	errStopping = errors.New("posd stops")
	errOpened   = errors.New("a basket was opened, and what is scanned goes into it again: nobody listens any more")
)

// endedBy is the trailer that says why a stream has ended before its time.
const endedBy = "Posd-Ended-By"

// heard streams what devices send, and what each driver makes of it, as lines of
// JSON. What is scanned meanwhile goes into no basket, so none may be open: it
// ends when one is opened.
func (s *Server) heard(w http.ResponseWriter, r *http.Request) {
	events, unsubscribe := s.lane.Subscribe()
	defer unsubscribe()
	if _, open, err := s.lane.Current(r.Context()); err != nil || open {
		p := newProblem(ProblemBasketOpen, "a basket is open, and what is scanned now would not come into it: close or void it first")
		if err != nil {
			p = problemOf(err)
		}
		p.write(w)
		return
	}
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	go func() {
		for e := range events {
			if e.Type == lane.EventOpened {
				stop(errOpened)
			}
		}
	}()
	s.technician(w, r.WithContext(ctx), r.URL.Query().Get("device"), "application/x-ndjson", func(ctx context.Context, device string, o *stream) error {
		enc := json.NewEncoder(o)
		return s.program.Listen(ctx, device, o.begin, func(v any) { _ = enc.Encode(v) })
	})
}

// recording streams a recording of what a device sends. What is scanned goes on
// as ever.
func (s *Server) recording(w http.ResponseWriter, r *http.Request) {
	test := r.URL.Query().Get("test_cards") == "true"
	s.technician(w, r, r.PathValue("name"), "text/plain; charset=utf-8", func(ctx context.Context, device string, o *stream) error {
		return s.program.Record(ctx, device, test, o.begin, o)
	})
}

// technician runs a stream that has an end.
func (s *Server) technician(w http.ResponseWriter, r *http.Request, device, contentType string, run func(context.Context, string, *stream) error) {
	span, err := seconds(r.URL.Query().Get("seconds"))
	if err != nil {
		newProblem(ProblemBadRequest, err.Error()).write(w)
		return
	}
	if device != "" && !slices.ContainsFunc(s.devices(), func(d Device) bool { return d.Name == device }) {
		newProblem(ProblemUnknownDevice, "there is no device "+strconv.Quote(device)+": posd devices lists them").write(w)
		return
	}
	ctx, stop := context.WithCancelCause(r.Context())
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			stop(errStopping)
		case <-ctx.Done():
		}
	}()
	o := &stream{w: w, control: http.NewResponseController(w), contentType: contentType}
	o.control.SetWriteDeadline(time.Time{}) // each write has one of its own
	err = run(ctx, device, o)
	for end := time.Now().Add(letGo); errors.Is(err, ErrBusy) && time.Now().Before(end); err = run(ctx, device, o) {
		select {
		case <-ctx.Done():
		case <-time.After(letGo / 20):
		}
	}
	if err != nil && !o.begun {
		p := problemOf(err)
		if errors.Is(err, ErrBusy) {
			p = newProblem(ProblemDeviceBusy, ErrBusy.Error()+": try again when they have ended")
		}
		p.write(w)
		return
	}
	if why := context.Cause(ctx); errors.Is(why, errStopping) || errors.Is(why, errOpened) {
		w.Header().Set(http.TrailerPrefix+endedBy, why.Error())
	}
}

func seconds(s string) (time.Duration, error) {
	if s == "" {
		return defaultSeconds * time.Second, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxSeconds {
		return 0, fmt.Errorf("seconds must be 1 to %d", maxSeconds)
	}
	return time.Duration(n) * time.Second, nil
}

// Listen gives tell each burst that the device sends, or all devices do where
// the name is empty, as the JSON of a technician.Heard, until ctx or the span
// ends. ready, if not nil, is called when posd listens.
func (c *Client) Listen(ctx context.Context, device string, span time.Duration, ready func(), tell func([]byte) error) error {
	q := url.Values{"seconds": {strconv.Itoa(int(span.Seconds()))}}
	if device != "" {
		q.Set("device", device)
	}
	return c.lines(ctx, "/v1/listen?"+q.Encode(), ready, tell)
}

// Record gives write each line of a recording of a device, until ctx or the span
// ends. Published test numbers are left in it if testCards says so.
func (c *Client) Record(ctx context.Context, device string, testCards bool, span time.Duration, ready func(), write func([]byte) error) error {
	q := url.Values{"seconds": {strconv.Itoa(int(span.Seconds()))}, "test_cards": {strconv.FormatBool(testCards)}}
	return c.lines(ctx, "/v1/devices/"+url.PathEscape(device)+"/recording?"+q.Encode(), ready, write)
}

// lines gives f every line of an answer, until ctx ends or it does. It is an error
// if it ends before its time.
func (c *Client) lines(ctx context.Context, path string, ready func(), f func([]byte) error) error {
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if ready != nil {
		ready()
	}
	r := bufio.NewReader(resp.Body)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			if err := f(line); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if why := resp.Trailer.Get(endedBy); why != "" {
				return errors.New(why)
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read posd's answer: %v", err)
		}
	}
}
