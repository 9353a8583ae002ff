package admin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"posd/central/server/importer"
	"posd/central/server/rows"
	"posd/central/server/store"
	"posd/tid"
)

// ImportRequest begins an import; its rows are the stream, and it answers with
// importer.Events. Rows of the same content, with the same options, go on where an
// earlier import has stopped.
type ImportRequest struct {
	Tenant  string      `json:"tenant"`
	File    string      `json:"file"`    // its name, for the audit log
	Content string      `json:"content"` // names what is in it: a hash; "" if that cannot be known, of a pipe
	Format  rows.Format `json:"format"`
	Rate    int         `json:"rate,omitempty"`   // rows a second at most; 0: no bound
	Forget  bool        `json:"forget,omitempty"` // how far an earlier import was is forgotten
}

func (c *Central) importRows(ctx context.Context, r ImportRequest, in io.Reader, out func(any) error) error {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return err
	}
	d, err := c.Directory(ctx)
	if err != nil {
		return err
	}
	if r.Format != rows.NDJSON && r.Format != rows.CSV {
		return misuse("the format is ndjson or csv")
	}
	fingerprint, deident, err := d.KeyNumbers(retailer.Name)
	if err != nil {
		return err
	}
	opt := importer.Options{
		Store: c.Store, Tenant: retailer.ID, Job: r.job(retailer.ID, fingerprint, deident), Refresh: d.Refresh, Format: r.Format, Alone: c.Changed == nil, Rate: r.Rate, Forget: r.Forget, Dir: c.Scratch,
		Row: func(t tid.TID, sealed []byte) (store.TID, error) { return d.Row(retailer.Name, t, sealed) },
		Act: func(action string, detail map[string]any) store.Act {
			detail["file"], detail["tenant"] = r.File, retailer.Name
			return c.act(ctx, action, detail)
		},
	}
	defer c.changed()
	return importer.Run(ctx, opt, in, func(e importer.Event) error { return out(e) })
}

// job names an import: what is imported, and how. Under other keys rows are sorted in
// another order, so that it begins anew.
func (r ImportRequest) job(tenant int64, fingerprint uint32, deident int) [16]byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "hhid/import/v1 %d %s %q %d %d", tenant, r.Format, r.Content, fingerprint, deident))
	return [16]byte(sum[:])
}
