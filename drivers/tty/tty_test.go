package tty

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.bug.st/serial"
	"golang.org/x/sys/unix"

	"posd/drivers/node"
)

func TestParseLine(t *testing.T) {
	for text, want := range map[string]Line{
		"":             {9600, 8, 'N', 1},
		"9600-8N1":     {9600, 8, 'N', 1},
		"19200-7e2":    {19200, 7, 'E', 2},
		"115200-7O1":   {115200, 7, 'O', 1},
		"1200-8S2":     {1200, 8, 'S', 2},
		"3000000-8m1":  {3000000, 8, 'M', 1},
		"9600-8N3":     {},
		"9600-9N1":     {},
		"9600-6N1":     {},
		"9600-8X1":     {},
		"9600":         {},
		"9600-8N1.5":   {},
		"-8N1":         {},
		"fast-8N1":     {},
		"10-8N1":       {},
		"99999999-8N1": {},
	} {
		got, err := ParseLine(text)
		if got != want || (err != nil) != (want == Line{}) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
		if again, err := ParseLine(got.String()); want != (Line{}) && (again != got || err != nil) {
			t.Errorf("%s does not read as itself: %v, %v", got, again, err)
		}
	}
}

// A pty keeps no parity and data bits, so these are checked before they are set.
func TestMode(t *testing.T) {
	got := *(&Line{19200, 7, 'O', 2}).mode()
	if want := (serial.Mode{BaudRate: 19200, DataBits: 7, Parity: serial.OddParity, StopBits: serial.TwoStopBits}); got != want {
		t.Errorf("got %+v", got)
	}
	for parity, want := range map[byte]serial.Parity{'N': serial.NoParity, 'E': serial.EvenParity, 'M': serial.MarkParity, 'S': serial.SpaceParity} {
		if got := (Line{9600, 8, parity, 1}).mode().Parity; got != want {
			t.Errorf("%c: %v", parity, got)
		}
	}
}

func TestByteBits(t *testing.T) {
	if n, m := (Line{9600, 8, 'N', 1}).ByteBits(), (Line{9600, 7, 'E', 2}).ByteBits(); n != 10 || m != 11 {
		t.Errorf("8N1 has %d bits a byte, 7E2 %d", n, m)
	}
}

// open makes a pty and opens its slave as a port.
func open(t *testing.T) (*os.File, *Port) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	slave.Close()
	link := filepath.Join(t.TempDir(), "scanner")
	if err := os.Symlink(slave.Name(), link); err != nil {
		t.Fatal(err)
	}
	p, err := Open(link, DefaultLine())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); master.Close() })
	return master, p
}

func soon() time.Time { return time.Now().Add(10 * time.Second) }

func TestReadIsRaw(t *testing.T) {
	master, p := open(t)
	sent := make([]byte, 256) // every byte: no echo, no signals, no translation
	for i := range sent {
		sent[i] = byte(i)
	}
	if _, err := master.Write(sent); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for buf := make([]byte, 64); len(got) < len(sent); {
		p.SetDeadline(soon())
		n, err := p.Read(buf)
		if n == 0 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("got %x", got)
	}
	if err := p.Send([]byte("\x06\n")); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, 2)
	if _, err := io.ReadFull(master, back); err != nil || string(back) != "\x06\n" {
		t.Errorf("sent %q, %v", back, err)
	}
}

func TestDeadlineAndWake(t *testing.T) {
	_, p := open(t)
	p.SetDeadline(time.Now().Add(time.Millisecond))
	if n, err := p.Read(make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("at the deadline: %d, %v", n, err)
	}
	p.SetDeadline(time.Now().Add(time.Hour))
	done := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 1))
		done <- err
	}()
	p.Wake()
	if err := <-done; err != nil {
		t.Errorf("woken: %v", err)
	}
}

func state(err error) node.State {
	var e *node.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.State
}

func TestUnplug(t *testing.T) {
	master, p := open(t)
	done := make(chan error)
	go func() {
		p.SetDeadline(soon())
		_, err := p.Read(make([]byte, 1))
		done <- err
	}()
	master.Close()
	if err := <-done; state(err) != node.Missing {
		t.Errorf("unplugged: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := p.Send([]byte{6}); err == nil {
		t.Error("a closed port takes bytes")
	}
	p.Wake() // does nothing
}

func TestSecondOpenerIsRefused(t *testing.T) {
	_, p := open(t)
	name := ttyName(t, p)
	_, err := Open(name, DefaultLine())
	if state(err) != node.Claimed {
		t.Errorf("a second opener: %v", err)
	}
	p.Close()
	again, err := Open(name, DefaultLine())
	if err != nil {
		t.Fatalf("after the first has closed: %v", err)
	}
	again.Close()
}

// ttyName gives the node behind a port.
func ttyName(t *testing.T, p *Port) (name string) {
	t.Helper()
	if err := p.Control(func(fd int) (err error) {
		name, err = os.Readlink(fmt.Sprint("/proc/self/fd/", fd))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSendNeverWaits(t *testing.T) {
	_, p := open(t)
	done := make(chan error, 1)
	go func() {
		var err error
		for range 1 << 16 { // nobody reads the master
			if err = p.Send(make([]byte, 64)); err != nil {
				break
			}
		}
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("send waits")
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("not a device"), 0o600); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]node.State{
		filepath.Join(dir, "ttyUSB7"): node.Missing,
		dir:                           node.Failed,
		file:                          node.Failed,
		fifo:                          node.Failed,
	} {
		_, err := Open(path, DefaultLine())
		if state(err) != want || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "not a device" {
		t.Errorf("the file was changed: %q, %v", b, err)
	}
}
