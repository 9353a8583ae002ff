package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"posd/central"
	"posd/identity"
)

// batch asks for all at once.
func (h *harness) batch(m *machine, all ...central.Request) []central.BatchItem {
	h.t.Helper()
	var answer central.BatchAnswer
	must(h.t, json.Unmarshal(h.want(200, "", m, "POST", central.BatchPath, central.BatchRequest{Items: all}).Body.Bytes(), &answer))
	if len(answer.Items) != len(all) {
		h.t.Fatalf("%d answers to %d requests", len(answer.Items), len(all))
	}
	return answer.Items
}

func TestBatch(t *testing.T) {
	h := prepare(t, Limits{Lookups: Rate{1.0 / 60, 8}, Failures: Rate{1, 10}, TIDs: Rate{1, 40}, Enrol: Rate{1, 10}})
	must(t, h.s.Load(t.Context()))
	lane, other := h.enrol(lane1), h.enrol(lane2)
	known := lane.resolve(visa, 1)
	tampered := lane.seal(visa, 4)
	tampered.Swipe = 5
	items := h.batch(lane, lane.seal(visa, 2), lane.seal(mastercard, 3), tampered, short(other.seal(visa, 6)), short(lane.seal(visa, 7)), short(other.seal(visa, 8)), lane.seal(visa, 9), lane.seal(visa, 10))
	for i, want := range []string{"", "", central.ProblemEncTIDRejected, central.ProblemUnknownEpoch, "", central.ProblemUnknownEpoch, "", central.ProblemQuota} {
		item := items[i]
		if want == "" && (item.Answer == nil || item.Problem != nil || item.Answer.State != identity.Resolved) || want != "" && (item.Answer != nil || item.Problem == nil || item.Problem.Type != want) {
			t.Errorf("item %d: %+v %+v, want %q", i, item.Answer, item.Problem, want)
		}
	}
	if a := items[0].Answer; a.HHID != known.HHID || a.Swipe != 2 {
		t.Errorf("a known card: %+v, want %+v", a, known)
	}
	if a := items[1].Answer; a.HHID == known.HHID || a.Swipe != 3 {
		t.Errorf("another card: %+v", a)
	}
	if items[7].RetryAfter != 60 {
		t.Errorf("over the quota: %+v", items[7])
	}
	h.want(429, central.ProblemQuota, lane, "POST", central.ResolvePath, lane.seal(visa, 11))
}

func TestBatchesOfAWrongSize(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	for _, n := range []int{0, central.MaxBatch + 1} {
		h.want(400, central.ProblemBadRequest, lane, "POST", central.BatchPath, central.BatchRequest{Items: make([]central.Request, n)})
	}
	all := make([]central.Request, central.MaxBatch)
	for i := range all {
		all[i] = lane.seal(visa, uint32(i))
	}
	for i, item := range h.batch(lane, all...) { // the longest there is
		if item.Answer == nil || item.Answer.Swipe != uint32(i) {
			t.Errorf("item %d: %+v", i, item)
		}
	}
}

// One bad item is no reason to refuse the others.
func TestBatchWithABadItem(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	text, err := json.Marshal(lane.seal(visa, 1))
	must(t, err)
	body := fmt.Sprintf(`{"items":[5,%s,{"swipe":"4111111111111111"}]}`, text)
	conn := h.dial(lane)
	go fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", central.BatchPath, len(body), body)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	var got central.BatchAnswer
	must(t, json.Unmarshal(answer, &got))
	if len(got.Items) != 3 || got.Items[0].Problem == nil || got.Items[1].Answer == nil || got.Items[2].Problem == nil || got.Items[2].Problem.Type != central.ProblemBadRequest || strings.Contains(string(answer), "4111") {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
}

// A batch that must wait stops there, and the rest is asked for again.
func TestBatchStopsWhereItIsBusy(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	lane.resolve(visa, 1)
	leave := h.s.households.occupy(time.Hour)
	items := h.batch(lane, short(lane.seal(visa, 2)), short(lane.seal(mastercard, 3)), short(lane.seal(visa, 4)))
	if items[0].Answer == nil {
		t.Errorf("a known card: %+v", items[0])
	}
	for _, item := range items[1:] {
		if item.Problem == nil || item.Problem.Type != central.ProblemUnavailable || item.RetryAfter == 0 {
			t.Errorf("what came after: %+v", item)
		}
	}
	leave()
	if got := h.batch(lane, short(lane.seal(mastercard, 3))); got[0].Answer == nil {
		t.Errorf("asked again: %+v", got[0])
	}
}
