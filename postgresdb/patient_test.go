package postgresdb

import (
	"io"
	"net"
	"testing"
	"time"
)

// pair gives both ends of a connection.
func pair(t *testing.T, patience time.Duration) (*patient, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return &patient{Conn: near, patience: patience}, far
}

// TestPoolWaitsForNoReader: pgx may still read in the background while a
// connection waits in the pool.
func TestPoolWaitsForNoReader(t *testing.T) {
	c, far := pair(t, time.Minute)
	read := make(chan error, 1)
	go func() { _, err := io.ReadFull(c, make([]byte, 2)); read <- err }()
	if !c.alive() {
		t.Error("a connection that is quiet counts as lost")
	}
	if _, err := far.Write([]byte("ok")); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil || !c.alive() {
		t.Errorf("alive %v, %v", c.alive(), err)
	}
}

func TestConnectionThatIsNotAlive(t *testing.T) {
	c, far := pair(t, time.Minute)
	far.Close()
	if _, err := io.ReadAll(c); err != nil || c.alive() {
		t.Errorf("closed by the other end: alive %v, %v", c.alive(), err)
	}
	c, _ = pair(t, time.Millisecond)
	if _, err := c.Read(make([]byte, 1)); err == nil || c.alive() {
		t.Errorf("not answered: alive %v, %v", c.alive(), err)
	}
	c, far = pair(t, time.Minute)
	if _, err := far.Write([]byte("E")); err != nil { // a server says why it ends
		t.Fatal(err)
	}
	for c.alive() { // until it has arrived
	}
}
