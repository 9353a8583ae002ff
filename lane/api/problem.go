package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"posd/basket"
	"posd/lane"
)

// The types of problem that the API answers with (RFC 9457), with their
// statuses.
const (
	ProblemBadRequest    = "urn:hhid:problem:bad-request"    // 400
	ProblemNotFound      = "urn:hhid:problem:not-found"      // 404: no such path
	ProblemUnknownBasket = "urn:hhid:problem:unknown-basket" // 404
	ProblemNoSuchLine    = "urn:hhid:problem:no-such-line"   // 404
	ProblemUnknownDevice = "urn:hhid:problem:unknown-device" // 404
	ProblemMethod        = "urn:hhid:problem:method"         // 405
	ProblemBasketOpen    = "urn:hhid:problem:basket-open"    // 409
	ProblemNoBasket      = "urn:hhid:problem:no-basket"      // 409
	ProblemDeviceBusy    = "urn:hhid:problem:device-busy"    // 409: somebody listens to it already
	ProblemTooLarge      = "urn:hhid:problem:too-large"      // 413
	ProblemRefused       = "urn:hhid:problem:refused"        // 422: Code says why
	ProblemUnavailable   = "urn:hhid:problem:unavailable"    // 503: the journal fails, or posd is stopping
)

// Problem is an answer that is no success. It is the error of the Client's
// methods.
type Problem struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code,omitempty"` // of ProblemRefused: as in the event that tells of it
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// newProblem gives a type its status and title.
func newProblem(typ, detail string) *Problem {
	p := &Problem{Type: typ, Detail: detail}
	switch typ {
	case ProblemBadRequest:
		p.Status, p.Title = http.StatusBadRequest, "the request cannot be understood"
	case ProblemNotFound:
		p.Status, p.Title = http.StatusNotFound, "there is nothing at this path"
	case ProblemUnknownBasket:
		p.Status, p.Title = http.StatusNotFound, "this lane does not know that basket"
	case ProblemNoSuchLine:
		p.Status, p.Title = http.StatusNotFound, "the open basket has no such line"
	case ProblemUnknownDevice:
		p.Status, p.Title = http.StatusNotFound, "this lane has no such device"
	case ProblemMethod:
		p.Status, p.Title = http.StatusMethodNotAllowed, "this path takes another method"
	case ProblemBasketOpen:
		p.Status, p.Title = http.StatusConflict, "a basket is open"
	case ProblemNoBasket:
		p.Status, p.Title = http.StatusConflict, "no basket is open"
	case ProblemDeviceBusy:
		p.Status, p.Title = http.StatusConflict, "the device is being listened to"
	case ProblemTooLarge:
		p.Status, p.Title = http.StatusRequestEntityTooLarge, "the request is too long"
	case ProblemRefused:
		p.Status, p.Title = http.StatusUnprocessableEntity, "the lane refuses this"
	default:
		p.Type, p.Status, p.Title = ProblemUnavailable, http.StatusServiceUnavailable, "posd cannot do this now"
	}
	return p
}

// problemOf gives the answer to an error of the lane.
func problemOf(err error) *Problem {
	var p *Problem
	var refused *lane.RefusedError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refused):
		p = newProblem(ProblemRefused, refused.Reason)
		p.Code = refused.Code
		if refused.Code == "no-basket" {
			p = newProblem(ProblemNoBasket, refused.Reason)
		}
		return p
	case errors.Is(err, basket.ErrOpen):
		return newProblem(ProblemBasketOpen, basket.ErrOpen.Error())
	case errors.Is(err, basket.ErrNotOpen):
		return newProblem(ProblemNoBasket, "no basket is open")
	case errors.Is(err, basket.ErrNoSuchLine):
		return newProblem(ProblemNoSuchLine, basket.ErrNoSuchLine.Error())
	case errors.Is(err, basket.ErrUnknown):
		return newProblem(ProblemUnknownBasket, basket.ErrUnknown.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return newProblem(ProblemUnavailable, "the lane did not answer in time: look with posd status whether it was done")
	}
	return newProblem(ProblemUnavailable, err.Error())
}

func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p) // a client that has gone needs no answer
}

// explain says what is wrong with a JSON body, and repeats nothing of it: a
// label may be a card number.
func explain(err error) *Problem {
	var size *http.MaxBytesError
	var typ *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &size):
		return newProblem(ProblemTooLarge, fmt.Sprintf("the body is longer than %d bytes", size.Limit))
	case errors.As(err, &typ) && typ.Field != "":
		return newProblem(ProblemBadRequest, fmt.Sprintf("%s must be of JSON type %s", typ.Field, jsonType(typ)))
	case errors.As(err, &syntax):
		return newProblem(ProblemBadRequest, fmt.Sprintf("the body is no JSON: see byte %d", syntax.Offset))
	}
	return newProblem(ProblemBadRequest, "the body must be one JSON object with known fields")
}

func jsonType(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "string"
	case "int":
		return "number, whole and not too large"
	}
	return "object"
}
