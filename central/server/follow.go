package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"posd/central"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/sqldb"
)

const (
	followEvery = 250 * time.Millisecond // how soon the work of a command is seen
	probeEvery  = 5 * time.Second        // while the database cannot be written
	issueEvery  = time.Hour
	stuckAfter  = 30 * time.Second
)

// Load begins with the snapshots of the index, and reads what they do not have, the
// revocations and the manifest. Lookups are answered from then on.
func (s *Server) Load(ctx context.Context) error {
	begun := s.now()
	if err := s.directory.Open(ctx); err != nil {
		s.log.Warn("the index is read from the database", "error", err)
	}
	err := s.sync(ctx, func(n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.loading = n
	})
	if err == nil {
		err = errors.Join(s.followRevocations(ctx), s.quarantine.follow(ctx, s.store))
	}
	if err != nil {
		return fmt.Errorf("load index: %w", err)
	}
	if err := s.issue(ctx); err != nil {
		return err
	}
	s.stamp()
	s.loaded.Store(true)
	tids, _ := s.directory.Size()
	s.log.Info("index loaded", "tids", tids, "took", s.now().Sub(begun).Round(time.Millisecond))
	return nil
}

// follow keeps memory up with the store until ctx ends.
func (s *Server) follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	probed, issued := s.now(), s.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.nudged:
		}
		s.followKeys(ctx)
		s.noteRead(ctx, s.followAll(ctx))
		if now := s.now(); s.writeFailed() && now.Sub(probed) >= probeEvery {
			probed = now
			s.stamp()
			s.noteWrite(true, s.store.Probe(ctx))
		}
		if now := s.now(); now.Sub(issued) >= issueEvery {
			issued = now
			if err := s.issue(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("not renewed", "error", err)
			}
		}
		s.stamp()
	}
}

// followAll goes on where one thing cannot be followed: a revocation waits for
// nothing else. Each may wait long for a database that does not answer, and says
// that this is no standstill.
func (s *Server) followAll(ctx context.Context) error {
	sync := func(ctx context.Context) error { return s.sync(ctx, nil) }
	quarantine := func(ctx context.Context) error { return s.quarantine.follow(ctx, s.store) }
	var errs []error
	for _, follow := range []func(context.Context) error{sync, s.followRevocations, quarantine, s.followFeed} {
		s.stamp()
		errs = append(errs, follow(ctx))
	}
	s.stamp()
	return errors.Join(errs...)
}

// keepEvery is how often the index is looked after.
const keepEvery = 10 * time.Second

