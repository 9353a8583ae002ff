// Package problem is an HTTP answer other than the one hoped for, in the form of
// RFC 9457 (application/problem+json): read, written, and as an error of Go.
//
// Which types of problem there are, and what each means, is the business of the
// service that answers with them.
package problem

import (
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MediaType is that of a problem's JSON.
const MediaType = "application/problem+json"

// Foreign is the type of a problem that says no more than its HTTP status.
const Foreign = "about:blank"

// maxRetryAfter bounds how long a server can make a client keep quiet.
const maxRetryAfter = time.Hour

// Problem is an answer other than the one hoped for.
type Problem struct {
	Type   string `json:"type"` // a URI
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`

	// RetryAfter is how long the server asks to be left alone, 0 if it did not
	// say. It travels as the Retry-After header, in seconds.
	RetryAfter time.Duration `json:"-"`
}

// Error gives the title and the detail. Neither may hold what was in a request's
// body.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return fmt.Sprintf("%s (HTTP %d)", p.Title, p.Status)
	}
	return fmt.Sprintf("%s: %s (HTTP %d)", p.Title, p.Detail, p.Status)
}

// Read makes a problem of any answer that is no success; body is what was read
// of its body. The status is that of the answer, whatever the body says. An answer
// that is no problem document does not come from the service (a proxy's page,
// say): it becomes a Foreign one, and nothing of its text is taken over. Of
// Retry-After an hour at most is believed; a date in it is passed over.
func Read(resp *http.Response, body []byte) *Problem {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != MediaType || json.Unmarshal(body, p) != nil || p.Type == "" {
		p = &Problem{Type: Foreign, Title: strings.ToLower(http.StatusText(resp.StatusCode))}
	}
	if p.Title == "" {
		p.Title = "unexpected answer"
	}
	p.Status = resp.StatusCode
	p.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	return p
}

func retryAfter(seconds string) time.Duration {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return 0
	}
	return Wait(n)
}

// Wait is what is believed of so many seconds that a server asks to be left alone: an
// hour at most.
func Wait(seconds int) time.Duration {
	return time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
}

// Write answers with p, whose Status must be one of HTTP. Retry-After is rounded
// up to a second. No cache may keep the answer.
func (p *Problem) Write(w http.ResponseWriter) {
	h := w.Header()
	if seconds := p.RetryAfterSeconds(); seconds > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	w.Write(p.JSON()) // a client that has gone needs no answer
}

// RetryAfterSeconds is RetryAfter as its header says it, rounded up; 0 for none.
func (p *Problem) RetryAfterSeconds() int { return int(math.Ceil(p.RetryAfter.Seconds())) }

// JSON gives the body of an answer.
func (p *Problem) JSON() []byte {
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("write problem: %v", err)) // strings and a number are always JSON
	}
	return body
}
