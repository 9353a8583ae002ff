package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"posd/central"
	"posd/central/server/store"
	"posd/enroll"
)

func (h *harness) alarms() []string {
	h.t.Helper()
	all, err := h.st.Alarms(h.t.Context(), 0)
	must(h.t, err)
	var types []string
	for _, a := range all {
		types = append(types, a.Type+" "+a.Name)
	}
	return types
}

func TestEnrol(t *testing.T) {
	h := start(t)
	secret := h.token(lane1)
	_, csr := newCSR(t)
	req := enroll.EnrollRequest{Secret: secret, Role: enroll.Lane, CSR: csr}
	first := h.want(200, "", nil, "POST", enroll.EnrollPath, req).Body.Bytes()
	var answer enroll.EnrollResponse
	must(t, json.Unmarshal(first, &answer))
	cert := parse(t, answer.Certificate)
	if cert.URIs[0].String() != "hhid://acme/12/lane/1" || !cert.NotAfter.Equal(h.clock().Add(enroll.Lifetime)) {
		t.Errorf("certificate for %v until %v", cert.URIs, cert.NotAfter)
	}
	if answer.LookupURL != "https://central.example:8443" || answer.OperationsURL != "https://central.example:8444" || len(answer.ManifestKey) != 32 {
		t.Errorf("answer %+v", answer)
	}
	if again := h.want(200, "", nil, "POST", enroll.EnrollPath, req).Body.Bytes(); !bytes.Equal(first, again) {
		t.Error("the same request got another answer")
	}
}

func TestEnrolRefusals(t *testing.T) {
	h := start(t)
	_, csr := newCSR(t)
	_, other := newCSR(t)
	secret := h.token(lane1)
	ask := func(status int, problem string, secret []byte, role enroll.Role, csr []byte) {
		t.Helper()
		w := h.want(status, problem, nil, "POST", enroll.EnrollPath, enroll.EnrollRequest{Secret: secret, Role: role, CSR: csr})
		if strings.Contains(w.Body.String(), "lane/1") {
			t.Errorf("a stranger is told whose the token is: %s", w.Body)
		}
	}
	tampered := bytes.Clone(secret)
	tampered[0] ^= 1
	ask(403, enroll.ProblemTokenUnknown, tampered, enroll.Lane, csr)
	ask(403, enroll.ProblemWrongRole, secret, enroll.POSMain, csr)
	ask(400, central.ProblemBadRequest, secret, enroll.Lane, []byte("not a csr"))
	h.pass(time.Hour)
	ask(403, enroll.ProblemTokenExpired, secret, enroll.Lane, csr)
	h.pass(-time.Hour)
	h.want(200, "", nil, "POST", enroll.EnrollPath, enroll.EnrollRequest{Secret: secret, Role: enroll.Lane, CSR: csr})
	ask(403, enroll.ProblemTokenUsed, secret, enroll.Lane, other)
	if got := h.alarms(); len(got) != 1 || got[0] != "token-reused hhid://acme/12/lane/1" {
		t.Errorf("alarms %q", got)
	}
}

func TestRenew(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	for _, age := range []time.Duration{20 * 24 * time.Hour, 40 * 24 * time.Hour} {
		h.pass(age)
		_, csr := newCSR(t)
		first := h.want(200, "", lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr}).Body.Bytes()
		if again := h.want(200, "", lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr}).Body.Bytes(); !bytes.Equal(first, again) {
			t.Error("the same key got another certificate")
		}
		var answer enroll.RenewResponse
		must(t, json.Unmarshal(first, &answer))
		lane.cert = parse(t, answer.Certificate)
		if lane.cert.URIs[0].String() != "hhid://acme/12/lane/1" || !lane.cert.NotAfter.Equal(h.clock().Add(enroll.Lifetime)) {
			t.Errorf("certificate for %v until %v", lane.cert.URIs, lane.cert.NotAfter)
		}
	}
	_, csr := newCSR(t)
	h.pass(60*24*time.Hour + time.Second)
	h.want(403, enroll.ProblemExpired, lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr})
}

func TestCloneIsAnAlarm(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	_, csr := newCSR(t)
	_, clones := newCSR(t)
	h.want(200, "", lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr})
	h.want(409, enroll.ProblemSuperseded, lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: clones})
	if got := h.alarms(); len(got) != 1 || got[0] != "clone hhid://acme/12/lane/1" {
		t.Errorf("alarms %q", got)
	}
	if got := h.want(200, "", nil, "GET", "/metrics", nil).Body.String(); !strings.Contains(got, `centrald_alarms_total{type="clone"} 1`) {
		t.Error("the metrics do not tell")
	}
}

