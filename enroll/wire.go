package enroll

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"posd/problem"
)

// Paths of central's operations listener. Both are POST, JSON in and out;
// errors are problem documents (RFC 9457, see [Problem]).
const (
	EnrollPath = "/v1/enroll"
	RenewPath  = "/v1/renew"
)

// EnrollRequest asks for a first certificate. The same secret with the same
// public key gives the same answer again, as long as the token is valid.
type EnrollRequest struct {
	Secret []byte `json:"secret"` // the token's 16 secret bytes, base64
	Role   Role   `json:"role"`   // what the program that asks is; central refuses another role's token and leaves it unused
	CSR    []byte `json:"csr"`    // PKCS #10, DER, base64: only its public key is taken
}

// Format keeps the secret out of logs.
func (r EnrollRequest) Format(f fmt.State, _ rune) { io.WriteString(f, "EnrollRequest(redacted)") }

// EnrollResponse carries the first certificate and what to trust from now on.
type EnrollResponse struct {
	Certificate   []byte `json:"certificate"`  // DER, base64
	CA            []byte `json:"ca"`           // DER, base64
	ManifestKey   []byte `json:"manifest_key"` // Ed25519 public key, 32 bytes, base64
	LookupURL     string `json:"lookup_url"`
	OperationsURL string `json:"operations_url"`
}

// RenewRequest asks for a certificate of the same name for a new key. The
// present certificate comes from TLS. The same public key gives the same answer
// again.
type RenewRequest struct {
	CSR []byte `json:"csr"` // as in EnrollRequest
}

// RenewResponse carries the new certificate. The addresses may have changed;
// empty ones have not.
type RenewResponse struct {
	Certificate   []byte `json:"certificate"`
	LookupURL     string `json:"lookup_url,omitempty"`
	OperationsURL string `json:"operations_url,omitempty"`
}

// Problem types of the operations listener, with their HTTP status.
const (
	ProblemBadRequest   = "urn:hhid:problem:bad-request"            // 400
	ProblemTokenUnknown = "urn:hhid:problem:token-unknown"          // 403
	ProblemTokenExpired = "urn:hhid:problem:token-expired"          // 403
	ProblemTokenUsed    = "urn:hhid:problem:token-used"             // 403
	ProblemWrongRole    = "urn:hhid:problem:wrong-role"             // 403
	ProblemForbidden    = "urn:hhid:problem:forbidden"              // 403: no certificate, or not one that may do this
	ProblemExpired      = "urn:hhid:problem:certificate-expired"    // 403: for more than RenewGrace
	ProblemRevoked      = "urn:hhid:problem:certificate-revoked"    // 403
	ProblemSuperseded   = "urn:hhid:problem:certificate-superseded" // 409: clone alarm
	ProblemQuota        = "urn:hhid:problem:quota"                  // 429
	ProblemUnavailable  = "urn:hhid:problem:unavailable"            // 503
)

// Problem is a refusal by central (RFC 9457). Its Error says what to do.
type Problem problem.Problem

// remedies say, for whoever stands at the lane, what a problem means.
var remedies = map[string]string{
	ProblemTokenUnknown: "central does not know this token: ask central for a new one",
	ProblemTokenExpired: "this token has expired: ask central for a new one",
	ProblemTokenUsed:    "this token was used before, by another machine or key: ask central for a new one, and who used it",
	ProblemWrongRole:    "this token is for another kind of program: posd takes a token for a lane, posmaind one for a shop",
	ProblemExpired:      "this certificate expired too long ago to be renewed: enrol again with a new token",
	ProblemRevoked:      "this certificate was revoked: ask central",
	ProblemSuperseded:   "this lane's certificate was superseded: another machine holds a copy; ask central to replace the lane",
}

// Error is the remedy, or else what central wrote.
func (p *Problem) Error() string {
	text := p.Title
	if remedy := remedies[p.Type]; remedy != "" {
		text = remedy
	}
	if text == "" || p.Type == problem.Foreign {
		text = fmt.Sprintf("central answered %d %s", p.Status, http.StatusText(p.Status))
	}
	if p.Detail != "" && p.Detail != p.Title {
		text += " (" + p.Detail + ")"
	}
	return text
}

// IsProblem reports whether err is or wraps a problem of this type.
func IsProblem(err error, problemType string) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Type == problemType
}
