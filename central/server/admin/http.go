package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"posd/problem"
)

// The types of problem that an operation answers with.
const (
	problemMisuse  = "urn:hhid:problem:misuse"  // it was called wrongly
	problemFailed  = "urn:hhid:problem:failed"  // it was not done
	problemUnknown = "urn:hhid:problem:unknown" // there is no such operation
)

// maxRequest bounds the request of an operation; a stream has no bound.
const maxRequest = 64 << 20

// operation is one thing that operators can do.
type operation struct {
	name  string
	serve func(http.ResponseWriter, *http.Request) error // an error: nothing was written yet
}

// does makes an operation of a function from a request to an answer.
func does[Request, Answer any](name string, f func(context.Context, Request) (Answer, error)) operation {
	return operation{name, func(w http.ResponseWriter, r *http.Request) error {
		var request Request
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		defer clear(body) // it may hold a number
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &request); err != nil {
			return misuse("the request is not what this centrald expects: are command and service of the same version?")
		}
		answer, err := f(r.Context(), request)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(answer)
	}}
}

// streams makes an operation of a function that reads a stream and writes values,
// which travel as JSON, one a line. Its request is the parameter "request". An
// error after the first value ends the connection within the stream, behind a last
// line that tells it.
func streams[Request any](name string, f func(ctx context.Context, request Request, in io.Reader, out func(any) error) error) operation {
	return operation{name, func(w http.ResponseWriter, r *http.Request) error {
		var request Request
		if err := json.Unmarshal([]byte(r.URL.Query().Get("request")), &request); err != nil {
			return misuse("the request is not what this centrald expects: are command and service of the same version?")
		}
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		begun, lines := false, json.NewEncoder(w)
		err := f(r.Context(), request, r.Body, func(v any) error {
			begun = true
			if err := lines.Encode(v); err != nil {
				return err
			}
			return control.Flush()
		})
		if err != nil && begun {
			return lines.Encode(lastLine{Failed: toProblem(err)})
		}
		return err
	}}
}

// pours makes an operation of a function that writes bytes. Its request is the
// parameter "request". An error after the first byte is told behind the last, in a
// trailer.
func pours[Request any](name string, f func(ctx context.Context, request Request, out io.Writer) error) operation {
	return operation{name, func(w http.ResponseWriter, r *http.Request) error {
		var request Request
		if err := json.Unmarshal([]byte(r.URL.Query().Get("request")), &request); err != nil {
			return misuse("the request is not what this centrald expects: are command and service of the same version?")
		}
		out := &noting{out: w}
		err := f(r.Context(), request, out)
		if err != nil && out.begun {
			text, err := json.Marshal(toProblem(err))
			w.Header().Set(http.TrailerPrefix+problemTrailer, string(text))
			return err
		}
		return err
	}}
}

const problemTrailer = "Problem"

// noting notes whether anything was written.
type noting struct {
	out   http.ResponseWriter
	begun bool
}

func (n *noting) Write(p []byte) (int, error) {
	if !n.begun {
		n.begun = true
		n.out.Header().Set("Content-Type", "application/octet-stream")
	}
	return n.out.Write(p)
}

// lastLine ends a stream that failed.
type lastLine struct {
	Failed *problem.Problem `json:"failed,omitempty"`
}

// Handler serves the operations: POST /v1/NAME.
func (c *Central) Handler() http.Handler {
	byPath := map[string]operation{}
	for _, op := range c.operations() {
		byPath["/v1/"+op.name] = op
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, ok := byPath[r.URL.Path]
		if !ok || r.Method != http.MethodPost {
			(&problem.Problem{Type: problemUnknown, Status: http.StatusNotFound, Title: "unknown operation",
				Detail: "the service does not know this operation: is it older than the command?"}).Write(w)
			return
		}
		if err := op.serve(w, r); err != nil {
			toProblem(err).Write(w)
		}
	})
}

func toProblem(err error) *problem.Problem {
	if errors.Is(err, ErrMisuse) {
		return &problem.Problem{Type: problemMisuse, Status: http.StatusBadRequest, Title: "wrong call", Detail: err.Error()}
	}
	return &problem.Problem{Type: problemFailed, Status: http.StatusUnprocessableEntity, Title: "not done", Detail: err.Error()}
}

type actorKey struct{}

// actor is who called an operation.
func actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}

// Server serves c's operations to connections of a Unix socket; it knows from the
// kernel which user is at the other end.
func (c *Central) Server() *http.Server {
	return &http.Server{Handler: c.Handler(), ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, actorKey{}, peer(conn))
	}}
}

// peer names the user at the other end of a Unix socket.
func peer(conn net.Conn) string {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return "unknown"
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return "unknown"
	}
	var who *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if controlErr != nil || err != nil {
		return "unknown"
	}
	return userName(int(who.Uid))
}

// userName is the name of a user, or the number of one without.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
