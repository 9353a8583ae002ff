package admin

import (
	"context"
	"io"

	"posd/central/server/directory"
	"posd/central/server/rows"
	"posd/central/server/store"
)

// ExportRequest asks for all cards of a retailer, as rows.
type ExportRequest struct {
	Tenant   string      `json:"tenant"`
	Format   rows.Format `json:"format"`
	WithTIDs bool        `json:"with_tids"` // with their numbers in the clear
}

// exportBuffer is how many bytes are written at a time.
const exportBuffer = 64 << 10

func (c *Central) export(ctx context.Context, r ExportRequest, out io.Writer) error {
	retailer, err := c.tenant(ctx, r.Tenant)
	if err != nil {
		return err
	}
	if r.Format != rows.NDJSON && r.Format != rows.CSV {
		return misuse("the format is ndjson or csv")
	}
	w := &rowWriter{out: out, request: r, retailer: retailer.Name, buf: make([]byte, 0, exportBuffer+rows.MaxLine)}
	defer func() { clear(w.buf[:cap(w.buf)]) }()
	if r.WithTIDs {
		if w.directory, err = c.Directory(ctx); err != nil {
			return err
		}
	}
	detail := map[string]any{"tenant": retailer.Name, "format": r.Format, "with_tids": r.WithTIDs}
	if err := c.Store.Record(ctx, c.act(ctx, "export begin", detail)); err != nil {
		return err
	}
	w.buf = rows.AppendHeadings(w.buf, r.Format, r.WithTIDs)
	if err := c.Store.Export(ctx, retailer.ID, w.row); err != nil {
		return err
	}
	detail["cards"] = w.cards
	if err := c.Store.Record(ctx, c.act(ctx, "export end", detail)); err != nil {
		return err
	}
	return w.flush()
}

// rowWriter writes rows.
type rowWriter struct {
	out       io.Writer
	request   ExportRequest
	retailer  string
	directory *directory.Directory
	buf       []byte // never grown: it is wiped
	cards     int
}

func (w *rowWriter) row(t *store.ExportedTID) error {
	if len(t.Sealed) == 0 {
		return nil // it was erased
	}
	e := rows.Export{HHID: t.HHID, Kind: t.Kind, DeIdent: t.DeIdent, DeIdentVersion: t.DeIdentVersion, OptedOut: t.OptedOut}
	if w.request.WithTIDs {
		var err error
		if e.TID, err = w.directory.Unseal(w.retailer, t.SealedTID); err != nil {
			return err
		}
		defer e.TID.Wipe()
	}
	w.cards++
	w.buf = rows.Append(w.buf, w.request.Format, e, w.request.WithTIDs)
	if len(w.buf) < exportBuffer {
		return nil
	}
	return w.flush()
}

func (w *rowWriter) flush() error {
	_, err := w.out.Write(w.buf)
	clear(w.buf)
	w.buf = w.buf[:0]
	return err
}
