package server

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"posd/central"
	"posd/posmain"
)

const (
	feedWait    = 25 * time.Second // for which central is asked to wait for a change
	feedTimeout = 20 * time.Second // for all else of a request
	firstPause  = time.Second
	lastPause   = time.Minute
	blankAtOnce = 100 // baskets in a transaction, for which lanes wait
)

// QuietAfter is for how long central may be silent before that is worth a word.
const QuietAfter = 10 * time.Minute

// Feed is central's feed of changes; a central.Client is one.
type Feed interface {
	Changes(ctx context.Context, feed string, after uint64, wait time.Duration) (central.Changes, error)
	Acknowledge(ctx context.Context, ack central.Ack) error
}

// Follow follows central's feed of changes until ctx ends: which households were
// merged, which cards have moved, what was erased and which lanes were revoked. What
// was erased is taken out of all baskets, and then acknowledged. Baskets are taken
// without central, too.
func (s *Server) Follow(ctx context.Context, feed Feed) {
	for failures := 0; ctx.Err() == nil; {
		err := s.followOnce(ctx, feed)
		if ctx.Err() != nil {
			return
		}
		s.noteFeed(err)
		if err == nil {
			failures = 0
			continue
		}
		failures++
		select {
		case <-ctx.Done():
		case <-time.After(pauseAfter(failures, err)):
		}
	}
}

// pauseAfter grows with failures; central's own wish goes before.
func pauseAfter(failures int, err error) time.Duration {
	pause := min(firstPause<<min(failures-1, 10), lastPause)
	pause = pause/2 + rand.N(pause)
	if p, ok := errors.AsType[*posmain.Problem](err); ok {
		pause = max(pause, p.RetryAfter)
	}
	return pause
}

// followOnce finishes what is to be done of earlier pages, and takes the next one.
func (s *Server) followOnce(ctx context.Context, feed Feed) error {
	if err := s.settle(ctx, feed); err != nil {
		return err
	}
	at, err := s.Store.FeedStatus(ctx)
	if err != nil {
		return err
	}
	wait := feedWait
	if !at.Complete {
		wait = 0
	}
	asking, cancel := context.WithTimeout(ctx, wait+feedTimeout)
	defer cancel()
	page, err := feed.Changes(asking, at.Feed, at.Position, wait)
	if err != nil {
		return err
	}
	if page.Feed != at.Feed && at.Feed != "" || page.After != at.Position {
		s.Log.Warn("central was restored from a backup: its changes are read from the start")
	}
	if err := s.Store.Follow(ctx, page, s.Now()); err != nil {
		return err
	}
	for _, c := range page.Changes {
		if c.Type == central.Revoked {
			s.revoked.Store(c.Serial, true)
		}
	}
	if len(page.Changes) > 0 {
		s.Log.Info("followed changes of central", "changes", len(page.Changes), "up_to", page.Next)
	}
	return nil
}

// settle takes what was erased out of all baskets, and tells central once all that
// it told is done.
func (s *Server) settle(ctx context.Context, feed Feed) error {
	at, err := s.Store.FeedStatus(ctx)
	if err != nil || !at.Complete || at.Due <= at.Acknowledged {
		return err
	}
	if at.Unerased > 0 {
		for more := true; more; {
			if more, err = s.Store.Blank(ctx, blankAtOnce, s.Now()); err != nil {
				return fmt.Errorf("take erased ids out of baskets: %w", err)
			}
		}
	}
	if err := s.Store.Scrub(ctx); err != nil {
		return fmt.Errorf("take erased ids out of the write-ahead log: %w", err)
	}
	ack := central.Ack{Feed: at.Feed, Change: at.Position}
	asking, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	err = feed.Acknowledge(asking, ack)
	if p, ok := errors.AsType[*posmain.Problem](err); ok && p.Type == central.ProblemOtherFeed {
		return nil // the next page says so, too
	}
	if err != nil {
		return err
	}
	return s.Store.Acknowledged(ctx, ack)
}

// following is how following central's feed goes.
type following struct {
	mu    sync.Mutex
	err   error     // of the last attempt
	since time.Time // when it began to fail, or was started
}

// noteFeed keeps how an attempt went, and says once when that changes.
func (s *Server) noteFeed(err error) {
	f := &s.following
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && f.err == nil:
		s.Log.Warn("central's changes are not followed for now; baskets are taken all the same", "err", err)
		f.since = s.Now()
	case err == nil && f.err != nil:
		s.Log.Info("central's changes are followed again")
	}
	f.err = err
}

// feedDoubt says what is wrong with the feed, "" if nothing is.
func (s *Server) feedDoubt() string {
	f := &s.following
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil || s.Now().Sub(f.since) < QuietAfter {
		return ""
	}
	return fmt.Sprintf("central's changes have not been followed since %s: merges, erasures and revoked lanes are not known; the log says why", f.since.UTC().Format(time.RFC3339))
}

// isRevoked reports whether central has revoked a certificate.
func (s *Server) isRevoked(cert *x509.Certificate) bool {
	_, ok := s.revoked.Load(hex.EncodeToString(cert.SerialNumber.Bytes()))
	return ok
}

// loadRevoked reads which certificates are good no more.
func (s *Server) loadRevoked(ctx context.Context) error {
	all, err := s.Store.Revoked(ctx)
	for _, serial := range all {
		s.revoked.Store(serial, true)
	}
	return err
}
