package systemd

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build builds a program as the Makefile does.
func build(t *testing.T, dir, program string) string {
	t.Helper()
	path := filepath.Join(dir, program)
	if out, err := exec.Command("go", "build", "-trimpath", "-o", path, "posd/cmd/"+program).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, out)
	}
	return path
}

// command gives the program and its arguments of a service's ExecStart=.
func command(t *testing.T, program string) []string {
	t.Helper()
	fields := strings.Fields(readUnit(t, program+".service").one(t, "Service.ExecStart"))
	if fields[0] != "/usr/bin/"+program {
		t.Fatalf("ExecStart= runs %s", fields[0])
	}
	return fields[1:]
}

// run runs a program to its end and gives what it wrote to standard output.
func run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// service is a program that runs as systemd would run it.
type service struct {
	cmd       *exec.Cmd
	addresses map[string]string // of the sockets passed, by FileDescriptorName=
	notify    *net.UnixConn
	errors    strings.Builder
}

// start runs a program with the sockets, the credentials and the watchdog that
// its units say, on addresses of the test's own.
func start(t *testing.T, path string, credentials string, args ...string) *service {
	t.Helper()
	program, dir := filepath.Base(path), t.TempDir()
	s := &service{addresses: map[string]string{}}
	var names []string
	var files []*os.File
	for _, u := range sockets(t, program) {
		name := u.one(t, "Socket.FileDescriptorName")
		file, address := listen(t, u.one(t, "Socket.ListenStream"), dir)
		defer file.Close()
		names, files, s.addresses[name] = append(names, name), append(files, file), address
	}
	var err error
	socket := filepath.Join(dir, "notify")
	if s.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.notify.Close() })
	// LISTEN_PID is the program's own, which only a shell that becomes it knows.
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, path}, args...)...)
	s.cmd.ExtraFiles = files
	s.cmd.Stderr = &s.errors
	s.cmd.Env = append(os.Environ(), fmt.Sprint("LISTEN_FDS=", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"),
		"NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=300000", "CREDENTIALS_DIRECTORY="+credentials)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	s.await(t, "READY=1")
	s.await(t, "WATCHDOG=1")
	return s
}

// listen opens what a ListenStream= names, at an address of the test's own.
func listen(t *testing.T, stream, dir string) (*os.File, string) {
	t.Helper()
	network, address := "tcp", "127.0.0.1:0"
	if strings.HasPrefix(stream, "/") {
		network, address = "unix", filepath.Join(dir, filepath.Base(stream))
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	defer l.Close()
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	return file, l.Addr().String()
}

// await waits until the program has told systemd a line.
func (s *service) await(t *testing.T, line string) {
	t.Helper()
	buf := make([]byte, 4096)
	s.notify.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		n, err := s.notify.Read(buf)
		if err != nil {
			s.cmd.Process.Kill()
			s.cmd.Wait()
			t.Fatalf("%s never said %s: %v\n%s", s.cmd.Args[3], line, err, s.errors.String())
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), line) {
			return
		}
	}
}

// stop ends the program as systemd does.
func (s *service) stop(t *testing.T) {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.await(t, "STOPPING=1")
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", s.cmd.Args[3], err, s.errors.String())
	}
}

// TestPrograms holds the units against the programs themselves.
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	bin := map[string]string{}
	for _, program := range programs() {
		bin[program] = build(t, dir, program)
	}
	t.Run("flags", func(t *testing.T) {
		for _, program := range programs() {
			hasFlags(t, bin[program], command(t, program))
		}
		help := run(t, "", bin["centrald"], "serve", "--help")
		for _, path := range readUnit(t, "centrald.service")["Unit.AssertPathExists"] {
			if strings.HasPrefix(path, "/var/lib/") && !strings.Contains(help, path) {
				t.Errorf("centrald.service asserts %s, which is not what centrald serves:\n%s", path, help)
			}
		}
	})
	t.Run("services", func(t *testing.T) { serve(t, bin) })
}

