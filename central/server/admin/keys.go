package admin

import (
	"context"
	"time"

	"posd/central/server"
	"posd/central/server/store"
	"posd/central/server/vault"
)

// KeyList is all keys, and what wraps them.
type KeyList struct {
	KEK        string           `json:"kek"`        // id of the key-encryption key
	Passphrase bool             `json:"passphrase"` // it comes from one
	Keys       []server.KeyInfo `json:"keys"`
}

func (c *Central) keys(ctx context.Context, _ None) (KeyList, error) {
	i, err := c.Store.Installation(ctx)
	if err != nil {
		return KeyList{}, err
	}
	all, err := server.ListKeys(ctx, c.Store, c.Now())
	return KeyList{KEK: i.KEK, Passphrase: i.Salt != nil, Keys: all}, err
}

// RotateRequest asks for a new key.
type RotateRequest struct {
	Purpose store.Purpose `json:"purpose"`

	// Of an HPKE key: when lanes begin to seal with it. Zero: at once.
	From time.Time `json:"from,omitzero"`
}

func (c *Central) rotate(ctx context.Context, r RotateRequest) (server.KeyAct, error) {
	if r.Purpose != store.HPKE {
		return server.KeyAct{}, misuse("%q is not a key that can be rotated: hpke is", r.Purpose)
	}
	if !r.From.IsZero() && r.From.Before(c.Now()) {
		return server.KeyAct{}, misuse("%s has passed: lanes can learn a key only for times to come", r.From.UTC().Format(time.RFC3339))
	}
	keys, err := c.Keys(ctx)
	if err != nil {
		return server.KeyAct{}, err
	}
	return c.changedKey(keys.RotateHPKE(ctx, c.Store, c.act(ctx, "keys rotate", nil), r.From))
}

// KeyRequest names a key.
type KeyRequest struct {
	Purpose     store.Purpose `json:"purpose"`
	Number      uint32        `json:"number"`
	Compromised bool          `json:"compromised,omitempty"` // destroy it whatever is lost
}

func (c *Central) retire(ctx context.Context, r KeyRequest) (server.KeyAct, error) {
	if r.Purpose != store.HPKE {
		return server.KeyAct{}, misuse("%q is not a key that can be retired: hpke is", r.Purpose)
	}
	return c.changedKey(server.RetireHPKE(ctx, c.Store, c.act(ctx, "keys retire", nil), r.Number))
}

func (c *Central) destroy(ctx context.Context, r KeyRequest) (server.KeyAct, error) {
	if r.Purpose != store.HPKE {
		return server.KeyAct{}, misuse("%q is not a key that can be destroyed: hpke is", r.Purpose)
	}
	return c.changedKey(server.DestroyHPKE(ctx, c.Store, c.act(ctx, "keys destroy", nil), r.Number, r.Compromised))
}

// RewrapRequest brings a new key-encryption key, of 32 bytes, and the salt of the
// passphrase that it comes from, if it does.
type RewrapRequest struct {
	KEK  []byte `json:"kek"`
	Salt []byte `json:"salt,omitempty"`
}

func (c *Central) rewrap(ctx context.Context, r RewrapRequest) (server.RewrapAct, error) {
	defer clear(r.KEK)
	if n := len(r.Salt); n != 0 && n != vault.SaltSize {
		return server.RewrapAct{}, misuse("the salt of a passphrase has %d bytes, not %d", vault.SaltSize, n)
	}
	kek, err := vault.New(r.KEK)
	if err != nil {
		return server.RewrapAct{}, misuse("%v", err)
	}
	keys, err := c.Keys(ctx)
	if err != nil {
		return server.RewrapAct{}, err
	}
	did, err := keys.Rewrap(ctx, c.Store, c.act(ctx, "keys rewrap", nil), kek, r.Salt)
	if err == nil {
		c.changed()
	}
	return did, err
}

// changedKey tells the server of what was done.
func (c *Central) changedKey(did server.KeyAct, err error) (server.KeyAct, error) {
	if err == nil {
		c.changed()
	}
	return did, err
}
