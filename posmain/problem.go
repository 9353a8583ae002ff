package posmain

import (
	"errors"

	"posd/problem"
)

// The types of problem (RFC 9457) that the POS main computer answers with.
const (
	ProblemBadRequest       = "urn:hhid:problem:bad-request"         // 400: the body is not a basket at all, or not the one of the path
	ProblemForbidden        = "urn:hhid:problem:forbidden"           // 403: the certificate is not one of this shop's lanes
	ProblemRevoked          = "urn:hhid:problem:certificate-revoked" // 403: central revoked the lane's certificate
	ProblemNotFound         = "urn:hhid:problem:not-found"           // 404: no such path
	ProblemMethod           = "urn:hhid:problem:method"              // 405: another method is expected there
	ProblemRevisionConflict = "urn:hhid:problem:revision-conflict"   // 409: that revision is logged with other content
	ProblemBasketConflict   = "urn:hhid:problem:basket-conflict"     // 409: that basket is logged under another lane or number
	ProblemTooLarge         = "urn:hhid:problem:too-large"           // 413: the body is longer than MaxBody
	ProblemMediaType        = "urn:hhid:problem:media-type"          // 415: the body is not plain application/json
	ProblemInvalidBasket    = "urn:hhid:problem:invalid-basket"      // 422: a basket, but one that cannot be
	ProblemCardNumber       = "urn:hhid:problem:card-number"         // 422: a field holds what looks like a card number, or an EncTID
	ProblemUnavailable      = "urn:hhid:problem:unavailable"         // 503: the log cannot be written now
	ProblemFull             = "urn:hhid:problem:full"                // 507: the POS main computer's disk is full
)

// Problem is an answer other than a receipt. It is the error that Client.Put
// returns for it.
type Problem = problem.Problem

// Final reports whether err is a POS main computer's own word on the basket
// itself: it will never be taken. Everything else (nobody answers, a wrong
// address, a certificate of another shop, a proxy's page) can be put right while
// the basket waits.
func Final(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		return false
	}
	switch p.Type {
	case ProblemBadRequest, ProblemRevisionConflict, ProblemBasketConflict, ProblemTooLarge, ProblemInvalidBasket, ProblemCardNumber:
		return true
	}
	return false
}
