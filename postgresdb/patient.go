package postgresdb

import (
	"net"
	"sync"
	"time"
)

// patient is a connection that waits for an answer only so long: the statements
// of a transaction are given no context that could end them. 0 waits for ever.
type patient struct {
	net.Conn
	patience time.Duration

	mu  sync.Mutex
	set bool // a deadline was set by who uses the connection
}

func (c *patient) Read(b []byte) (int, error) {
	c.mu.Lock()
	if !c.set && c.patience > 0 {
		c.Conn.SetReadDeadline(time.Now().Add(c.patience))
	}
	c.mu.Unlock()
	return c.Conn.Read(b)
}

// SetDeadline is how pgx ends what waits when a context ends.
func (c *patient) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = !t.IsZero()
	return c.Conn.SetDeadline(t)
}
