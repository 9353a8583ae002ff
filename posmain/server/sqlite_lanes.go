package server

import (
	"context"
	"database/sql"
)

// maxGaps bounds how many gaps of an incarnation are told.
const maxGaps = 100

// Lanes gives what is known of every lane.
func (s *SQLite) Lanes(ctx context.Context) (all []LaneStatus, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error { all, err = lanes(tx); return err })
	return all, err
}

func lanes(tx *sql.Tx) ([]LaneStatus, error) {
	rows, err := tx.Query("SELECT n, tenant, shop, lane, software, first_seen, last_seen FROM lanes ORDER BY tenant, shop, lane")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []LaneStatus{}
	for rows.Next() {
		var l LaneStatus
		var n, first, last int64
		if err := rows.Scan(&n, &l.Tenant, &l.Shop, &l.Lane.Lane, &l.Software, &first, &last); err != nil {
			return nil, err
		}
		l.FirstSeen, l.LastSeen = instant(first), instant(last)
		if l.Incarnations, err = incarnations(tx, n); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, rows.Err()
}

func incarnations(tx *sql.Tx, lane int64) ([]IncarnationStatus, error) {
	rows, err := tx.Query(`SELECT n, incarnation, first_seen, last_seen, watermark, max(watermark, dropped),
			(SELECT count(*) FROM baskets b WHERE b.incarnation = i.n),
			(SELECT max(coalesce(max(sequence), 0), watermark, dropped) FROM baskets b WHERE b.incarnation = i.n),
			(SELECT max(coalesce(max(sequence), 0) - max(watermark, dropped), 0) - count(DISTINCT sequence) FROM baskets b WHERE b.incarnation = i.n AND b.sequence > max(i.watermark, i.dropped))
		FROM incarnations i WHERE lane = ? ORDER BY first_seen DESC, n DESC`, lane)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []IncarnationStatus{}
	for rows.Next() {
		var i IncarnationStatus
		var n, first, last int64
		var above uint64
		if err := rows.Scan(&n, &i.Incarnation, &first, &last, &i.Watermark, &above, &i.Baskets, &i.Last, &i.Missing); err != nil {
			return nil, err
		}
		i.FirstSeen, i.LastSeen = instant(first), instant(last)
		if i.Gaps, err = gaps(tx, n, above); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, rows.Err()
}

// gaps gives the numbers that are missing above one: the watermark, or the last
// number that was deleted by its age.
func gaps(tx *sql.Tx, incarnation int64, above uint64) ([]Range, error) {
	rows, err := tx.Query(`SELECT before + 1, sequence - 1 FROM (
			SELECT sequence, lag(sequence, 1, ?2) OVER (ORDER BY sequence) AS before FROM baskets WHERE incarnation = ?1 AND sequence > ?2)
		WHERE sequence > before + 1 ORDER BY sequence LIMIT ?3`, incarnation, above, maxGaps)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []Range{}
	for rows.Next() {
		var r Range
		if err := rows.Scan(&r.From, &r.To); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}
