package admin

import (
	"context"
	"errors"
	"io"
	"time"

	"posd/central/server/lookuplog"
	"posd/enroll"
)

// LookupsRequest asks for the lookups from Since on and before Until, of one machine,
// whose retailer is Tenant, or of all.
type LookupsRequest struct {
	Tenant  string      `json:"tenant"`
	Machine enroll.Name `json:"machine,omitzero"`
	Since   time.Time   `json:"since"`
	Until   time.Time   `json:"until"`
}

// LookupsEnd is the last line of the answer.
type LookupsEnd struct {
	Skipped int `json:"skipped_bytes"` // what could not be read
}

// lookups answers with a lookuplog.Entry a line, and LookupsEnd.
func (c *Central) lookups(ctx context.Context, r LookupsRequest, _ io.Reader, out func(any) error) error {
	if c.LookupDir == "" {
		return errors.New("list lookups: this centrald logs none: give it --state")
	}
	only, err := c.machineOf(ctx, r)
	if err != nil {
		return err
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	skipped, err := lookuplog.Read(c.LookupDir, r.Since, r.Until, func(e lookuplog.Entry) error {
		if only != "" && only != e.Lane {
			return ctx.Err()
		}
		return out(e)
	})
	if err != nil {
		return err
	}
	return out(LookupsEnd{skipped})
}

// machineOf names the machine that is asked for; "" is all.
func (c *Central) machineOf(ctx context.Context, r LookupsRequest) (string, error) {
	if r.Machine == (enroll.Name{}) {
		return "", nil
	}
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return "", err
	}
	r.Machine.Tenant = retailer.Name
	return r.Machine.String(), nil
}
