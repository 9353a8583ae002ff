package main

import (
	"context"
	"errors"
)

// lookupRow is what was measured of a contender: medians of the rounds.
type lookupRow struct {
	Name       string  `json:"name"`
	Rate       float64 `json:"lookups_per_s"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	CPU        float64 `json:"server_cpu_us"`
	ToFloor    float64 `json:"cpu_to_floor,omitempty"`
	ToRedis    float64 `json:"rate_to_redis,omitempty"`
	ToPostgres float64 `json:"rate_to_postgresql,omitempty"`

	rounds []sample
}

// goal is what the lookup path is to reach.
type goal struct {
	What  string  `json:"what"`
	Goal  string  `json:"goal"`
	Ratio float64 `json:"ratio"`
	Met   bool    `json:"met"`
}

// lookups measures the contenders in turn, in rounds that each begin with another.
func (b *bench) lookups(ctx context.Context) error {
	rows := make([]*lookupRow, len(b.contenders))
	for i, c := range b.contenders {
		rows[i] = &lookupRow{Name: c.Name()}
	}
	before, err := b.central.created(ctx)
	if err != nil {
		return err
	}
	kept := map[contender][]asker{}
	defer func() {
		for _, all := range kept {
			closeAll(all)
		}
	}()
	for round := range b.rounds {
		for i := range b.contenders {
			at := (i + round) % len(b.contenders)
			b.say("lookups, round %d of %d: %s", round+1, b.rounds, rows[at].Name)
			s, err := b.slotOf(ctx, b.contenders[at], kept)
			if err != nil {
				return err
			}
			rows[at].rounds = append(rows[at].rounds, s)
		}
	}
	after, err := b.central.created(ctx)
	if err == nil && after != before {
		err = errors.New("centrald did not know the TIDs that it was asked for: remove the cache folder and try again")
	}
	b.report.setLookups(rows, b.floor, b.redis, b.postgres)
	return err
}

// slotOf measures a contender once. Its connections are kept for the next round, but
// for central's: its next round comes with other lanes, since each may ask so much.
func (b *bench) slotOf(ctx context.Context, c contender, kept map[contender][]asker) (sample, error) {
	if c == contender(b.central) {
		closeAll(kept[c])
		delete(kept, c)
	}
	if kept[c] == nil {
		all, err := connect(ctx, c, b.connections)
		kept[c] = all
		if err == nil {
			b.say("warming up: %s", c.Name())
			err = warm(ctx, all)
		}
		if err != nil {
			return sample{}, err
		}
	}
	return drive(ctx, c, kept[c], b.slot)
}

// figure gives a figure of every round.
func (r *lookupRow) figure(f func(sample) float64) []float64 {
	var all []float64
	for _, s := range r.rounds {
		all = append(all, f(s))
	}
	return all
}

func p50(s sample) float64 { return s.quantile(0.5) }
func p99(s sample) float64 { return s.quantile(0.99) }

// ratio is the median of the rounds' ratios: what disturbs a round disturbs both.
func ratio(a, b *lookupRow, f func(sample) float64) float64 {
	x, y := a.figure(f), b.figure(f)
	var all []float64
	for i := range min(len(x), len(y)) {
		all = append(all, x[i]/y[i])
	}
	return median(all)
}

// setLookups makes the table and the goals of what was measured. A contender that was
// not there is at -1.
func (r *report) setLookups(rows []*lookupRow, floor, redis, postgres int) {
	for _, row := range rows {
		row.Rate, row.CPU = median(row.figure(sample.rate)), median(row.figure(sample.cpuPer))
		row.P50, row.P99 = median(row.figure(p50)), median(row.figure(p99))
		row.ToFloor = ratio(row, rows[floor], sample.cpuPer)
		if redis >= 0 {
			row.ToRedis = ratio(row, rows[redis], sample.rate)
		}
		if postgres >= 0 {
			row.ToPostgres = ratio(row, rows[postgres], sample.rate)
		}
	}
	var others []float64
	for _, row := range rows {
		others = append(others, row.figure(func(s sample) float64 { return s.others })...)
	}
	r.Lookups, r.Others = rows, median(others)
	ours := rows[len(rows)-1]
	if redis >= 0 {
		p99s := ratio(ours, rows[redis], p99)
		r.Goals = append(r.Goals, goal{"lookups/s, to Redis GET", ">= 1.5", ours.ToRedis, ours.ToRedis >= 1.5},
			goal{"p99, to Redis GET", "<= 1", p99s, p99s <= 1})
	}
	if postgres >= 0 {
		r.Goals = append(r.Goals, goal{"lookups/s, to PostgreSQL SELECT", ">= 4", ours.ToPostgres, ours.ToPostgres >= 4})
	}
	r.Goals = append(r.Goals, goal{"server CPU per lookup, to the floor", "<= 1.5", ours.ToFloor, ours.ToFloor <= 1.5})
}
