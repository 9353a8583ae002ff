package store

import (
	"errors"
	"testing"
	"time"

	"posd/enroll"
)

func token1(t *testing.T, s Store, n enroll.Name, hash byte) [32]byte {
	t.Helper()
	must(t, s.CreateTokens(t.Context(), act(start), []Token{{Hash: [32]byte{hash}, Name: n, ExpiresAt: start.Add(time.Hour)}}, false))
	return [32]byte{hash}
}

// issuer makes certificates that last 30 days from a time.
func issuer(serial byte, spki [32]byte, from time.Time) Issuer {
	return func(n enroll.Name) (Certificate, error) {
		return Certificate{Serial: []byte{serial}, SPKI: spki, DER: []byte(n.String()), NotBefore: from, NotAfter: from.AddDate(0, 0, 30)}, nil
	}
}

func state(t *testing.T, s Store, n enroll.Name, now time.Time) MachineState {
	t.Helper()
	all, err := s.Machines(t.Context(), now)
	must(t, err)
	for _, m := range all {
		if m.Tenant == n.Tenant && m.Shop == n.Shop && m.Role == n.Role && m.Lane == n.Lane {
			return m.State
		}
	}
	return ""
}

func alarms(t *testing.T, s Store) []Alarm {
	t.Helper()
	all, err := s.Alarms(t.Context(), 0)
	must(t, err)
	return all
}

func enrolled(t *testing.T, s Store, n enroll.Name, serial byte) [32]byte {
	t.Helper()
	key := [32]byte{serial}
	_, err := s.Enroll(t.Context(), token1(t, s, n, serial), n.Role, key, start, issuer(serial, key, start))
	must(t, err)
	return key
}

func testTokens(t *testing.T, open func() Store) {
	s := open()
	first := token1(t, s, lane1, 1)
	if got := state(t, s, lane1, start); got != Invited {
		t.Errorf("with a token: %q", got)
	}
	if got := state(t, s, lane1, start.Add(time.Hour)); got != Expired {
		t.Errorf("with an expired token: %q", got)
	}
	token1(t, s, lane1, 2)
	if _, err := s.Enroll(t.Context(), first, enroll.Lane, [32]byte{}, start, nil); !errors.Is(err, ErrTokenUnknown) {
		t.Errorf("the token before the newest: %v", err)
	}
	enrolled(t, s, lane2, 3)
	both := []Token{{Hash: [32]byte{8}, Name: shop, ExpiresAt: start}, {Hash: [32]byte{9}, Name: lane2, ExpiresAt: start}}
	if err := s.CreateTokens(t.Context(), act(start.AddDate(0, 0, 31)), both, false); !errors.Is(err, ErrEnrolled) {
		t.Errorf("a lane that is enrolled: %v", err)
	}
	if got := state(t, s, shop, start); got != "" {
		t.Errorf("half of a list was done: %q", got)
	}
	late := start.AddDate(0, 0, 61)
	both[1].ExpiresAt = late.Add(time.Hour)
	must(t, s.CreateTokens(t.Context(), act(late), both, false))
	key := [32]byte{4}
	if _, err := s.Enroll(t.Context(), [32]byte{9}, enroll.Lane, key, late, issuer(4, key, late)); err != nil {
		t.Errorf("a lane whose certificate ended long ago: %v", err)
	}
	if _, err := s.Renew(t.Context(), []byte{3}, [32]byte{5}, late, nil); !errors.Is(err, ErrRevoked) {
		t.Errorf("its old certificate: %v", err)
	}
	if err := s.CreateTokens(t.Context(), act(start), []Token{{Name: enroll.Name{Tenant: "x", Shop: "1", Role: enroll.POSMain}}}, false); !errors.Is(err, ErrNoTenant) {
		t.Errorf("no such retailer: %v", err)
	}
}

