package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"

	"posd/central"
	"posd/central/server/directory"
	"posd/central/server/lookuplog"
	"posd/central/server/opener"
	"posd/enctid"
	"posd/enroll"
	"posd/identity"
	"posd/sqldb"
	"posd/tid"
	"posd/traceparent"
)

// resolve answers POST /v1/resolve.
func (s *Server) resolve(v *visitor, in body, w *work) ([]byte, *central.Problem) {
	begun := time.Now()
	w.req = central.Request{} // the one before may have been another basket's
	found, outcome, p := s.lookup(v, in, w)
	s.hold(begun, outcome)
	s.metrics.lookups[outcome].Inc()
	s.keepLookup(v, &w.req, begun, outcome)
	s.metrics.duration.Observe(time.Since(begun).Seconds())
	if p != nil {
		return nil, p
	}
	w.answer = appendAnswer(w.answer[:0], &w.req, &found)
	return w.answer, nil
}

// keepLookup notes a lookup for operators.
func (s *Server) keepLookup(v *visitor, req *central.Request, at time.Time, outcome string) {
	if v.activity != nil {
		v.activity.asked(outcome, at)
	}
	if s.lookupLog != nil {
		s.lookupLog.Add(lookuplog.Entry{At: at, Lane: v.text, Basket: req.Basket, Swipe: req.Swipe, Outcome: outcome})
	}
}

func (s *Server) lookup(v *visitor, in body, w *work) (none directory.Answer, outcome string, p *central.Problem) {
	now := s.now()
	if p := s.greetLane(v, now); p != nil {
		return none, outcomeRefused, p
	}
	if p := admit(v, now); p != nil {
		return none, outcomeQuota, p
	}
	if !s.loaded.Load() {
		return none, outcomeUnavailable, unavailable("central is loading its index")
	}
	text, p := in.read(central.MaxRequest)
	if p == nil {
		p = w.parse(text)
	}
	if p != nil {
		return none, outcomeRefused, p
	}
	defer clear(w.enctid[:])
	return s.find(v, &w.req, w.slot, live)
}

// parse reads a request into w.
func (w *work) parse(text []byte) *central.Problem {
	if parseRequest(text, &w.req, w.enctid[:]) {
		return nil
	}
	w.req = central.Request{}
	return unmarshal(text, &w.req)
}

// quarantineRetry is how long a lane in quarantine is asked to keep its backlog for
// itself.
const quarantineRetry = 5 * time.Minute

func (s *Server) greetLane(v *visitor, now time.Time) *central.Problem {
	if p := s.greet(v, now); p != nil {
		return p
	}
	if v.name.Role != enroll.Lane {
		return forbidden("only lanes look up households; this certificate is of role " + string(v.name.Role))
	}
	if s.quarantine.has(v.name) {
		p := problem(central.ProblemQuarantined, http.StatusForbidden, "lane in quarantine", "an operator of central must release it; sales go on")
		p.RetryAfter = quarantineRetry
		return p
	}
	return nil
}

// admit applies the lane's quotas.
func admit(v *visitor, now time.Time) *central.Problem {
	if wait, ok := v.failures.peek(now); !ok {
		return overQuota(wait, "too many EncTIDs of this lane did not open")
	}
	if wait, ok := v.lookups.take(now); !ok {
		return overQuota(wait, "this lane asks too often")
	}
	return nil
}

// find opens an EncTID and finds the household, in the memory of slot.
func (s *Server) find(v *visitor, req *central.Request, slot *tid.Slot, c class) (none directory.Answer, outcome string, p *central.Problem) {
	if len(req.EncTID) == 0 || req.Basket == uuid.Nil || req.SealedAt <= 0 {
		return none, outcomeRefused, badRequest("enctid, basket, swipe and sealed_at must all be given")
	}
	v.activity.asks(req, s.now(), c)
	secret, err := s.open(v, req, slot, c)
	if err != nil {
		return s.notOpened(v, err)
	}
	defer secret.Wipe()
	if wait, ok := v.tids[secret.Kind()].take(s.now()); !ok {
		return none, outcomeQuota, overQuota(wait, "this lane shows too many cards or numbers of one kind")
	}
	found, known, err := s.directory.Lookup(v.name.Tenant, secret)
	if err == nil && !known || errors.Is(err, directory.ErrNoTenant) { // a retailer that was just added, too
		found, err = s.create(v, secret, c)
	}
	switch {
	case err != nil:
		return s.notFound(v, err)
	case found.State == identity.OptedOut:
		return found, outcomeOptedOut, nil
	case found.Created:
		return found, outcomeCreated, nil
	}
	return found, outcomeKnown, nil
}

