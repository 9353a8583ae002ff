package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"
)

// asker is a connection that asks one thing after the other, the way a lane does.
type asker interface {
	ask() error
	Close() error
}

// errShed says that the server was too busy and asked to be left alone.
var errShed = errors.New("the server shed the request")

// errSpent says that a connection has asked all that it may.
var errSpent = errors.New("the lane has asked all that it may")

// framing says how requests and answers are told apart on the wire.
type framing string

const (
	framedHTTP framing = "http"   // HTTP/1.1, Content-Length
	framedRESP framing = "resp"   // Redis' protocol, bulk strings
	framedBare framing = "framed" // two bytes of length, then so many bytes
)

// target is a server of lean clients: TLS 1.3 with client certificates.
type target struct {
	Address string
	Framing framing
}

// lane is a client with its certificate and what it asks.
type lane struct {
	Chain    [][]byte // DER
	Key      []byte   // PKCS #8, DER
	First    [][]byte // asked once, when it has connected
	Requests [][]byte // asked in turn, over and over
	Most     int      // asks at most so often; 0: without end
}

// lean is an asker that costs little: requests are made beforehand, and an answer
// is looked at no more than its end needs.
type lean struct {
	conn     *tls.Conn
	length   func(answer []byte) (int, error)
	requests [][]byte
	next     int
	left     int // how often it may ask yet
	buf      [4096]byte
}

// dial connects as a lane does and asks its first requests; its other requests
// begin with the one at offset.
func (t target) dial(ctx context.Context, l lane, offset int) (*lean, error) {
	c, err := t.handshake(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, r := range l.First {
		if err := c.exchange(r); err != nil {
			c.Close()
			return nil, err
		}
	}
	c.requests, c.next, c.left = l.Requests, offset, math.MaxInt
	if l.Most > 0 {
		c.left = l.Most - len(l.First)
	}
	return c, nil
}

func (t target) handshake(ctx context.Context, l lane) (*lean, error) {
	key, err := x509.ParsePKCS8PrivateKey(l.Key)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: l.Chain, PrivateKey: key}},
		// The server is this program's child on loopback; whether a lane checks it is
		// not what is measured, and all servers are treated alike.
		InsecureSkipVerify: true,
	}}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	c := &lean{conn: conn.(*tls.Conn)}
	switch t.Framing {
	case framedHTTP:
		c.length = lengthHTTP
	case framedRESP:
		c.length = lengthRESP
	default:
		c.length = lengthBare
	}
	return c, nil
}

// patience is how long anything may take before something is wrong.
const patience = 30 * time.Second

func (c *lean) ask() error {
	if c.left--; c.left < 0 {
		return errSpent
	}
	r := c.requests[c.next%len(c.requests)]
	c.next++
	return c.exchange(r)
}

func (c *lean) exchange(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	for n := 0; ; {
		got, err := c.conn.Read(c.buf[n:])
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		n += got
		whole, err := c.length(c.buf[:n])
		if err != nil || whole == n {
			return err
		}
		if n == len(c.buf) || whole > len(c.buf) || whole != 0 && whole < n {
			return errors.New("read an answer: it is longer than any should be")
		}
	}
}

func (c *lean) Close() error { return c.conn.Close() }

// lengthHTTP gives the length of an answer of status 200, and 0 while its head is
// not complete.
func lengthHTTP(b []byte) (int, error) {
	head := bytes.Index(b, []byte("\r\n\r\n"))
	if head < 0 {
		return 0, nil
	}
	length := -1
	for line := range bytes.SplitSeq(b[:head], []byte("\r\n")) {
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			if err != nil {
				return 0, fmt.Errorf("read an answer: %q", line)
			}
			length = n
		}
	}
	if length < 0 {
		return 0, errors.New("read an answer: it has no Content-Length")
	}
	whole := head + 4 + length
	if len(b) < whole || bytes.HasPrefix(b, []byte("HTTP/1.1 200")) {
		return whole, nil
	}
	if bytes.HasPrefix(b, []byte("HTTP/1.1 503")) {
		return whole, errShed
	}
	return 0, fmt.Errorf("the server refused: %.15s %s", b, b[head+4:whole])
}

// lengthRESP gives the length of a bulk string.
func lengthRESP(b []byte) (int, error) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(string(b[1:end]))
	if b[0] != '$' || err != nil || n < 0 {
		return 0, fmt.Errorf("Redis does not know the key: %.60q", b)
	}
	return end + 2 + n + 2, nil
}

func lengthBare(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	return 2 + int(binary.BigEndian.Uint16(b)), nil
}
