package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"posd/central"
	"posd/central/server/opener"
	"posd/central/server/store"
	"posd/enctid"
	"posd/enroll"
	"posd/sqldb"
)

func TestServerServesWhatIsDocumented(t *testing.T) {
	h := prepare(t, Limits{Lookups: Rate{1, 40}, Failures: Rate{1.0 / 60, 2}, TIDs: Rate{1, 40}, Enrol: Rate{1, 100}})
	must(t, h.doc.CheckRoutes(h.s.Routes()))

	h.want(503, "", nil, "GET", "/readyz", nil)
	lane, main := h.enrol(lane1), h.enrol(shop)
	h.want(503, central.ProblemUnavailable, lane, "POST", central.ManifestPath, central.ManifestRequest{})
	h.want(503, central.ProblemUnavailable, lane, "POST", central.ResolvePath, lane.seal(visa, 1))
	h.want(503, central.ProblemUnavailable, lane, "POST", central.BatchPath, central.BatchRequest{Items: []central.Request{lane.seal(visa, 1)}})
	must(t, h.s.Load(t.Context()))
	h.want(200, "", nil, "GET", "/readyz", nil)
	h.want(200, "", nil, "GET", "/healthz", nil)

	for _, path := range []string{central.ResolvePath, central.BatchPath, central.ManifestPath, enroll.RenewPath} {
		h.want(403, central.ProblemForbidden, nil, "POST", path, "{}")
		h.want(400, central.ProblemBadRequest, lane, "POST", path, "{}}")
		h.want(413, central.ProblemTooLarge, lane, "POST", path, strings.Repeat(" ", map[bool]int{true: 300_000, false: 5000}[path == central.BatchPath]))
		h.want(415, central.ProblemMediaType, lane, "POST", path, "{}", "text/plain")
	}
	h.want(400, central.ProblemBadRequest, nil, "POST", enroll.EnrollPath, "")
	h.want(413, central.ProblemTooLarge, nil, "POST", enroll.EnrollPath, strings.Repeat(" ", 5000))
	h.want(415, central.ProblemMediaType, nil, "POST", enroll.EnrollPath, "{}", "application/x-www-form-urlencoded")
	h.want(200, "", main, "POST", central.ManifestPath, central.ManifestRequest{Version: 7})
	h.want(403, central.ProblemForbidden, main, "POST", central.ResolvePath, lane.seal(visa, 1))
	h.want(403, central.ProblemForbidden, main, "POST", central.BatchPath, central.BatchRequest{Items: []central.Request{lane.seal(visa, 1)}})
	h.want(404, central.ProblemNotFound, lane, "POST", "/v1/other", nil)
	h.want(405, central.ProblemMethod, lane, "GET", central.ResolvePath, nil)

	short := lane.seal(visa, 1)
	short.EncTID = append(short.EncTID[:22], short.EncTID[22+enctid.EncSize:]...)
	short.EncTID[21] = 0 // no enc inline
	h.want(409, central.ProblemUnknownEpoch, lane, "POST", central.ResolvePath, short)
	lane.resolve(visa, 2)
	h.want(200, "", lane, "POST", central.ResolvePath, short)
	h.batch(lane, short)

	h.feedRefusals(lane, main)
	h.renewals(lane)
	h.quotas(lane)
	h.outage()
	h.retiredKey()
	h.want(200, "", nil, "GET", "/metrics", nil)
	if unseen := h.doc.Unseen(); len(unseen) > 0 {
		t.Errorf("documented and never seen: %q", unseen)
	}
}

func (h *harness) renewals(lane *machine) {
	h.t.Helper()
	_, csr := newCSR(h.t)
	h.want(200, "", lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr})
	_, other := newCSR(h.t)
	h.want(409, enroll.ProblemSuperseded, lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: other})
	h.want(403, enroll.ProblemTokenUnknown, nil, "POST", enroll.EnrollPath, enroll.EnrollRequest{Secret: make([]byte, 16), Role: enroll.Lane, CSR: csr})
}

func (h *harness) quotas(lane *machine) {
	h.t.Helper()
	bad := lane.seal(visa, 3)
	bad.Swipe = 4
	h.want(422, central.ProblemEncTIDRejected, lane, "POST", central.ResolvePath, bad)
	h.want(422, central.ProblemEncTIDRejected, lane, "POST", central.ResolvePath, bad)
	w := h.want(429, central.ProblemQuota, lane, "POST", central.ResolvePath, lane.seal(visa, 5))
	if got := w.Header().Get("Retry-After"); got != "60" {
		h.t.Errorf("Retry-After %q, want 60", got)
	}
	h.pass(time.Minute)
	h.want(200, "", lane, "POST", central.ResolvePath, lane.seal(visa, 6))
	for n := 0; n < 200; n++ {
		if w := h.do(lane, "POST", central.ResolvePath, "{}"); w.Code == 429 {
			break
		} else if n == 199 {
			h.t.Error("200 lookups at once")
		}
	}
	h.pass(time.Minute)
	for range 100 {
		h.do(nil, "POST", enroll.EnrollPath, "{}")
		h.do(nil, "POST", enroll.RenewPath, "{}")
	}
	h.want(429, central.ProblemQuota, nil, "POST", enroll.EnrollPath, "{}")
	for range 100 {
		h.want(400, central.ProblemBadRequest, lane, "POST", enroll.RenewPath, "{}") // strangers take nothing of it
	}
	h.want(429, central.ProblemQuota, lane, "POST", enroll.RenewPath, "{}")
	h.pass(2 * time.Minute)
}

