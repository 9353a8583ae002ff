package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// maxSecret is the longest secret that is read, in bytes.
const maxSecret = 4096

// ReadSecret asks for a secret: on a terminal with prompt and without echo,
// else it is one line of standard input. What follows that line is left unread.
func (e Env) ReadSecret(ctx context.Context, prompt string) ([]byte, error) {
	secret, err := e.readSecret(ctx, prompt)
	if err == nil && len(secret) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	return secret, nil
}

func (e Env) readSecret(ctx context.Context, prompt string) ([]byte, error) {
	if e.Stdin == nil {
		return nil, errors.New("there is no standard input")
	}
	if !IsTerminal(e.Stdin) {
		return interruptible(ctx, func() ([]byte, error) { return readLine(e.Stdin) })
	}
	fd := int(e.Stdin.(interface{ Fd() uintptr }).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	defer term.Restore(fd, before) // there is nothing else to be done
	if err := echoOff(fd); err != nil {
		return nil, err
	}
	fmt.Fprint(e.Stderr, prompt)
	defer fmt.Fprintln(e.Stderr)
	return interruptible(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
}

// echoOff comes before the prompt: what answers a prompt at once, such as a
// script, must not be echoed either.
func echoOff(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// interruptible returns early when ctx ends; the read is then left to end with
// the process.
func interruptible(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		secret []byte
		err    error
	}
	done := make(chan result, 1)
	go func() {
		secret, err := read()
		done <- result{secret, err}
	}()
	select {
	case r := <-done:
		return r.secret, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readLine(r io.Reader) ([]byte, error) {
	line := make([]byte, 0, maxSecret)
	var b [1]byte
	for len(line) < maxSecret {
		n, err := r.Read(b[:])
		switch {
		case n == 1 && b[0] == '\n', errors.Is(err, io.EOF):
			return trimCR(line), nil
		case n == 1:
			line = append(line, b[0])
		case err != nil:
			return nil, err
		}
	}
	return nil, fmt.Errorf("it is longer than %d bytes", maxSecret)
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
