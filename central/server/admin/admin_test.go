package admin

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/central/server"
	"posd/central/server/store"
	"posd/central/server/vault"
	"posd/enroll"
	"posd/unixsocket"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// central is one in a new database at path.
func central(t *testing.T) (c *Central, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "central.db")
	st, err := store.Open(t.Context(), path, false)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	kek, err := vault.New(make([]byte, vault.KeySize))
	must(t, err)
	must(t, server.Init(t.Context(), st, kek, server.Setup{Tenant: "acme", Hosts: []string{"localhost"}, Now: now}))
	return &Central{Store: st, Now: func() time.Time { return now }}, path
}

func local(t *testing.T, c *Central) *Client {
	t.Helper()
	client := Local(c, func() {})
	t.Cleanup(client.Close)
	return client
}

func lane(n string) enroll.Name { return enroll.Name{Shop: "12", Role: enroll.Lane, Lane: n} }

func TestActsAreRecordedWithTheirActor(t *testing.T) {
	c, _ := central(t)
	changes := 0
	c.Changed = func() { changes++ }
	socket := filepath.Join(t.TempDir(), "admin.sock")
	l, err := unixsocket.Listen(socket)
	must(t, err)
	srv := c.Server()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	defer func() { srv.Close(); <-done }()
	client, ok := Dial(t.Context(), socket)
	if !ok {
		t.Fatal("nobody listens")
	}
	defer client.Close()

	tokens, err := Call[[]Token](t.Context(), client, "tokens.create", TokensRequest{Machines: []enroll.Name{lane("1"), lane("2")}})
	must(t, err)
	if len(tokens) != 2 || tokens[1].Lane != "2" || tokens[1].Tenant != "acme" || !strings.HasPrefix(tokens[1].Token, "hhe1.") {
		t.Errorf("tokens %+v", tokens)
	}
	_, err = Call[string](t.Context(), client, "lanes.revoke", MachineRequest{Machine: lane("1")})
	must(t, err)
	if changes != 2 {
		t.Errorf("told of %d changes, want 2", changes)
	}
	records, err := Call[[]store.Record](t.Context(), client, "audit.list", AuditRequest{After: 1, Limit: 10})
	must(t, err)
	if len(records) != 2 || records[1].Action != "lanes revoke" || records[1].Actor != userName(os.Getuid()) || !strings.Contains(string(records[0].Detail), "hhid://acme/12/lane/2") {
		t.Errorf("records %+v", records)
	}
	if strings.Contains(string(records[0].Detail), "hhe1.") {
		t.Error("the audit log holds a token")
	}
}

func TestWithoutAServerTheActorSaysSo(t *testing.T) {
	c, _ := central(t)
	_, err := Call[[]Token](t.Context(), local(t, c), "tokens.create", TokensRequest{Machines: []enroll.Name{lane("1")}})
	must(t, err)
	records, err := c.Store.Audit(t.Context(), 1, 10)
	must(t, err)
	if len(records) != 1 || !strings.HasSuffix(records[0].Actor, ", no server running") {
		t.Errorf("records %+v", records)
	}
}

