package postgresdb

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// patient is a connection that waits for an answer only so long: the statements
// of a transaction are given no context that could end them. 0 waits for ever.
type patient struct {
	net.Conn
	patience time.Duration

	mu     sync.Mutex
	set    bool // a deadline was set by who uses the connection
	broken bool // a read has failed
}

func (c *patient) Read(b []byte) (int, error) {
	c.extend()
	n, err := c.Conn.Read(b)
	if err != nil {
		c.mu.Lock()
		c.broken = true
		c.mu.Unlock()
	}
	return n, err
}

// Write gives the answer its time, also where pgx waits for it already: it goes on
// reading in the background after a write that was slow.
func (c *patient) Write(b []byte) (int, error) {
	c.extend()
	return c.Conn.Write(b)
}

func (c *patient) extend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.set && c.patience > 0 {
		c.Conn.SetReadDeadline(time.Now().Add(c.patience))
	}
}

// SetDeadline is how pgx ends what waits when a context ends.
func (c *patient) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// alive reports whether a connection that waits in a pool is as it was left. A
// server says something on it only to end it.
func (c *patient) alive() bool {
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	conn, ok := c.Conn.(syscall.Conn)
	if broken || !ok {
		return !broken
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Control(func(fd uintptr) { // not Read, which waits for one in the background
		_, _, e := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = errors.Is(e, unix.EAGAIN)
	})
	return err == nil && quiet
}

// stillThere spares a use the loss of its connection before it began.
func stillThere(_ context.Context, c *pgx.Conn) error {
	conn := c.PgConn().Conn()
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if p, ok := conn.(*patient); ok && !p.alive() {
		return driver.ErrBadConn
	}
	return nil
}
