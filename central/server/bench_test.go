package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posd/central"
	"posd/central/server"
	"posd/central/server/lookuplog"
	"posd/central/server/servertest"
	"posd/enroll"
)

const (
	childEnv    = "POSD_BENCHMARK_SERVER"
	benchLanes  = 64
	benchRounds = 8
	benchPhase  = 500 * time.Millisecond
)

// stage is what the process that is measured tells the one that asks it.
type stage struct {
	Lookups, Floor string   // addresses
	Lanes          []string // folders of credentials
}

// TestBenchmarkServer is the process that benchmarks measure, so that its processor
// time is not mixed with that of who asks. In a run of the tests it does nothing.
func TestBenchmarkServer(t *testing.T) {
	floor, ok := strings.CutPrefix(os.Getenv(childEnv), "serve ")
	if !ok {
		return
	}
	much := server.Rate{PerSecond: 1e9, Burst: 1e9}
	c := servertest.Start(t, func(o *server.Options) {
		o.Limits = server.Limits{Lookups: much, Failures: much, TIDs: much, Enrol: much}
		o.Log = nil
		var err error
		o.ResponseFloor, err = time.ParseDuration(floor)
		must(t, err)
		o.Lookups, err = lookuplog.Open(lookuplog.Options{Dir: t.TempDir(), Days: 1})
		must(t, err)
	})
	st := stage{Lookups: strings.TrimPrefix(c.LookupURL, "https://"), Floor: serveFloor(t, c.Server.LookupTLS())}
	for n := range benchLanes {
		st.Lanes = append(st.Lanes, c.EnrolIn(t, "12", fmt.Sprint(n)))
	}
	must(t, json.NewEncoder(os.Stdout).Encode(st))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var usage unix.Rusage
		must(t, unix.Getrusage(unix.RUSAGE_SELF, &usage))
		fmt.Println(usage.Utime.Nano() + usage.Stime.Nano())
	}
}

// serveFloor is the least that a server over TLS does: it reads a message behind its
// length, and answers with as many bytes as the message begins with.
func serveFloor(t *testing.T, config *tls.Config) (address string) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := make([]byte, 4096)
				for {
					n := 0
					for n < 4 || n < 4+int(binary.BigEndian.Uint32(in)) {
						more, err := conn.Read(in[n:])
						if err != nil {
							return
						}
						n += more
					}
					if _, err := conn.Write(in[4 : 4+int(binary.BigEndian.Uint16(in[4:]))]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// measured is a process of TestBenchmarkServer.
type measured struct {
	stage
	in  io.Writer
	out *bufio.Reader
}

func startMeasured(b *testing.B, floor time.Duration) *measured {
	m := &measured{}
	m.in, m.out = startChild(b, "TestBenchmarkServer", "serve "+floor.String())
	line, err := m.out.ReadBytes('\n')
	must(b, err)
	must(b, json.Unmarshal(line, &m.stage))
	return m
}

// startChild runs a test in a process of its own.
func startChild(b *testing.B, test, job string, before ...string) (io.Writer, *bufio.Reader) {
	args := append(before, os.Args[0], "-test.run=^"+test+"$", "-test.timeout=10m")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+job)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return in, bufio.NewReader(out)
}

// cpu is the processor time that the process has taken.
func (m *measured) cpu(b *testing.B) (d time.Duration) {
	fmt.Fprintln(m.in)
	_, err := fmt.Fscanln(m.out, &d)
	must(b, err)
	return d
}

// caller is one connection that asks the same thing again and again.
type caller struct {
	conn *tls.Conn
	send []byte
	in   *bufio.Reader
	read func(*bufio.Reader) error
}

func (c *caller) ask() error {
	if _, err := c.conn.Write(c.send); err != nil {
		return err
	}
	return c.read(c.in)
}

func connect(b testing.TB, address string, credentials *enroll.Store) *tls.Conn {
	conn, err := tls.Dial("tcp", address, enroll.ClientConfig(credentials, enroll.Name{Role: enroll.Central}))
	must(b, err)
	b.Cleanup(func() { conn.Close() })
	return conn
}

func httpRequest(b testing.TB, path string, v any) []byte {
	body, err := json.Marshal(v)
	must(b, err)
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: central.example:8443\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n"+
		"Accept: application/json, application/problem+json\r\nContent-Type: application/json\r\n\r\n%s", path, len(body), body)
}

func readAnswer(in *bufio.Reader) error {
	status, err := readAny(in)
	if err == nil && status != 200 {
		err = fmt.Errorf("answered %d", status)
	}
	return err
}

// readAny reads an answer of any status.
func readAny(in *bufio.Reader) (status int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	fmt.Sscanf(string(line), "HTTP/1.1 %d", &status)
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) == 2 {
			_, err = in.Discard(length)
			return status, err
		}
		if rest, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			fmt.Sscan(rest, &length)
		}
	}
}

// lane asks as lane n for a card that central knows.
func (m *measured) lane(b *testing.B, n int) (lookup, floor *caller) {
	credentials, err := enroll.Load(m.Lanes[n])
	must(b, err)
	l := laneAt(b, "https://"+m.Lookups, credentials)
	req := l.request(b, benchCard(n))
	if _, err := l.ask(b.Context(), req); err != nil {
		b.Fatal(err)
	}
	lookup = &caller{conn: connect(b, m.Lookups, credentials), send: httpRequest(b, central.ResolvePath, req), read: readAnswer}
	lookup.in = bufio.NewReader(lookup.conn)

	body, err := json.Marshal(req)
	must(b, err)
	const answer = 165 // bytes of an answer
	framed := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	framed = append(binary.BigEndian.AppendUint16(framed, answer), body[2:]...)
	floor = &caller{conn: connect(b, m.Floor, credentials), send: framed, read: func(in *bufio.Reader) error {
		_, err := in.Discard(answer)
		return err
	}}
	floor.in = bufio.NewReader(floor.conn)
	return lookup, floor
}