func testEnroll(t *testing.T, open func() Store) {
	s := open()
	hash, key := token1(t, s, lane1, 1), [32]byte{7}
	c, err := s.Enroll(t.Context(), hash, enroll.Lane, key, start, issuer(1, key, start))
	if err != nil || string(c.DER) != lane1.String() {
		t.Fatalf("certificate %+v, %v", c, err)
	}
	again, err := open().Enroll(t.Context(), hash, enroll.Lane, key, start.Add(time.Minute), issuer(2, key, start))
	if err != nil || string(again.Serial) != "\x01" || string(again.DER) != lane1.String() || again.SPKI != key || !again.NotAfter.Equal(c.NotAfter) {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	if got := state(t, s, lane1, start); got != Enrolled {
		t.Errorf("state %q", got)
	}
	if got := state(t, s, lane1, start.AddDate(0, 0, 30)); got != Expired {
		t.Errorf("state after 30 days %q", got)
	}
	if len(alarms(t, s)) != 0 {
		t.Error("an alarm for nothing")
	}
}

func testEnrollFailures(t *testing.T, open func() Store) {
	s := open()
	hash, key := token1(t, s, lane1, 1), [32]byte{7}
	boom := errors.New("boom")
	for _, tc := range []struct {
		hash  [32]byte
		role  enroll.Role
		now   time.Time
		issue Issuer
		want  error
	}{
		{[32]byte{9}, enroll.Lane, start, nil, ErrTokenUnknown},
		{hash, enroll.POSMain, start, nil, ErrWrongRole},
		{hash, enroll.Lane, start.Add(time.Hour), nil, ErrTokenExpired},
		{hash, enroll.Lane, start, func(enroll.Name) (c Certificate, err error) { return c, boom }, boom},
	} {
		if _, err := s.Enroll(t.Context(), tc.hash, tc.role, key, tc.now, tc.issue); !errors.Is(err, tc.want) {
			t.Errorf("got %v, want %v", err, tc.want)
		}
	}
	if _, err := s.Enroll(t.Context(), hash, enroll.Lane, key, start, issuer(1, key, start)); err != nil {
		t.Errorf("the token was spoiled: %v", err)
	}
	if _, err := s.Enroll(t.Context(), hash, enroll.Lane, key, start.Add(time.Hour), nil); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("used, same key, expired: %v", err)
	}
	if _, err := s.Enroll(t.Context(), hash, enroll.Lane, [32]byte{8}, start.Add(time.Hour), nil); !errors.Is(err, ErrTokenUsed) {
		t.Errorf("used, other key: %v", err)
	}
	if all := alarms(t, s); len(all) != 1 || all[0].Type != AlarmTokenReused || all[0].Name != lane1.String() || !all[0].At.Equal(start.Add(time.Hour)) {
		t.Errorf("alarms %+v", all)
	}
}

func testRenew(t *testing.T, open func() Store) {
	s := open()
	enrolled(t, s, lane1, 1)
	later, key := start.AddDate(0, 0, 20), [32]byte{20}
	c, err := s.Renew(t.Context(), []byte{1}, key, later, issuer(2, key, later))
	if err != nil || string(c.Serial) != "\x02" || string(c.DER) != lane1.String() {
		t.Fatalf("renewed %+v, %v", c, err)
	}
	for _, now := range []time.Time{later, later.AddDate(0, 0, 20).Add(-1)} {
		again, err := open().Renew(t.Context(), []byte{1}, key, now, issuer(3, key, later))
		if err != nil || string(again.Serial) != "\x02" || string(again.DER) != string(c.DER) {
			t.Errorf("the same again: %+v, %v", again, err)
		}
	}
	late := later.AddDate(0, 0, 20)
	if fresh, err := s.Renew(t.Context(), []byte{1}, key, late, issuer(4, key, late)); err != nil || string(fresh.Serial) != "\x04" {
		t.Errorf("the same after two thirds of its life: %+v, %v", fresh, err)
	}
	if again, err := s.Renew(t.Context(), []byte{1}, key, late, issuer(5, key, late)); err != nil || string(again.Serial) != "\x04" {
		t.Errorf("and that answer lost, too: %+v, %v", again, err)
	}
	if _, err := s.Renew(t.Context(), []byte{99}, key, late, nil); !errors.Is(err, ErrUnknownCert) {
		t.Errorf("unknown certificate: %v", err)
	}
	if len(alarms(t, s)) != 0 {
		t.Error("an alarm for nothing")
	}
}

