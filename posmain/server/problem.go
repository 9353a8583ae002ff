package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"posd/posmain"
	"posd/sqldb"
)

// problems gives the status and title of each type of problem.
var problems = map[string]struct {
	status int
	title  string
}{
	posmain.ProblemBadRequest:       {http.StatusBadRequest, "not a basket"},
	posmain.ProblemForbidden:        {http.StatusForbidden, "this certificate may not do that here"},
	posmain.ProblemRevoked:          {http.StatusForbidden, "certificate revoked"},
	posmain.ProblemNotFound:         {http.StatusNotFound, "nothing is here"},
	posmain.ProblemMethod:           {http.StatusMethodNotAllowed, "another method is expected here"},
	posmain.ProblemRevisionConflict: {http.StatusConflict, "revision conflict"},
	posmain.ProblemBasketConflict:   {http.StatusConflict, "basket conflict"},
	posmain.ProblemTooLarge:         {http.StatusRequestEntityTooLarge, "basket too large"},
	posmain.ProblemMediaType:        {http.StatusUnsupportedMediaType, "wrong media type"},
	posmain.ProblemInvalidBasket:    {http.StatusUnprocessableEntity, "invalid basket"},
	posmain.ProblemCardNumber:       {http.StatusUnprocessableEntity, "card number refused"},
	posmain.ProblemUnavailable:      {http.StatusServiceUnavailable, "log not available"},
	posmain.ProblemFull:             {http.StatusInsufficientStorage, "disk full"},
}

func problem(kind, detail string) *posmain.Problem {
	p := problems[kind]
	return &posmain.Problem{Type: kind, Status: p.status, Title: p.title, Detail: detail}
}

// storeProblem is what a lane is told when the log fails. What exactly failed
// is for the POS main computer's own log.
func storeProblem(err error, log *slog.Logger) *posmain.Problem {
	switch {
	case errors.Is(err, ErrRevisionConflict):
		log.Warn("alarm: posmaind alarms says more", "alarm", AlarmRevisionConflict)
		return problem(posmain.ProblemRevisionConflict, ErrRevisionConflict.Error())
	case errors.Is(err, ErrBasketConflict):
		log.Warn("alarm: posmaind alarms says more", "alarm", AlarmBasketConflict)
		return problem(posmain.ProblemBasketConflict, ErrBasketConflict.Error())
	case errors.Is(err, context.Canceled): // the lane has gone
		return later(problem(posmain.ProblemUnavailable, "the request was given up"))
	case errors.Is(err, sqldb.ErrFull):
		log.Error("log basket", "err", err)
		return later(problem(posmain.ProblemFull, "the disk of the POS main computer is full; what was logged before is intact"))
	}
	log.Error("log basket", "err", err)
	return later(problem(posmain.ProblemUnavailable, "the POS main computer cannot write its log; its own log says why"))
}

func later(p *posmain.Problem) *posmain.Problem {
	p.RetryAfter = 10 * time.Second
	return p
}

func answerProblem(w http.ResponseWriter, p *posmain.Problem) {
	p.Write(w)
	io.WriteString(w, "\n")
}

func answer(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("posmain server: an answer that is no JSON: %v", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(text, '\n'))
}