// hasFlags looks whether every flag in ExecStart= is one that the program has.
func hasFlags(t *testing.T, path string, args []string) {
	t.Helper()
	program := filepath.Base(path)
	help := run(t, "", path, args[0], "--help")
	if !strings.Contains(help, program+" "+args[0]) {
		t.Errorf("%s has no command %s:\n%s", program, args[0], help)
	}
	for _, arg := range args[1:] {
		flag, _, _ := strings.Cut(arg, "=")
		if strings.HasPrefix(flag, "-") && !regexp.MustCompile(`(?m)^\s+(-\w, )?`+regexp.QuoteMeta(flag)+`\s`).MatchString(help) {
			t.Errorf("%s %s has no flag %s", program, args[0], flag)
		}
	}
}

// serve runs the three programs as their units say: each takes the sockets by
// their names and the credential by its own, and tells systemd how it is.
func serve(t *testing.T, bin map[string]string) {
	dir := t.TempDir()
	database, credentials := filepath.Join(dir, "state", "central.db"), filepath.Join(dir, "credentials")
	if err := os.Mkdir(credentials, 0o700); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(readUnit(t, "centrald.service").one(t, "Service.LoadCredential"), ":")
	run(t, "", bin["centrald"], "init", "--database", database, "--kek", filepath.Join(credentials, name), "--host", "127.0.0.1", "--tenant", "acme")
	central := start(t, bin["centrald"], credentials, append(command(t, "centrald"), "--database", database)...)
	enrol := func(t *testing.T, program, state string, who []string, where ...string) {
		t.Helper()
		out := run(t, "", append([]string{bin["centrald"], "tokens", "create", "--database", database, "--store", "1"}, who...)...)
		token := regexp.MustCompile(`hhe1\.\S+`).FindString(out) + "\n"
		run(t, token, append([]string{bin[program], "enroll", "--central", "https://" + central.addresses["operations"]}, where...)...)
		asserted(t, program, state)
	}
	t.Run("posmaind", func(t *testing.T) {
		state := t.TempDir()
		enrol(t, "posmaind", state, []string{"--role", "posmain"}, "--state-dir", state)
		s := start(t, bin["posmaind"], "", append(command(t, "posmaind"), "--state-dir", state)...)
		answersTLS(t, s.addresses["baskets"])
		s.stop(t)
	})
	t.Run("posd", func(t *testing.T) {
		state := t.TempDir()
		config := filepath.Join(state, "posd.toml")
		text := fmt.Sprintf("state_dir = %q\ncountry = \"US\"\npayment_cards = false\n[api]\nsocket = %q\n[posmain]\nurl = \"https://127.0.0.1:1\"\n",
			state, filepath.Join(state, "not-this-one.sock"))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		enrol(t, "posd", state, []string{"--lane", "1"}, "--config", config)
		args := slices.Clone(command(t, "posd"))
		at := slices.Index(args, "/etc/posd/posd.toml")
		if at < 0 {
			t.Fatal("posd.service does not name /etc/posd/posd.toml")
		}
		args[at] = config
		s := start(t, bin["posd"], "", args...)
		answersAPI(t, s.addresses["api"])
		s.stop(t)
		if _, err := os.Stat(s.addresses["api"]); err != nil {
			t.Errorf("posd took systemd's socket away: %v", err)
		}
	})
	answersTLS(t, central.addresses["lookups"])
	central.stop(t)
}

// asserted looks whether what a unit asserts to exist is what enrolment makes.
func asserted(t *testing.T, program, state string) {
	t.Helper()
	for _, path := range readUnit(t, program+".service")["Unit.AssertPathExists"] {
		if _, err := os.Stat(strings.Replace(path, "/var/lib/"+program, state, 1)); err != nil {
			t.Errorf("%s.service asserts %s, which enrolment does not make: %v", program, path, err)
		}
	}
}

// answersTLS looks whether a server greets on an address. Whom it takes for what
// is its own tests' matter.
func answersTLS(t *testing.T, address string) {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func answersAPI(t *testing.T, socket string) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /v1/status HTTP/1.1\r\nHost: posd\r\nConnection: close\r\n\r\n")
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(answer, " 200 ") {
		t.Errorf("the API answers %q, %v", answer, err)
	}
}