func (h *harness) outage() {
	h.t.Helper()
	lane, token := h.enrol(lane2), h.token(enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "3"})
	known := lane.resolve(visa, 1)
	for _, err := range []error{sqldb.ErrFull, sqldb.ErrReadOnly, errBoom} {
		h.st.fail(fmt.Errorf("write /secret/path: %w", err))
		if got := lane.resolve(visa, 1); got != known {
			h.t.Errorf("a known card: %+v, want %+v", got, known)
		}
		w := h.want(503, central.ProblemUnavailable, lane, "POST", central.ResolvePath, lane.seal(mastercard, 1))
		status := h.want(200, "", nil, "GET", "/readyz", nil).Body.String()
		if strings.Contains(w.Body.String()+status, "secret") || !strings.Contains(status, Degraded) {
			h.t.Errorf("%v: %s, %s", err, w.Body, status)
		}
	}
	_, csr := newCSR(h.t)
	h.want(503, central.ProblemUnavailable, nil, "POST", enroll.EnrollPath, enroll.EnrollRequest{Secret: token, Role: enroll.Lane, CSR: csr})
	h.want(503, central.ProblemUnavailable, lane, "POST", enroll.RenewPath, enroll.RenewRequest{CSR: csr})
	h.st.fail(nil)
	lane.resolve(mastercard, 1)
	if got := h.want(200, "", nil, "GET", "/readyz", nil).Body.String(); strings.Contains(got, Degraded) {
		h.t.Errorf("afterwards: %s", got)
	}
}

// retiredKey puts a key beside the others that was destroyed.
func (h *harness) retiredKey() {
	h.t.Helper()
	must(h.t, h.s.opener.SetKeys(append(h.s.Keys().hpke, opener.PrivateKey{ID: 9, State: opener.Destroyed})))
	lane := &machine{h: h, name: lane2, cert: h.enrol(enroll.Name{Tenant: "acme", Shop: "12", Role: enroll.Lane, Lane: "9"}).cert}
	req := lane.seal(visa, 1)
	copy(req.EncTID[1:5], []byte{0, 0, 0, 9})
	h.want(410, central.ProblemKeyRetired, lane, "POST", central.ResolvePath, req)
}

func TestResolve(t *testing.T) {
	h := start(t)
	a, b := h.enrol(lane1), h.enrol(lane2)
	first := a.resolve(visa, 1)
	if got := b.resolve(visa, 2); got.HHID != first.HHID || got.DeIdentTID != first.DeIdentTID || got.Swipe != 2 {
		t.Errorf("another lane: %+v, want the ids of %+v", got, first)
	}
	if got := a.resolve(mastercard, 3); got.HHID == first.HHID || got.DeIdentTID == first.DeIdentTID {
		t.Errorf("another card: %+v", got)
	}
	// What is sealed for one lane is of no use to another.
	h.want(422, central.ProblemEncTIDRejected, b, "POST", central.ResolvePath, a.seal(visa, 4))
	h.restart(Limits{})
	must(t, h.s.Load(t.Context()))
	if got := a.resolve(visa, 1); got != first {
		t.Errorf("after a restart: %+v, want %+v", got, first)
	}
}

func TestEveryCryptographicFailureLooksAlike(t *testing.T) {
	h := prepare(t, Limits{Lookups: Rate{1, 1e6}, Failures: Rate{1, 1e6}, TIDs: Rate{1, 1e6}, Enrol: Rate{1, 1e6}})
	must(t, h.s.Load(t.Context()))
	lane := h.enrol(lane1)
	lane.resolve(visa, 1)
	good := lane.seal(visa, 1)
	var first string
	check := func(what string, req central.Request) {
		t.Helper()
		got := h.want(422, central.ProblemEncTIDRejected, lane, "POST", central.ResolvePath, req).Body.String()
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("%s: %s, want %s", what, got, first)
		}
	}
	for i := range good.EncTID {
		if i > 21 && i < 1140 && i%97 != 0 || i == 21 {
			continue // a sample of enc is enough; the flags are another matter
		}
		bad := good
		bad.EncTID = append([]byte(nil), good.EncTID...)
		bad.EncTID[i] ^= 1
		check(fmt.Sprint("byte ", i), bad)
	}
	for what, spoil := range map[string]func(*central.Request){
		"swipe": func(r *central.Request) { r.Swipe++ }, "time": func(r *central.Request) { r.SealedAt++ },
		"basket": func(r *central.Request) { r.Basket[0]++ }, "length": func(r *central.Request) { r.EncTID = r.EncTID[:40] },
	} {
		bad := good
		spoil(&bad)
		check(what, bad)
	}
}

