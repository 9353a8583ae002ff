// Package unixsocket listens at Unix sockets the way the daemons here do it: one
// process at a time, and nobody else can connect before the mode is right.
package unixsocket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Listen makes the Unix socket at path, with mode 0660, in place of one that
// nobody listens at any more. The folder is made if it is missing.
func Listen(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen at %s: another process listens there", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("listen at %s: this is no socket: move it away, or name another path", path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	// The daemon's user and group may connect.
	const mode = 0o660
	// The socket gets its mode before it gets its name: nobody else can connect
	// in between.
	fresh := filepath.Join(dir, fmt.Sprintf(".%d", os.Getpid()))
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	err = errors.Join(os.Chmod(fresh, mode), os.Rename(fresh, path))
	if err != nil {
		l.Close()
		os.Remove(fresh)
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	return &listener{l, path}, nil
}

// listener removes its socket when it is closed.
type listener struct {
	*net.UnixListener
	path string
}

func (l *listener) Close() error {
	if err := l.UnixListener.Close(); err != nil {
		return err
	}
	os.Remove(l.path)
	return nil
}
