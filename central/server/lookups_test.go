package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"posd/central"
	"posd/central/server/directory"
	"posd/central/server/lookuplog"
	"posd/enctid"
	"posd/identity"
	"posd/strictjson"
)

// short takes enc out of an EncTID.
func short(req central.Request) central.Request {
	req.EncTID = slices.Delete(slices.Clone(req.EncTID), enctid.Size-60, enctid.Size-60+enctid.EncSize)
	req.EncTID[21] = 0
	return req
}

type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error)      { return len(b), nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }

// A lookup of a known card allocates nothing, from the EncTID to the household and
// from the request to the answer.
func TestLookupsAllocateNothing(t *testing.T) {
	if racing {
		t.Skip("the race detector has pools forget things")
	}
	h := prepare(t, Limits{Lookups: Rate{1, 1e9}, Failures: Rate{1, 10}, TIDs: Rate{1, 1e9}, Enrol: Rate{1, 10}})
	must(t, h.s.Load(t.Context()))
	lane := h.enrol(lane1)
	lane.resolve(visa, 1)
	req := short(lane.seal(visa, 2))
	v := h.s.visitor(*lane.state())
	text, err := json.Marshal(req)
	must(t, err)

	w := newWork()
	check := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, f); n >= 1 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	check("from the EncTID to the household", func() {
		if found, outcome, p := h.s.find(v, &req, w.slot, live); outcome != outcomeKnown || found.DeIdentVersion != 1 {
			t.Error(outcome, p)
		}
	})
	c := &session{front: h.front, conn: discard{}, visitor: v}
	check("from the request to the answer", func() {
		if !c.answer(head{path: central.ResolvePath}, text) {
			t.Error("the connection ended")
		}
	})
}

// With a response floor, what tells of a household takes the same time, known or not.
func TestResponseFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{floor: 5 * time.Millisecond}
		for outcome, want := range map[string]time.Duration{
			outcomeKnown: s.floor, outcomeCreated: s.floor, outcomeOptedOut: s.floor, outcomeRejected: time.Millisecond, outcomeBusy: time.Millisecond,
		} {
			begun := time.Now()
			time.Sleep(time.Millisecond) // the work
			s.hold(begun, outcome)
			if took := time.Since(begun); took != want {
				t.Errorf("%s: after %v, want %v", outcome, took, want)
			}
		}
	})
}

// Every item of a batch is logged like a request of its own.
func TestBatchesAreLogged(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	dir := t.TempDir()
	log, err := lookuplog.Open(lookuplog.Options{Dir: dir, Days: 1})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		log.Run(ctx)
	}()
	h.s.lookupLog = log
	bad := lane.seal(visa, 2)
	bad.SealedAt++
	h.batch(lane, lane.seal(visa, 1), bad, lane.seal(visa, 3))
	stop()
	<-done
	var got []string
	_, err = lookuplog.Read(dir, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), func(e lookuplog.Entry) error {
		got = append(got, fmt.Sprint(e.Swipe, " ", e.Outcome))
		return nil
	})
	must(t, err)
	if want := []string{"1 created", "2 rejected", "3 known"}; !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestParseRequest(t *testing.T) {
	h := start(t)
	req := h.enrol(lane1).seal(visa, 4294967295)
	for _, req := range []central.Request{req, short(req)} {
		text, err := json.Marshal(req)
		must(t, err)
		for _, text := range [][]byte{text, bytes.ReplaceAll(text, []byte(`,"`), []byte(" ,\n\t\"")), append([]byte(" \r\n"), text...)} {
			var got central.Request
			if !parseRequest(text, &got, make([]byte, len(newWork().enctid))) || got.Basket != req.Basket || got.Swipe != req.Swipe || got.SealedAt != req.SealedAt || !bytes.Equal(got.EncTID, req.EncTID) {
				t.Errorf("%s gave %+v", text, got)
			}
		}
	}
}

