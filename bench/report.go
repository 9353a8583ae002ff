package main

import (
	"fmt"
	"io"
	"strings"

	"posd/cli"
)

// report is what a run has shown.
type report struct {
	Keys        int          `json:"keys"`
	Connections int          `json:"connections"`
	Rounds      int          `json:"rounds"`
	CPUs        int          `json:"cpus"`
	Others      float64      `json:"others"` // share of the processors' time that other programs took
	Skipped     []string     `json:"skipped,omitempty"`
	Lookups     []*lookupRow `json:"lookups,omitempty"`
	Epochs      *epochsRow   `json:"epochs,omitempty"`
	Reconnects  []stormRow   `json:"reconnects,omitempty"`
	Unknown     *unknownRow  `json:"unknown,omitempty"`
	Goals       []goal       `json:"goals"`
}

// printer writes tables, until something fails.
type printer struct {
	out    io.Writer
	colour cli.Palette
	err    error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *printer) table(t *cli.Table) {
	if p.err == nil {
		p.err = t.Print(p.out)
	}
	p.line("")
}

func (r *report) print(out io.Writer, colour cli.Palette) error {
	p := &printer{out: out, colour: colour}
	p.line("%d TIDs, %d connections with client certificates, clients and server together on %d processors, medians of %d rounds.", r.Keys, r.Connections, r.CPUs, r.Rounds)
	if r.Others > 0.05 {
		p.line("Other programs took %.0f %% of the processors' time meanwhile: trust the ratios, and the processor times more than the rates.", 100*r.Others)
	}
	for _, s := range r.Skipped {
		p.line("SKIPPED: %s", s)
	}
	p.line("")
	r.printLookups(p)
	r.printEpochs(p)
	r.printReconnects(p)
	r.printUnknown(p)
	r.printGoals(p)
	return p.err
}

func (r *report) printLookups(p *printer) {
	if len(r.Lookups) == 0 {
		return
	}
	t := cli.NewTable("KNOWN TIDS", "LOOKUPS/S", "P50 MS", "P99 MS", "CPU US", "CPU/FLOOR", "RATE/REDIS", "RATE/POSTGRESQL")
	for _, l := range r.Lookups {
		t.Row(l.Name, whole(l.Rate), hundredths(l.P50), hundredths(l.P99), tenths(l.CPU), times(l.ToFloor), times(l.ToRedis), times(l.ToPostgres))
	}
	p.table(t)
}

func (r *report) printEpochs(p *printer) {
	if r.Epochs == nil {
		return
	}
	e := r.Epochs
	t := cli.NewTable("A NEW EPOCH WITH EACH REQUEST", "ANSWERS/S", "P50 MS", "P99 MS", "SHED", "CPU US", "CPU/BARE DECAPSULATION", "LIVE P99 MS", "BEFORE")
	t.Row(e.Name, whole(e.Rate), hundredths(e.P50), hundredths(e.P99), whole(e.Shed), tenths(e.CPU), times(e.ToBare), hundredths(e.LiveMeanwhile), hundredths(e.LiveQuiet))
	p.table(t)
}

func (r *report) printReconnects(p *printer) {
	if len(r.Reconnects) == 0 {
		return
	}
	t := cli.NewTable("LANES THAT RECONNECT AT ONCE", "HANDSHAKES/S", "ALL BACK MS", "SHED", "FAILED", "CPU US", "LIVE P99 MS", "BEFORE")
	for _, s := range r.Reconnects {
		t.Row(s.Name, whole(s.Rate), whole(s.P99), whole(s.Shed), whole(s.Failed), whole(s.CPU), hundredths(s.LiveMeanwhile), hundredths(s.LiveQuiet))
	}
	p.table(t)
}

func (r *report) printUnknown(p *printer) {
	if r.Unknown == nil {
		return
	}
	u := r.Unknown
	t := cli.NewTable("UNKNOWN TIDS", "HOUSEHOLDS/S", "P50 MS", "P99 MS", "CPU US", "P99/COMMIT")
	t.Row("centrald, durable", whole(u.Rate), hundredths(u.P50), hundredths(u.P99), tenths(u.CPU), times(u.Ratio))
	t.Row("a bare commit (the floor)", "", hundredths(u.CommitP50), hundredths(u.CommitP99))
	p.table(t)
}

func (r *report) printGoals(p *printer) {
	if len(r.Goals) == 0 {
		return
	}
	t := cli.NewTable("GOAL", "WANTED", "MEASURED", "")
	for _, g := range r.Goals {
		verdict := p.colour.Bad("missed")
		if g.Met {
			verdict = p.colour.Good("met")
		}
		t.Row(g.What, g.Goal, hundredths(g.Ratio), verdict)
	}
	p.table(t)
}

func whole(f float64) string      { return fmt.Sprintf("%9.0f", f) }
func tenths(f float64) string     { return fmt.Sprintf("%6.1f", f) }
func hundredths(f float64) string { return fmt.Sprintf("%6.2f", f) }

func times(f float64) string {
	if f == 0 {
		return ""
	}
	return strings.TrimSpace(hundredths(f)) + "x"
}
