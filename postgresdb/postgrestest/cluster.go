// Package postgrestest gives tests PostgreSQL servers of their own, in a folder
// and on a socket that nobody else uses. It runs the PostgreSQL that it finds on
// the machine (PATH, or Debian's /usr/lib/postgresql); as root it runs it as
// nobody, since PostgreSQL refuses root.
package postgrestest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"golang.org/x/sys/unix"
)

// TB is what a test gives: a testing.TB.
type TB interface {
	Helper()
	Skip(...any)
	Fatal(...any)
	Name() string
}

// Cluster is a server for all tests of a package. The zero value is one that the
// first call of Database starts:
//
//	var postgres postgrestest.Cluster
//
//	func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }
type Cluster struct {
	mu     sync.Mutex
	server *Server
	err    error
	made   int
}

// Main runs the tests and stops the server that they needed.
func (c *Cluster) Main(m *testing.M) int {
	status := m.Run()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		c.server.Remove()
	}
	return status
}

// Database makes an empty database and gives its URL. Where there is no
// PostgreSQL the test is skipped, or fails under POSD_TEST_ALL=1.
func (c *Cluster) Database(t TB) string {
	t.Helper()
	Require(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil && c.err == nil {
		if c.server, c.err = New(); c.err == nil {
			c.err = c.server.Start()
		}
	}
	if c.err != nil {
		t.Fatal(c.err)
	}
	c.made++
	name := fmt.Sprintf("test%d", c.made)
	if err := c.server.CreateDatabase(name); err != nil {
		t.Fatal(err)
	}
	return c.server.URL(name)
}

// Exec executes a statement as the administrator of the server that runs.
func (c *Cluster) Exec(statement string) error { return c.server.Exec("postgres", statement) }

// Require skips a test where there is no PostgreSQL, and fails it under
// POSD_TEST_ALL=1.
func Require(t TB) {
	t.Helper()
	if _, err := program("postgres"); err != nil {
		if os.Getenv("POSD_TEST_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: ", err)
	}
}

// program finds a program of PostgreSQL.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil && name != "psql" {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed (make tools installs it)")
	}
	slices.SortFunc(found, func(a, b string) int { return len(a) - len(b) })
	return found[len(found)-1], nil
}

// Server is one PostgreSQL server.
type Server struct {
	dir  string // holds data and the socket
	port int    // 0: it has only its socket
	args []string

	cmd   *exec.Cmd
	ready chan struct{}
	ended chan error
	log   *lastLines
}

// New makes the files of a server, which is not started yet. settings are as
// in postgresql.conf, such as "max_connections=200".
func New(settings ...string) (*Server, error) {
	s, err := empty(settings)
	if err != nil {
		return nil, err
	}
	if err := s.run("initdb", "--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--pgdata="+s.data()); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

func empty(settings []string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, log: &lastLines{}}
	if os.Geteuid() == 0 {
		err = os.Chown(dir, nobody, nobody)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	for _, setting := range settings {
		s.args = append(s.args, "-c", setting)
	}
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Standby makes a standby of a server that runs, under a name that it can be
// synchronous by. It is not started yet.
func (s *Server) Standby(name string, settings ...string) (*Server, error) {
	b, err := empty(settings)
	if err != nil {
		return nil, err
	}
	from := fmt.Sprintf("host=%s user=postgres application_name=%s", s.dir, name)
	if s.port != 0 {
		from += fmt.Sprintf(" port=%d", s.port)
	}
	if err := b.run("pg_basebackup", "--no-sync", "--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream", "--pgdata="+b.data(), "--dbname="+from); err != nil {
		b.Remove()
		return nil, err
	}
	return b, nil
}

// Listen has the server listen on an address as well, at a port that is free, from
// its next start on; it gives host:port.
func (s *Server) Listen(address string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	s.port = l.Addr().(*net.TCPAddr).Port
	s.args = append(s.args, "-c", "listen_addresses="+address, "-c", fmt.Sprintf("port=%d", s.port))
	return l.Addr().String(), nil
}

// Admit lets a network in, from the next start on.
func (s *Server) Admit(network string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), "pg_hba.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "host all all %s trust\n", network)
	return errors.Join(err, f.Close())
}

// Host gives the folder of the socket.
func (s *Server) Host() string { return s.dir }

// URL gives the URL of a database, by the server's socket. Connecting may take its
// time: tests run beside many others.
func (s *Server) URL(database string) string {
	url := fmt.Sprintf("postgres://postgres@/%s?host=%s&connect_timeout=60", database, s.dir)
	if s.port != 0 {
		url += fmt.Sprintf("&port=%d", s.port)
	}
	return url
}

// Synchronous has a server that runs acknowledge a commit only once a standby, which
// runs too, has it on its disk. It returns when that is so.
func (s *Server) Synchronous(standby string) error {
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + standby + "'", "SELECT pg_reload_conf()"} {
		if err := s.Exec("postgres", statement); err != nil {
			return err
		}
	}
	return s.Await("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND application_name = '" + standby + "'")
}