// What the fast parser takes, strictjson takes as the same.
func FuzzParseRequest(f *testing.F) {
	const good = `{"enctid":"AQIDBA==","basket":"0191f0a0-0000-7000-8000-000000000001","swipe":1,"sealed_at":1764000000000}`
	f.Add(good)
	for _, change := range [][2]string{
		{`"swipe":1`, `"swipe":01`}, {`"swipe":1`, `"swipe":4294967296`}, {`"swipe":1`, `"swipe":1.0`}, {`"swipe":1`, `"swipe":-0`}, {`"swipe":1`, `"swipe":null`},
		{`"swipe":1`, `"swipe":1,"swipe":2`}, {`"swipe"`, `"Swipe"`}, {`"swipe"`, `"\u0073wipe"`}, {`1764000000000`, `9223372036854775807`}, {`1764000000000`, `9223372036854775808`},
		{`AQIDBA==`, `AQIDBB==`}, {`AQIDBA==`, `AQIDBA`}, {`AQIDBA==`, `AQ\nIDBA==`}, {`"AQIDBA=="`, `[1,2]`}, {`0191f0a0-0000`, `{0191f0a0000`}, {`000001"`, `00000g"`}, {`}`, `,}`}, {`}`, `}}`}, {`}`, "} \n"},
	} {
		f.Add(strings.Replace(good, change[0], change[1], 1))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var fast, strict central.Request
		if !parseRequest([]byte(text), &fast, make([]byte, len(newWork().enctid))) {
			return
		}
		if err := strictjson.Unmarshal([]byte(text), &strict); err != nil {
			t.Fatalf("%q was taken: %v", text, err)
		}
		if fast.Basket != strict.Basket || fast.Swipe != strict.Swipe || fast.SealedAt != strict.SealedAt || !bytes.Equal(fast.EncTID, strict.EncTID) {
			t.Errorf("%q gave %+v, strictly %+v", text, fast, strict)
		}
	})
}