// errBusy says that what is asked for would have to wait for too long.
var errBusy = errors.New("busy")

// open opens an EncTID. One that brings its enc costs a thousand times as much as
// another.
func (s *Server) open(v *visitor, req *central.Request, slot *tid.Slot, c class) (tid.TID, error) {
	if len(req.EncTID) == enctid.SizeWithEnc {
		begun, ok := s.epochs.enter(c)
		if !ok {
			s.metrics.shed[shedEpoch].Inc()
			return tid.TID{}, errBusy
		}
		defer s.epochs.leave(begun)
	}
	return s.opener.OpenInto(slot, req.EncTID, v.binding, enctid.Context{Basket: req.Basket, Swipe: req.Swipe, SealedAt: req.SealedAt})
}

// createTimeout is how long a household may take. Who is given up asks again.
const createTimeout = 5 * time.Second

// create makes a household for a TID that is not known in memory.
func (s *Server) create(v *visitor, secret tid.TID, c class) (directory.Answer, error) {
	begun, ok := s.households.enter(c)
	if !ok {
		s.metrics.shed[shedHousehold].Inc()
		return directory.Answer{}, errBusy
	}
	defer s.households.leave(begun)
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	found, err := s.directory.Resolve(ctx, v.name.Tenant, secret)
	s.noteWrite(err == nil && found.Created, nil)
	return found, err
}

// hold keeps an answer back until the response floor, whether the TID was known or
// not, so that the time does not tell.
func (s *Server) hold(begun time.Time, outcome string) {
	switch outcome {
	case outcomeKnown, outcomeCreated, outcomeOptedOut:
		if wait := s.floor - time.Since(begun); wait > 0 {
			time.Sleep(wait)
		}
	}
}

func (s *Server) notOpened(v *visitor, err error) (none directory.Answer, outcome string, p *central.Problem) {
	switch {
	case errors.Is(err, errBusy):
		return none, outcomeBusy, busy("too many lanes begin anew at once")
	case errors.Is(err, opener.ErrUnknownEpoch):
		return none, outcomeUnknownEpoch, problem(central.ProblemUnknownEpoch, http.StatusConflict, "unknown epoch", "send the same EncTID again with its enc")
	case errors.Is(err, opener.ErrKeyRetired):
		return none, outcomeKeyRetired, problem(central.ProblemKeyRetired, http.StatusGone, "key retired", "the key that this EncTID was sealed for was destroyed")
	}
	v.failures.take(s.now())
	return none, outcomeRejected, problem(central.ProblemEncTIDRejected, http.StatusUnprocessableEntity, "EncTID rejected", "")
}

func (s *Server) notFound(v *visitor, err error) (none directory.Answer, outcome string, p *central.Problem) {
	switch {
	case errors.Is(err, errBusy):
		return none, outcomeBusy, busy("too many new cards and numbers are shown at once")
	case errors.Is(err, directory.ErrNoTenant):
		return none, outcomeRefused, forbidden("the certificate's retailer is not one of this central's")
	}
	s.noteWrite(true, err)
	traceparent.Log(s.log, v.trace).Error("household not made", "lane", v.text, "error", err)
	return none, outcomeUnavailable, unavailable(storeDetail(err))
}

// busy has the caller come back in a while. Not all of them do so at the same time.
func busy(detail string) *central.Problem {
	p := unavailable(detail)
	p.RetryAfter = time.Duration(1+rand.IntN(10)) * time.Second
	return p
}

// storeDetail is what a lane is told of a failure of the store.
func storeDetail(err error) string {
	switch {
	case errors.Is(err, sqldb.ErrFull):
		return "central's disk is full"
	case errors.Is(err, sqldb.ErrReadOnly):
		return "central's database cannot be written"
	}
	return "central's database does not answer"
}
