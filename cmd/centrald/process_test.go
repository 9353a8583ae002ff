package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSocketsFromSystemd starts a real process with both listeners passed, as
// systemd does, and ends it with SIGTERM.
func TestSocketsFromSystemd(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "central.db")
	ok(t, "init", "--database", database, "--host", "127.0.0.1", "--tenant", "acme")
	var files []*os.File
	var addresses []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		f, err := l.(*net.TCPListener).File()
		must(t, err)
		addresses = append(addresses, l.Addr().String())
		files = append(files, f)
		l.Close()
	}
	log := newOutput()
	// The listeners come in another order than the program's.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec centrald serve --database "$0"`, database)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=operations:lookups")
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = files, log, log
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	for _, f := range files {
		f.Close()
	}
	log.wait(t, `msg="answering lookups"`)
	if got := log.wait(t, `lookups=(\S+)`); got != addresses[1] {
		t.Errorf("lookups on %s, want %s", got, addresses[1])
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get("https://" + addresses[0] + "/readyz")
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %s", resp.Status)
	}
	begun := time.Now()
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil || time.Since(begun) > 3*time.Second {
		t.Errorf("SIGTERM: %v after %v\n%s", err, time.Since(begun), log.text.String())
	}
}

// TestPSShowsNoPassword waits for a real process to say, with its password, why it
// ended; until then its arguments show none.
func TestPSShowsNoPassword(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a server that says nothing
	must(t, err)
	defer l.Close()
	const secret = "hunter2"
	cmd := exec.Command("centrald", "alarms", "list", "--database", "postgres://user:"+secret+"@"+l.Addr().String()+"/central?sslmode=disable")
	out := newOutput()
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	conn, err := l.Accept() // by now it knows its password
	must(t, err)
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	must(t, err)
	if !strings.Contains(string(args), "postgres://user:xxxxxxx@") {
		t.Errorf("ps shows %q", args)
	}
	startup := make([]byte, 8)
	_, err = io.ReadFull(conn, startup)
	must(t, err)
	_, err = conn.Read(make([]byte, 1000))
	must(t, err)
	_, err = conn.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}) // asks for the password in the clear
	must(t, err)
	answer := make([]byte, 1+4+len(secret)+1)
	_, err = io.ReadFull(conn, answer)
	must(t, err)
	conn.Close()
	if string(answer[5:len(answer)-1]) != secret {
		t.Errorf("it sent %q", answer)
	}
	cmd.Wait()
	if text := out.text.String(); strings.Contains(text, secret) || !strings.Contains(text, "it does not answer") {
		t.Errorf("it said %s", text)
	}
}
