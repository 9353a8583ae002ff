package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	"posd/problem"
)

// Client calls operations, of a running centrald or of a Central in this process.
type Client struct {
	http  *http.Client
	close func()
}

// Dial connects to the centrald that listens at a Unix socket. ok is false if none
// does.
func Dial(ctx context.Context, socket string) (c *Client, ok bool) {
	var d net.Dialer
	first, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, false
	}
	first.Close()
	return newClient(func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) }), true
}

// Local serves a Central within this process, and connects to it. closed is called
// when the client is.
func Local(c *Central, closed func()) *Client {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := c.Server()
	server.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, actorKey{}, LocalActor())
	}
	go server.Serve(l)
	client := newClient(l.dial)
	client.close = func() {
		server.Close()
		closed()
	}
	return client
}

// LocalActor is the user of this process, as the audit log has whoever works without a
// server.
func LocalActor() string { return userName(os.Getuid()) + ", no server running" }

func newClient(dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{
		http: &http.Client{Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableCompression: true,
		}},
		close: func() {},
	}
}

// Close ends the connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.close()
}

// Call calls an operation. An error of it has the text that it gave; a wrong call
// is ErrMisuse.
func Call[Answer any](ctx context.Context, c *Client, operation string, request any) (answer Answer, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return answer, err
	}
	defer clear(body) // it may hold a number
	resp, err := c.post(ctx, operation, nil, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("%s: the answer of centrald ends early: it may have been done all the same", operation)
	}
	return answer, nil
}

// Stream calls an operation that reads in, and gives each line of what it answers
// to line.
func (c *Client) Stream(ctx context.Context, operation string, request any, in io.Reader, line func([]byte) error) error {
	argument, err := json.Marshal(request)
	if err != nil {
		return err
	}
	resp, err := c.post(ctx, operation, url.Values{"request": {string(argument)}}, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var last lastLine
		if json.Unmarshal(lines.Bytes(), &last) == nil && last.Failed != nil {
			return fromProblem(last.Failed)
		}
		if err := line(lines.Bytes()); err != nil {
			return err
		}
	}
	if lines.Err() != nil {
		return fmt.Errorf("%s: the connection to centrald broke off", operation)
	}
	return nil
}

// Pour calls an operation that writes bytes.
func (c *Client) Pour(ctx context.Context, operation string, request any, out io.Writer) error {
	argument, err := json.Marshal(request)
	if err != nil {
		return err
	}
	resp, err := c.post(ctx, operation, url.Values{"request": {string(argument)}}, http.NoBody)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	buf := make([]byte, 256<<10)
	defer clear(buf)
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{resp.Body}, buf); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: what centrald writes ends early: %w", operation, err)
	}
	if text := resp.Trailer.Get(problemTrailer); text != "" {
		var p problem.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return fmt.Errorf("%s: it failed half way", operation)
		}
		return fromProblem(&p)
	}
	return nil
}

func (c *Client) post(ctx context.Context, operation string, query url.Values, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://centrald/v1/"+operation+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("call centrald: %w", errors.Unwrap(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return nil, fromProblem(problem.Read(resp, text))
}

func fromProblem(p *problem.Problem) error {
	if p.Type == problemMisuse {
		return &misused{p.Detail}
	}
	return errors.New(p.Detail)
}

// pipes is a listener whose connections never leave the process.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close is called once, by the server.
func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "in this process", Net: "unix"} }
