package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posd/central/server"
	"posd/postgresdb/postgrestest"
)

// host is a machine of its own: a network namespace with one link to the database
// and one to the shops. The other ends are in the test's.
type host struct {
	name                 string
	database, shops      string // links
	databaseIP, shopsIP  string // of the host
	databaseEnd, shopEnd string // of the other ends
}

// newHost makes a host number n. Only root can.
func newHost(t *testing.T, n int) *host {
	t.Helper()
	id := fmt.Sprintf("%d%c", os.Getpid()%100000, 'a'+n)
	net := fmt.Sprintf("10.%d.%d.", 200+os.Getpid()%50, os.Getpid()/50%200+n)
	h := &host{"posd" + id, "pd" + id, "ps" + id, net + "2", net + "6", net + "1", net + "5"}
	ip(t, "netns", "add", h.name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", h.name).Run() }) // its links go with it
	for _, l := range [][3]string{{h.database, h.databaseEnd, h.databaseIP}, {h.shops, h.shopEnd, h.shopsIP}} {
		ip(t, "link", "add", l[0], "type", "veth", "peer", "name", "x"+l[0][1:], "netns", h.name)
		ip(t, "addr", "add", l[1]+"/30", "dev", l[0])
		ip(t, "link", "set", l[0], "up")
		ip(t, "-n", h.name, "addr", "add", l[2]+"/30", "dev", "x"+l[0][1:])
		ip(t, "-n", h.name, "link", "set", "x"+l[0][1:], "up")
	}
	return h
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %q: %v %s", args, err, out)
	}
}

// serve runs centrald on the host, and returns where it answers.
func (h *host) serve(t *testing.T, database, kek string) (lookups, operations string) {
	t.Helper()
	log := newOutput()
	cmd := exec.Command("ip", "netns", "exec", h.name, "centrald", "serve", "--database", database, "--kek", kek,
		"--admin-socket", filepath.Join(t.TempDir(), "admin"), "--listen", h.shopsIP+":8443", "--ops-listen", h.shopsIP+":8444",
		"--lookup-url", "https://"+h.shopsIP+":8443", "--operations-url", "https://"+h.shopsIP+":8444")
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	log.wait(t, `msg="answering lookups"`)
	return "https://" + h.shopsIP + ":8443", "https://" + h.shopsIP + ":8444"
}

// status is what GET /readyz says.
func status(operations string) (st server.Status, err error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := client.Get(operations + "/readyz")
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// isIn reports whether a server is in a state and knows so many cards.
func isIn(operations, state string, cards int) func() error {
	return func() error {
		st, err := status(operations)
		if err == nil && (st.State != state || st.TIDs != cards) {
			err = fmt.Errorf("it is %s with %d cards: %q", st.State, st.TIDs, st.Reasons)
		}
		return err
	}
}

// TestReplicaThatIsCutOff: centrald on a host of its own whose way to the database
// breaks, so that nothing is answered and nothing refused, serves what it knows,
// says so, makes no household, and catches up.
func TestReplicaThatIsCutOff(t *testing.T) {
	postgrestest.Require(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root makes network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil && os.Getenv("POSD_TEST_ALL") != "1" {
		t.Skip("SKIPPED: ip (iproute2) is not installed")
	}
	pg, err := postgrestest.New()
	must(t, err)
	t.Cleanup(pg.Remove)
	a, b := newHost(t, 0), newHost(t, 1)
	for _, h := range []*host{a, b} {
		must(t, pg.Admit(h.databaseIP+"/32"))
	}
	port, err := pg.Listen("0.0.0.0")
	must(t, err)
	must(t, pg.Start())
	must(t, pg.CreateDatabase("central"))
	kek := filepath.Join(t.TempDir(), "kek")
	ok(t, "init", "--database", pg.URL("central"), "--kek", kek, "--host", a.shopsIP, "--tenant", "acme")
	port = port[strings.LastIndexByte(port, ':'):]
	seenBy := func(h *host) string {
		return "postgres://postgres@" + h.databaseEnd + port + "/central?sslmode=disable"
	}
	_, opsA := a.serve(t, seenBy(a), kek)
	_, opsB := b.serve(t, seenBy(b), kek)
	nobody := filepath.Join(t.TempDir(), "nobody")
	askA := resolver(t, enrol(t, pg.URL("central"), opsA, "--store", "12", "--lane", "1", "--admin-socket", nobody))
	askB := resolver(t, enrol(t, pg.URL("central"), opsB, "--store", "12", "--lane", "2", "--admin-socket", nobody))

	const known, late, unknown = "4111111111111111", "5555555555554444", "378282246310005"
	first, err := askA(known)
	must(t, err)
	soon(t, isIn(opsB, server.Ready, 1))

	ip(t, "link", "set", b.database, "down")
	if got, err := askB(known); err != nil || got.HHID != first.HHID {
		t.Errorf("what it knows: %v, %v", got.HHID, err)
	}
	if got, err := askB(unknown); err == nil {
		t.Errorf("it made a household by itself: %+v", got)
	}
	for _, reason := range []string{"no household can be made", "changes cannot be followed"} {
		soon(t, func() error {
			st, err := status(opsB)
			if err == nil && (st.State != server.Degraded || !strings.Contains(strings.Join(st.Reasons, "; "), reason)) {
				err = fmt.Errorf("it is %s and does not say %q: %q", st.State, reason, st.Reasons)
			}
			return err
		})
	}
	second, err := askA(late)
	must(t, err)
	if got, err := askB(known); err != nil || got.HHID != first.HHID {
		t.Errorf("what it knows, later: %v, %v", got.HHID, err)
	}

	ip(t, "link", "set", b.database, "up")
	soon(t, isIn(opsB, server.Ready, 2))
	if got, err := askB(late); err != nil || got.HHID != second.HHID {
		t.Errorf("what it missed: %v, %v, want %v", got.HHID, err, second.HHID)
	}
	if got, err := askB(unknown); err != nil || got.HHID == first.HHID || got.HHID == second.HHID {
		t.Errorf("what it could not know: %v, %v", got.HHID, err)
	}
	if n := strings.Count(ok(t, "households", "list", "--database", pg.URL("central"), "--json", "--admin-socket", nobody), "\n"); n != 3 {
		t.Errorf("%d households, want 3", n)
	}
}

// soon tries for a minute at most: a network takes its time to give up.
func soon(t *testing.T, try func() error) {
	t.Helper()
	end := time.NewTimer(time.Minute)
	defer end.Stop()
	for tick := time.Tick(50 * time.Millisecond); ; {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick:
		case <-end.C:
			t.Fatal(err)
		}
	}
}
