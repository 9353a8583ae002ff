package lane

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posd/central"
	"posd/enctid"
)

// keySource is a central that signs whatever manifest it is given.
type keySource struct {
	private ed25519.PrivateKey
	m       central.Manifest
	err     error
	asked   atomic.Int64
}

func (s *keySource) Manifest(context.Context, uint64) (central.Signed, error) {
	s.asked.Add(1)
	if s.err != nil {
		return central.Signed{}, s.err
	}
	return s.m.Sign(s.private)
}

func newKeys(t *testing.T) (*Keys, *keySource, *[]enctid.KeyID) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &keySource{private: private, m: manifest(t, 5)}
	used := new([]enctid.KeyID)
	return &Keys{
		Source: s, Pin: public, File: filepath.Join(t.TempDir(), "manifest.json"), Clock: NewSystemClock(),
		Use: func(k enctid.PublicKey) error { *used = append(*used, k.ID); return nil }, Log: slog.New(slog.DiscardHandler),
	}, s, used
}

func manifest(t *testing.T, version uint64) central.Manifest {
	t.Helper()
	key, err := newTestKey()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return central.Manifest{Version: version, IssuedAt: now, ExpiresAt: now.Add(time.Hour), Keys: []central.ManifestKey{
		{ID: uint32(version), KEM: central.KEMMLKEM768X25519, PublicKey: key.Key, State: central.Sealing, NotBefore: now.Add(-time.Hour)},
	}}
}

func TestKeysSurviveARestartWithoutNetwork(t *testing.T) {
	k, _, used := newKeys(t)
	if err := k.Load(); err != nil || k.Problem() == "" {
		t.Fatalf("without a file: %v, %q", err, k.Problem())
	}
	if err := k.Refresh(t.Context()); err != nil || k.Problem() != "" {
		t.Fatal(err, k.Problem())
	}
	next := &Keys{Pin: k.Pin, File: k.File, Clock: k.Clock, Use: k.Use, Log: k.Log}
	if err := next.Load(); err != nil || len(*used) != 2 || (*used)[1] != 5 {
		t.Errorf("after a restart the keys used are %v, %v", *used, err)
	}
}

func TestKeysRefuseWhatIsNotCentrals(t *testing.T) {
	k, s, used := newKeys(t)
	if err := k.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.m = manifest(t, 4)
	if err := k.Refresh(t.Context()); !errors.Is(err, central.ErrManifestVersion) {
		t.Errorf("a lower version gave %v", err)
	}
	s.m = manifest(t, 6)
	_, s.private, _ = ed25519.GenerateKey(nil)
	if err := k.Refresh(t.Context()); !errors.Is(err, central.ErrManifestSignature) {
		t.Errorf("another signer gave %v", err)
	}
	if len(*used) != 1 {
		t.Errorf("the keys used are %v", *used)
	}
	if err := os.WriteFile(k.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Load(); err == nil {
		t.Error("a damaged file was taken")
	}
}

func TestExpiredManifestIsUsedUntilCentralIsBack(t *testing.T) {
	k, s, used := newKeys(t)
	if err := k.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := &testClock{start: time.Now(), bootID: "b"}
	later.jump.Store(int64(48 * time.Hour))
	next := &Keys{Source: s, Pin: k.Pin, File: k.File, Clock: later, Use: k.Use, Log: k.Log}
	if err := next.Load(); err != nil || len(*used) != 2 {
		t.Errorf("an expired manifest in the file: %v, used %v", err, *used)
	}
	if err := next.Refresh(t.Context()); !errors.Is(err, central.ErrManifestExpired) || next.Problem() == "" {
		t.Errorf("an expired manifest from central: %v, %q", err, next.Problem())
	}
}

func TestKeysAreFetchedEveryHourAndSoonerAfterAFailure(t *testing.T) {
	k, s, _ := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		s.err = errAway
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { k.Run(ctx); close(done) }()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		failing := s.asked.Load()
		if failing < 20 || failing > 80 {
			t.Errorf("asked %d times in half an hour of failures", failing)
		}
		stop()
		<-done
	})
}
