package admin

import (
	"context"
	"fmt"
	"time"

	"posd/central/server"
	"posd/central/server/store"
	"posd/enroll"
)

// tokenLife is how long an enrolment token is good.
const tokenLife = time.Hour

// TokensRequest asks for enrolment tokens, all or none. The machines' retailer is
// Tenant; their own is not looked at.
type TokensRequest struct {
	Tenant   string        `json:"tenant"`
	Machines []enroll.Name `json:"machines"`
	Replace  bool          `json:"replace"` // their certificates are revoked
}

// Token is an enrolment token that was made.
type Token struct {
	Tenant    string      `json:"tenant"`
	Shop      string      `json:"store"`
	Role      enroll.Role `json:"role"`
	Lane      string      `json:"lane,omitempty"`
	Token     string      `json:"token"`
	ExpiresAt time.Time   `json:"expires_at"`
}

func (c *Central) createTokens(ctx context.Context, r TokensRequest) ([]Token, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return nil, err
	}
	newToken, err := server.TokenMaker(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	expires := c.Now().UTC().Truncate(time.Second).Add(tokenLife)
	rows, made, names := make([]store.Token, len(r.Machines)), make([]Token, len(r.Machines)), make([]string, len(r.Machines))
	for i, n := range r.Machines {
		n.Tenant = retailer.Name
		if err := n.Check(); err != nil {
			return nil, misuse("%v", err)
		}
		t := newToken()
		rows[i], names[i] = store.Token{Hash: t.Hash(), Name: n, ExpiresAt: expires}, n.String()
		made[i] = Token{n.Tenant, n.Shop, n.Role, n.Lane, t.Reveal(), expires}
	}
	by := c.act(ctx, "tokens create", map[string]any{"machines": names, "replace": r.Replace})
	if err := c.Store.CreateTokens(ctx, by, rows, r.Replace); err != nil {
		return nil, fmt.Errorf("create token: %w", err)
	}
	c.changed()
	return made, nil
}

// None is the request of an operation that takes none.
type None struct{}

func (c *Central) machines(ctx context.Context, _ None) ([]store.Machine, error) {
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	return c.Store.Machines(ctx, c.Now())
}

// MachineRequest names a machine; its retailer is Tenant.
type MachineRequest struct {
	Tenant  string      `json:"tenant"`
	Machine enroll.Name `json:"machine"`
}

// flush has the running server, if there is one, write what it saw of lanes.
func (c *Central) flush(ctx context.Context) error {
	if c.Flush == nil {
		return nil
	}
	return c.Flush(ctx)
}

func (c *Central) machine(ctx context.Context, r MachineRequest) (store.Machine, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return store.Machine{}, err
	}
	r.Machine.Tenant = retailer.Name
	all, err := c.machines(ctx, None{})
	if err != nil {
		return store.Machine{}, err
	}
	for _, m := range all {
		if m.Name() == r.Machine {
			return m, nil
		}
	}
	return store.Machine{}, fmt.Errorf("show %s: %w", r.Machine, store.ErrNoMachine)
}

// QuarantineRequest puts a lane into quarantine, or releases it.
type QuarantineRequest struct {
	MachineRequest
	On bool `json:"on"`
}

// quarantine answers with the lane's whole name.
func (c *Central) quarantine(ctx context.Context, r QuarantineRequest) (string, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return "", err
	}
	r.Machine.Tenant = retailer.Name
	if r.Machine.Role != enroll.Lane {
		return "", misuse("only lanes look up households, and only they can be in quarantine")
	}
	action := map[bool]string{true: "quarantine", false: "release"}[r.On]
	name := r.Machine.String()
	if err := c.Store.Quarantine(ctx, c.act(ctx, "lanes "+action, map[string]any{"machine": name}), r.Machine, r.On); err != nil {
		return "", fmt.Errorf("%s %s: %w", action, name, err)
	}
	c.changed()
	return name, nil
}

// revoke answers with the machine's whole name.
func (c *Central) revoke(ctx context.Context, r MachineRequest) (string, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return "", err
	}
	r.Machine.Tenant = retailer.Name
	name := r.Machine.String()
	if err := c.Store.Revoke(ctx, c.act(ctx, "lanes revoke", map[string]any{"machine": name}), r.Machine); err != nil {
		return "", fmt.Errorf("revoke %s: %w", name, err)
	}
	c.changed()
	return name, nil
}

func (c *Central) alarms(ctx context.Context, _ None) ([]store.Alarm, error) {
	return c.Store.Alarms(ctx, 0)
}