// benchCard is a test card's number: 411111, a number, and the check digit.
func benchCard(n int) string {
	digits := fmt.Sprintf("411111%09d", n)
	sum := 0
	for i, d := range slices.Backward([]byte(digits)) {
		v := int(d - '0')
		if (len(digits)-1-i)%2 == 0 {
			v *= 2
		}
		sum += v/10 + v%10
	}
	return digits + fmt.Sprint((10-sum%10)%10)
}

// load is what a phase of asking was like.
type load struct {
	cpu   time.Duration
	took  time.Duration
	times []time.Duration
}

func (l *load) add(o load) {
	l.cpu, l.took, l.times = l.cpu+o.cpu, l.took+o.took, append(l.times, o.times...)
}

// each is the processor time of one request, in microseconds.
func (l load) each() float64 { return float64(l.cpu.Microseconds()) / float64(len(l.times)) }

func (l load) rate() float64 { return float64(len(l.times)) / l.took.Seconds() }

func (l load) percentile(p int) time.Duration {
	if len(l.times) == 0 {
		return 0
	}
	slices.Sort(l.times)
	return l.times[len(l.times)*p/100]
}

// press has all callers ask for a time, each again as soon as it has its answer.
func (m *measured) press(b *testing.B, callers []*caller, phase time.Duration) (l load) {
	before, begun := m.cpu(b), time.Now()
	all := make([][]time.Duration, len(callers))
	var wg sync.WaitGroup
	for i, c := range callers {
		wg.Go(func() {
			for last := begun; last.Sub(begun) < phase; {
				if err := c.ask(); err != nil {
					b.Error(err)
					return
				}
				now := time.Now()
				all[i] = append(all[i], now.Sub(last))
				last = now
			}
		})
	}
	wg.Wait()
	l.took = time.Since(begun)
	l.cpu = m.cpu(b) - before
	l.times = slices.Concat(all...)
	return l
}

// BenchmarkLookup compares lookups of known cards over 64 connections with client
// certificates with the least that a server over TLS does: the metric "x-floor" is the
// ratio of the server's processor time for each.
func BenchmarkLookup(b *testing.B) {
	m := startMeasured(b, 0)
	lookups, floors := make([]*caller, benchLanes), make([]*caller, benchLanes)
	for n := range benchLanes {
		lookups[n], floors[n] = m.lane(b, n)
	}
	var lookup, floor load
	for b.Loop() {
		for range benchRounds {
			floor.add(m.press(b, floors, benchPhase))
			lookup.add(m.press(b, lookups, benchPhase))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(floor.each(), "floor-cpu-µs")
	b.ReportMetric(lookup.each(), "lookup-cpu-µs")
	b.ReportMetric(lookup.each()/floor.each(), "x-floor")
	b.ReportMetric(floor.rate(), "floor/s")
	b.ReportMetric(lookup.rate(), "lookups/s")
	b.ReportMetric(float64(floor.percentile(99).Microseconds()), "floor-p99-µs")
	b.ReportMetric(float64(lookup.percentile(99).Microseconds()), "lookup-p99-µs")
}

// BenchmarkResponseFloor asks one by one for cards that are known and for new ones, with and
// without a response floor. The metric "told-%" says how many of them can be told by a limit
// of time that is set as well as can be: 50 is a guess.
func BenchmarkResponseFloor(b *testing.B) {
	for _, floor := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond} {
		b.Run(floor.String(), func(b *testing.B) {
			m := startMeasured(b, floor)
			credentials, err := enroll.Load(m.Lanes[0])
			must(b, err)
			var known, fresh load
			var l *lane
			card := 0
			ask := func(l2 *load, number string) {
				req := l.request(b, number)
				begun := time.Now()
				_, err := l.ask(b.Context(), req)
				l2.times = append(l2.times, time.Since(begun))
				must(b, err)
			}
			for b.Loop() {
				for n := range 200 {
					if n%100 == 0 { // an epoch has 256 uses
						l = laneAt(b, "https://"+m.Lookups, credentials)
						_, err = l.ask(b.Context(), l.request(b, benchCard(0)))
						must(b, err)
					}
					card++
					ask(&known, benchCard(0))
					ask(&fresh, benchCard(card))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(known.percentile(50).Microseconds()), "known-p50-µs")
			b.ReportMetric(float64(fresh.percentile(50).Microseconds()), "new-p50-µs")
			b.ReportMetric(100*told(known.times, fresh.times), "told-%")
		})
	}
}

// told is the best share that one limit parts rightly, what is under it on the one side.
func told(under, over []time.Duration) (best float64) {
	for _, limit := range slices.Concat(under, over) {
		right := 0
		for _, d := range under {
			if d <= limit {
				right++
			}
		}
		for _, d := range over {
			if d > limit {
				right++
			}
		}
		best = max(best, float64(right)/float64(len(under)+len(over)))
	}
	return best
}
