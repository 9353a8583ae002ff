package server

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"posd/central"
	"posd/enroll"
	"posd/strictjson"
)

// endpoint answers a request with a body to be written as JSON, or a problem.
type endpoint func(r *http.Request) (any, *central.Problem)

// route is one operation of a listener; raw takes the place of answer where the
// answer is not JSON.
type route struct {
	method, path string
	answer       endpoint
	raw          http.Handler
}

func (s *Server) lookupRoutes() []route {
	var all []route
	for _, l := range s.lookupPaths() {
		all = append(all, route{method: http.MethodPost, path: l.path, raw: s.overHTTP(l)})
	}
	return all
}

func (s *Server) operationsRoutes() []route {
	return []route{
		{method: http.MethodPost, path: enroll.EnrollPath, answer: s.enroll},
		{method: http.MethodPost, path: enroll.RenewPath, answer: s.renew},
		{method: http.MethodGet, path: central.ChangesPath, raw: http.HandlerFunc(s.changes)},
		{method: http.MethodPost, path: central.AckPath, answer: s.acknowledge},
		{method: http.MethodGet, path: "/healthz", answer: s.healthz},
		{method: http.MethodGet, path: "/readyz", raw: http.HandlerFunc(s.readyz)},
		{method: http.MethodGet, path: "/metrics", raw: s.metrics.handler()},
	}
}

// handler serves routes. It answers everything else with a problem, too.
func handler(routes []route) http.Handler {
	paths := map[string][]route{}
	for _, r := range routes {
		paths[r.path] = append(paths[r.path], r)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		there := paths[r.URL.Path]
		for _, route := range there {
			if route.method == r.Method || route.method == http.MethodGet && r.Method == http.MethodHead {
				route.serve(w, r)
				return
			}
		}
		if len(there) == 0 {
			problem(central.ProblemNotFound, http.StatusNotFound, "no such path", "").Write(w)
			return
		}
		w.Header().Set("Allow", allowed(there))
		problem(central.ProblemMethod, http.StatusMethodNotAllowed, "method not allowed", "this path takes "+allowed(there)).Write(w)
	})
}

func allowed(routes []route) string {
	var methods []string
	for _, r := range routes {
		methods = append(methods, r.method)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

func (rt route) serve(w http.ResponseWriter, r *http.Request) {
	if rt.raw != nil {
		rt.raw.ServeHTTP(w, r)
		return
	}
	answer, refusal := rt.answer(r)
	if refusal != nil {
		refusal.Write(w)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem("about:blank", http.StatusInternalServerError, "internal error", "").Write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

func problem(kind string, status int, title, detail string) *central.Problem {
	return &central.Problem{Type: kind, Status: status, Title: title, Detail: detail}
}

func badRequest(detail string) *central.Problem {
	return problem(central.ProblemBadRequest, http.StatusBadRequest, "bad request", detail)
}

func unavailable(detail string) *central.Problem {
	p := problem(central.ProblemUnavailable, http.StatusServiceUnavailable, "central cannot answer now", detail)
	p.RetryAfter = time.Second
	return p
}

func overQuota(wait time.Duration, detail string) *central.Problem {
	p := problem(central.ProblemQuota, http.StatusTooManyRequests, "quota exceeded", detail)
	p.RetryAfter = max(wait, time.Second)
	return p
}

// decode reads a request's body, which must be one JSON value with no field that
// is unknown. What it says of a bad one repeats nothing of it.
func decode(r *http.Request, v any) *central.Problem {
	body, p := readBody(r, central.MaxRequest)
	if p != nil {
		return p
	}
	defer clear(body)
	return unmarshal(body, v)
}

func readBody(r *http.Request, most int) ([]byte, *central.Problem) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" {
		return nil, problem(central.ProblemMediaType, http.StatusUnsupportedMediaType, "unsupported media type", "send application/json")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(most)+1))
	if err != nil {
		return nil, badRequest("the body ends early")
	}
	if len(body) > most {
		return nil, problem(central.ProblemTooLarge, http.StatusRequestEntityTooLarge, "body too large", "the limit is "+strconv.Itoa(most)+" bytes")
	}
	return body, nil
}

func unmarshal(body []byte, v any) *central.Problem {
	err := strictjson.Unmarshal(body, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return badRequest("the field " + wrong.Field + " is of another type")
	}
	if err != nil {
		return badRequest("the body is not the one JSON object that docs/api/central.yaml describes")
	}
	return nil
}
