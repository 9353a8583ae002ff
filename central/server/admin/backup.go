package admin

import (
	"context"
	"io"

	"posd/central/server/backup"
	"posd/central/server/store"
	"posd/identity"
)

// BackupRequest asks for a backup, of both files joined (backup.Joined).
type BackupRequest struct {
	Program string `json:"program"` // version of centrald
}

func (c *Central) backup(ctx context.Context, r BackupRequest, out io.Writer) error {
	if err := c.Store.Record(ctx, c.act(ctx, "backup begin", nil)); err != nil {
		return err
	}
	m, err := backup.Joined(ctx, c.Store, c.Now(), r.Program, out)
	if err != nil {
		return err
	}
	return c.Store.Record(ctx, c.act(ctx, "backup end", map[string]any{"at": m.At, "change": m.Change, "audit_records": m.Records}))
}

// PairsRequest tells which households cards had, as POS main computers remember: after a
// restore from a backup they get them again.
type PairsRequest struct {
	Tenant string       `json:"tenant"`
	Pairs  []store.Pair `json:"pairs"`
}

func (c *Central) takePairs(ctx context.Context, r PairsRequest) (store.Paired, error) {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return store.Paired{}, err
	}
	for _, p := range r.Pairs {
		if _, err := identity.ParseDeIdentTID(string(p.DeIdentTID)); err != nil || p.HHID.IsZero() {
			return store.Paired{}, misuse("a pair lacks its deident_tid or its hhid")
		}
	}
	act := c.act(ctx, "restore pairs", map[string]any{"tenant": retailer.Name, "pairs": len(r.Pairs)})
	done, err := c.Store.TakePairs(ctx, act, retailer.ID, r.Pairs)
	if err == nil && done.Moved > 0 {
		c.changed()
	}
	return done, err
}
