package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"posd/central"
	"posd/enctid"
	"posd/enroll"
)

// floodFrom is the first lane of the crowd: those before it ask for known cards.
const floodFrom = 8

// flood is what a crowd of lanes is to do to a central, and what became of it.
type flood struct {
	Job     string // epochs, or connect
	Stage   stage
	Lanes   int
	For     time.Duration
	Good    int
	GoodP99 time.Duration
	Shed    int
	ShedP99 time.Duration
}

// TestBenchmarkFlood is the process that plays the crowd. In a run of the tests it does
// nothing.
func TestBenchmarkFlood(t *testing.T) {
	var f flood
	if json.Unmarshal([]byte(os.Getenv(childEnv)), &f) != nil {
		return
	}
	ask := map[string]func(*testing.T, stage, int) func() bool{"epochs": newEpoch, "connect": newConnection}[f.Job]
	asks := make([]func() bool, f.Lanes)
	for n := range asks {
		asks[n] = ask(t, f.Stage, n)
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		f.run(asks)
		must(t, json.NewEncoder(os.Stdout).Encode(f))
	}
}

func (f *flood) run(asks []func() bool) {
	var mu sync.Mutex
	var good, shed load
	var wg sync.WaitGroup
	until := time.Now().Add(f.For)
	for _, ask := range asks {
		wg.Go(func() {
			for begun := time.Now(); begun.Before(until); begun = time.Now() {
				ok := ask()
				took := time.Since(begun)
				mu.Lock()
				if ok {
					good.times = append(good.times, took)
				} else {
					shed.times = append(shed.times, took)
				}
				mu.Unlock()
				if !ok { // a lane comes back after a while
					<-time.After(time.Second + rand.N(4*time.Second))
				}
			}
		})
	}
	wg.Wait()
	f.Good, f.GoodP99, f.Shed, f.ShedP99 = len(good.times), good.percentile(99), len(shed.times), shed.percentile(99)
}

// newEpoch asks with an EncTID that brings its enc; false: central is too busy.
func newEpoch(t *testing.T, st stage, n int) func() bool {
	credentials, err := enroll.Load(st.Lanes[floodFrom+n%(len(st.Lanes)-floodFrom)])
	must(t, err)
	l := laneAt(t, "https://"+st.Lookups, credentials)
	req := l.request(t, benchCard(floodFrom))
	req.EncTID, err = enctid.WithEnc(req.EncTID, l.sealer.Enc())
	must(t, err)
	conn, send := connect(t, st.Lookups, credentials), httpRequest(t, central.ResolvePath, req)
	in := bufio.NewReader(conn)
	return func() bool {
		conn.Write(send)
		status, err := readAny(in)
		if err != nil || status != 200 && status != 503 {
			t.Errorf("answered %d, %v", status, err)
		}
		return status == 200
	}
}

// newConnection makes a handshake; false: central turned it away.
func newConnection(t *testing.T, st stage, n int) func() bool {
	credentials, err := enroll.Load(st.Lanes[floodFrom+n%(len(st.Lanes)-floodFrom)])
	must(t, err)
	config := enroll.ClientConfig(credentials, enroll.Name{Role: enroll.Central})
	return func() bool {
		conn, err := tls.Dial("tcp", st.Lookups, config)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
}

// BenchmarkNewEpochs has many lanes ask with EncTIDs that bring their enc, and says what
// becomes of lookups of known cards meanwhile.
func BenchmarkNewEpochs(b *testing.B) { benchmarkFlood(b, "epochs", 1000) }

// BenchmarkReconnect has many lanes connect at once, as after an outage, and says what
// becomes of lookups on connections that were there before.
func BenchmarkReconnect(b *testing.B) { benchmarkFlood(b, "connect", 4000) }

// benchmarkFlood compares the times of lookups of known cards with and without a crowd, whose own process
// gets only the processor time that is left over.
func benchmarkFlood(b *testing.B, job string, lanes int) {
	m := startMeasured(b, 0)
	known := make([]*caller, floodFrom)
	for n := range known {
		known[n], _ = m.lane(b, n)
	}
	f := flood{Job: job, Stage: m.stage, Lanes: lanes, For: 4 * time.Second}
	text, err := json.Marshal(f)
	must(b, err)
	in, out := startChild(b, "TestBenchmarkFlood", string(text), "nice", "-n", "19")
	_, err = out.ReadString('\n')
	must(b, err)
	var calm, flooded load
	var good, shed int
	for b.Loop() {
		calm.add(m.press(b, known, 2*time.Second))
		fmt.Fprintln(in)
		flooded.add(m.press(b, known, f.For))
		line, err := out.ReadBytes('\n')
		must(b, err)
		must(b, json.Unmarshal(line, &f))
		good, shed = good+f.Good, shed+f.Shed
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(calm.percentile(99).Microseconds()), "known-p99-µs")
	b.ReportMetric(float64(flooded.percentile(99).Microseconds()), "known-p99-flooded-µs")
	b.ReportMetric(flooded.rate()/calm.rate(), "known-rate-flooded/calm")
	b.ReportMetric(float64(good)/flooded.took.Seconds(), job+"/s")
	b.ReportMetric(float64(shed)/flooded.took.Seconds(), "shed/s")
	b.ReportMetric(float64(f.ShedP99.Milliseconds()), "shed-p99-ms")
	b.ReportMetric(float64(f.GoodP99.Milliseconds()), job+"-p99-ms")
}
