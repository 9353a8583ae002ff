package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/basket"
	"posd/identity"
	"posd/lane"
	"posd/unixsocket"
)

// daemon serves a counter's API on a socket.
func daemon(t *testing.T) (c *counter, client *Client, stop func() error) {
	t.Helper()
	c = newCounter(t, nil)
	path := filepath.Join(t.TempDir(), "run", "posd.sock")
	l, err := unixsocket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.server.Serve(ctx, l) }()
	stop = func() error { cancel(); return <-served }
	t.Cleanup(cancel)
	return c, NewClient(path), stop
}

func TestClient(t *testing.T) {
	ctx := t.Context()
	_, client, _ := daemon(t)
	if _, open, err := client.Basket(ctx); open || err != nil {
		t.Errorf("Basket: open %v, %v", open, err)
	}
	b, err := client.Start(ctx, lane.Header{Kind: basket.Return, Operator: "7"})
	if err != nil || b.Kind != basket.Return {
		t.Fatalf("Start: %+v, %v", b, err)
	}
	if b, err = client.AddLine(ctx, NewLine{Label: "033000291452"}); err != nil || len(b.Lines) != 1 || b.Lines[0].Quantity != -1 {
		t.Errorf("AddLine: %+v, %v", b, err)
	}
	if b, err = client.VoidLine(ctx, 1); err != nil || b.Lines[0].VoidedAt == nil {
		t.Errorf("VoidLine: %+v, %v", b, err)
	}
	if _, open, err := client.Basket(ctx); !open || err != nil {
		t.Errorf("Basket: open %v, %v", open, err)
	}
	st, err := client.Status(ctx)
	if err != nil || st.Lane.Basket == nil || st.Lane.Basket.ID != b.ID || st.OK || len(st.Problems) != 2 {
		t.Errorf("Status: %+v, %v", st, err)
	}
	if b, err = client.Close(ctx); err != nil || b.Sequence != 1 || b.State != identity.Anonymous {
		t.Errorf("Close: %+v, %v", b, err)
	}
	var p *Problem
	if _, err = client.Void(ctx); !errors.As(err, &p) || p.Type != ProblemNoBasket || err.Error() != "no basket is open" {
		t.Errorf("Void: %v", err)
	}
	if d, err := client.Devices(ctx); err != nil || len(d) != 1 || d[0].State != "missing" {
		t.Errorf("Devices: %+v, %v", d, err)
	}
	if o, err := client.Outbox(ctx); err != nil || o.Queued != 1 || o.Deliveries[0].Basket != b.ID {
		t.Errorf("Outbox: %+v, %v", o, err)
	}
	if tr, err := client.Trace(ctx, b.ID); err != nil || tr.Basket.ID != b.ID || len(tr.Events) < 4 {
		t.Errorf("Trace: %+v, %v", tr, err)
	}
}

func TestEvents(t *testing.T) {
	c, client, stop := daemon(t)
	ready := make(chan struct{})
	got := make(chan lane.Event, 16)
	ended := make(chan error, 1)
	go func() {
		ended <- client.Events(t.Context(), func() { close(ready) }, func(e lane.Event) error { got <- e; return nil })
	}()
	<-ready
	c.scan("033000291452")
	for _, want := range []string{lane.EventOpened, lane.EventScan} {
		if e := <-got; e.Type != want {
			t.Errorf("event %+v, want %s", e, want)
		}
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the server took %s to stop", took)
	}
	if e := <-got; e.Type != EventStopping {
		t.Errorf("last event %+v", e)
	}
	if err := <-ended; !errors.Is(err, ErrCutOff) {
		t.Errorf("Events = %v", err)
	}
}

// TestSlowClient follows the events without reading them: the lane goes on, and
// the client learns that it missed some.
func TestSlowClient(t *testing.T) {
	c, client, _ := daemon(t)
	reading, release := make(chan struct{}), make(chan struct{})
	var last lane.Event
	ended := make(chan error, 1)
	go func() {
		first := true
		ended <- client.Events(t.Context(), func() { close(reading) }, func(e lane.Event) error {
			if first {
				<-release
				first = false
			}
			last = e
			return nil
		})
	}()
	<-reading
	for range 3000 { // more than the socket and the queue can hold
		c.scan("033000291452")
	}
	close(release)
	if err := <-ended; !errors.Is(err, ErrCutOff) || last.Type != EventDropped || last.Reason == "" {
		t.Errorf("Events = %v, last %+v", err, last)
	}
	if b, _, err := client.Basket(t.Context()); err != nil || len(b.Lines) != 3000 {
		t.Errorf("%d lines, %v", len(b.Lines), err)
	}
}

// Listening to the devices ends when a basket is opened, which what is scanned
// then would not come into, and when posd stops. It is said why.
func TestListeningEnds(t *testing.T) {
	c, client, stop := daemon(t)
	c.patient.Store(true)
	for _, end := range []struct {
		by   func() error
		says string
	}{
		{func() error { _, err := client.Start(t.Context(), lane.Header{}); return err }, "a basket was opened"},
		{stop, "posd stops"},
	} {
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- client.Listen(t.Context(), "", time.Minute, func() { close(ready) }, func([]byte) error { return nil })
		}()
		select {
		case <-ready:
		case err := <-ended:
			t.Fatal(err)
		}
		if err := end.by(); err != nil {
			t.Error(err)
		}
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), end.says) {
				t.Errorf("%s: it ended with %v", end.says, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it goes on", end.says)
		}
		_, _ = client.Void(t.Context())
	}
}

func TestClientWithoutDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "posd.sock")
	for range 2 {
		_, err := NewClient(path).Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "systemctl start posd") {
			t.Errorf("err = %v", err)
		}
		os.Remove(path)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false) // as a crash leaves it
		l.Close()
	}
	l, err := unixsocket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go http.Serve(l, http.NotFoundHandler())
	if _, err := NewClient(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "no posd") {
		t.Errorf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewClient(path).Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}
