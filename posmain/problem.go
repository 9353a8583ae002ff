package posmain

import (
	"fmt"
	"time"
)

// The types of problem (RFC 9457) that the POS main computer answers with.
const (
	ProblemBadRequest       = "urn:hhid:problem:bad-request"       // 400: the body is not a basket at all, or not the one of the path
	ProblemForbidden        = "urn:hhid:problem:forbidden"         // 403: the certificate is not one of this shop's lanes
	ProblemNotFound         = "urn:hhid:problem:not-found"         // 404: no such path
	ProblemMethod           = "urn:hhid:problem:method"            // 405: another method is expected there
	ProblemRevisionConflict = "urn:hhid:problem:revision-conflict" // 409: that revision is logged with other content
	ProblemBasketConflict   = "urn:hhid:problem:basket-conflict"   // 409: that basket is logged under another lane or number
	ProblemTooLarge         = "urn:hhid:problem:too-large"         // 413: the body is longer than MaxBody
	ProblemMediaType        = "urn:hhid:problem:media-type"        // 415: the body is not plain application/json
	ProblemInvalidBasket    = "urn:hhid:problem:invalid-basket"    // 422: a basket, but one that cannot be
	ProblemCardNumber       = "urn:hhid:problem:card-number"       // 422: a field holds what looks like a card number, or an EncTID
	ProblemUnavailable      = "urn:hhid:problem:unavailable"       // 503: the log cannot be written now
	ProblemFull             = "urn:hhid:problem:full"              // 507: the POS main computer's disk is full
)

// Problem is an answer other than a receipt, in the form of RFC 9457
// (application/problem+json). It is the error that Client.Put returns for it.
type Problem struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`

	// RetryAfter is how long the server asks to be left alone, 0 if it did not
	// say. It travels as the Retry-After header, in seconds.
	RetryAfter time.Duration `json:"-"`
}

// Error gives the title and the detail. Neither ever holds what was in a body.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return fmt.Sprintf("%s (HTTP %d)", p.Title, p.Status)
	}
	return fmt.Sprintf("%s: %s (HTTP %d)", p.Title, p.Detail, p.Status)
}

// Temporary reports whether the same basket may be taken at a later time. Only
// a POS main computer's own word on the basket itself is final; everything else
// (a wrong address, a certificate of another shop, a proxy's page) can be put
// right while the basket waits.
func (p *Problem) Temporary() bool {
	switch p.Type {
	case ProblemBadRequest, ProblemRevisionConflict, ProblemBasketConflict, ProblemTooLarge, ProblemInvalidBasket, ProblemCardNumber:
		return false
	}
	return true
}