func testClone(t *testing.T, open func() Store) {
	s := open()
	enrolled(t, s, lane1, 1)
	key := [32]byte{20}
	_, err := s.Renew(t.Context(), []byte{1}, key, start, issuer(2, key, start))
	must(t, err)
	if _, err := s.Renew(t.Context(), []byte{1}, [32]byte{21}, start.Add(time.Minute), issuer(3, [32]byte{21}, start)); !errors.Is(err, ErrSuperseded) {
		t.Fatalf("a clone got %v", err)
	}
	if all := alarms(t, s); len(all) != 1 || all[0].Type != AlarmClone || all[0].Name != lane1.String() {
		t.Errorf("alarms %+v", all)
	} else if more, err := s.Alarms(t.Context(), all[0].ID); err != nil || len(more) != 0 {
		t.Errorf("alarms after the last: %+v, %v", more, err)
	}
	if _, err := s.Renew(t.Context(), []byte{2}, [32]byte{22}, start, issuer(4, [32]byte{22}, start)); err != nil {
		t.Errorf("the lane itself: %v", err)
	}
	// A copy made while certificate 2 was on its way holds 1 and the key of 2.
	for _, now := range []time.Time{start, start.AddDate(0, 0, 25)} {
		if c, err := s.Renew(t.Context(), []byte{1}, key, now, issuer(5, key, now)); !errors.Is(err, ErrSuperseded) {
			t.Errorf("a clone with an older key got %+v, %v", c, err)
		}
	}
	for range 3 {
		s.Renew(t.Context(), []byte{1}, [32]byte{21}, start.Add(time.Hour), nil)
	}
	if all := alarms(t, s); len(all) != 3 {
		t.Errorf("alarms %+v, want 3: those within an hour of one are not kept", all)
	}
}

func testRevoke(t *testing.T, open func() Store) {
	s := open()
	if err := s.Revoke(t.Context(), act(start), lane1); !errors.Is(err, ErrNoMachine) {
		t.Errorf("a lane that is not there: %v", err)
	}
	key := enrolled(t, s, lane1, 1)
	_, err := s.Renew(t.Context(), []byte{1}, [32]byte{2}, start, issuer(2, [32]byte{2}, start))
	must(t, err)
	enrolled(t, s, lane2, 5)
	before, err := s.Revocations(t.Context(), 0, 10)
	if err != nil || len(before) != 0 {
		t.Errorf("before: %+v, %v", before, err)
	}
	must(t, s.Revoke(t.Context(), act(start), lane1))
	after, err := open().Revocations(t.Context(), 0, 10)
	if err != nil || len(after) != 2 || after[0].Change >= after[1].Change {
		t.Fatalf("after: %+v, %v", after, err)
	}
	if rest, err := s.Revocations(t.Context(), after[0].Change, 10); err != nil || len(rest) != 1 || string(rest[0].Serial) != string(after[1].Serial) {
		t.Errorf("the rest: %+v, %v", rest, err)
	}
	for _, serial := range []byte{1, 2} {
		if _, err := s.Renew(t.Context(), []byte{serial}, key, start, nil); !errors.Is(err, ErrRevoked) {
			t.Errorf("renewing %d: %v", serial, err)
		}
	}
	if a, b := state(t, s, lane1, start), state(t, s, lane2, start); a != Revoked || b != Enrolled {
		t.Errorf("states %q, %q", a, b)
	}
	if c, err := s.Enroll(t.Context(), [32]byte{1}, enroll.Lane, key, start, nil); !errors.Is(err, ErrRevoked) {
		t.Errorf("its token and key again: %+v, %v", c, err)
	}
	token1(t, s, lane1, 9) // a revoked lane may be enrolled anew
}

func testReplace(t *testing.T, open func() Store) {
	s := open()
	enrolled(t, s, lane1, 1)
	must(t, s.CreateTokens(t.Context(), act(start), []Token{{Hash: [32]byte{9}, Name: lane1, ExpiresAt: start.Add(time.Hour)}}, true))
	if got := state(t, s, lane1, start); got != Invited {
		t.Errorf("state %q", got)
	}
	if _, err := s.Renew(t.Context(), []byte{1}, [32]byte{3}, start, nil); !errors.Is(err, ErrRevoked) {
		t.Errorf("the old machine renews: %v", err)
	}
	key := [32]byte{4}
	if _, err := s.Enroll(t.Context(), [32]byte{9}, enroll.Lane, key, start, issuer(4, key, start)); err != nil {
		t.Errorf("the new machine: %v", err)
	}
	if got := state(t, s, lane1, start); got != Enrolled {
		t.Errorf("state %q", got)
	}
}
