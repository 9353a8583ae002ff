package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that runs as a child.
type process struct {
	name   string
	cmd    *exec.Cmd
	stop   syscall.Signal // ends it in good order
	log    string
	exited chan struct{}
	err    error
}

// start runs a server, whose output goes to a file in dir.
func start(dir, name string, stop syscall.Signal, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, stop: stop, log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// A key press that interrupts this program is not for the servers: it ends them.
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { p.err = cmd.Wait(); close(p.exited) }()
	return p, nil
}

// Close ends the server and waits until it is gone.
func (p *process) Close() error {
	if p == nil {
		return nil
	}
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended by itself (%v): %s", p.name, p.err, p.said())
	default:
	}
	p.cmd.Process.Signal(p.stop)
	select {
	case <-p.exited:
		return nil
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s did not end within %s", p.name, patience)
	}
}

// said is the end of the server's log.
func (p *process) said() string {
	b, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(b[max(0, len(b)-1000):]))
}

// await asks again and again until the server is there.
func (p *process) await(ctx context.Context, limit time.Duration, there func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := there()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s did not start (%v): %s", p.name, p.err, p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.name, err, p.said())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// settle waits until the server has nothing left to do by itself.
func (p *process) settle(ctx context.Context) error {
	const look, idle, limit = 500 * time.Millisecond, 20 * time.Millisecond, 3 * time.Minute
	before, err := p.CPU()
	for begun := time.Now(); err == nil && time.Since(begun) < limit; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
		var after time.Duration
		if after, err = p.CPU(); err == nil && after-before <= idle {
			return nil
		}
		before = after
	}
	return err
}

// CPU is the time that the server and its children have spent on a processor.
func (p *process) CPU() (time.Duration, error) {
	pid := p.cmd.Process.Pid
	total, _, err := stat(strconv.Itoa(pid))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	all, err := os.ReadDir("/proc")
	for _, e := range all {
		if e.Name()[0] >= '0' && e.Name()[0] <= '9' {
			// Processes that are gone meanwhile are nobody's.
			if used, parent, err := stat(e.Name()); err == nil && parent == pid {
				total += used
			}
		}
	}
	return total, err
}

// tick is the unit of times in /proc/PID/stat (USER_HZ), the same on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// stat reads the processor time and the parent of a process: see proc(5).
func stat(pid string) (used time.Duration, parent int, err error) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The name of the program, in brackets, may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, 0, errors.New("read /proc: it is shorter than proc(5) says")
	}
	parent, err = strconv.Atoi(fields[1])
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick, parent, errors.Join(err, err1, err2)
}

// freeAddress is an address of loopback that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// reachable tells whether somebody listens at an address.
func reachable(address string) error {
	c, err := net.Dial("tcp", address)
	if err == nil {
		c.Close()
	}
	return err
}
