package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// socketMode lets the user and the group of posd use the API.
const socketMode = 0o660

// Listen makes the Unix socket at path, with mode 0660, in place of one that
// nobody listens at any more. The folder is made if it is missing.
func Listen(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen at %s: another posd runs there", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("listen at %s: this is no socket: move it away, or name another in api.socket", path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
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
	err = errors.Join(os.Chmod(fresh, socketMode), os.Rename(fresh, path))
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