// Await asks the server until a condition is true, for a minute at most.
func (s *Server) Await(condition string) error {
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for tick := time.Tick(20 * time.Millisecond); ; {
		var is bool
		if err := db.QueryRowContext(ctx, condition).Scan(&is); err != nil || is {
			return err
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return fmt.Errorf("not so after a minute: %s", condition)
		}
	}
}

// Start starts the server and returns once it takes connections.
func (s *Server) Start() error {
	path, err := program("postgres")
	if err != nil {
		return err
	}
	args := []string{"-D", s.data(), "-k", s.dir}
	if s.port == 0 {
		args = append(args, "-c", "listen_addresses=")
	}
	s.cmd = exec.Command(path, append(args, s.args...)...)
	s.cmd.Dir, s.cmd.SysProcAttr = "/", unprivileged()
	s.cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	s.ready, s.ended = make(chan struct{}), make(chan error, 1)
	out, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		out.Close()
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	go s.follow(out, s.ready)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait(); close(ended) }(s.cmd, s.ended)
	select {
	case <-s.ready:
		return nil
	case err := <-s.ended:
		return fmt.Errorf("start PostgreSQL: it ended (%v):\n%s", err, s.log)
	case <-time.After(time.Minute):
		s.Kill()
		return fmt.Errorf("start PostgreSQL: it does not get ready:\n%s", s.log)
	}
}

// follow reads the server's log, and tells when it takes connections.
func (s *Server) follow(out io.ReadCloser, ready chan<- struct{}) {
	defer out.Close()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		s.log.add(lines.Text())
		if ready != nil && (strings.Contains(lines.Text(), "ready to accept connections") || strings.Contains(lines.Text(), "ready to accept read-only connections")) {
			close(ready)
			ready = nil
		}
	}
}

// Log gives the last lines of the server's log.
func (s *Server) Log() string { return s.log.String() }

// Promote makes a standby the primary.
func (s *Server) Promote() error {
	return s.run("pg_ctl", "promote", "--wait", "--pgdata="+s.data())
}

// Kill ends the server and its sessions as the loss of its machine does (SIGKILL).
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	pid := s.cmd.Process.Pid
	syscall.Kill(pid, syscall.SIGSTOP) // it starts none while they are killed
	var ends []unix.PollFd
	for _, child := range s.children() {
		if fd, err := unix.PidfdOpen(child, 0); err == nil {
			ends = append(ends, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		syscall.Kill(child, syscall.SIGKILL)
	}
	for i := range ends { // what still ends holds the memory that the next start needs
		for {
			if _, err := unix.Poll(ends[i:i+1], -1); err != unix.EINTR {
				break
			}
		}
		unix.Close(int(ends[i].Fd))
	}
	s.end(syscall.SIGKILL)
}

// children are the server's processes.
func (s *Server) children() (pids []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.cmd.Process.Pid))
	for _, field := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Deafen has a standby hear no more of its primary, which does not notice, until
// undo is called.
func (s *Server) Deafen() (undo func(), err error) {
	for _, pid := range s.children() {
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(title), "walreceiver") {
			return func() { syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
		}
	}
	return nil, errors.New("it receives from no primary")
}

// Stop ends the server in good order, with its sessions.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Signal sends the server itself, not its sessions, a signal.
func (s *Server) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

func (s *Server) end(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(sig)
	<-s.ended
	s.cmd = nil
}

// Remove ends the server at once and deletes its files.
func (s *Server) Remove() {
	s.end(syscall.SIGQUIT)
	os.RemoveAll(s.dir)
}

// CreateDatabase makes an empty database.
func (s *Server) CreateDatabase(name string) error {
	return s.Exec("postgres", `CREATE DATABASE "`+name+`" TEMPLATE template0`)
}

// Exec executes a statement as the server's administrator.
func (s *Server) Exec(database, statement string) error {
	db, err := sql.Open("pgx", s.URL(database))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), statement)
	return err
}

func (s *Server) run(name string, args ...string) error {
	path, err := program(name)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.SysProcAttr = "/", unprivileged()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

const nobody = 65534

func unprivileged() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// lastLines keeps the end of a log.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *lastLines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, line); len(l.lines) > 200 {
		l.lines = l.lines[100:]
	}
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
