package server

import (
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"posd/central"
	"posd/central/server/directory"
	"posd/central/server/opener"
	"posd/enctid"
	"posd/enroll"
	"posd/identity"
	"posd/sqldb"
)

// peer is who asks, by the certificate that the listener's TLS configuration has
// verified. A certificate that was revoked, or has ended since the connection
// was made, is refused here.
func (s *Server) peer(r *http.Request) (enroll.Name, *central.Problem) {
	var state tls.ConnectionState
	if r.TLS != nil {
		state = *r.TLS
	}
	forbidden := func(kind, title, detail string) (enroll.Name, *central.Problem) {
		return enroll.Name{}, problem(kind, http.StatusForbidden, title, detail)
	}
	name, err := enroll.PeerName(state, s.now())
	switch {
	case errors.Is(err, enroll.ErrNoCertificate):
		return forbidden(central.ProblemForbidden, "forbidden", "no certificate was shown: enrol the machine first")
	case errors.Is(err, enroll.ErrWrongName):
		return forbidden(central.ProblemForbidden, "forbidden", "the certificate names nobody")
	case s.revoked.has(state.PeerCertificates[0].SerialNumber):
		return forbidden(central.ProblemRevoked, "certificate revoked", "an operator of central revoked this certificate; ask for a new token")
	case err != nil:
		return forbidden(central.ProblemExpired, "certificate expired", "connect again with the renewed certificate")
	}
	return name, nil
}

// resolve answers POST /v1/resolve.
func (s *Server) resolve(r *http.Request) (any, *central.Problem) {
	begun := time.Now()
	answer, outcome, p := s.lookup(r)
	s.metrics.lookups.WithLabelValues(outcome).Inc()
	s.metrics.duration.Observe(time.Since(begun).Seconds())
	if p != nil {
		return nil, p
	}
	return answer, nil
}

func (s *Server) lookup(r *http.Request) (central.Answer, string, *central.Problem) {
	var none central.Answer
	name, p := s.peer(r)
	if p == nil && name.Role != enroll.Lane {
		p = problem(central.ProblemForbidden, http.StatusForbidden, "forbidden", "only lanes look up households; this certificate is of role "+string(name.Role))
	}
	if p != nil {
		return none, outcomeRefused, p
	}
	if p := s.admit(name); p != nil {
		return none, outcomeQuota, p
	}
	if !s.loaded.Load() {
		return none, outcomeUnavailable, unavailable("central is loading its index")
	}
	var req central.Request
	if p := decode(r, &req); p != nil {
		return none, outcomeRefused, p
	}
	if len(req.EncTID) == 0 || req.Basket == uuid.Nil || req.SealedAt <= 0 {
		return none, outcomeRefused, badRequest("enctid, basket, swipe and sealed_at must all be given")
	}
	return s.find(r, name, req)
}

// admit applies the lane's quotas.
func (s *Server) admit(name enroll.Name) *central.Problem {
	now, key := s.now(), name.String()
	if wait, ok := s.failures.peek(key, now); !ok {
		return overQuota(wait, "too many EncTIDs of this lane did not open")
	}
	if wait, ok := s.lookups.take(key, now); !ok {
		return overQuota(wait, "this lane asks too often")
	}
	return nil
}

func (s *Server) find(r *http.Request, name enroll.Name, req central.Request) (central.Answer, string, *central.Problem) {
	secret, err := s.opener.Open(req.EncTID, enctid.Binding{Tenant: name.Tenant, Lane: name.LaneName()},
		enctid.Context{Basket: req.Basket, Swipe: req.Swipe, SealedAt: req.SealedAt})
	if err != nil {
		return s.notOpened(name, err)
	}
	defer secret.Wipe()
	if wait, ok := s.tids.take(name.String()+" "+secret.Kind().String(), s.now()); !ok {
		return central.Answer{}, outcomeQuota, overQuota(wait, "this lane shows too many cards or numbers of one kind")
	}
	found, err := s.directory.Resolve(r.Context(), name.Tenant, secret)
	if err != nil {
		return s.notFound(r, name, err)
	}
	s.noteWrite(found.Created, nil)
	answer := central.Answer{Basket: req.Basket, Swipe: req.Swipe, State: found.State, HHID: found.HHID, DeIdentTID: found.DeIdentTID}
	switch {
	case found.State == identity.OptedOut:
		return answer, outcomeOptedOut, nil
	case found.Created:
		return answer, outcomeCreated, nil
	}
	return answer, outcomeKnown, nil
}

func (s *Server) notOpened(name enroll.Name, err error) (central.Answer, string, *central.Problem) {
	switch {
	case errors.Is(err, opener.ErrUnknownEpoch):
		return central.Answer{}, outcomeUnknownEpoch, problem(central.ProblemUnknownEpoch, http.StatusConflict, "unknown epoch", "send the same EncTID again with its enc")
	case errors.Is(err, opener.ErrKeyRetired):
		return central.Answer{}, outcomeKeyRetired, problem(central.ProblemKeyRetired, http.StatusGone, "key retired", "the key that this EncTID was sealed for was destroyed")
	}
	s.failures.take(name.String(), s.now())
	return central.Answer{}, outcomeRejected, problem(central.ProblemEncTIDRejected, http.StatusUnprocessableEntity, "EncTID rejected", "")
}

func (s *Server) notFound(r *http.Request, name enroll.Name, err error) (central.Answer, string, *central.Problem) {
	if errors.Is(err, directory.ErrNoTenant) {
		return central.Answer{}, outcomeRefused, problem(central.ProblemForbidden, http.StatusForbidden, "forbidden", "the certificate's retailer is not one of this central's")
	}
	if r.Context().Err() != nil {
		return central.Answer{}, outcomeUnavailable, unavailable("the request was given up")
	}
	s.noteWrite(true, err)
	s.log.Error("household not made", "lane", name.String(), "error", err)
	return central.Answer{}, outcomeUnavailable, unavailable(storeDetail(err))
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
