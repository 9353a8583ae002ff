package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"posd/central"
	"posd/enroll"
	"posd/traceparent"
)

// TestLogLinesNameTheTrace: of lookups that a session or net/http has read, one after
// the other on one connection, and of operations.
func TestLogLinesNameTheTrace(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	var lines bytes.Buffer
	h.s.log = slog.New(slog.NewTextHandler(&lines, nil))
	h.st.fail(errBoom)
	line := func(heads ...string) string {
		t.Helper()
		lines.Reset()
		text, err := json.Marshal(lane.seal(visa, 1))
		must(t, err)
		conn := h.dial(lane)
		defer conn.Close()
		go fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
			central.ResolvePath, strings.Join(heads, ""), len(text), text)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("answered %s", resp.Status)
		}
		return lines.String()
	}
	id, parent := traceparent.New()
	traced, plain := "trace_id="+id.String(), "Traceparent: "+parent+"\r\n"
	for _, tc := range []struct {
		heads []string
		named bool
	}{
		{nil, false}, {[]string{plain}, true}, {[]string{strings.ToLower(plain[:11]) + plain[11:]}, true}, {[]string{plain, plain}, false},
		{[]string{"Traceparent: 00-x\r\n"}, false}, {[]string{"X!: net/http reads this\r\n"}, false}, {[]string{"X!: 1\r\n", plain}, true}, {[]string{plain, "X!: 1\r\n", plain}, false},
	} {
		if got := line(tc.heads...); strings.Contains(got, "trace_id=") != tc.named || strings.Contains(got, traced) != tc.named || !strings.Contains(got, "household not made") {
			t.Errorf("%q: named %v in %s", tc.heads, !tc.named, got)
		}
	}

	// Operations.
	h.st.fail(nil)
	_, csr := newCSR(t)
	body, err := json.Marshal(enroll.EnrollRequest{Secret: []byte("0123456789abcdef"), Role: enroll.Lane, CSR: csr})
	must(t, err)
	lines.Reset()
	r := httptest.NewRequestWithContext(t.Context(), "POST", enroll.EnrollPath, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(traceparent.Header, parent)
	w := httptest.NewRecorder()
	h.s.OperationsHandler().ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || !strings.Contains(lines.String(), traced) || !strings.Contains(lines.String(), "unknown token") {
		t.Errorf("%d, logged %s", w.Code, lines.String())
	}
}
