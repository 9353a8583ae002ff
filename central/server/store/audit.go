package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Act is what an operator does, as the audit log keeps it. It holds no TID.
type Act struct {
	At     time.Time
	Actor  string // who: a user of the machine that the command ran on
	Action string // what, as the command is called: "lanes revoke"
	Detail any    // of what; its JSON is kept
}

// Record is an act in the audit log, which is a chain: each record's hash covers
// that of the one before, the first one's the installation's id.
type Record struct {
	Number uint64          `json:"number"`
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`
	Action string          `json:"action"`
	Detail json.RawMessage `json:"detail"`
	Hash   Hash            `json:"hash"`
}

// Hash is that of a record of the audit log.
type Hash [sha256.Size]byte

// MarshalText gives hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", h[:]), nil }

// UnmarshalText reads hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	var b []byte
	if _, err := fmt.Sscanf(string(text), "%x", &b); err != nil || len(b) != len(h) || len(text) != 2*len(h) {
		return fmt.Errorf("a hash of the audit log has %d hexadecimal digits", 2*len(h))
	}
	copy(h[:], b)
	return nil
}

// FirstHash is what the chain of an installation begins with.
func FirstHash(installation [16]byte) Hash {
	return sha256.Sum256(append([]byte("hhid/audit/v1"), installation[:]...))
}

// Chained is the hash that r has behind a record with the hash previous: SHA-256
// over that, number and time (Unix milliseconds) as 64 bits each, and actor, action
// and detail, each behind its length in 32 bits.
func (r Record) Chained(previous Hash) Hash {
	b := binary.BigEndian.AppendUint64(previous[:], r.Number)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMilli()))
	for _, field := range []string{r.Actor, r.Action, string(r.Detail)} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
	}
	return sha256.Sum256(b)
}

// Record adds an act by itself to the audit log: one that changes nothing in the
// store, or that took many transactions.
func (s *SQL) Record(ctx context.Context, by Act) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return record(tx, by) })
}

// record adds an act to the audit log, in the transaction of what it did.
func record(tx *sql.Tx, by Act) error {
	detail, err := json.Marshal(by.Detail)
	if err != nil {
		return err
	}
	n, err := next(tx, "audit") // from here on others wait, so that the record before is the last
	if err != nil {
		return err
	}
	previous, err := chainEnd(tx, n-1)
	if err != nil {
		return err
	}
	r := Record{Number: n, At: by.At, Actor: by.Actor, Action: by.Action, Detail: detail}
	hash := r.Chained(previous)
	_, err = tx.Exec(`INSERT INTO audit (number, at, actor, action, detail, hash) VALUES ($1, $2, $3, $4, $5, $6)`,
		int64(n), by.At.UnixMilli(), by.Actor, by.Action, string(detail), hash[:])
	return err
}

// chainEnd is the hash of record n, or what the chain begins with.
func chainEnd(tx *sql.Tx, n uint64) (h Hash, err error) {
	var b []byte
	if n == 0 {
		if err = tx.QueryRow(`SELECT id FROM installation`).Scan(&b); err != nil {
			return h, err
		}
		return FirstHash([16]byte(b)), nil
	}
	err = tx.QueryRow(`SELECT hash FROM audit WHERE number = $1`, int64(n)).Scan(&b)
	copy(h[:], b)
	return h, err
}

// Audit gives up to limit records above after, in their order.
func (s *SQL) Audit(ctx context.Context, after uint64, limit int) ([]Record, error) {
	return query(ctx, s, func(r *sql.Rows) (one Record, err error) {
		var number, at int64
		var detail string
		var hash []byte
		err = r.Scan(&number, &at, &one.Actor, &one.Action, &detail, &hash)
		one.Number, one.At, one.Detail = uint64(number), instant(at), json.RawMessage(detail)
		copy(one.Hash[:], hash)
		return one, err
	}, `SELECT number, at, actor, action, detail, hash FROM audit WHERE number > $1 ORDER BY number LIMIT $2`, int64(after), limit)
}
