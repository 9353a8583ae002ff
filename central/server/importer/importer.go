// Package importer brings many cards with their households into central's store.
//
// Lines are read on all cores: numbers become fingerprints and sealed TIDs at once, and
// are wiped. Into a store that holds cards already they go in the order of the file, some
// thousand a transaction, between which others get their turn. Into an empty one they are
// sorted first, since rows that come in the order of the primary key cost a fraction of
// others; what does not fit in memory is sorted in a file, where all is sealed.
//
// How far an import is is stored in the transaction of its rows. After a stop the same
// input goes on behind them.
package importer

import (
	"context"
	"errors"
	"io"
	"time"

	"posd/central/server/rows"
	"posd/central/server/store"
	"posd/identity"
	"posd/tid"
)

// Store is what an import needs of central's store; see store.Store.
type Store interface {
	BeginImport(ctx context.Context, by store.Act, job [16]byte, tenant int64, alone bool) (i store.Import, resumed bool, err error)
	ImportHouseholds(ctx context.Context, i store.Import, ids []identity.HHID, p store.Position) error
	ImportCards(ctx context.Context, by store.Act, i store.Import, cards []store.ImportRow, p store.Position) (store.Position, error)
	ImportRows(ctx context.Context, by store.Act, i store.Import, rows []store.ImportRow, p store.Position) (store.Position, []error, error)
	EndImport(ctx context.Context, by store.Act, job [16]byte) error
}

// Options say how rows are imported.
type Options struct {
	Store  Store
	Tenant int64
	Job    [16]byte    // names the import: of what, and how
	Format rows.Format // of the input
	Alone  bool        // no server is at work on the store
	Rate   int         // rows a second at most, into a store that holds cards; 0: no bound
	Forget bool        // how far an earlier run of the same job was is forgotten
	Dir    string      // where rows are sorted that do not fit in memory
	Memory int         // bytes for sorting; 0: 512 MiB

	batch int // rows in a transaction of a bulk import; 0: bulkBatch

	// Row makes of a TID what is stored; Sealed goes behind what is in sealed. It is
	// called by many goroutines.
	Row func(t tid.TID, sealed []byte) (store.TID, error)
	// Refresh, if not nil, has Row know the keys as they are now.
	Refresh func(context.Context) error
	// Act is what the audit log keeps.
	Act func(action string, detail map[string]any) store.Act
}

const (
	defaultMemory = 512 << 20
	bulkBatch     = 65536
)

// Event tells how an import goes. One of its fields is set.
type Event struct {
	Begun    *Begun    `json:"begun,omitempty"`
	Rejected *Rejected `json:"rejected,omitempty"`
	Progress *Progress `json:"progress,omitempty"`
	Done     *Result   `json:"done,omitempty"`
}

// Begun is the first event.
type Begun struct {
	Resumed  bool   `json:"resumed"` // an earlier run of this job has not ended
	Lines    uint64 `json:"lines"`   // which were done, and whose bad ones were told, by then
	Bulk     bool   `json:"bulk"`    // rows are sorted first
	Headings []byte `json:"headings,omitempty"`
}

// Rejected is a line that was not taken.
type Rejected struct {
	Line   uint64 `json:"line"`
	Reason string `json:"reason"`
	Text   []byte `json:"text"` // with its end
}

// Progress says how far an import is.
type Progress struct {
	Phase store.Phase `json:"phase"`
	Bytes int64       `json:"bytes"` // of the input that were read
	Rows  uint64      `json:"rows"`  // of the phase that were done
	Of    uint64      `json:"of,omitempty"`
}

// Result is what became of an import.
type Result struct {
	Added    uint64  `json:"added"`    // cards that were not known
	Moved    uint64  `json:"moved"`    // cards that went to another household
	Kept     uint64  `json:"kept"`     // cards that were there already
	Rejected uint64  `json:"rejected"` // lines that were not taken
	Resumed  bool    `json:"resumed,omitempty"`
	Seconds  float64 `json:"seconds"` // of this run
	Rate     float64 `json:"rows_per_second"`
}

// run is a run of an import.
type run struct {
	Options
	i       store.Import
	pos     store.Position
	resumed bool
	cut     *cutter
	reader  *reader
	out     func(Event) error
	done    uint64 // rows of this run
	begun   time.Time
}

// Run imports rows and tells out how it goes. Bad rows are told, and do not end it.
func Run(ctx context.Context, opt Options, in io.Reader, out func(Event) error) error {
	if opt.Memory == 0 {
		opt.Memory = defaultMemory
	}
	if opt.batch == 0 {
		opt.batch = bulkBatch
	}
	r := &run{Options: opt, cut: newCutter(in), out: out, begun: time.Now()}
	defer r.cut.wipe()
	parser := rows.NewParser(opt.Format)
	headings, err := r.cut.headings(parser)
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty")
	}
	if err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	r.reader = newReader(parser, r.i, opt.Row)
	if err := out(Event{Begun: &Begun{r.resumed, r.pos.Lines, r.i.Bulk, headings}}); err != nil {
		return err
	}
	if r.i.Bulk {
		err = r.bulk(ctx)
	} else if err = r.cut.skip(r.pos); err == nil {
		err = r.linewise(ctx)
	}
	if err != nil {
		return err
	}
	return r.end(ctx)
}

func (r *run) begin(ctx context.Context) (err error) {
	if r.Forget {
		if err := r.Store.EndImport(ctx, r.Act("import forget", r.detail()), r.Job); err != nil {
			return err
		}
	}
	r.i, r.resumed, err = r.Store.BeginImport(ctx, r.Act("import begin", r.detail()), r.Job, r.Tenant, r.Alone)
	r.pos = r.i.Position
	return err
}

func (r *run) end(ctx context.Context) error {
	res := Result{Added: r.pos.Added, Moved: r.pos.Moved, Kept: r.pos.Kept, Rejected: r.pos.Rejected, Resumed: r.resumed}
	detail := r.detail()
	detail["added"], detail["moved"], detail["kept"], detail["rejected"] = res.Added, res.Moved, res.Kept, res.Rejected
	if err := r.Store.EndImport(ctx, r.Act("import end", detail), r.Job); err != nil {
		return err
	}
	if res.Added+res.Moved+res.Kept+res.Rejected == 0 {
		return errors.New("there is no row in it")
	}
	res.Seconds = time.Since(r.begun).Seconds()
	res.Rate = float64(r.done) / res.Seconds
	return r.out(Event{Done: &res})
}
