package server

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"posd/central"
	"posd/central/server/store"
	"posd/enroll"
	"posd/traceparent"
)

// enroll answers POST /v1/enroll.
func (s *Server) enroll(r *http.Request) (any, *central.Problem) {
	answer, p := s.enrolled(r)
	s.metrics.enrolments.WithLabelValues(outcome(p)).Inc()
	if p != nil {
		return nil, p
	}
	return answer, nil
}

func (s *Server) enrolled(r *http.Request) (*enroll.EnrollResponse, *central.Problem) {
	if p := s.admitEnrolment(enroll.EnrollPath); p != nil {
		return nil, p
	}
	var req enroll.EnrollRequest
	if p := decode(r, &req); p != nil {
		return nil, p
	}
	defer clear(req.Secret)
	key, err := enroll.CSRKey(req.CSR)
	if err != nil {
		return nil, badRequest("the csr is not a certificate request for an ECDSA P-256 key that has signed it")
	}
	spki, err := enroll.KeyHash(key)
	if err != nil {
		return nil, badRequest("the csr's key cannot be used")
	}
	cert, err := s.store.Enroll(r.Context(), enroll.HashSecret(req.Secret), req.Role, spki, s.now(), s.issuer(req.CSR, spki))
	if err != nil {
		return nil, s.refused("enrolment", r, err)
	}
	traceparent.Log(s.log, traceparent.Of(r)).Info("enrolled", "name", nameOf(cert.DER))
	return &enroll.EnrollResponse{
		Certificate: cert.DER, CA: s.Keys().ca.Certificate().Raw, ManifestKey: s.Keys().manifestKey,
		LookupURL: s.lookupURL, OperationsURL: s.operationsURL,
	}, nil
}

// renew answers POST /v1/renew.
func (s *Server) renew(r *http.Request) (any, *central.Problem) {
	answer, p := s.renewed(r)
	s.metrics.renewals.WithLabelValues(outcome(p)).Inc()
	if p != nil {
		return nil, p
	}
	return answer, nil
}

func (s *Server) renewed(r *http.Request) (*enroll.RenewResponse, *central.Problem) {
	name, leaf, p := s.renewing(r)
	if p == nil {
		p = s.admitEnrolment(enroll.RenewPath)
	}
	if p != nil {
		return nil, p
	}
	var req enroll.RenewRequest
	if p := decode(r, &req); p != nil {
		return nil, p
	}
	key, err := enroll.CSRKey(req.CSR)
	if err != nil {
		return nil, badRequest("the csr is not a certificate request for an ECDSA P-256 key that has signed it")
	}
	spki, err := enroll.KeyHash(key)
	if err != nil {
		return nil, badRequest("the csr's key cannot be used")
	}
	cert, err := s.store.Renew(r.Context(), leaf.SerialNumber.Bytes(), spki, s.now(), s.issuer(req.CSR, spki))
	if err != nil {
		return nil, s.refused("renewal of "+name.String(), r, err)
	}
	traceparent.Log(s.log, traceparent.Of(r)).Info("certificate renewed", "name", name.String(), "ends", cert.NotAfter)
	return &enroll.RenewResponse{Certificate: cert.DER, LookupURL: s.lookupURL, OperationsURL: s.operationsURL}, nil
}

// renewing is who wants to renew; the certificate may have ended lately.
func (s *Server) renewing(r *http.Request) (enroll.Name, *x509.Certificate, *central.Problem) {
	if r.TLS == nil {
		return enroll.Name{}, nil, problem(enroll.ProblemForbidden, http.StatusForbidden, "forbidden", "no certificate was shown")
	}
	name, err := enroll.VerifyPeer(*r.TLS, enroll.Verify{
		CA: s.Keys().ca.Certificate(), Want: machines, Use: x509.ExtKeyUsageClientAuth, Now: s.now(), Grace: enroll.RenewGrace,
	})
	switch {
	case errors.Is(err, enroll.ErrExpired):
		return name, nil, problem(enroll.ProblemExpired, http.StatusForbidden, "certificate expired", "it ended more than 30 days ago: enrol again with a new token")
	case err != nil:
		return name, nil, problem(enroll.ProblemForbidden, http.StatusForbidden, "forbidden", "show the certificate that is to be renewed")
	}
	return name, r.TLS.PeerCertificates[0], nil
}

