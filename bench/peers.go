package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// pool is how many different keys a connection asks for, over and over: what four
// epochs of a lane seal, without the first of each.
const pool = epochsPerLane * (perEpoch - 1)

// peerKey is the key under which a peer keeps TID number i: 16 bytes that are spread
// like a fingerprint.
func peerKey(i int) [16]byte {
	var k [16]byte
	binary.BigEndian.PutUint64(k[:8], scatter(uint64(i)))
	binary.BigEndian.PutUint64(k[8:], scatter(^uint64(i)))
	return k
}

// scatter is splitmix64.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// peerHousehold is the household that a peer keeps under the key.
func peerHousehold(i int) [8]byte {
	var h [8]byte
	binary.BigEndian.PutUint64(h[:], bits.RotateLeft64(scatter(uint64(household(i))), 7))
	return h
}

// requestsFor makes requests for random TIDs of n.
func requestsFor(n int, request func(key [16]byte) []byte) [][]byte {
	all := make([][]byte, pool)
	for i := range all {
		all[i] = request(peerKey(mrand.IntN(n)))
	}
	return all
}

// floor is the least that a lookup over TLS can cost: a server that reads requests
// of fixed framing and answers without looking at them.
type floor struct {
	*process
	target target
	certs  peerCerts
}

// Sizes of the floor's messages, those of a lookup.
const (
	bareRequest = 300
	bareAnswer  = 280
)

func startFloor(ctx context.Context, dir string, certs peerCerts) (*floor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "floor", address, certs.ca, certs.cert, certs.key)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	p, err := start(dir, "floor", syscall.SIGTERM, cmd)
	if err != nil {
		return nil, err
	}
	return &floor{p, target{address, framedBare}, certs}, p.await(ctx, patience, func() error { return reachable(address) })
}

func (f *floor) Name() string { return "TLS with own framing (the floor)" }

func (f *floor) lanes(context.Context, int) (target, []lane, error) {
	l := f.certs.client
	request := binary.BigEndian.AppendUint16(nil, bareRequest-2)
	request = append(request, make([]byte, bareRequest-2)...)
	rand.Read(request[2:])
	l.Requests = [][]byte{request}
	return f.target, []lane{l}, nil
}

// serveFloor is the floor's server.
func serveFloor(address, ca, cert, key string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(pem)
	l, err := tls.Listen("tcp", address, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go answerBare(conn)
	}
}

func answerBare(conn net.Conn) {
	defer conn.Close()
	answer := append(binary.BigEndian.AppendUint16(nil, bareAnswer-2), make([]byte, bareAnswer-2)...)
	buf := make([]byte, 4096)
	for n := 0; ; {
		got, err := conn.Read(buf[n:])
		if err != nil {
			return
		}
		if n += got; n < 2 || n < 2+int(binary.BigEndian.Uint16(buf)) {
			continue
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
		n = 0
	}
}

// redis is Redis with its own TLS, and GET.
type redis struct {
	*process
	name   string
	keys   int
	target target
	certs  peerCerts
}

func startRedis(ctx context.Context, dir string, certs peerCerts, keys int, say progress) (*redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errMissing{"redis-server is not installed (Debian: redis-server)"}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	p, err := start(dir, "redis-server", syscall.SIGTERM, exec.Command(program, "--bind", "127.0.0.1", "--port", "0", "--tls-port", port,
		"--tls-cert-file", certs.cert, "--tls-key-file", certs.key, "--tls-ca-cert-file", certs.ca, "--tls-auth-clients", "yes",
		"--save", "", "--appendonly", "no", "--dir", dir, "--maxclients", "10000"))
	if err != nil {
		return nil, err
	}
	r := &redis{p, "Redis" + version(program, "v=") + " GET", keys, target{address, framedRESP}, certs}
	if err := p.await(ctx, patience, func() error { return reachable(address) }); err != nil {
		return r, err
	}
	return r, r.fill(ctx, say)
}

func (r *redis) Name() string { return r.name }

// fill sets all keys, many at a time.
func (r *redis) fill(ctx context.Context, say progress) error {
	c, err := r.target.handshake(ctx, r.certs.client)
	if err != nil {
		return fmt.Errorf("fill Redis: %w", err)
	}
	defer c.Close()
	const batch = 10_000
	var commands []byte
	for from := 0; from < r.keys; from += batch {
		commands = commands[:0]
		to := min(from+batch, r.keys)
		for i := from; i < to; i++ {
			k, h := peerKey(i), peerHousehold(i)
			commands = append(append(commands, "*3\r\n$3\r\nSET\r\n$16\r\n"...), k[:]...)
			commands = append(append(append(commands, "\r\n$8\r\n"...), h[:]...), "\r\n"...)
		}
		wrote := make(chan error, 1)
		go func() { _, err := c.conn.Write(commands); wrote <- err }()
		answers := make([]byte, (to-from)*len("+OK\r\n"))
		_, err := io.ReadFull(c.conn, answers)
		if err := errors.Join(err, <-wrote, ctx.Err()); err != nil {
			return fmt.Errorf("fill Redis: %w", err)
		}
		say("filling Redis: %d %%", 100*to/r.keys)
	}
	return nil
}

func (r *redis) lanes(_ context.Context, n int) (target, []lane, error) {
	all := make([]lane, n)
	for i := range all {
		all[i] = r.certs.client
		all[i].Requests = requestsFor(r.keys, func(key [16]byte) []byte {
			return append(append([]byte("*2\r\n$3\r\nGET\r\n$16\r\n"), key[:]...), "\r\n"...)
		})
	}
	return r.target, all, nil
}

// errMissing says what a machine lacks.
type errMissing struct{ what string }

func (e errMissing) Error() string { return e.what }

// version is the number that a program prints behind a mark when asked.
func version(program, mark string) string {
	out, _ := exec.Command(program, "--version").Output()
	return numberBehind(string(out), mark)
}

// unprivileged makes a command run as nobody if this program is root's: PostgreSQL
// refuses root. It gives the owner for what the command works on.
func unprivileged(cmd *exec.Cmd) (uid int) {
	const nobody = 65534
	if os.Geteuid() != 0 {
		return os.Geteuid()
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return nobody
}

func portOf(address string) uint16 {
	_, port, _ := net.SplitHostPort(address)
	n, _ := strconv.ParseUint(port, 10, 16)
	return uint16(n)
}
