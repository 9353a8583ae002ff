package central

import "posd/problem"

// The types of problem (RFC 9457) that the lookup listener answers with; package
// enroll has those of enrolment.
const (
	ProblemBadRequest     = "urn:hhid:problem:bad-request"         // 400: the body is not what the path expects
	ProblemForbidden      = "urn:hhid:problem:forbidden"           // 403: no certificate, or none that may do this
	ProblemQuarantined    = "urn:hhid:problem:lane-quarantined"    // 403: an operator put the lane into quarantine
	ProblemRevoked        = "urn:hhid:problem:certificate-revoked" // 403: an operator revoked the certificate
	ProblemExpired        = "urn:hhid:problem:certificate-expired" // 403: the certificate ended while the connection was open
	ProblemNotFound       = "urn:hhid:problem:not-found"           // 404: no such path
	ProblemMethod         = "urn:hhid:problem:method"              // 405: another method is expected there
	ProblemUnknownEpoch   = "urn:hhid:problem:unknown-epoch"       // 409: send the same again with the epoch's enc
	ProblemKeyRetired     = "urn:hhid:problem:key-retired"         // 410: the key was destroyed; this EncTID can never be opened
	ProblemTooLarge       = "urn:hhid:problem:too-large"           // 413: the body is longer than allowed
	ProblemMediaType      = "urn:hhid:problem:media-type"          // 415: the body is not application/json
	ProblemEncTIDRejected = "urn:hhid:problem:enctid-rejected"     // 422: the EncTID does not open; why is not told
	ProblemQuota          = "urn:hhid:problem:quota"               // 429: this lane asks too much
	ProblemUnavailable    = "urn:hhid:problem:unavailable"         // 503: central cannot answer now
)

// Problem is an answer other than the one hoped for. It is the error that the
// Client's methods return for it.
type Problem = problem.Problem
