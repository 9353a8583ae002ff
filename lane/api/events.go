package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"posd/lane"
)

// The types of event that a stream adds to those of the lane. Each is the
// stream's last.
const (
	EventDropped  = "dropped"  // the client read too slowly and has missed events
	EventStopping = "stopping" // posd stops
)

const (
	maxStreams = 64
	heartbeat  = 15 * time.Second // by which a client sees that posd lives
)

// events streams what happens from now on as server-sent events.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		newProblem(ProblemUnavailable, fmt.Sprintf("%d clients follow the events already", maxStreams)).write(w)
		return
	}
	defer s.streams.Add(-1)
	events, cancel := s.lane.Subscribe()
	defer cancel()
	out := stream{w: w, control: http.NewResponseController(w), contentType: "text/event-stream"}
	out.begin()
	if out.send(": posd\n\n") != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-s.stopping:
			out.finish(EventStopping, "posd stops")
			return
		case <-beat.C:
			err = out.send(":\n\n")
		case e, ok := <-events:
			if !ok {
				out.finish(EventDropped, "events were read too slowly, and some are lost: ask again")
				return
			}
			err = out.event(e)
		}
		if err != nil {
			return
		}
	}
}

type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController

	contentType string
	begun       bool
}

// begin sends the head of the answer: from now on nothing is missed.
func (o *stream) begin() {
	o.begun = true
	o.w.Header().Set("Content-Type", o.contentType)
	o.w.Header().Set("Cache-Control", "no-store")
	o.w.WriteHeader(http.StatusOK)
	_ = o.control.Flush() // a client that has gone is noticed by the next write
}

// Write sends what is written at once.
func (o *stream) Write(p []byte) (int, error) {
	if err := o.send(string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send writes text, or fails if the client does not read for writeTimeout. A
// response that knows no deadlines has none.
func (o *stream) send(text string) error {
	o.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.control.Flush()
}

func (o *stream) event(e lane.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return o.send(fmt.Sprintf("event: %s\ndata: %s\n\n", e.Type, data))
}

func (o *stream) finish(typ, reason string) {
	o.event(lane.Event{At: time.Now(), Type: typ, Reason: reason}) // the stream ends whether or not it arrives
}
