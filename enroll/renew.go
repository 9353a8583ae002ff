package enroll

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	lookAgain    = time.Hour // a clock may be set at any time
	firstBackoff = time.Minute
	lastBackoff  = time.Hour
)

// Renewer renews the certificate of a [Store] before it ends.
type Renewer struct {
	// Renewed, if not nil, is called after each renewal. It is the place to
	// close idle connections, which still show the old certificate. It is set
	// before Run.
	Renewed func()

	store *Store
	log   *slog.Logger
	call  func(*Credentials) caller

	mu     sync.Mutex
	status RenewStatus
}

// RenewStatus says how renewal stands.
type RenewStatus struct {
	NotAfter time.Time // end of the present certificate
	Due      time.Time // when it is renewed
	Failures int       // in a row
	Err      error     // of the last attempt, nil if it went well
}

// NewRenewer returns a renewer for s. A nil log discards.
func NewRenewer(s *Store, log *slog.Logger) *Renewer {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Renewer{store: s, log: log, call: func(own *Credentials) caller {
		return newCaller(ClientConfig(own, Name{Role: Central}), own)
	}}
}

// Status says how renewal stands.
func (r *Renewer) Status() RenewStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	leaf := r.store.Current().Certificate.Leaf
	st := r.status
	st.NotAfter, st.Due = leaf.NotAfter, due(leaf)
	return st
}

// Run renews until ctx ends, and then returns nil. It tries at two thirds of the
// certificate's life and again with growing pauses, each time with the same new
// key, also after the certificate has ended.
func (r *Renewer) Run(ctx context.Context) error {
	for {
		wait := time.Until(due(r.store.Current().Certificate.Leaf))
		if wait <= 0 {
			wait = r.attempt(ctx)
		}
		// time.Until goes by the wall clock, a timer by the monotonic one.
		if !pause(ctx, min(wait, lookAgain)) {
			return nil
		}
	}
}

// attempt renews once and returns how long to wait.
func (r *Renewer) attempt(ctx context.Context) time.Duration {
	err := r.Renew(ctx)
	if ctx.Err() != nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Err = err
	if err == nil {
		r.status.Failures = 0
		return lookAgain // with a clock far ahead the new one is due at once
	}
	r.status.Failures++
	wait := backoff(r.status.Failures, err)
	r.log.Error("certificate not renewed", "error", err, "ends", r.store.Current().Certificate.Leaf.NotAfter, "again_in", wait.Round(time.Second))
	return wait
}

// Renew gets a new certificate now.
func (r *Renewer) Renew(ctx context.Context) error {
	own := r.store.Current()
	key, csr, err := pendingRequest(r.store.dir)
	if err != nil {
		return fmt.Errorf("renew certificate: %w", err)
	}
	var resp RenewResponse
	sk, err := r.call(own).post(ctx, own.OperationsURL, RenewPath, RenewRequest{csr}, &resp)
	if err != nil {
		return fmt.Errorf("renew certificate: %w", err)
	}
	if clock := sk.check(); clock != nil {
		r.log.Warn("set the clock", "error", clock)
	}
	fresh, err := NewCredentials(resp.Certificate, key, own.CA.Raw)
	if err != nil {
		return fmt.Errorf("renew certificate: central's answer: %w", err)
	}
	// By central's clock: a wrong clock here must not end a lane's life. With
	// grace: if the answer to this key was lost long ago, what comes again may
	// have ended, but still renews.
	v := Verify{CA: own.CA, Want: []Name{own.Name}, Use: x509.ExtKeyUsageClientAuth, Now: time.Now().Add(-sk.ahead), Grace: RenewGrace}
	if _, err := v.certificate(fresh.Certificate.Leaf); err != nil {
		return fmt.Errorf("renew certificate: central's answer: %w", err)
	}
	fresh.ManifestKey = own.ManifestKey
	fresh.LookupURL, fresh.OperationsURL = pick(resp.LookupURL, own.LookupURL), pick(resp.OperationsURL, own.OperationsURL)
	if err := r.store.replace(fresh); err != nil {
		return fmt.Errorf("renew certificate: %w", err)
	}
	r.log.Info("certificate renewed", "ends", fresh.Certificate.Leaf.NotAfter)
	if r.Renewed != nil {
		r.Renewed()
	}
	return nil
}

// pick returns the new address if central gave a good one.
func pick(fresh, old string) string {
	if checkURL(fresh) != nil {
		return old
	}
	return fresh
}

// due is two thirds of the certificate's life, and up to a sixtieth more (12 h of
// 30 days), the same at every start: lanes enrolled together do not renew
// together.
func due(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	sum := leaf.Signature[max(0, len(leaf.Signature)-4):]
	share := float64(binary.BigEndian.Uint32(sum)) / (1 << 32)
	return leaf.NotBefore.Add(life*2/3 + time.Duration(share*float64(life/60)))
}

// backoff doubles from a minute to an hour, less a random half; central may ask
// for more, up to an hour.
func backoff(failures int, err error) time.Duration {
	d := min(firstBackoff<<min(failures-1, 10), lastBackoff)
	d -= rand.N(d / 2)
	if p, ok := errors.AsType[*Problem](err); ok {
		d = max(d, p.RetryAfter)
	}
	return d
}

// pause waits and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
