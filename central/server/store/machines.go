package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"posd/enroll"
)

// CreateTokens stores tokens, all or none.
func (s *SQL) CreateTokens(ctx context.Context, by Act, tokens []Token, replace bool) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		for _, t := range tokens {
			if err := createToken(tx, t, replace, by.At); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
		}
		return record(tx, by)
	})
}

func createToken(tx *sql.Tx, t Token, replace bool, now time.Time) error {
	id, err := machine(tx, t.Name)
	if errors.Is(err, ErrNoMachine) {
		id, err = addMachine(tx, t.Name, now)
	}
	if err != nil {
		return err
	}
	if replace {
		err = revoke(tx, id)
	} else {
		err = checkFree(tx, id, now)
	}
	if err != nil {
		return err
	}
	// Used tokens stay, so that one that comes again is told from one unknown.
	if _, err := tx.Exec(`DELETE FROM tokens WHERE machine = $1 AND used_at IS NULL`, id); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO tokens (hash, machine, created_at, expires_at) VALUES ($1, $2, $3, $4)`,
		t.Hash[:], id, now.UnixMilli(), t.ExpiresAt.UnixMilli())
	return err
}

// checkFree refuses a machine whose certificate is good, or can still be
// renewed.
func checkFree(tx *sql.Tx, machine int64, now time.Time) error {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM certificates WHERE machine = $1 AND state = 'active' AND not_after > $2`,
		machine, now.Add(-enroll.RenewGrace).UnixMilli()).Scan(&n)
	if err == nil && n > 0 {
		return ErrEnrolled
	}
	return err
}

// Enroll uses a token.
func (s *SQL) Enroll(ctx context.Context, hash [32]byte, role enroll.Role, spki [32]byte, now time.Time, issue Issuer) (c Certificate, err error) {
	var refused error // committed together with its alarm
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		refused = nil
		t, err := readToken(tx, hash)
		if err != nil {
			return err
		}
		switch {
		case t.name.Role != role:
			return ErrWrongRole
		case t.certificate != nil && t.spki != spki:
			refused = ErrTokenUsed
			return alarm(tx, now, AlarmTokenReused, t.machine, "an enrolment token that was used before came again, with another key")
		case !now.Before(t.expires):
			return ErrTokenExpired
		case t.state == "revoked":
			return ErrRevoked
		case t.certificate != nil:
			c, _, err = readCertificate(tx, t.certificate)
			return err
		}
		if c, err = issue(t.name); err != nil {
			return err
		}
		return useToken(tx, hash, t, c, now)
	})
	return c, errors.Join(err, refused)
}

