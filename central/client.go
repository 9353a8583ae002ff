package central

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
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"posd/problem"
	"posd/traceparent"
	"posd/version"
)

// maxAnswer bounds what is read of an answer. A page of changes is the longest of
// them.
const maxAnswer = 1 << 20

// Client asks central. It keeps its connections alive and may be used by
// several goroutines at once.
type Client struct {
	base  string
	agent string
	http  *http.Client
	skew  atomic.Pointer[time.Duration]
}

// NewClient returns a client of the lookup listener at address, an https URL
// such as "https://central.example:8443"; or of the operations listener, for
// Changes and Acknowledge. config brings the machine's certificate and the check of
// the server's (package enroll makes it).
func NewClient(address string, config *tls.Config) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("central client: the address %q is not of the form https://host:port", address)
	}
	transport := &http.Transport{
		TLSClientConfig:     config.Clone(),
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 8,
		DisableCompression:  true,
	}
	return &Client{
		base:  strings.TrimSuffix(address, "/"),
		agent: version.Agent(),
		http:  &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// Resolve asks whose card r.EncTID holds. How long it may take is the context's
// business. A refusal is a *Problem; any other error means that central did not
// answer, or not to this request.
func (c *Client) Resolve(ctx context.Context, r Request) (Answer, error) {
	var a Answer
	if err := c.post(ctx, ResolvePath, r, &a); err != nil {
		return Answer{}, fmt.Errorf("resolve: %w", err)
	}
	if err := a.Check(r); err != nil {
		return Answer{}, fmt.Errorf("resolve: %v", err)
	}
	return a, nil
}

// Result is what Resolve would have returned for one request of a batch.
type Result struct {
	Answer Answer
	Err    error
}

// ResolveBatch asks whose cards up to MaxBatch requests hold, and gives as many results
// in their order. It is for what nobody waits for: central answers single requests first.
// An error means that there are no results; of a central that knows no batches it
// is a *Problem with status 404.
func (c *Client) ResolveBatch(ctx context.Context, all []Request) ([]Result, error) {
	var a BatchAnswer
	if err := c.post(ctx, BatchPath, BatchRequest{Items: all}, &a); err != nil {
		return nil, fmt.Errorf("resolve batch: %w", err)
	}
	if len(a.Items) != len(all) {
		return nil, fmt.Errorf("resolve batch: %d answers to %d requests", len(a.Items), len(all))
	}
	results := make([]Result, len(all))
	for i, item := range a.Items {
		results[i] = item.result(all[i])
	}
	return results, nil
}

// Manifest fetches the current manifest; have is the version that the caller
// holds, 0 for none. What it returns is not verified yet: see Signed.Verify.
func (c *Client) Manifest(ctx context.Context, have uint64) (Signed, error) {
	var s Signed
	if err := c.post(ctx, ManifestPath, ManifestRequest{Version: have}, &s); err != nil {
		return Signed{}, fmt.Errorf("fetch manifest: %w", err)
	}
	return s, nil
}

// Changes asks what has changed behind a number of a feed, and waits for up to wait
// (25 s at the most) if nothing has. feed is "" at first.
func (c *Client) Changes(ctx context.Context, feed string, after uint64, wait time.Duration) (Changes, error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}, "wait": {strconv.Itoa(int(wait / time.Second))}}
	if feed != "" {
		query.Set("feed", feed)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+ChangesPath+"?"+query.Encode(), nil)
	if err != nil {
		return Changes{}, fmt.Errorf("follow changes: %w", err)
	}
	var page Changes
	if err := c.do(req, &page); err != nil {
		return Changes{}, fmt.Errorf("follow changes: %w", err)
	}
	if page.Feed == "" || page.Next < page.After {
		return Changes{}, errors.New("follow changes: the answer is no page of a feed")
	}
	return page, nil
}

// Acknowledge says that all changes up to one are done with.
func (c *Client) Acknowledge(ctx context.Context, ack Ack) error {
	if err := c.post(ctx, AckPath, ack, &ack); err != nil {
		return fmt.Errorf("acknowledge changes: %w", err)
	}
	return nil
}

// Skew is how far central's clock was ahead of this machine's (negative:
// behind) when it last answered, to about a second; known is false before the
// first answer.
func (c *Client) Skew() (ahead time.Duration, known bool) {
	if d := c.skew.Load(); d != nil {
		return *d, true
	}
	return 0, false
}

// Close gives back the client's idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) post(ctx context.Context, path string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req, answer)
}

func (c *Client) do(req *http.Request, answer any) error {
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", c.agent)
	traced, parent := traceparent.New()
	req.Header.Set(traceparent.Header, parent)
	// An empty key is not sent: it tells the transport that the request may be
	// sent again when a kept-alive connection turns out to be dead.
	req.Header["Idempotency-Key"] = []string{}
	sent := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.noteSkew(resp.Header.Get("Date"), sent, time.Now())
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w (trace %s)", problem.Read(resp, raw), traced)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("the answer of %s is not the JSON expected", req.URL.Path)
	}
	return nil
}

// noteSkew compares the Date header (whole seconds, cut off) with the middle of
// the time that the request took.
func (c *Client) noteSkew(date string, sent, received time.Time) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	middle := sent.Add(received.Sub(sent) / 2)
	ahead := at.Add(500 * time.Millisecond).Sub(middle)
	c.skew.Store(&ahead)
}
