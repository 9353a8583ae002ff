package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posd/sim"
)

// BenchmarkStart starts the daemon with four devices: the time until it tells
// systemd that it is ready, as a ratio to that of "posd version" too, and what
// it has resident when it idles.
func BenchmarkStart(b *testing.B) {
	bin, err := binaries.built()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	config := benchConfig(b, dir)
	path := filepath.Join(dir, "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		b.Fatal(err)
	}
	defer notify.Close()
	var ready, floor time.Duration
	var resident float64
	for b.Loop() {
		began := time.Now()
		if err := exec.Command(filepath.Join(bin, "posd"), "version").Run(); err != nil {
			b.Fatal(err)
		}
		floor += time.Since(began)
		cmd := exec.Command(filepath.Join(bin, "posd"), "run", "--config", config)
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
		began = time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		awaitReady(b, notify)
		ready += time.Since(began)
		resident += residentMB(b, cmd.Process.Pid)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N)
	b.ReportMetric(float64(ready.Microseconds())/1000/n, "ms/ready")
	b.ReportMetric(float64(ready)/float64(floor), "ratio-to-version")
	b.ReportMetric(resident/n, "MB-resident")
}

// benchConfig plays four devices, and configures them.
func benchConfig(b *testing.B, dir string) string {
	b.Helper()
	text := fmt.Sprintf("country = \"US\"\npayment_cards = true\nstate_dir = %q\napi.socket = %q\n", dir+"/state", dir+"/posd.sock")
	for folder, devices := range map[string][]string{"one": sim.Devices(), "two": {sim.Scanner}} {
		s, err := sim.Start(sim.Options{Dir: filepath.Join(dir, folder), Devices: devices, Fast: true})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		for _, d := range devices {
			text += fmt.Sprintf("[[device]]\nname = \"%s-%s\"\nrole = %q\nport = %q\n", folder, d, d, s.Path(d))
		}
	}
	path := filepath.Join(dir, "posd.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

func awaitReady(b *testing.B, notify *net.UnixConn) {
	b.Helper()
	buf := make([]byte, 4096)
	for {
		if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
			b.Fatal(err)
		}
		n, err := notify.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		if bytes.Contains(buf[:n], []byte("READY=1")) {
			return
		}
	}
}

// residentMB is what a process has resident, as the kernel counts it.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
