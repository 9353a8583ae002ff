package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"posd/enroll"
)

// Running is a POS main computer within this process.
type Running struct {
	URL   string // "https://127.0.0.1:" and a port
	Store Store

	stop  context.CancelFunc
	ended chan error
}

// Start runs a POS main computer on a free port of 127.0.0.1, with its log in
// the SQLite database at path. A nil log discards.
func Start(credentials enroll.Source, path string, log *slog.Logger) (*Running, error) {
	store, err := Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	s, err := New(Config{Credentials: credentials, Store: store, Log: log})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start POS main computer: %w", err), store.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{URL: "https://" + ln.Addr().String(), Store: store, stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- errors.Join(s.Serve(ctx, ln), store.Close()) }()
	return r, nil
}

// Stop finishes what is being logged, then ends the server and closes the log.
// It may be called once.
func (r *Running) Stop() error {
	r.stop()
	return <-r.ended
}
