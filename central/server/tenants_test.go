package server

import (
	"errors"
	"strings"
	"testing"

	"posd/central"
	"posd/central/server/store"
	"posd/enroll"
	"posd/identity"
)

var (
	bravo1    = enroll.Name{Tenant: "bravo", Shop: "12", Role: enroll.Lane, Lane: "1"}
	bravoShop = enroll.Name{Tenant: "bravo", Shop: "12", Role: enroll.POSMain}
)

func (h *harness) addTenant(name string) store.Tenant {
	h.t.Helper()
	made, err := h.s.Keys().AddTenant(h.t.Context(), h.st, store.Act{At: h.clock(), Actor: "someone", Action: "tenants add"}, name)
	must(h.t, err)
	return made
}

// TestRetailersAreApart: one lane of each of two retailers, of the same shop and
// number, with the same cards.
func TestRetailersAreApart(t *testing.T) {
	h := start(t)
	a := h.enrol(lane1)
	before := a.resolve(visa, 1)
	h.addTenant("bravo")
	fresh := h.enrol(bravo1) // a lane of it is answered at once
	first := fresh.resolve(visa, 1)
	must(t, h.s.sync(t.Context(), nil))
	limits := DefaultLimits()
	limits.TIDs = Rate{0.001, 3}
	h.restart(limits)
	must(t, h.s.Load(t.Context()))
	b := fresh

	ofA, ofB := a.resolve(visa, 1), b.resolve(visa, 1)
	if ofA.HHID != before.HHID || ofA.DeIdentTID != before.DeIdentTID {
		t.Errorf("another retailer changed %+v to %+v", before, ofA)
	}
	if ofA.HHID == ofB.HHID || ofA.DeIdentTID == ofB.DeIdentTID {
		t.Errorf("the same card at two retailers: %+v and %+v", ofA, ofB)
	}
	if first.HHID != ofB.HHID || first.DeIdentTID != ofB.DeIdentTID {
		t.Errorf("%+v before central was started again, then %+v", first, ofB)
	}
	if again := b.resolve(visa, 2); again.HHID != ofB.HHID || again.DeIdentTID != ofB.DeIdentTID {
		t.Errorf("%+v, then %+v", ofB, again)
	}

	// What one seals is nothing in the other's hands.
	h.want(422, central.ProblemEncTIDRejected, b, "POST", central.ResolvePath, a.seal(mastercard, 3))
	h.want(422, central.ProblemEncTIDRejected, a, "POST", central.ResolvePath, b.seal(mastercard, 3))

	// The database tells them apart, too.
	for _, tc := range []struct {
		tenant int64
		own    identity.HHID
		answer central.Answer
	}{{1, ofA.HHID, ofB}, {2, ofB.HHID, ofA}} {
		if _, err := h.st.Household(t.Context(), tc.tenant, tc.answer.HHID); !errors.Is(err, store.ErrNoHousehold) {
			t.Errorf("a household of the other retailer: %v", err)
		}
		if _, err := h.st.LinkDeIdent(t.Context(), store.Act{At: h.clock()}, tc.tenant, tc.answer.DeIdentTID, tc.own); !errors.Is(err, store.ErrNoTID) {
			t.Errorf("a DeIdentTID of the other retailer: %v", err)
		}
	}

	// Quotas are apart: what one uses up the other still has.
	b.resolve(mastercard, 4)
	h.want(429, central.ProblemQuota, b, "POST", central.ResolvePath, b.seal(visa, 5))
	a.resolve(mastercard, 4)

	// A shop of one retailer is no lane of the other.
	h.want(403, central.ProblemForbidden, h.enrol(bravoShop), "POST", central.ResolvePath, a.seal(visa, 6))
	// Two retailers more, and everything is as it was.
	h.addTenant("charlie")
	h.addTenant("delta")
	must(t, h.s.takeKeys(t.Context()))
	a.resolve(visa, 8)
	h.restart(Limits{})
	must(t, h.s.Load(t.Context()))
	if again := b.resolve(visa, 7); again.HHID != ofB.HHID || again.DeIdentTID != ofB.DeIdentTID {
		t.Errorf("%+v, then %+v", ofB, again)
	}
}

func TestKeysOfRetailersAreTheirOwn(t *testing.T) {
	h := start(t)
	made := h.addTenant("bravo")
	keys, err := OpenKeys(t.Context(), h.st, h.kek)
	must(t, err)
	seen := map[string]bool{}
	for id, secret := range keys.secrets {
		if seen[string(secret)] {
			t.Errorf("%+v is the same as another key", id)
		}
		seen[string(secret)] = true
	}
	for _, purpose := range tenantKeys {
		if keys.secrets[keyID{purpose, made.ID, 1}] == nil {
			t.Errorf("no %s key", purpose)
		}
	}
	rows, err := h.st.Keys(t.Context())
	must(t, err)
	for _, k := range rows { // a row put in another retailer's place opens nothing
		if k.Tenant == made.ID {
			k.Tenant = 1
			if _, err := h.kek.Unwrap(k.Wrapped, wrapContext(keys.installation, k)); err == nil {
				t.Errorf("the %s key of one retailer opens as another's", k.Purpose)
			}
		}
	}
}

func TestRetailersThatAreRefused(t *testing.T) {
	h := start(t)
	for name, says := range map[string]string{"": "needs a tenant", "a/b": "bad tenant", "acme": "of that name already", strings.Repeat("x", 64): "bad tenant"} {
		_, err := h.s.Keys().AddTenant(t.Context(), h.st, store.Act{At: h.clock()}, name)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if all, err := h.st.Tenants(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("retailers %+v, %v", all, err)
	}
}