// useToken records a first certificate. Any older one of that machine, which
// expired or was revoked before the token was made, is good for nothing more.
func useToken(tx *sql.Tx, hash [32]byte, t token, c Certificate, now time.Time) error {
	if err := revoke(tx, t.machine); err != nil {
		return err
	}
	if err := addCertificate(tx, t.machine, c); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE tokens SET used_at = $1, certificate = $2 WHERE hash = $3`, now.UnixMilli(), c.Serial, hash[:])
	return err
}

type token struct {
	machine     int64
	name        enroll.Name
	expires     time.Time
	certificate []byte // nil: unused
	state       string // of the certificate
	spki        [32]byte
}

func readToken(tx *sql.Tx, hash [32]byte) (t token, err error) {
	var tenant, shop, role, lane string
	var expires int64
	var spki []byte
	err = tx.QueryRow(`SELECT m.id, n.name, m.shop, m.role, m.lane, k.expires_at, k.certificate, c.spki, coalesce(c.state, '')
		FROM tokens k JOIN machines m ON m.id = k.machine JOIN tenants n ON n.id = m.tenant LEFT JOIN certificates c ON c.serial = k.certificate
		WHERE k.hash = $1`, hash[:]).Scan(&t.machine, &tenant, &shop, &role, &lane, &expires, &t.certificate, &spki, &t.state)
	if errors.Is(err, sql.ErrNoRows) {
		return t, ErrTokenUnknown
	}
	t.name, t.expires = name(tenant, shop, role, lane), instant(expires)
	copy(t.spki[:], spki)
	return t, err
}

// Renew supersedes a certificate.
func (s *SQL) Renew(ctx context.Context, presented []byte, spki [32]byte, now time.Time, issue Issuer) (c Certificate, err error) {
	var refused error
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		refused = nil
		p, err := readPresented(tx, presented)
		if err != nil {
			return err
		}
		switch p.state {
		case "revoked":
			return ErrRevoked
		case "superseded":
			last, err := successor(tx, p.by, spki)
			if errors.Is(err, ErrSuperseded) {
				refused = err
				return alarm(tx, now, AlarmClone, p.machine, "a certificate that was renewed before came to renew again, with another key: two machines hold this identity")
			}
			if err != nil {
				return err
			}
			if last.fresh(now) {
				c = last
				return nil
			}
			presented = last.Serial
		}
		if c, err = issue(p.name); err != nil {
			return err
		}
		if err := addCertificate(tx, p.machine, c); err != nil {
			return err
		}
		return supersede(tx, presented, c.Serial)
	})
	return c, errors.Join(err, refused)
}

// fresh reports whether more than a third of a certificate's life is left.
func (c Certificate) fresh(now time.Time) bool {
	return now.Before(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3))
}

type presented struct {
	machine int64
	name    enroll.Name
	state   string
	by      []byte // what superseded it, if anything
}

func readPresented(tx *sql.Tx, serial []byte) (p presented, err error) {
	var tenant, shop, role, lane string
	err = tx.QueryRow(`SELECT m.id, t.name, m.shop, m.role, m.lane, c.state, c.superseded_by
		FROM certificates c JOIN machines m ON m.id = c.machine JOIN tenants t ON t.id = m.tenant
		WHERE c.serial = $1`, serial).Scan(&p.machine, &tenant, &shop, &role, &lane, &p.state, &p.by)
	if errors.Is(err, sql.ErrNoRows) {
		return p, ErrUnknownCert
	}
	p.name = name(tenant, shop, role, lane)
	return p, err
}

// successor gives the newest of the certificates that superseded one another,
// beginning with serial. If one of them is for another key than spki, the
// machine that asks is not the one that got it: ErrSuperseded.
func successor(tx *sql.Tx, serial []byte, spki [32]byte) (Certificate, error) {
	for {
		c, by, err := readCertificate(tx, serial)
		if err == nil && c.SPKI != spki {
			err = ErrSuperseded
		}
		if err != nil || by == nil {
			return c, err
		}
		serial = by
	}
}

// readCertificate gives a certificate, and the serial of the one that superseded
// it, if any.
func readCertificate(tx *sql.Tx, serial []byte) (c Certificate, by []byte, err error) {
	var spki []byte
	var from, to int64
	err = tx.QueryRow(`SELECT spki, der, not_before, not_after, superseded_by FROM certificates WHERE serial = $1`, serial).Scan(&spki, &c.DER, &from, &to, &by)
	copy(c.SPKI[:], spki)
	c.Serial, c.NotBefore, c.NotAfter = serial, instant(from), instant(to)
	return c, by, err
}

func addCertificate(tx *sql.Tx, machine int64, c Certificate) error {
	change, err := next(tx, "change")
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO certificates (serial, machine, spki, der, state, not_before, not_after, change) VALUES ($1, $2, $3, $4, 'active', $5, $6, $7)`,
		c.Serial, machine, c.SPKI[:], c.DER, c.NotBefore.UnixMilli(), c.NotAfter.UnixMilli(), int64(change))
	return err
}

func supersede(tx *sql.Tx, old, by []byte) error {
	change, err := next(tx, "change")
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE certificates SET state = 'superseded', superseded_by = $1, change = $2 WHERE serial = $3`, by, int64(change), old)
	return err
}

// Revoke revokes a machine.
func (s *SQL) Revoke(ctx context.Context, by Act, n enroll.Name) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		id, err := machine(tx, n)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM tokens WHERE machine = $1 AND used_at IS NULL`, id); err != nil {
			return err
		}
		if err := revoke(tx, id); err != nil {
			return err
		}
		return record(tx, by)
	})
}