// keepIndex checks and makes the snapshots of the index until ctx ends.
func (s *Server) keepIndex(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		err := s.directory.Keep(ctx)
		s.mu.Lock()
		if err != nil && s.keeping == nil {
			s.log.Error("the index has no new snapshot; lookups go on, the next start takes longer", "error", err)
		}
		s.keeping = err
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// followKeys takes over what has changed of the keys, and gives lanes a manifest of
// them at once. No lookup waits for that.
func (s *Server) followKeys(ctx context.Context) {
	err := s.takeKeys(ctx)
	if change := s.Keys().change; err == nil && change != s.issuedFor {
		s.issuedFor = change
		err = s.issue(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.keying == nil {
		s.log.Error("the keys are those of before", "error", err)
	}
	s.keying = err
}

// takeKeys takes over the keys of the store. What is followed, and lookups that the
// store refuses, may want that at the same time.
func (s *Server) takeKeys(ctx context.Context) error {
	s.taking.Lock()
	defer s.taking.Unlock()
	old := s.Keys()
	change, err := s.store.KeyChange(ctx)
	if err != nil || change == old.change {
		return err
	}
	fresh, err := old.again(ctx, s.store)
	if err != nil {
		return err
	}
	if err := errors.Join(s.opener.SetKeys(fresh.hpke), s.directory.SetTenants(fresh.tenants)); err != nil {
		return err
	}
	s.keys.Store(fresh)
	select {
	case s.rekeyer.woken <- struct{}{}:
	default: // it will look
	}
	s.log.Info("keys and manifest are those of now", "change", fresh.change)
	return nil
}

// sync follows the changes of households, and takes over keys that they need.
func (s *Server) sync(ctx context.Context, progress func(entries int)) error {
	err := s.directory.Sync(ctx, progress)
	if errors.Is(err, store.ErrStaleKeys) {
		if err = s.takeKeys(ctx); err == nil {
			err = s.directory.Sync(ctx, progress)
		}
	}
	return err
}

func (s *Server) followRevocations(ctx context.Context) error {
	const page = 1000
	for {
		all, err := s.store.Revocations(ctx, s.revokedChange, page)
		if err != nil {
			return fmt.Errorf("follow revocations: %w", err)
		}
		for _, v := range all {
			s.revoked.add(v.Serial)
			s.revokedChange = v.Change
		}
		if len(all) < page {
			return nil
		}
	}
}

// issue renews the manifest when it is a day old, and central's own certificate
// when a third of its life is left.
func (s *Server) issue(ctx context.Context) error {
	signed, err := currentManifest(ctx, s.store, s.Keys(), s.now())
	if err == nil {
		s.signed.Store(&signed)
	} else if s.signed.Load() == nil {
		err = s.oldManifest(ctx, err)
	}
	if leaf := s.identity.Current().Certificate.Leaf; s.now().After(leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)) {
		fresh, certErr := s.Keys().certificate(s.now())
		if err = errors.Join(err, certErr); certErr == nil {
			s.identity.current.Store(fresh)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuing = err
	return err
}

// oldManifest starts with a manifest that is good still, where a new one cannot
// be stored: known cards can be looked up on a full disk.
func (s *Server) oldManifest(ctx context.Context, cause error) error {
	signed, ok, err := s.store.Manifest(ctx)
	if err != nil || !ok {
		return cause
	}
	if _, err := signed.Verify(s.Keys().manifestKey, s.now(), 0); err != nil {
		return cause
	}
	s.signed.Store(&signed)
	s.noteWrite(true, cause)
	return nil
}

func (s *Server) stamp() { s.followed.Store(time.Now().UnixNano()) }

// Alive reports whether the server follows its store: what a watchdog is fed
// with.
func (s *Server) Alive() bool {
	return !s.loaded.Load() || time.Since(time.Unix(0, s.followed.Load())) < stuckAfter
}

func (s *Server) noteRead(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.reading == nil {
		s.log.Error("the database cannot be read; known cards are answered from memory", "error", err)
	}
	s.reading = err
}

// noteWrite remembers how the last write went; wrote is false if there was none.
func (s *Server) noteWrite(wrote bool, err error) {
	if !wrote {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = err
}

func (s *Server) writeFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writing != nil
}

// The states of a server.
const (
	Ready    = "ready"
	Degraded = "degraded"  // lookups of known cards are answered; the reasons say what is not
	NotReady = "not-ready" // nothing is answered
)

// Status says whether a server answers, and what is wrong.
type Status struct {
	State   string   `json:"state"`
	Reasons []string `json:"reasons"`
	TIDs    int      `json:"tids"` // known in memory
}

// Status says how the server stands.
func (s *Server) Status() Status {
	tids, _ := s.directory.Size()
	st := Status{State: Ready, Reasons: []string{}, TIDs: tids}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining.Load():
		return Status{NotReady, []string{"the server is stopping"}, tids}
	case !s.loaded.Load():
		return Status{NotReady, []string{fmt.Sprintf("the index is being loaded: %d TIDs so far", s.loading)}, tids}
	}
	for _, p := range s.troubles() {
		if p.reason != "" {
			st.Reasons = append(st.Reasons, p.reason)
		}
	}
	if len(st.Reasons) > 0 {
		st.State = Degraded
	}
	return st
}

// trouble is a thing that can be wrong while lookups are answered, as the metrics
// name it. The reason is empty while all is well.
type trouble struct{ what, reason string }

// troubles gives all of them; s.mu is held.
func (s *Server) troubles() []trouble {
	all := []trouble{{what: "reading"}, {what: "writing"}, {what: "keys"}, {what: "manifest"}, {what: "snapshot"}, {what: "lookup-log"}, {what: "following"}}
	if s.reading != nil {
		all[0].reason = "changes cannot be followed: " + plain(s.reading)
	}
	if s.writing != nil {
		all[1].reason = "no household can be made, no machine enrolled: " + plain(s.writing)
	}
	if s.keying != nil {
		all[2].reason = keyReason(s.keying)
	}
	if s.issuing != nil {
		all[3].reason = "the key manifest cannot be renewed: " + plain(s.issuing)
	}
	if s.keeping != nil {
		all[4].reason = "the index has no new snapshot: the next start takes longer; the log says more"
	}
	if s.lookupLog != nil {
		if _, failing := s.lookupLog.Dropped(); failing != nil {
			all[5].reason = "lookups are answered and not logged; the log says more"
		}
	}
	if !s.Alive() {
		all[6].reason = "changes have not been followed for a while"
	}
	return all
}

func keyReason(err error) string {
	if errors.Is(err, vault.ErrWrongKey) {
		return "new keys cannot be read: they are wrapped under another key-encryption key: start this centrald again with that"
	}
	return "changes of the keys cannot be followed: " + plain(err)
}

// plain is what anybody may read of an error of the store: no paths.
func plain(err error) string {
	for _, known := range []error{sqldb.ErrFull, sqldb.ErrReadOnly, sqldb.ErrLocked, sqldb.ErrDamaged, sqldb.ErrUnreachable} {
		if errors.Is(err, known) {
			return "the database: " + known.Error()
		}
	}
	return "the database does not answer; the log says more"
}

// healthz answers GET /healthz: the process lives.
func (s *Server) healthz(*http.Request) (any, *central.Problem) {
	return map[string]string{"status": "ok"}, nil
}

// readyz answers GET /readyz.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	st, code := s.Status(), http.StatusOK
	if st.State == NotReady {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, st)
}
