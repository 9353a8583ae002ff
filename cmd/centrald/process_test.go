package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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
