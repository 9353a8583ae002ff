package server

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"posd/central"
	"posd/central/server/directory"
)

// batchTime is how long a batch may take. What is not done then is for another one.
const batchTime = 5 * time.Second

// resolveBatch answers POST /v1/resolve:batch. Each item counts like a request of its own,
// and goes behind those.
func (s *Server) resolveBatch(v *visitor, in body, w *work) ([]byte, *central.Problem) {
	begun := time.Now()
	items, p := s.batch(v, in)
	if p != nil {
		return nil, p
	}
	w.answer = append(w.answer[:0], `{"items":[`...)
	told := false // of a household
	var full *central.Problem
	for i, item := range items {
		w.req = central.Request{} // the one before is another basket's
		var found directory.Answer
		p, outcome := full, outcomeBusy
		if p == nil {
			found, outcome, p = s.findItem(v, item, w)
		}
		if outcome == outcomeBusy || time.Since(begun) > batchTime {
			full = busy("this batch was too much at once")
		}
		s.metrics.lookups[outcome].Inc()
		s.keepLookup(v, &w.req, begun, outcome)
		told = told || p == nil
		w.answer = appendItem(w.answer, i, &w.req, &found, p)
	}
	if told {
		s.hold(begun, outcomeKnown)
	}
	return append(w.answer, "]}"...), nil
}

// batch reads the items of a batch.
func (s *Server) batch(v *visitor, in body) ([]json.RawMessage, *central.Problem) {
	if p := s.greetLane(v, s.now()); p != nil {
		return nil, p
	}
	if !s.loaded.Load() {
		return nil, unavailable("central is loading its index")
	}
	text, p := in.read(central.MaxBatchRequest)
	if p != nil {
		return nil, p
	}
	var req struct {
		Items []json.RawMessage `json:"items"`
	}
	if p := unmarshal(text, &req); p != nil {
		return nil, p
	}
	if len(req.Items) == 0 || len(req.Items) > central.MaxBatch {
		return nil, badRequest(fmt.Sprintf("a batch has 1 to %d items", central.MaxBatch))
	}
	return req.Items, nil
}

func (s *Server) findItem(v *visitor, item []byte, w *work) (none directory.Answer, outcome string, p *central.Problem) {
	if p := admit(v, s.now()); p != nil {
		return none, outcomeQuota, p
	}
	if p := w.parse(item); p != nil {
		return none, outcomeRefused, p
	}
	defer clear(w.enctid[:])
	return s.find(v, &w.req, w.slot, deferred)
}

// appendItem appends the central.BatchItem of number i.
func appendItem(dst []byte, i int, r *central.Request, found *directory.Answer, p *central.Problem) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	if p == nil {
		return append(appendAnswer(append(dst, `{"answer":`...), r, found), '}')
	}
	dst = append(append(dst, `{"problem":`...), p.JSON()...)
	if seconds := p.RetryAfterSeconds(); seconds > 0 {
		dst = strconv.AppendInt(append(dst, `,"retry_after":`...), int64(seconds), 10)
	}
	return append(dst, '}')
}