func TestRevokedMachine(t *testing.T) {
	h := start(t)
	lane, other := h.enrol(lane1), h.enrol(lane2)
	lane.resolve(visa, 1)
	must(t, h.st.Revoke(t.Context(), store.Act{}, lane1)) // as a command does, beside the server
	must(t, h.s.followRevocations(t.Context()))
	h.want(403, central.ProblemRevoked, lane, "POST", central.ResolvePath, lane.seal(visa, 1))
	h.want(403, central.ProblemRevoked, lane, "POST", central.ManifestPath, central.ManifestRequest{})
	_, csr := newCSR(t)
	h.want(403, enroll.ProblemRevoked, lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr})
	other.resolve(visa, 1)
	h.restart(Limits{})
	must(t, h.s.Load(t.Context()))
	h.want(403, central.ProblemRevoked, lane, "POST", central.ResolvePath, lane.seal(visa, 1))
}

func TestCertificateThatEndedOnAnOpenConnection(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	h.pass(enroll.Lifetime + time.Second)
	h.want(403, central.ProblemExpired, lane, "POST", central.ResolvePath, lane.seal(visa, 1))
}

func TestForeignCertificates(t *testing.T) {
	h, foreign := start(t), start(t)
	stranger := foreign.enrol(lane1)
	_, csr := newCSR(t)
	h.want(403, enroll.ProblemForbidden, stranger, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr})
	// One of this CA that is not in the database, as after a restored backup.
	der, err := h.s.Keys().ca.Issue(csr, enroll.Leaf{Name: lane1, NotBefore: h.clock(), NotAfter: h.clock().Add(time.Hour)})
	must(t, err)
	lost := &machine{h: h, name: lane1, cert: parse(t, der)}
	h.want(403, enroll.ProblemForbidden, lost, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr})
	// One for another retailer.
	der, err = h.s.Keys().ca.Issue(csr, enroll.Leaf{Name: enroll.Name{Tenant: "other", Shop: "1", Role: enroll.Lane, Lane: "1"}, NotBefore: h.clock(), NotAfter: h.clock().Add(time.Hour)})
	must(t, err)
	other := &machine{h: h, name: enroll.Name{Tenant: "other", Shop: "1", Role: enroll.Lane, Lane: "1"}, cert: parse(t, der)}
	h.want(403, central.ProblemForbidden, other, "POST", central.ResolvePath, other.seal(visa, 1))
	// One that names nobody.
	nameless := *other.cert
	nameless.URIs = nil
	h.want(403, central.ProblemForbidden, &machine{cert: &nameless}, "POST", central.ResolvePath, "{}")
}

func TestCentralRenewsItsOwnCertificate(t *testing.T) {
	h := start(t)
	old := h.s.identity.Current()
	h.pass(19 * 24 * time.Hour)
	must(t, h.s.issue(t.Context()))
	if h.s.identity.Current() != old {
		t.Error("renewed too early")
	}
	h.pass(2 * 24 * time.Hour)
	must(t, h.s.issue(t.Context()))
	if fresh := h.s.identity.Current(); fresh == old || !fresh.Certificate.Leaf.NotAfter.Equal(h.clock().Add(enroll.Lifetime).UTC()) {
		t.Errorf("not renewed: until %v", fresh.Certificate.Leaf.NotAfter)
	}
	if got := old.Certificate.Leaf; got.DNSNames[0] != "central.example" || got.URIs[0].String() != "hhid://acme/central" {
		t.Errorf("certificate for %v, %v", got.DNSNames, got.URIs)
	}
}

func TestMetricsCountOutcomes(t *testing.T) {
	h := start(t)
	lane, main := h.enrol(lane1), h.enrol(shop)
	lane.resolve(visa, 1)
	lane.resolve(visa, 2)
	h.want(403, central.ProblemForbidden, main, "POST", central.ResolvePath, "{}")
	text := h.want(200, "", nil, "GET", "/metrics", nil).Body.String()
	for _, line := range []string{
		`centrald_lookups_total{outcome="created"} 1`, `centrald_lookups_total{outcome="known"} 1`, `centrald_lookups_total{outcome="refused"} 1`,
		`centrald_lookups_total{outcome="opted-out"} 0`, `centrald_lookup_duration_seconds_count 3`,
		`centrald_enrolments_total{outcome="ok"} 2`, `centrald_index_tids 1`, `centrald_ready 1`, `centrald_degraded 0`,
		`centrald_problem{what="writing"} 0`, `centrald_alarms_total{type="clone"} 0`, `centrald_renewals_total{outcome="ok"} 0`, `centrald_lanes_quarantined 0`,
		fmt.Sprint("centrald_manifest_expiry_timestamp_seconds ", float64(h.clock().Add(manifestLifetime).Unix())), `go_goroutines `, `process_open_fds `,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no line %s", line)
		}
	}
	for _, secret := range []string{"acme", `lane="`, visa} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics name %s", secret)
		}
	}
}
