package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"posd/central"
	"posd/central/server/importer"
	"posd/central/server/store"
	"posd/cli"
	"posd/enctid"
	"posd/enroll"
	"posd/tid"
)

// output is what a program wrote, and tells when something appears in it.
type output struct {
	mu   sync.Mutex
	cond *sync.Cond
	text bytes.Buffer
}

func newOutput() *output {
	o := &output{}
	o.cond = sync.NewCond(&o.mu)
	return o
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.cond.Broadcast()
	return o.text.Write(b)
}

// wait waits for a pattern and returns what its first group matches.
func (o *output) wait(t *testing.T, pattern string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, o.cond.Broadcast)()
	re := regexp.MustCompile(pattern)
	o.mu.Lock()
	defer o.mu.Unlock()
	for ctx.Err() == nil {
		if found := re.FindSubmatch(o.text.Bytes()); found != nil {
			return string(found[len(found)-1])
		}
		o.cond.Wait()
	}
	t.Fatalf("no %q in:\n%s", pattern, o.text.String())
	return ""
}

// centrald runs a command to its end.
func centrald(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Main(root, cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Context: t.Context()})
	return status, out.String(), errs.String()
}

// ok runs a command that must succeed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := centrald(t, args...)
	if status != 0 {
		t.Fatalf("%q: status %d: %s", args, status, errs)
	}
	return out
}

// serve runs centrald until the test ends, or stop is called.
func serve(t *testing.T, database string, flags ...string) (log *output, stop func() int) {
	t.Helper()
	log = newOutput()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(root, cli.Env{
			Args:  append([]string{"serve", "--database", database, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, flags...),
			Stdin: strings.NewReader(""), Stdout: log, Stderr: log, Context: ctx,
		})
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-done
	})
	t.Cleanup(func() { stop() })
	log.wait(t, `msg="answering lookups"`)
	return log, stop
}

