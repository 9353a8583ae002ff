package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"posd/enroll"
)

// Quarantine puts a lane into quarantine, or releases it.
func (s *SQL) Quarantine(ctx context.Context, by Act, n enroll.Name, on bool) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		id, err := machine(tx, n)
		if err != nil {
			return err
		}
		change, err := next(tx, "change")
		if err != nil {
			return err
		}
		done, err := tx.Exec(`UPDATE machines SET quarantined = $1, change = $2 WHERE id = $3 AND quarantined <> $1`, bit(on), int64(change), id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return map[bool]error{true: ErrQuarantined, false: ErrNotQuarantined}[on]
		}
		return record(tx, by)
	})
}

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

// Quarantines gives the lanes that were put into quarantine, or released, after a
// change number.
func (s *SQL) Quarantines(ctx context.Context, after uint64, limit int) ([]Quarantine, error) {
	return query(ctx, s, func(r *sql.Rows) (q Quarantine, err error) {
		var tenant, shop, role, lane string
		var change int64
		err = r.Scan(&tenant, &shop, &role, &lane, &q.On, &change)
		q.Machine, q.Change = name(tenant, shop, role, lane), uint64(change)
		return q, err
	}, `SELECT t.name, m.shop, m.role, m.lane, m.quarantined, m.change FROM machines m JOIN tenants t ON t.id = m.tenant
		WHERE m.change > 0 AND m.change > $1 ORDER BY m.change LIMIT $2`, int64(after), limit)
}

// NoteActivity adds what a central saw of lanes.
func (s *SQL) NoteActivity(ctx context.Context, now time.Time, over time.Duration, seen []Activity) error {
	return s.db.Batch(ctx, func(tx *sql.Tx) error {
		for _, a := range seen {
			if err := noteActivity(tx, now, over, a); err != nil && !errors.Is(err, ErrNoMachine) {
				return err
			}
		}
		return nil
	})
}

func noteActivity(tx *sql.Tx, now time.Time, over time.Duration, a Activity) error {
	id, err := machine(tx, a.Machine)
	if err != nil {
		return err
	}
	var before Activity
	var updated int64
	err = scanActivity(tx.QueryRow(`SELECT `+activityColumns+`, updated FROM lane_activity a WHERE machine = $1`, id), &before, &updated)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	a = before.plus(a, over, now.Sub(instant(updated)))
	_, err = tx.Exec(`INSERT INTO lane_activity (machine, seen, software, epoch, epoch_since, behind_ms, lookups, unknown, failed, per_minute, per_hour, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (machine) DO UPDATE SET seen = excluded.seen, software = excluded.software, epoch = excluded.epoch, epoch_since = excluded.epoch_since,
			behind_ms = excluded.behind_ms, lookups = excluded.lookups, unknown = excluded.unknown, failed = excluded.failed,
			per_minute = excluded.per_minute, per_hour = excluded.per_hour, updated = excluded.updated`,
		id, a.Seen.UnixMilli(), a.Software, a.Epoch, a.EpochSince.UnixMilli(), a.BehindMS, int64(a.Lookups), int64(a.Unknown), int64(a.Failed),
		a.PerMinute, a.PerHour, now.UnixMilli())
	return err
}

// plus is what was seen so far, since when it faded, with what was seen over a time.
func (a Activity) plus(more Activity, over, since time.Duration) Activity {
	more.PerMinute = faded(a.PerMinute, time.Minute, since) + spread(more.Lookups, time.Minute, over)
	more.PerHour = faded(a.PerHour, time.Hour, since) + spread(more.Lookups, time.Hour, over)
	more.Lookups, more.Unknown, more.Failed = more.Lookups+a.Lookups, more.Unknown+a.Unknown, more.Failed+a.Failed
	if more.Seen.Before(a.Seen) { // another central saw it later
		more.Seen, more.Software, more.Epoch, more.EpochSince, more.BehindMS = a.Seen, a.Software, a.Epoch, a.EpochSince, a.BehindMS
	}
	return more
}

// faded is what is left of a count for each span, which forgets what is older than
// about that. Several centrals' counts add up in it.
func faded(count float64, span, since time.Duration) float64 {
	return count * math.Exp(-max(0, since.Seconds())/span.Seconds())
}

// spread is what is left of a count that came evenly over a time.
func spread(count uint64, span, over time.Duration) float64 {
	part := max(over.Seconds(), 1) / span.Seconds()
	return float64(count) * (1 - math.Exp(-part)) / part
}

const activityColumns = `a.seen, a.software, a.epoch, a.epoch_since, a.behind_ms, a.lookups, a.unknown, a.failed, a.per_minute, a.per_hour`

func scanActivity(r scanner, a *Activity, more ...any) error {
	var seen, since, lookups, unknown, failed int64
	err := r.Scan(append([]any{&seen, &a.Software, &a.Epoch, &since, &a.BehindMS, &lookups, &unknown, &failed, &a.PerMinute, &a.PerHour}, more...)...)
	a.Seen, a.EpochSince = instant(seen), instant(since)
	a.Lookups, a.Unknown, a.Failed = uint64(lookups), uint64(unknown), uint64(failed)
	return err
}

// activities gives what was seen of all lanes, the rates as they are now.
func (s *SQL) activities(ctx context.Context, now time.Time) (map[int64]*Activity, error) {
	all := map[int64]*Activity{}
	_, err := query(ctx, s, func(r *sql.Rows) (struct{}, error) {
		var a Activity
		var updated, id int64
		err := scanActivity(r, &a, &updated, &id)
		since := now.Sub(instant(updated))
		a.PerMinute, a.PerHour = faded(a.PerMinute, time.Minute, since), faded(a.PerHour, time.Hour, since)
		all[id] = &a
		return struct{}{}, err
	}, `SELECT `+activityColumns+`, updated, machine FROM lane_activity a`)
	return all, err
}