// revoke ends all certificates of a machine, each with a change of its own.
func revoke(tx *sql.Tx, machine int64) error {
	serials, err := rows(tx.Query, func(r *sql.Rows) (serial []byte, err error) {
		err = r.Scan(&serial)
		return serial, err
	}, `SELECT serial FROM certificates WHERE machine = $1 AND state <> 'revoked'`, machine)
	if err != nil {
		return err
	}
	for _, serial := range serials {
		change, err := next(tx, "change")
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE certificates SET state = 'revoked', change = $1 WHERE serial = $2`, int64(change), serial); err != nil {
			return err
		}
	}
	return nil
}

// Revocations gives the certificates revoked after a change number.
func (s *SQL) Revocations(ctx context.Context, after uint64, limit int) ([]Revocation, error) {
	return query(ctx, s, func(r *sql.Rows) (v Revocation, err error) {
		var change int64
		err = r.Scan(&v.Serial, &change)
		v.Change = uint64(change)
		return v, err
	}, `SELECT serial, change FROM certificates WHERE change > $1 AND state = 'revoked' ORDER BY change LIMIT $2`, int64(after), limit)
}

// Machines gives all lanes and POS main computers.
func (s *SQL) Machines(ctx context.Context, now time.Time) ([]Machine, error) {
	activities, err := s.activities(ctx, now)
	if err != nil {
		return nil, err
	}
	return query(ctx, s, func(r *sql.Rows) (m Machine, err error) {
		var created, id int64
		var good, ends sql.NullInt64
		err = r.Scan(&id, &m.Tenant, &m.Shop, &m.Role, &m.Lane, &m.Quarantined, &created, &m.Certificates, &good, &ends)
		m.CreatedAt, m.Activity = instant(created), activities[id]
		switch {
		case good.Valid && now.UnixMilli() < good.Int64:
			m.State, m.Ends = Enrolled, instant(good.Int64)
		case good.Valid:
			m.State, m.Ends = Expired, instant(good.Int64)
		case ends.Valid:
			m.State = Invited
		case m.Certificates > 0:
			m.State = Revoked
		default:
			m.State = Expired // its token
		}
		return m, err
	}, `SELECT m.id, t.name, m.shop, m.role, m.lane, m.quarantined, m.created_at,
			(SELECT count(*) FROM certificates c WHERE c.machine = m.id),
			(SELECT max(not_after) FROM certificates c WHERE c.machine = m.id AND c.state = 'active'),
			(SELECT max(expires_at) FROM tokens k WHERE k.machine = m.id AND k.used_at IS NULL AND k.expires_at > $1)
		FROM machines m JOIN tenants t ON t.id = m.tenant ORDER BY t.name, m.shop, m.role, m.lane`, now.UnixMilli())
}

func machine(tx *sql.Tx, n enroll.Name) (id int64, err error) {
	err = tx.QueryRow(`SELECT m.id FROM machines m JOIN tenants t ON t.id = m.tenant WHERE t.name = $1 AND m.shop = $2 AND m.role = $3 AND m.lane = $4`,
		n.Tenant, n.Shop, n.Role, n.Lane).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrNoMachine
	}
	return id, err
}

func addMachine(tx *sql.Tx, n enroll.Name, now time.Time) (int64, error) {
	var tenant int64
	err := tx.QueryRow(`SELECT id FROM tenants WHERE name = $1`, n.Tenant).Scan(&tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrNoTenant
	}
	if err != nil {
		return 0, err
	}
	var id int64
	err = tx.QueryRow(`INSERT INTO machines (id, tenant, shop, role, lane, created_at)
		VALUES ((SELECT coalesce(max(id), 0) + 1 FROM machines), $1, $2, $3, $4, $5) RETURNING id`,
		tenant, n.Shop, n.Role, n.Lane, now.UnixMilli()).Scan(&id)
	return id, err
}

// alarm raises an alarm. The same one again within an hour is not kept: whoever
// causes it could fill the disk.
func alarm(tx *sql.Tx, now time.Time, kind string, machine int64, detail string) error {
	_, err := tx.Exec(`INSERT INTO alarms (id, at, type, machine, detail)
		SELECT (SELECT coalesce(max(id), 0) + 1 FROM alarms), CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT)
		WHERE NOT EXISTS (SELECT 1 FROM alarms WHERE type = $2 AND machine = $3 AND at > $5 AND at <= $1)`,
		now.UnixMilli(), kind, machine, detail, now.Add(-time.Hour).UnixMilli())
	return err
}

func name(tenant, shop, role, lane string) enroll.Name {
	return enroll.Name{Tenant: tenant, Shop: shop, Role: enroll.Role(role), Lane: lane}
}
