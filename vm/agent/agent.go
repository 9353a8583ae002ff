// Package agent lets a host run programs in a guest: requests and answers as lines
// of JSON over a stream, such as a port of virtio-serial. One program runs at a
// time.
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// Request names a program to run in the guest.
type Request struct {
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"` // KEY=value, beside the agent's own
}

// reply is a piece of the program's output, or how it ended.
type reply struct {
	Out  []byte `json:"out,omitempty"`
	Done bool   `json:"done,omitempty"`
	Code int    `json:"code"`
	Err  string `json:"err,omitempty"` // it could not be run
}

// Serve runs what is asked for over port, until that ends.
func Serve(port io.ReadWriter) error {
	dec := json.NewDecoder(port)
	for {
		var r Request
		if err := dec.Decode(&r); err != nil {
			return err
		}
		if err := serve(port, r); err != nil {
			return err
		}
	}
}

func serve(port io.Writer, r Request) error {
	if len(r.Args) == 0 {
		return json.NewEncoder(port).Encode(reply{Done: true, Err: "nothing to run"})
	}
	out := &output{enc: json.NewEncoder(port)}
	cmd := exec.Command(r.Args[0], r.Args[1:]...)
	cmd.Env = append(os.Environ(), r.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	last := reply{Done: true}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		last.Code = exit.ExitCode()
	case err != nil:
		last.Err = err.Error()
	}
	return out.send(last)
}

// output sends what a program writes.
type output struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// Write sends b.
func (o *output) Write(b []byte) (int, error) { return len(b), o.send(reply{Out: b}) }

func (o *output) send(r reply) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.enc.Encode(r)
}

// Client is the host's side.
type Client struct {
	port io.Writer
	dec  *json.Decoder
}

// NewClient talks to the agent at the other end of port.
func NewClient(port io.ReadWriter) *Client { return &Client{port, json.NewDecoder(port)} }

// Run runs a program, copies its output to out, and gives its exit status.
func (c *Client) Run(r Request, out io.Writer) (code int, err error) {
	if err := json.NewEncoder(c.port).Encode(r); err != nil {
		return 0, fmt.Errorf("ask the guest: %v", err)
	}
	for {
		var a reply
		if err := c.dec.Decode(&a); err != nil {
			return 0, fmt.Errorf("hear from the guest: %v", err)
		}
		if _, err := out.Write(a.Out); err != nil {
			return 0, err
		}
		switch {
		case a.Err != "":
			return 0, fmt.Errorf("run in the guest: %s", a.Err)
		case a.Done:
			return a.Code, nil
		}
	}
}
