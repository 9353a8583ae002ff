// Package machine boots the guest of the tests on real kernel devices under qemu,
// freezes it, and thaws copies of it.
//
// The guest is emulated (TCG): it is slow, but it runs wherever qemu does.
package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"time"

	"posd/vm/agent"
)

// Qemu is the program that runs the guest.
const Qemu = "qemu-system-x86_64"

// Machine is a running guest.
type Machine struct {
	dir    string // of its sockets and console.log
	qemu   *exec.Cmd
	exited chan struct{}
	say    bytes.Buffer // what qemu complained of; to be read after exited
	qmp    *monitor
	conn   net.Conn
	client *agent.Client
}

// start starts qemu in dir, with its disk as drive and the arguments in more. The
// machine ends with ctx.
func start(ctx context.Context, image, dir, drive string, more ...string) (*Machine, error) {
	m := &Machine{dir: dir, exited: make(chan struct{})}
	socket := func(id string) string {
		return fmt.Sprintf("socket,id=%s,path=%s,server=on,wait=off", id, filepath.Join(dir, id))
	}
	m.qemu = exec.CommandContext(ctx, Qemu, append([]string{
		"-accel", "tcg", "-machine", "pc", "-cpu", "qemu64", "-smp", "1", "-m", "384",
		// The guest's time goes by what it computes, a ns an instruction, and by the
		// real time only while it idles: a slow or busy host is no gap between bytes.
		"-icount", "shift=0,align=off,sleep=on",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(image, "vmlinux"), "-initrd", filepath.Join(image, "initramfs"),
		"-append", "console=ttyS0 loglevel=4 mitigations=off systemd.show_status=no",
		"-drive", drive,
		"-serial", "file:" + m.Console(),
		"-chardev", socket("shell"), "-serial", "chardev:shell",
		"-chardev", socket("agent"), "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent",
		"-qmp", fmt.Sprintf("unix:%s,server=on,wait=off", filepath.Join(dir, "qmp")),
	}, more...)...)
	m.qemu.Stdout, m.qemu.Stderr = &m.say, &m.say
	if err := m.qemu.Start(); err != nil {
		return nil, fmt.Errorf("start qemu: %v", err)
	}
	go func() {
		m.qemu.Wait()
		close(m.exited)
	}()
	if err := m.connect(ctx); err != nil {
		m.Kill()
		return nil, err
	}
	return m, nil
}

func (m *Machine) connect(ctx context.Context) error {
	conn, err := m.dial(ctx, "qmp")
	if err != nil {
		return err
	}
	if m.qmp, err = newMonitor(conn); err != nil {
		return err
	}
	if m.conn, err = m.dial(ctx, "agent"); err != nil {
		return err
	}
	m.client = agent.NewClient(m.conn)
	return nil
}

// dial connects to a socket that qemu makes.
func (m *Machine) dial(ctx context.Context, name string) (net.Conn, error) {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(m.dir, name))
		if err == nil {
			return conn, nil
		}
		select {
		case <-m.exited:
			return nil, fmt.Errorf("qemu ended: %s", bytes.TrimSpace(m.say.Bytes()))
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for qemu: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Run runs a program in the guest, copies its output to out, and gives its exit
// status.
func (m *Machine) Run(r agent.Request, out io.Writer) (code int, err error) {
	return m.client.Run(r, out)
}

// Call runs a program in the guest, which must succeed, and gives its output.
func (m *Machine) Call(args ...string) (string, error) {
	var out bytes.Buffer
	code, err := m.Run(agent.Request{Args: args}, &out)
	if err == nil && code != 0 {
		err = fmt.Errorf("%q in the guest: exit status %d\n%s", args, code, out.Bytes())
	}
	return out.String(), err
}

// Console is the file of what the guest's kernel and systemd say.
func (m *Machine) Console() string { return filepath.Join(m.dir, "console.log") }

// Shell is the socket of a root's shell in the guest.
func (m *Machine) Shell() string { return filepath.Join(m.dir, "shell") }

// Exited is closed when the machine has ended.
func (m *Machine) Exited() <-chan struct{} { return m.exited }

// Kill ends the machine.
func (m *Machine) Kill() {
	m.qemu.Process.Kill()
	<-m.exited
	if m.qmp != nil {
		m.qmp.conn.Close()
	}
	if m.conn != nil {
		m.conn.Close()
	}
}
