package admin

import (
	"context"
	"fmt"
	"io"
	"time"

	"posd/central/server"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/identity"
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
	Tenant  string        `json:"tenant,omitempty"` // whose fingerprint or deident key

	// Of an HPKE key: when lanes begin to seal with it. Zero: at once.
	From time.Time `json:"from,omitzero"`
}

func (c *Central) rotate(ctx context.Context, r RotateRequest) (server.KeyAct, error) {
	switch r.Purpose {
	case store.HPKE:
		return c.rotateHPKE(ctx, r)
	case store.Fingerprint, store.DeIdent:
		retailer, err := c.tenant(ctx, r.Tenant)
		if err != nil {
			return server.KeyAct{}, err
		}
		keys, err := c.Keys(ctx)
		if err != nil {
			return server.KeyAct{}, err
		}
		return c.changedKey(keys.RotateTenant(ctx, c.Store, c.act(ctx, "keys rotate", nil), r.Purpose, retailer))
	}
	return server.KeyAct{}, misuse("%q is not a key that can be rotated: hpke, fingerprint and deident are", r.Purpose)
}

func (c *Central) rotateHPKE(ctx context.Context, r RotateRequest) (server.KeyAct, error) {
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
	Tenant      string        `json:"tenant,omitempty"` // whose fingerprint or deident key
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
	by := c.act(ctx, "keys destroy", nil)
	switch r.Purpose {
	case store.HPKE:
		return c.changedKey(server.DestroyHPKE(ctx, c.Store, by, r.Number, r.Compromised))
	case store.Fingerprint, store.DeIdent:
		retailer, err := c.tenant(ctx, r.Tenant)
		if err != nil {
			return server.KeyAct{}, err
		}
		return c.changedKey(server.DestroyTenant(ctx, c.Store, by, r.Purpose, retailer, r.Number))
	}
	return server.KeyAct{}, misuse("%q is not a key that can be destroyed: hpke, fingerprint and deident are", r.Purpose)
}

// MappingRequest asks for the pseudonyms that a retailer's cards have under two
// deident keys, the later of which is the newest.
type MappingRequest struct {
	Tenant string `json:"tenant,omitempty"`
	From   int    `json:"from"`
	To     int    `json:"to"`
}

// Mapping is the pseudonyms of one card.
type Mapping struct {
	From identity.DeIdentTID `json:"from"`
	To   identity.DeIdentTID `json:"to"`
}

func (c *Central) mapping(ctx context.Context, r MappingRequest, _ io.Reader, out func(any) error) error {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return err
	}
	if err := c.checkMapping(ctx, retailer, r); err != nil {
		return err
	}
	var after [16]byte
	const page = 1000
	for {
		pairs, err := c.Store.DeIdentPairs(ctx, retailer.ID, r.From, r.To, after, page)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			if err := out(Mapping{p.From, p.To}); err != nil {
				return err
			}
			after = p.From.MAC()
		}
		if len(pairs) < page {
			return nil
		}
	}
}

// checkMapping refuses a mapping that would be empty, or only half of it.
func (c *Central) checkMapping(ctx context.Context, retailer store.Tenant, r MappingRequest) error {
	all, err := server.ListKeys(ctx, c.Store, c.Now())
	if err != nil {
		return err
	}
	newest := server.KeyInfo{}
	for _, k := range all {
		if k.Purpose == store.DeIdent && k.Tenant == retailer.Name {
			newest = k // they come in the order of their numbers
		}
	}
	switch {
	case r.To != int(newest.Number):
		return misuse("the newest deident key of %s is %d: a mapping goes to that", retailer.Name, newest.Number)
	case r.From < 1 || r.From >= r.To:
		return misuse("a mapping goes from an earlier key to %d", r.To)
	case newest.Moved != nil:
		return fmt.Errorf("%.0f %% of the cards are moved to the newest keys: wait until all are", 100**newest.Moved)
	}
	return nil
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
