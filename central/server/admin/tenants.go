package admin

import (
	"context"
	"time"

	"posd/central/server"
	"posd/central/server/store"
	"posd/enroll"
)

// Tenant is a retailer, with how many of its machines have a certificate.
type Tenant struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	Stores    int       `json:"stores"` // POS main computers
	Lanes     int       `json:"lanes"`
}

// TenantRequest names a retailer.
type TenantRequest struct {
	Name string `json:"name"`
}

func (c *Central) addTenant(ctx context.Context, r TenantRequest) (Tenant, error) {
	if err := server.CheckTenant(r.Name); err != nil {
		return Tenant{}, misuse("%v", err)
	}
	keys, err := c.Keys(ctx)
	if err != nil {
		return Tenant{}, err
	}
	made, err := keys.AddTenant(ctx, c.Store, c.act(ctx, "tenants add", map[string]string{"tenant": r.Name}), r.Name)
	if err != nil {
		return Tenant{}, err
	}
	c.changed()
	return Tenant{Name: made.Name, CreatedAt: made.CreatedAt}, nil
}

func (c *Central) tenants(ctx context.Context, _ None) ([]Tenant, error) {
	machines, err := c.Store.Machines(ctx, c.Now()) // first: their retailers are there
	if err != nil {
		return nil, err
	}
	rows, err := c.Store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	all, place := make([]Tenant, len(rows)), map[string]int{}
	for i, t := range rows {
		all[i], place[t.Name] = Tenant{Name: t.Name, CreatedAt: t.CreatedAt}, i
	}
	for _, m := range machines {
		one := &all[place[m.Tenant]]
		switch {
		case m.State != store.Enrolled:
		case m.Role == enroll.POSMain:
			one.Stores++
		case m.Role == enroll.Lane:
			one.Lanes++
		}
	}
	return all, nil
}