func FuzzAppendAnswer(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef01234567"), uint32(7), uint16(3))
	f.Add(make([]byte, 40), uint32(0), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, swipe uint32, version uint16) {
		if len(b) < 40 || version == 0 || version > 9999 {
			return
		}
		req := central.Request{Basket: uuid.UUID(b[:16]), Swipe: swipe}
		found := directory.Answer{State: identity.Resolved, HHID: identity.HHID(b[16:24]), DeIdent: [16]byte(b[24:40]), DeIdentVersion: int(version)}
		if found.HHID.IsZero() {
			found = directory.Answer{State: identity.OptedOut}
		}
		want, err := json.Marshal(central.Answer{Basket: req.Basket, Swipe: req.Swipe, State: found.State, HHID: found.HHID, DeIdentTID: found.DeIdentTID()})
		must(t, err)
		if got := appendAnswer(nil, &req, &found); !bytes.Equal(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// What the fast parser takes for the head of a request, net/http takes as the same.
func FuzzParseHead(f *testing.F) {
	const good = "POST /v1/resolve HTTP/1.1\r\nHost: central.example:8443\r\nContent-Type: application/json\r\nContent-Length: 12"
	f.Add(good)
	for _, change := range [][2]string{
		{"POST", "post"}, {"POST", "GET"}, {"1.1", "1.0"}, {"/v1/resolve", "/v1/resolv%65"}, {"/v1/resolve", "/v1/resolve?"}, {"/v1/resolve", "https://x/v1/resolve"}, {" HTTP", "  HTTP"},
		{"Host:", "Host :"}, {"Host:", "Host:\r\n "}, {"Host: central.example:8443", "Host: a b"}, {"Host: central.example:8443\r\n", ""}, {"Host", "Host: x\r\nHost"},
		{"12", "+12"}, {"12", "12, 12"}, {"12", "012"}, {"12", "12\r\nContent-Length: 12"}, {"12", "12\r\nContent-Length: 13"}, {"12", "12\r\nTransfer-Encoding: chunked"}, {"12", "12\r\nTransfer-Encoding : x"},
		{"12", "12\r\nConnection: close"}, {"12", "12\r\nConnection: keep-alive, close"}, {"12", "12\r\nConnection: upgrade"}, {"12", "12\r\nExpect: 100-continue"}, {"12", "12\r\nX: \x00"}, {"12", "12\r\nX: a\rb"}, {"12", "12\nX: a"}, {"\r\nHost", "\nHost"},
	} {
		f.Add(strings.Replace(good, change[0], change[1], 1))
	}
	paths := map[string]lookup{central.ResolvePath: {path: central.ResolvePath}, central.ManifestPath: {path: central.ManifestPath}}
	f.Fuzz(func(t *testing.T, text string) {
		h, ok := parseHead([]byte(text), paths)
		if !ok || strings.Contains(text, "\r\n\r\n") { // the session never gives it more than one head
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n\r\n")))
		if err != nil {
			t.Fatalf("%q was taken: %v", text, err)
		}
		if r.Method != "POST" || r.URL.Path != h.path || r.URL.RawQuery != "" || r.ContentLength != int64(h.length) || r.Close != h.close || len(r.TransferEncoding) > 0 ||
			r.Host == "" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Expect") != "" || !r.ProtoAtLeast(1, 1) {
			t.Errorf("%q gave %+v, by net/http %+v", text, h, r)
		}
	})
}

// dial gives the other end of a connection to a session of a lane.
func (h *harness) dial(m *machine) net.Conn {
	h.t.Helper()
	caller, raw := net.Pipe()
	h.t.Cleanup(func() { caller.Close() })
	go h.front.attend(&session{front: h.front, raw: raw, conn: raw, visitor: h.s.visitor(*m.state())})
	return caller
}

// Whatever comes over one connection, plain or not, is answered in its order.
func TestSessions(t *testing.T) {
	h := start(t)
	lane := h.enrol(lane1)
	lane.resolve(visa, 1)
	text, err := json.Marshal(short(lane.seal(visa, 2)))
	must(t, err)
	plain := "POST /v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(text)) + "\r\n"
	whole := plain + "\r\n" + string(text)
	chunked := "POST /v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strconv.FormatInt(int64(len(text)), 16) + "\r\n" + string(text) + "\r\n0\r\n\r\n"
	for _, tc := range []struct {
		name, send string
		want       []int
		ends       bool
	}{
		{"one", whole, []int{200}, false},
		{"pipelined", whole + whole + whole, []int{200, 200, 200}, false},
		{"the last", plain + "Connection: close\r\n\r\n" + string(text), []int{200}, true},
		{"chunked", whole + chunked + whole, []int{200, 200, 200}, false},
		{"continue", plain + "Expect: 100-continue\r\n\r\n" + string(text), []int{100, 200}, false},
		{"a bad body", strings.Replace(whole, `{`, `[`, 1) + whole, []int{400, 200}, false},
		{"another path", strings.Replace(whole, "/resolve", "/other", 1) + whole, []int{404, 200}, false},
		{"another method", "GET /v1/resolve HTTP/1.1\r\nHost: x\r\n\r\n" + whole, []int{405, 200}, false},
		{"a long head", strings.Replace(whole, "Host", "X: "+strings.Repeat("x", 20000)+"\r\nHost", 1), []int{431}, true},
		{"no HTTP", "\x16\x03\x01 hello\r\n\r\n", []int{400}, true},
		{"two lengths", strings.Replace(whole, "Content-Length", "Content-Length: 3\r\nContent-Length", 1) + whole, []int{400}, true},
		{"length and chunks", strings.Replace(chunked, "Transfer", "Content-Length: 3\r\nTransfer", 1), []int{200}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := h.dial(lane)
			must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
			go func() {
				for b := range slices.Chunk([]byte(tc.send), 700) {
					conn.Write(b)
				}
			}()
			in := bufio.NewReader(conn)
			for i, want := range tc.want {
				resp, err := http.ReadResponse(in, &http.Request{Method: "POST"})
				must(t, err)
				body, err := io.ReadAll(resp.Body)
				must(t, err)
				if resp.StatusCode != want || want == 200 && !strings.Contains(string(body), `"swipe":2`) {
					t.Fatalf("answer %d: %s %s, want %d", i, resp.Status, body, want)
				}
				if date, err := http.ParseTime(resp.Header.Get("Date")); want != 100 && want != 431 && (want != 400 || !tc.ends) && (err != nil || time.Since(date).Abs() > 10*time.Second || resp.Header.Get("Cache-Control") != "no-store") {
					t.Errorf("answer %d: %v", i, resp.Header)
				}
			}
			if tc.ends {
				if _, err := in.ReadByte(); err != io.EOF {
					t.Errorf("the connection goes on: %v", err)
				}
			}
		})
	}
}
