package admin

import (
	"context"
	"fmt"

	"posd/central/server/store"
)

// AuditRequest asks for up to Limit records of the audit log above After.
type AuditRequest struct {
	After uint64 `json:"after"`
	Limit int    `json:"limit"`
}

func (c *Central) audit(ctx context.Context, r AuditRequest) ([]store.Record, error) {
	return c.Store.Audit(ctx, r.After, r.Limit)
}

// VerifyRequest asks whether the audit log is whole. Number and Hash, if given, are
// a record as somebody noted it outside of central's database.
type VerifyRequest struct {
	Number uint64     `json:"number,omitempty"`
	Hash   store.Hash `json:"hash,omitzero"`
}

// Verified is an audit log that is whole: its last record is the head, which,
// noted elsewhere, lets a later look tell that nothing up to there was changed.
type Verified struct {
	Records uint64     `json:"records"`
	Head    store.Hash `json:"head"`
}

func (c *Central) verifyAudit(ctx context.Context, r VerifyRequest) (Verified, error) {
	i, err := c.Store.Installation(ctx)
	if err != nil {
		return Verified{}, err
	}
	v, noted := Verified{Head: store.FirstHash(i.ID)}, false
	const page = 1000
	for {
		records, err := c.Store.Audit(ctx, v.Records, page)
		if err != nil {
			return v, err
		}
		for _, one := range records {
			if one.Number != v.Records+1 || one.Hash != one.Chained(v.Head) {
				return v, fmt.Errorf("verify audit log: record %d was changed, or is missing: only what is before it can be trusted", v.Records+1)
			}
			if one.Number == r.Number && one.Hash != r.Hash {
				return v, fmt.Errorf("verify audit log: record %d is not the one that was noted: the log was written anew", r.Number)
			}
			v.Records, v.Head, noted = one.Number, one.Hash, noted || one.Number == r.Number
		}
		if len(records) < page {
			break
		}
	}
	if r.Number != 0 && !noted {
		return v, fmt.Errorf("verify audit log: it has %d records, and record %d was noted: its end was cut off", v.Records, r.Number)
	}
	return v, nil
}
