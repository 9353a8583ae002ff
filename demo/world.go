package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long anything may take. It is only ever waited out when
// something is wrong.
const patience = 20 * time.Second

// world is the processes of the demo and the folder they live in.
type world struct {
	ctx      context.Context
	bin, dir string
	running  []*process
}

func newWorld(ctx context.Context, bin, dir string) *world {
	return &world{ctx: ctx, bin: bin, dir: dir}
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// process is a program that runs on.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	exited chan struct{}
	err    error
}

// start runs a program of ours in the background; what it says on standard
// error goes to a log file.
func (w *world) start(name string, stdout io.Writer, args ...string) (*process, error) {
	log, err := os.OpenFile(w.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(w.bin, args[0]), args[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, log
	if stdout == nil {
		cmd.Stdout = log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	p := &process{name: name, cmd: cmd, exited: make(chan struct{})}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %v", name, err)
	}
	go func() { p.err = cmd.Wait(); close(p.exited) }()
	w.running = append(w.running, p)
	return p, nil
}

// stop ends a process as an operator would, and checks that it ends well.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.name, patience)
	}
	if p.err != nil {
		return fmt.Errorf("%s ended with %v", p.name, p.err)
	}
	return nil
}

func (w *world) close() error {
	var errs []error
	for i := len(w.running) - 1; i >= 0; i-- {
		if p := w.running[i]; p.cmd.ProcessState == nil {
			errs = append(errs, p.stop())
		}
	}
	return errors.Join(errs...)
}

// call runs a program of ours to its end and returns what it printed.
func (w *world) call(stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(w.ctx, filepath.Join(w.bin, args[0]), args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %v: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// exited is the error of a process that ended by itself.
type exited struct{ what string }

func (e *exited) Error() string { return e.what }

// failed is the error of a process that should run and does not.
func (p *process) failed() error {
	select {
	case <-p.exited:
		return &exited{fmt.Sprintf("%s ended: %v; see %s.log", p.name, p.err, p.name)}
	default:
		return nil
	}
}

// listening reports whether somebody takes connections at addr.
func listening(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// until tries f until it returns true, an error that lasts, or patience ends.
func (w *world) until(what string, f func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := f()
		if ok {
			return nil
		}
		if gone := (*exited)(nil); errors.As(err, &gone) {
			return err
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("%s did not happen within %s", what, patience), err)
		}
		select {
		case <-w.ctx.Done():
			return w.ctx.Err()
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// freePort finds a port that nobody listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