// admitEnrolment applies the quota of all machines, apart for each path: whoever
// has no certificate cannot keep others from renewing theirs.
func (s *Server) admitEnrolment(path string) *central.Problem {
	if wait, ok := s.enrolments.take(path, s.now()); !ok {
		return overQuota(wait, "too many machines enrol or renew at once")
	}
	return nil
}

// issuer issues a certificate for a CSR within the transaction that records it.
func (s *Server) issuer(csr []byte, spki [32]byte) store.Issuer {
	return func(name enroll.Name) (store.Certificate, error) {
		now := s.now().Truncate(time.Second)
		serial := enroll.NewSerial()
		leaf := enroll.Leaf{Name: name, NotBefore: now.Add(-enroll.Backdate), NotAfter: now.Add(enroll.Lifetime), Serial: serial}
		der, err := s.Keys().ca.Issue(csr, leaf)
		return store.Certificate{Serial: serial.Bytes(), SPKI: spki, DER: der, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}, err
	}
}

// refusals are what a machine is told. A token that is unknown may be one that a
// newer token made void.
var refusals = []struct {
	err           error
	kind          string
	status        int
	title, detail string
}{
	{store.ErrTokenUnknown, enroll.ProblemTokenUnknown, http.StatusForbidden, "unknown token", "it was mistyped, or a newer token took its place"},
	{store.ErrTokenExpired, enroll.ProblemTokenExpired, http.StatusForbidden, "token expired", "a token is good for an hour"},
	{store.ErrTokenUsed, enroll.ProblemTokenUsed, http.StatusForbidden, "token used", "it was used before, with another key"},
	{store.ErrWrongRole, enroll.ProblemWrongRole, http.StatusForbidden, "wrong role", "the token is for another kind of program"},
	{store.ErrRevoked, enroll.ProblemRevoked, http.StatusForbidden, "certificate revoked", "an operator of central revoked it"},
	{store.ErrUnknownCert, enroll.ProblemForbidden, http.StatusForbidden, "forbidden", "central does not know this certificate: was central restored from a backup?"},
	{store.ErrSuperseded, enroll.ProblemSuperseded, http.StatusConflict, "certificate superseded", "it was renewed before, with another key: two machines hold this identity"},
}

// refused turns what the store says into a problem, and tells those who watch.
func (s *Server) refused(what string, r *http.Request, err error) *central.Problem {
	switch {
	case errors.Is(err, store.ErrSuperseded):
		s.metrics.alarms.WithLabelValues(store.AlarmClone).Inc()
	case errors.Is(err, store.ErrTokenUsed):
		s.metrics.alarms.WithLabelValues(store.AlarmTokenReused).Inc()
	}
	for _, known := range refusals {
		if errors.Is(err, known.err) {
			traceparent.Log(s.log, traceparent.Of(r)).Warn("refused", "what", what, "from", r.RemoteAddr, "reason", known.title)
			return problem(known.kind, known.status, known.title, known.detail)
		}
	}
	if !errors.Is(err, context.Canceled) {
		s.noteWrite(true, err)
		traceparent.Log(s.log, traceparent.Of(r)).Error("refused", "what", what, "from", r.RemoteAddr, "error", err)
	}
	return unavailable(storeDetail(err))
}

// outcome names a problem for the metrics: the last part of its type.
func outcome(p *central.Problem) string {
	if p == nil {
		return "ok"
	}
	const prefix = "urn:hhid:problem:"
	return p.Type[min(len(prefix), len(p.Type)):]
}

// nameOf is who a certificate is for.
func nameOf(der []byte) string {
	cert, err := x509.ParseCertificate(der)
	if err != nil || len(cert.URIs) != 1 {
		return ""
	}
	return cert.URIs[0].String()
}

// revocations are the serial numbers of certificates that are good no more.
type revocations struct {
	changes atomic.Uint64 // how many there are: whoever was looked up is good until it changes
	mu      sync.RWMutex
	serials map[string]struct{}
}

func (v *revocations) has(serial string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	_, ok := v.serials[serial]
	return ok
}

func (v *revocations) add(serial []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.serials == nil {
		v.serials = map[string]struct{}{}
	}
	v.serials[string(serial)] = struct{}{}
	v.changes.Add(1)
}
