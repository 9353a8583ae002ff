package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"posd/basket"
	"posd/lane"
)

// Client uses the API of the posd on this machine.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient uses the socket at path.
func NewClient(path string) *Client {
	var d net.Dialer
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) }
	return &Client{path, &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Status asks how everything is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// Basket gives the open basket; open is false if there is none.
func (c *Client) Basket(ctx context.Context) (b basket.Basket, open bool, err error) {
	b, err = ask[basket.Basket](ctx, c, http.MethodGet, "/v1/basket", nil)
	var p *Problem
	if errors.As(err, &p) && p.Type == ProblemNoBasket {
		return b, false, nil
	}
	return b, err == nil, err
}

// Start opens a basket.
func (c *Client) Start(ctx context.Context, h lane.Header) (basket.Basket, error) {
	return ask[basket.Basket](ctx, c, http.MethodPost, "/v1/basket/start", h)
}

// Close ends the open basket as paid for.
func (c *Client) Close(ctx context.Context) (basket.Basket, error) {
	return ask[basket.Basket](ctx, c, http.MethodPost, "/v1/basket/close", nil)
}

// Void ends the open basket as given up.
func (c *Client) Void(ctx context.Context) (basket.Basket, error) {
	return ask[basket.Basket](ctx, c, http.MethodPost, "/v1/basket/void", nil)
}

// AddLine adds a label to the open basket.
func (c *Client) AddLine(ctx context.Context, l NewLine) (basket.Basket, error) {
	return ask[basket.Basket](ctx, c, http.MethodPost, "/v1/basket/lines", l)
}

// VoidLine voids a line of the open basket.
func (c *Client) VoidLine(ctx context.Context, number int) (basket.Basket, error) {
	return ask[basket.Basket](ctx, c, http.MethodPost, "/v1/basket/lines/"+strconv.Itoa(number)+"/void", nil)
}

// Devices tells of the lane's devices.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	d, err := ask[struct{ Devices []Device }](ctx, c, http.MethodGet, "/v1/devices", nil)
	return d.Devices, err
}

// Outbox tells what has not reached the POS main computer.
func (c *Client) Outbox(ctx context.Context) (basket.Outbox, error) {
	return ask[basket.Outbox](ctx, c, http.MethodGet, "/v1/outbox", nil)
}

// Trace gives the history of a basket.
func (c *Client) Trace(ctx context.Context, id basket.ID) (basket.Trace, error) {
	return ask[basket.Trace](ctx, c, http.MethodGet, "/v1/baskets/"+id.String()+"/trace", nil)
}

// ErrCutOff says that a stream of events ended by itself.
var ErrCutOff = errors.New("the events were cut off")

// Events calls f for each event from now on, until ctx ends or f fails. ready,
// if not nil, is called once no further event can be missed. The stream's last
// event is given to f too, and is followed by ErrCutOff.
func (c *Client) Events(ctx context.Context, ready func(), f func(lane.Event) error) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if ready != nil {
		ready()
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var e lane.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("read an event: %v", err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ErrCutOff
}

func ask[T any](ctx context.Context, c *Client, method, path string, body any) (answer T, err error) {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("read posd's answer: %v", err)
	}
	return answer, nil
}

// send returns the answer of a success.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://posd"+path, text)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	p := &Problem{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(p); err != nil || !strings.HasPrefix(p.Type, "urn:hhid:problem:") {
		return nil, fmt.Errorf("%s: whatever listens there is no posd (HTTP %d)", c.socket, resp.StatusCode)
	}
	return nil, p
}

// ErrNotRunning says that no posd answers.
var ErrNotRunning = errors.New("posd does not run")

// unreachable says why there was no answer, and what to do.
func (c *Client) unreachable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing answers at %s: start it with 'systemctl start posd' or 'posd run'", ErrNotRunning, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not use %s: join the group that owns it (posd), or use sudo", c.socket)
	}
	return fmt.Errorf("ask posd at %s: %v", c.socket, err)
}