func TestBadBodies(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	raw, err := json.Marshal(lane.seal(visa, 1))
	must(t, err)
	good := string(raw)
	for _, body := range []string{
		"", "null", "[]", "{", "{}", good + "{}", strings.Replace(good, "{", `{"tid":"4111111111111111",`, 1), strings.Replace(good, `"swipe":1`, `"swipe":"4111111111111111"`, 1),
		strings.Replace(good, `"swipe":1`, `"swipe":-1`, 1), strings.Replace(good, `"swipe":1`, `"swipe":4294967296`, 1),
		strings.Replace(good, `"enctid":"`, `"enctid":"%`, 1), strings.Replace(good, `"basket":"0`, `"basket":"x`, 1),
		`{"enctid":"AAAA","basket":"00000000-0000-0000-0000-000000000000","swipe":1,"sealed_at":1}`,
	} {
		w := h.want(400, central.ProblemBadRequest, lane, "POST", central.ResolvePath, body)
		if strings.Contains(w.Body.String(), "4111") {
			t.Errorf("%q: the answer repeats it: %s", body, w.Body)
		}
	}
}

func FuzzResolveBody(f *testing.F) {
	f.Add(`{"enctid":"AQ==","basket":"0191f0a0-0000-7000-8000-000000000001","swipe":1,"sealed_at":1}`)
	f.Add(`{"enctid":`)
	f.Add(strings.Repeat("[", 5000))
	f.Fuzz(func(t *testing.T, body string) {
		var req central.Request
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if p := decode(r, &req); p != nil && (p.Status < 400 || p.Status > 499 || p.Detail == "") {
			t.Errorf("%q: %+v", body, p)
		}
	})
}

func TestManifest(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	fetch := func() (central.Signed, central.Manifest) {
		t.Helper()
		var signed central.Signed
		must(t, json.Unmarshal(h.want(200, "", lane, "POST", central.ManifestPath, central.ManifestRequest{}).Body.Bytes(), &signed))
		m, err := signed.Verify(h.s.Keys().manifestKey, h.clock(), 1)
		must(t, err)
		return signed, m
	}
	_, m := fetch()
	if key, err := m.SealingKey(h.clock()); err != nil || key.ID != 1 || len(key.PublicKey) != enctid.PublicKeySize || m.Version != 1 || !m.ExpiresAt.Equal(m.IssuedAt.AddDate(0, 0, 30)) {
		t.Errorf("manifest %d until %v: key %d, %v", m.Version, m.ExpiresAt, key.ID, err)
	}
	h.restart(Limits{})
	must(t, h.s.Load(t.Context()))
	if _, again := fetch(); again.Version != 1 {
		t.Errorf("a restart issued version %d", again.Version)
	}
	h.pass(24 * time.Hour)
	must(t, h.s.issue(t.Context()))
	if _, next := fetch(); next.Version != 2 || !next.IssuedAt.Equal(h.clock().UTC()) {
		t.Errorf("after a day: version %d of %v", next.Version, next.IssuedAt)
	}
	h.st.fail(sqldb.ErrFull)
	h.pass(24 * time.Hour)
	if err := h.s.issue(t.Context()); err == nil {
		t.Error("a manifest was issued on a full disk")
	}
	if _, old := fetch(); old.Version != 2 || h.s.Status().State != Degraded {
		t.Errorf("on a full disk: version %d, %v", old.Version, h.s.Status())
	}
}

func TestStartOnAFullDisk(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	known := lane.resolve(visa, 1)
	h.pass(25 * time.Hour)
	h.restart(Limits{})
	h.st.Store = entriesOnly{h.st.Store}
	must(t, h.s.Load(t.Context()))
	if got := lane.resolve(visa, 1); got.HHID != known.HHID {
		t.Errorf("a known card: %+v", got)
	}
	h.want(200, "", lane, "POST", central.ManifestPath, central.ManifestRequest{})
	if got := h.want(200, "", nil, "GET", "/metrics", nil).Body.String(); !strings.Contains(got, `centrald_problem{what="writing"} 1`) {
		t.Error("the metrics do not tell")
	}
	if st := h.s.Status(); st.State != Degraded || !strings.Contains(strings.Join(st.Reasons, " "), "full") {
		t.Errorf("status %+v", st)
	}
}

// entriesOnly is a store on a full disk.
type entriesOnly struct{ store.Store }

func (f entriesOnly) IssueManifest(context.Context, func(uint64) (central.Manifest, central.Signed, error)) (central.Signed, error) {
	return central.Signed{}, fmt.Errorf("write: %w", sqldb.ErrFull)
}