func TestRefusals(t *testing.T) {
	c, _ := central(t)
	client := local(t, c)
	for _, tc := range []struct {
		operation string
		request   any
		misuse    bool
		says      string
	}{
		{"lanes.revoke", MachineRequest{Machine: lane("9")}, false, "revoke hhid://acme/12/lane/9: it was never enrolled"},
		{"lanes.revoke", MachineRequest{Tenant: "other", Machine: lane("9")}, false, "no retailer other"},
		{"tokens.create", TokensRequest{Machines: []enroll.Name{lane("a b")}}, true, `bad lane "a b"`},
		{"lanes.revoke", "x", true, "of the same version"},
		{"lanes.sing", None{}, false, "older than the command"},
	} {
		_, err := Call[any](t.Context(), client, tc.operation, tc.request)
		if err == nil || errors.Is(err, ErrMisuse) != tc.misuse || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", tc.operation, err)
		}
	}
	if records, err := c.Store.Audit(t.Context(), 1, 10); err != nil || len(records) != 0 {
		t.Errorf("what was refused is in the audit log: %v, %v", records, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Call[any](ctx, client, "lanes.list", None{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestAuditLogShowsWhatWasTamperedWith(t *testing.T) {
	c, path := central(t)
	client := local(t, c)
	for _, n := range []string{"1", "2", "3"} {
		_, err := Call[[]Token](t.Context(), client, "tokens.create", TokensRequest{Machines: []enroll.Name{lane(n)}})
		must(t, err)
	}
	whole, err := Call[Verified](t.Context(), client, "audit.verify", VerifyRequest{})
	if err != nil || whole.Records != 4 {
		t.Fatalf("%+v, %v", whole, err)
	}
	noted := VerifyRequest{whole.Records, whole.Head}
	_, err = Call[Verified](t.Context(), client, "audit.verify", noted)
	must(t, err)
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	defer db.Close()
	for _, tc := range []struct {
		tamper, mend, says string
		noted              VerifyRequest
	}{
		{`UPDATE audit SET actor = 'x' || actor WHERE number = 3`, `UPDATE audit SET actor = substr(actor, 2) WHERE number = 3`, "record 3 was changed", VerifyRequest{}},
		{`UPDATE audit SET number = 9 WHERE number = 2`, `UPDATE audit SET number = 2 WHERE number = 9`, "record 2 was changed, or is missing", VerifyRequest{}},
		{`SELECT 1`, `SELECT 1`, "record 4 is not the one", VerifyRequest{4, store.Hash{1}}},
		{`DELETE FROM audit WHERE number = 4`, `SELECT 1`, "its end was cut off", noted},
	} {
		mustExec(t, db, tc.tamper)
		_, err := Call[Verified](t.Context(), client, "audit.verify", tc.noted)
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", tc.tamper, err)
		}
		mustExec(t, db, tc.mend)
	}
}

// echo is an operation that streams what it reads, line by line.
func echo(_ context.Context, fail string, in io.Reader, out func(any) error) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() == fail {
			return errors.New("it says " + fail)
		}
		if err := out(lines.Text()); err != nil {
			return err
		}
	}
	return nil
}

func TestStreams(t *testing.T) {
	client := serveOperation(t, streams("echo", echo))
	in, feed := io.Pipe()
	answers := make(chan string)
	ended := make(chan error, 1)
	go func() {
		ended <- client.Stream(t.Context(), "echo", "end", in, func(line []byte) error { answers <- string(line); return nil })
	}()
	for _, word := range []string{"a", "b"} { // each is answered before the next is sent
		io.WriteString(feed, word+"\n")
		if got := <-answers; got != `"`+word+`"` {
			t.Errorf("got %s", got)
		}
	}
	io.WriteString(feed, "end\n")
	if err := <-ended; err == nil || err.Error() != "it says end" {
		t.Errorf("ended with %v", err)
	}
	err := client.Stream(t.Context(), "echo", "now", strings.NewReader("now\n"), func([]byte) error { return nil })
	if err == nil || err.Error() != "it says now" {
		t.Errorf("a stream that fails at once: %v", err)
	}
	must(t, client.Stream(t.Context(), "echo", "", strings.NewReader("x\n"), func([]byte) error { return nil }))
}

// serveOperation serves one operation alone.
func serveOperation(t *testing.T, op operation) *Client {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := op.serve(w, r); err != nil {
			toProblem(err).Write(w)
		}
	})}
	go srv.Serve(l)
	client := newClient(l.dial)
	t.Cleanup(func() { client.Close(); srv.Close() })
	return client
}

func mustExec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.Exec(statement)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPours(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	client := serveOperation(t, pours("pour", func(_ context.Context, fail string, out io.Writer) error {
		if fail == "at once" {
			return misuse("it says so")
		}
		if _, err := io.WriteString(out, long); err != nil || fail == "" {
			return err
		}
		return errors.New("it says " + fail)
	}))
	for _, tc := range []struct{ fail, says, got string }{{"", "", long}, {"later", "it says later", long}, {"at once", "it says so", ""}} {
		var got strings.Builder
		err := client.Pour(t.Context(), "pour", tc.fail, &got)
		if got.String() != tc.got || (err == nil) != (tc.says == "") || err != nil && err.Error() != tc.says {
			t.Errorf("%q: %d bytes, %v", tc.fail, got.Len(), err)
		}
	}
}
