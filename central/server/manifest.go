package server

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"posd/central"
	"posd/central/server/store"
)

// A manifest is good for as long as a lane's certificate, and is issued anew
// every day, so that the one a lane gets is good for 29 days at least.
const (
	manifestLifetime = 30 * 24 * time.Hour
	manifestRenewal  = 24 * time.Hour
)

// currentManifest returns the manifest in the store, or issues a new one if that
// is a day old or lists other keys.
func currentManifest(ctx context.Context, st store.Store, k *Keys, now time.Time) (central.Signed, error) {
	signed, ok, err := st.Manifest(ctx)
	if err != nil {
		return signed, err
	}
	if ok {
		m, err := signed.Verify(k.manifestKey, now, 0)
		if err == nil && now.Before(m.IssuedAt.Add(manifestRenewal)) && sameKeys(m.Keys, k.manifestKeys(later(now, m.IssuedAt))) {
			return signed, nil
		}
	}
	signed, err = st.IssueManifest(ctx, func(version uint64) (central.Manifest, central.Signed, error) {
		issued := now.UTC().Truncate(time.Second)
		m := central.Manifest{Version: version, IssuedAt: issued, ExpiresAt: issued.Add(manifestLifetime), Keys: k.manifestKeys(now)}
		signed, err := m.Sign(k.signer())
		return m, signed, err
	})
	if err != nil {
		return signed, fmt.Errorf("issue manifest: %w", err)
	}
	return signed, nil
}

// later is the later of two times. A manifest of a server whose clock is ahead is
// held against the keys of its time, or both would issue others in turn.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sameKeys compares keys by what a manifest says of them.
func sameKeys(a, b []central.ManifestKey) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// manifest answers POST /v1/manifest.
func (s *Server) manifest(v *visitor, in body, _ *work) ([]byte, *central.Problem) {
	if p := s.greet(v, s.now()); p != nil {
		return nil, p
	}
	text, p := in.read(central.MaxRequest)
	if p != nil {
		return nil, p
	}
	var req central.ManifestRequest
	if p := unmarshal(text, &req); p != nil {
		return nil, p
	}
	signed := s.signed.Load()
	if signed == nil {
		return nil, unavailable("central has no manifest yet")
	}
	return marshal(signed)
}