func resolver(t *testing.T, credentials *enroll.Store) func(number string) (central.Answer, error) {
	t.Helper()
	own := credentials.Current()
	client, err := central.NewClient(own.LookupURL, enroll.ClientConfig(credentials, enroll.Name{Role: enroll.Central}))
	must(t, err)
	t.Cleanup(client.Close)
	signed, err := client.Manifest(t.Context(), 0)
	must(t, err)
	m, err := signed.Verify(own.ManifestKey, time.Now(), 1)
	must(t, err)
	key, err := m.SealingKey(time.Now())
	must(t, err)
	epoch, err := enctid.NewEpoch(enctid.PublicKey{ID: enctid.KeyID(key.ID), Key: key.PublicKey}, enctid.Binding{Tenant: own.Name.Tenant, Lane: own.Name.LaneName()})
	must(t, err)
	return func(number string) (central.Answer, error) {
		secret, err := tid.NewPayment([]byte(number))
		must(t, err)
		defer secret.Wipe()
		req := central.Request{Basket: uuid.New(), Swipe: 1, SealedAt: 1}
		short, err := epoch.Seal(secret, enctid.Context{Basket: req.Basket, Swipe: 1, SealedAt: 1})
		must(t, err)
		req.EncTID, err = enctid.WithEnc(short, epoch.Enc())
		must(t, err)
		return client.Resolve(t.Context(), req)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func enrol(t *testing.T, database, operations string, args ...string) *enroll.Store {
	t.Helper()
	token, err := enroll.ParseToken(ok(t, append([]string{"tokens", "create", "--database", database}, args...)...))
	must(t, err)
	dir := filepath.Join(t.TempDir(), "credentials")
	_, err = enroll.Enroll(t.Context(), operations, token, enroll.Lane, dir)
	must(t, err)
	credentials, err := enroll.Load(dir)
	must(t, err)
	return credentials
}

// TestServe runs a service and an operator's commands beside it.
func TestServe(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	log, stop := serve(t, database)
	operations := log.wait(t, `operations_url=(\S+)`)
	ask := resolver(t, enrol(t, database, operations, "--store", "12", "--lane", "1"))

	first, err := ask("4111111111111111")
	must(t, err)
	second, err := ask("5555555555554444")
	must(t, err)
	if first.HHID == second.HHID {
		t.Fatalf("two strangers share %v", first.HHID)
	}
	ok(t, "households", "link", "--database", database, "--household", first.HHID.String(), "--deident", string(second.DeIdentTID))
	eventually(t, func() error {
		got, err := ask("5555555555554444")
		if err == nil && got.HHID != first.HHID {
			return fmt.Errorf("the card's household is %v", got.HHID)
		}
		return err
	})
	if status, _, errs := centrald(t, "serve", "--database", database); status != 1 || !strings.Contains(errs, "another process holds it") {
		t.Errorf("a second service: %d, %s", status, errs)
	}
	if status, _, errs := centrald(t, "tokens", "create", "--database", database, "--store", "12", "--lane", "1"); status != 1 || !strings.Contains(errs, "--replace") {
		t.Errorf("a lane that is enrolled: %d, %s", status, errs)
	}
	replaced := resolver(t, enrol(t, database, operations, "--store", "12", "--replace", "1"))
	if got, err := replaced("4111111111111111"); err != nil || got.HHID != first.HHID {
		t.Errorf("the machine in its place: %v, %v", got.HHID, err)
	}
	eventually(t, func() error {
		if _, err := ask("4111111111111111"); err == nil || !strings.Contains(err.Error(), "revoked") {
			return fmt.Errorf("the machine replaced: %v", err)
		}
		return nil
	})
	var lanes []store.Machine
	must(t, json.Unmarshal([]byte(ok(t, "lanes", "list", "--database", database, "--json")), &lanes))
	if len(lanes) != 1 || lanes[0].State != store.Enrolled || lanes[0].Certificates != 2 {
		t.Errorf("lanes %+v", lanes)
	}
	begun := time.Now()
	if status := stop(); status != 0 || time.Since(begun) > 5*time.Second {
		t.Errorf("ended with %d after %v", status, time.Since(begun))
	}
	if text := log.text.String(); strings.Contains(text, "4111111111111111") || strings.Contains(text, "5555555555554444") {
		t.Errorf("the log holds a card number:\n%s", text)
	}
}

// eventually tries every 20 ms, for ten seconds at most.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal(err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	status, _, errs := centrald(t, "serve", "--database", database, "--listen", l.Addr().String(), "--ops-listen", "127.0.0.1:0")
	if status != 1 || !strings.Contains(errs, "another program holds that port") {
		t.Errorf("status %d: %s", status, errs)
	}
	if status, _, errs := centrald(t, "serve", "--database", database, "--response-floor", "2s"); status != 2 || !strings.Contains(errs, "between 0 and 1s") {
		t.Errorf("status %d: %s", status, errs)
	}
	if status, _, errs := centrald(t, "serve", "--database", database, "--lookup-url", "http://x"); status != 2 || !strings.Contains(errs, "https://host:port") {
		t.Errorf("status %d: %s", status, errs)
	}
}

// TestSystemdIsTold is not parallel: the environment is the process's.
func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "150000")
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	_, stop := serve(t, database)
	receive := func(want string) {
		t.Helper()
		must(t, socket.SetReadDeadline(time.Now().Add(20*time.Second)))
		b := make([]byte, 4096)
		for {
			n, err := socket.Read(b)
			if err != nil {
				t.Fatalf("waiting for %q: %v", want, err)
			}
			if strings.Contains(string(b[:n]), want) {
				return
			}
		}
	}
	receive("READY=1\nSTATUS=ready, 0 cards and numbers known")
	receive("WATCHDOG=1")
	stop()
	receive("STOPPING=1")
}

