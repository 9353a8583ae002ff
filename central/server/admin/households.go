package admin

import (
	"context"
	"fmt"

	"posd/central/server/store"
	"posd/identity"
)

// HouseholdsRequest asks for up to Limit households above After, in their order.
type HouseholdsRequest struct {
	Tenant string        `json:"tenant"`
	After  identity.HHID `json:"after,omitzero"`
	Limit  int           `json:"limit"`
}

func (c *Central) households(ctx context.Context, r HouseholdsRequest) ([]store.Household, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return nil, err
	}
	return c.Store.Households(ctx, retailer.ID, r.After, r.Limit)
}

// LinkRequest puts a card, told by its pseudonym, into a household.
type LinkRequest struct {
	Tenant     string              `json:"tenant"`
	HHID       identity.HHID       `json:"hhid"`
	DeIdentTID identity.DeIdentTID `json:"deident_tid"`
}

// link answers with the household.
func (c *Central) link(ctx context.Context, r LinkRequest) (identity.HHID, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return identity.HHID{}, err
	}
	e, err := c.Store.LinkDeIdent(ctx, c.act(ctx, "households link", nil), retailer.ID, r.DeIdentTID, r.HHID)
	if err != nil {
		return identity.HHID{}, fmt.Errorf("link: %w", err)
	}
	c.changed()
	return e.HHID, nil
}

// HouseholdRequest asks for one household.
type HouseholdRequest struct {
	Tenant string        `json:"tenant"`
	HHID   identity.HHID `json:"hhid"`
}

func (c *Central) household(ctx context.Context, r HouseholdRequest) (store.Household, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return store.Household{}, err
	}
	h, err := c.Store.Household(ctx, retailer.ID, r.HHID)
	if err != nil {
		return h, fmt.Errorf("show %s: %w", r.HHID, err)
	}
	return h, nil
}

// MergeRequest gives all cards of one household to another.
type MergeRequest struct {
	Tenant  string        `json:"tenant"`
	From    identity.HHID `json:"from"`
	Into    identity.HHID `json:"into"`
	Preview bool          `json:"preview"` // only say what would be done
}

func (c *Central) merge(ctx context.Context, r MergeRequest) (store.LedgerEntry, error) {
	return c.entered(ctx, r.Tenant, "merge "+r.From.String(), func(tenant int64) (store.LedgerEntry, error) {
		return c.Store.Merge(ctx, c.act(ctx, "households merge", nil), tenant, r.From, r.Into, r.Preview)
	})
}

// SplitRequest gives some cards of a household a new one.
type SplitRequest struct {
	Tenant  string                `json:"tenant"`
	HHID    identity.HHID         `json:"hhid"`
	Cards   []identity.DeIdentTID `json:"cards"`
	Preview bool                  `json:"preview"` // only say what would be done
}

func (c *Central) split(ctx context.Context, r SplitRequest) (store.LedgerEntry, error) {
	return c.entered(ctx, r.Tenant, "split "+r.HHID.String(), func(tenant int64) (store.LedgerEntry, error) {
		return c.Store.Split(ctx, c.act(ctx, "households split", nil), tenant, r.HHID, r.Cards, r.Preview)
	})
}

// UndoRequest takes an entry of the ledger back.
type UndoRequest struct {
	Tenant  string `json:"tenant"`
	Number  uint64 `json:"number"`
	Preview bool   `json:"preview"` // only say what would be done
}

func (c *Central) undo(ctx context.Context, r UndoRequest) (store.LedgerEntry, error) {
	return c.entered(ctx, r.Tenant, fmt.Sprintf("undo %d", r.Number), func(tenant int64) (store.LedgerEntry, error) {
		return c.Store.Undo(ctx, c.act(ctx, "households undo", nil), tenant, r.Number, r.Preview)
	})
}

// entered does what is kept in the ledger of a retailer.
func (c *Central) entered(ctx context.Context, retailer, what string, do func(tenant int64) (store.LedgerEntry, error)) (store.LedgerEntry, error) {
	t, err := c.tenant(ctx, retailer)
	if err != nil {
		return store.LedgerEntry{}, err
	}
	e, err := do(t.ID)
	if err != nil {
		return e, fmt.Errorf("%s: %w", what, err)
	}
	c.changed()
	return e, nil
}

// LedgerRequest asks for up to Limit entries of the ledger above After.
type LedgerRequest struct {
	Tenant string `json:"tenant"`
	After  uint64 `json:"after"`
	Limit  int    `json:"limit"`
}

func (c *Central) ledger(ctx context.Context, r LedgerRequest) ([]store.LedgerEntry, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return nil, err
	}
	return c.Store.Ledger(ctx, retailer.ID, r.After, r.Limit)
}
