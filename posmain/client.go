package posmain

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"posd/problem"
	"posd/traceparent"
	"posd/version"
)

// maxAnswer bounds what is read of an answer: a receipt and a problem are both
// far below it.
const maxAnswer = 64 << 10

// Client sends baskets to one POS main computer. It may be used by several
// goroutines at once.
type Client struct {
	base  string
	agent string
	http  *http.Client
}

// NewClient returns a client of the POS main computer at address, an https URL
// such as "https://pos-main.shop.example:9443". config brings the lane's
// certificate and the check of the server's (package enroll makes it).
func NewClient(address string, config *tls.Config) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("posmain client: the address %q is not of the form https://host:port", address)
	}
	transport := &http.Transport{
		TLSClientConfig:     config.Clone(),
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 4,
		DisableCompression:  true,
	}
	return &Client{
		base:  strings.TrimSuffix(address, "/"),
		agent: version.Agent(),
		http:  &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// Put sends the basket id whose JSON is body and returns the receipt once it is
// durably logged. How long it may take is the context's business.
//
// A refusal is a *Problem. A receipt that is not for these very bytes is an
// error: the basket must then count as not logged.
func (c *Client) Put(ctx context.Context, id string, body []byte) (Receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.base+BasketsPath+url.PathEscape(id), bytes.NewReader(body))
	if err != nil {
		return Receipt{}, fmt.Errorf("put basket: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.agent)
	traced, parent := traceparent.New()
	req.Header.Set(traceparent.Header, parent)
	req.Header.Set("Accept", "application/json, application/problem+json")
	resp, err := c.http.Do(req)
	if err != nil {
		return Receipt{}, fmt.Errorf("put basket: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Receipt{}, fmt.Errorf("put basket: read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return Receipt{}, fmt.Errorf("%w (trace %s)", problem.Read(resp, answer), traced)
	}
	return readReceipt(answer, id, body)
}

// Close gives back the client's idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func readReceipt(answer []byte, id string, body []byte) (Receipt, error) {
	var r Receipt
	if err := json.Unmarshal(answer, &r); err != nil {
		return Receipt{}, fmt.Errorf("put basket: the answer is not a receipt: %v", err)
	}
	if r.Basket != id || r.Digest != Digest(body) {
		return Receipt{}, errors.New("put basket: the receipt is for another basket or other content")
	}
	if r.LogID == "" || r.LoggedAt.IsZero() {
		return Receipt{}, errors.New("put basket: the receipt does not say which log holds the basket, or since when")
	}
	return r, nil
}
