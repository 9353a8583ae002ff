package lane

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"posd/central"
	"posd/enctid"
)

// manifestEvery is how often a lane asks central for the manifest.
const manifestEvery = time.Hour

// KeySource is where manifests come from. *central.Client is one.
type KeySource interface {
	Manifest(ctx context.Context, have uint64) (central.Signed, error)
}

// Keys keeps a lane's sealer on central's current key: it fetches the signed
// manifest, checks it against the key pinned at enrolment, and keeps the newest
// in a file, so that a lane that starts without a network can seal.
type Keys struct {
	Source KeySource
	Pin    ed25519.PublicKey            // of the manifest key
	File   string                       // where the newest manifest is kept
	Use    func(enctid.PublicKey) error // takes the key to seal with
	Clock  Clock
	Log    *slog.Logger

	mu      sync.Mutex
	version uint64       // of the newest manifest seen
	key     enctid.KeyID // that is sealed with
	reason  string       // why there is no fresh key, "" if there is one
}

// Load takes the manifest in the file, if there is one. An expired one is used
// until central can be asked: without it no customer could be known at all.
func (k *Keys) Load() error {
	text, err := os.ReadFile(k.File)
	if errors.Is(err, os.ErrNotExist) {
		k.note(errors.New("no key of central is known yet"))
		return nil
	}
	if err != nil {
		return fmt.Errorf("load central's keys: %v", err)
	}
	var s central.Signed
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("load central's keys: %s is damaged: delete it, it will be fetched again", k.File)
	}
	if err := k.take(s); err != nil && !errors.Is(err, central.ErrManifestExpired) {
		return fmt.Errorf("load central's keys: %s: %v", k.File, err)
	}
	return nil
}

// Run asks central for the manifest at once and then every hour, more often as
// long as that fails, until ctx ends.
func (k *Keys) Run(ctx context.Context) {
	p := newPump(k.Refresh)
	ticker := time.NewTicker(manifestEvery)
	defer ticker.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.run(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.wake()
		}
	}
}

// Refresh asks central for the manifest once.
func (k *Keys) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	k.mu.Lock()
	have := k.version
	k.mu.Unlock()
	s, err := k.Source.Manifest(ctx, have)
	if err == nil {
		if err = k.take(s); err == nil {
			err = k.store(s)
		}
	}
	k.note(err)
	if err != nil && ctx.Err() == nil {
		k.Log.Warn("fetch central's keys", "err", err)
	}
	return err
}

// Retired asks central for the manifest if it is the key in use that was
// retired: until there is another, every customer is lost.
func (k *Keys) Retired(ctx context.Context, key enctid.KeyID) {
	k.mu.Lock()
	inUse := k.version > 0 && k.key == key
	k.mu.Unlock()
	if inUse {
		k.Refresh(ctx) // notes and logs its failure
	}
}

// take verifies a manifest and hands its key to the sealer. Of an expired one
// the key is handed over beside the error.
func (k *Keys) take(s central.Signed) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.Clock.Now()
	m, err := s.Verify(k.Pin, now, k.version)
	if err != nil && !errors.Is(err, central.ErrManifestExpired) {
		return err
	}
	key, keyErr := m.SealingKey(now)
	if keyErr != nil {
		return keyErr
	}
	if useErr := k.Use(enctid.PublicKey{ID: enctid.KeyID(key.ID), Key: key.PublicKey}); useErr != nil {
		return useErr
	}
	k.version, k.key = m.Version, enctid.KeyID(key.ID)
	return err
}

// store keeps the manifest for the next start; the file is replaced as a whole.
func (k *Keys) store(s central.Signed) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(k.File), ".manifest-*")
	if err != nil {
		return fmt.Errorf("keep central's keys: %v", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep central's keys: %v", err)
	}
	return os.Rename(f.Name(), k.File)
}

func (k *Keys) note(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reason = ""
	if err != nil {
		k.reason = err.Error()
	}
}

// Problem says why the lane has no fresh key of central, "" if it has one.
func (k *Keys) Problem() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reason
}