// TestImportWhileLanesAsk: a card that a lane shows while an operator's command,
// another process for the database, brings the same card gets one household.
func TestImportWhileLanesAsk(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	log, _ := serve(t, database)
	ask := resolver(t, enrol(t, database, log.wait(t, `operations_url=(\S+)`), "--store", "12", "--lane", "1"))
	var cards []string
	var file strings.Builder
	for n := range 60 {
		body := fmt.Sprintf("411111%09d", n)
		for check := range 10 {
			if secret, err := tid.NewPayment(fmt.Appendf(nil, "%s%d", body, check)); err == nil {
				secret.Wipe()
				cards = append(cards, fmt.Sprintf("%s%d", body, check))
				fmt.Fprintf(&file, "{\"family\":\"f%d\",\"kind\":\"payment\",\"tid\":\"%s%d\"}\n", n, body, check)
			}
		}
	}
	var out, errs bytes.Buffer
	linked := make(chan int, 1)
	go func() {
		linked <- cli.Main(root, cli.Env{Args: []string{"import", "--database", database, "-", "--json"},
			Stdin: strings.NewReader(file.String()), Stdout: &out, Stderr: &errs, Context: t.Context()})
	}()
	answers := make([]string, len(cards))
	for i := range cards {
		n := len(cards) - 1 - i // from the other end: they meet
		a, err := ask(cards[n])
		must(t, err)
		answers[n] = a.HHID.String()
	}
	if status := <-linked; status != 0 {
		t.Fatalf("import: %d %s", status, errs.String())
	}
	var done importer.Result
	must(t, json.Unmarshal(out.Bytes(), &done))
	if int(done.Added+done.Kept) != len(cards) || done.Moved+done.Rejected > 0 {
		t.Errorf("%+v for %d cards", done, len(cards))
	}
	for n, card := range cards {
		if a, err := ask(card); err != nil || a.HHID.String() != answers[n] {
			t.Errorf("card %d: the lane was told %s, then %s, %v", n, answers[n], a.HHID, err)
		}
	}
	if all := strings.Count(ok(t, "households", "list", "--database", database, "--json"), "\n"); all != len(cards) {
		t.Errorf("%d households for %d cards", all, len(cards))
	}
}

func TestCommandsGoThroughTheRunningServer(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "c.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	_, stop := serve(t, database)
	must(t, os.Rename(filepath.Join(filepath.Dir(database), "kek"), filepath.Join(filepath.Dir(database), "away")))
	ok(t, "tokens", "create", "--database", database, "--store", "12", "--lane", "3")
	if log := ok(t, "audit", "list", "--database", database, "--after", "1"); !strings.Contains(log, "tokens create") || strings.Contains(log, "no server running") {
		t.Errorf("audit log:\n%s", log)
	}
	if code := stop(); code != 0 {
		t.Errorf("status %d", code)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(database), "admin.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if log := ok(t, "audit", "list", "--database", database, "--after", "1"); !strings.Contains(log, "tokens create") {
		t.Errorf("without a server:\n%s", log)
	}
}

func TestLookupsGoOnWithoutTheAdminSocket(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "c.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	must(t, os.WriteFile(filepath.Join(filepath.Dir(database), "admin.sock"), nil, 0o600))
	log, _ := serve(t, database)
	log.wait(t, `msg="no commands are taken from this machine; lookups go on" error=".*this is no socket`)
	ok(t, "lanes", "list", "--database", database)
}

func TestLookupsAreLogged(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "c.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	log, stop := serve(t, database)
	operations := log.wait(t, `operations_url=(\S+)`)
	ask := resolver(t, enrol(t, database, operations, "--store", "12", "--lane", "1"))
	var last central.Answer
	for range 2 {
		var err error
		last, err = ask("4111111111111111")
		must(t, err)
	}
	lookups := func(args ...string) string {
		return ok(t, append([]string{"audit", "lookups", "--database", database}, args...)...)
	}
	list := lookups("--json")
	if strings.Count(list, "\n") != 2 || strings.Count(list, `"lane":"hhid://acme/12/lane/1"`) != 2 || !strings.Contains(list, `"outcome":"created"`) ||
		!strings.Contains(list, `"basket":"`+last.Basket.String()+`","swipe":1,"outcome":"known"}`) {
		t.Errorf("lookups:\n%s", list)
	}
	if list := lookups("--store", "12", "--lane", "1"); strings.Count(list, "hhid://acme/12/lane/1") != 2 {
		t.Errorf("of the lane:\n%s", list)
	}
	for _, none := range [][]string{{"--store", "12", "--lane", "2"}, {"--since", "2100-01-01"}, {"--until", "2020-01-01T00:00:00Z"}} {
		if list := lookups(none...); list != "Nothing was looked up.\n" {
			t.Errorf("%v:\n%s", none, list)
		}
	}
	if code := stop(); code != 0 {
		t.Errorf("status %d", code)
	}
	if again := lookups("--json"); again != list {
		t.Errorf("without a server:\n%s", again)
	}
	for _, wrong := range [][]string{{"--since", "yesterday"}, {"--store", "12"}, {"--store", "12", "--lane", "a b"}} {
		if status, _, errs := centrald(t, append([]string{"audit", "lookups", "--database", database}, wrong...)...); status != 2 {
			t.Errorf("%v: status %d, %s", wrong, status, errs)
		}
	}
}
