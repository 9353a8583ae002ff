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
	e, err := c.Store.LinkDeIdent(ctx, c.act(ctx, "households link", r), retailer.ID, r.DeIdentTID, r.HHID)
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
