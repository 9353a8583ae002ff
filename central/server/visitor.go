package server

import (
	"crypto/tls"
	"net/http"
	"time"

	"posd/central"
	"posd/enctid"
	"posd/enroll"
	"posd/tid"
	"posd/traceparent"
)

// visitor is who is at the other end of a connection, by the certificate that the
// listener's TLS configuration has verified. It is made once for a connection, whose
// requests come one after the other.
type visitor struct {
	name                enroll.Name
	text                string // the name as a URI
	binding             enctid.Binding
	serial              string
	notBefore, notAfter time.Time
	refused             *central.Problem // the certificate names nobody
	good                uint64           // when this number of certificates was revoked, this one was not; 0: it was not looked up yet

	trace             traceparent.ID         // of the request that is being answered
	activity          *activity              // a lane's
	lookups, failures *bucket                // a lane's
	tids              [tid.Phone + 1]*bucket // by kind
}

func (s *Server) visitor(state tls.ConnectionState) *visitor {
	if len(state.PeerCertificates) == 0 {
		return &visitor{refused: forbidden("no certificate was shown: enrol the machine first")}
	}
	leaf := state.PeerCertificates[0]
	name, err := enroll.PeerName(state, leaf.NotAfter) // the dates are looked at with each request
	if err != nil {
		return &visitor{refused: forbidden("the certificate names nobody")}
	}
	v := &visitor{
		name: name, text: name.String(), binding: enctid.Binding{Tenant: name.Tenant, Lane: name.LaneName()},
		serial: string(leaf.SerialNumber.Bytes()), notBefore: leaf.NotBefore, notAfter: leaf.NotAfter,
	}
	if name.Role != enroll.Lane {
		return v
	}
	v.activity = s.activities.of(name)
	v.lookups, v.failures = s.lookups.bucket(v.text), s.failures.bucket(v.text)
	for _, kind := range []tid.Kind{tid.Payment, tid.Loyalty, tid.Phone} {
		v.tids[kind] = s.tids.bucket(v.text + " " + kind.String())
	}
	return v
}

// greet says whether a visitor may ask now. A certificate that was revoked, or has
// ended since the connection was made, is refused here.
func (s *Server) greet(v *visitor, now time.Time) *central.Problem {
	switch {
	case v.refused != nil:
		return v.refused
	case s.isRevoked(v):
		return problem(central.ProblemRevoked, http.StatusForbidden, "certificate revoked", "an operator of central revoked this certificate; ask for a new token")
	case now.Before(v.notBefore) || now.After(v.notAfter):
		return problem(central.ProblemExpired, http.StatusForbidden, "certificate expired", "connect again with the renewed certificate")
	}
	return nil
}

func (s *Server) isRevoked(v *visitor) bool {
	changes := s.revoked.changes.Load() + 1
	if v.good == changes {
		return false
	}
	if s.revoked.has(v.serial) {
		return true
	}
	v.good = changes
	return false
}

func forbidden(detail string) *central.Problem {
	return problem(central.ProblemForbidden, http.StatusForbidden, "forbidden", detail)
}
