package main

import (
	"bytes"
	"context"
	"crypto/hpke"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"posd/enctid"
)

// storm is many clients at once. They run in a process of their own, so that the
// lanes that are watched meanwhile do not wait behind them on this side.
type storm struct {
	Target      target
	Lanes       []lane
	Connections int
	Reconnect   bool          // each connects, asks once and is done; else each asks on and on
	For         time.Duration // how long they ask on
}

// stormed is what became of a storm.
type stormed struct {
	Answered int
	Shed     int // requests, or connections that did not come about and were tried again
	Failed   int // connections that did not come about within a minute
	Elapsed  time.Duration
	P50, P99 float64 // ms
}

// run runs the storm in another process.
func (s storm) run(ctx context.Context) (result stormed, err error) {
	self, err := os.Executable()
	if err != nil {
		return result, err
	}
	in, err := json.Marshal(s)
	if err != nil {
		return result, err
	}
	cmd := exec.CommandContext(ctx, self, "storm")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &complaint
	out, err := cmd.Output()
	if err != nil {
		return result, fmt.Errorf("storm: %w: %s", err, complaint.String())
	}
	return result, json.Unmarshal(out, &result)
}

// serveStorm is that other process.
func serveStorm(in io.Reader, out io.Writer) error {
	var s storm
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	do := s.keep
	if s.Reconnect {
		do = s.reconnect
	}
	result, err := do(context.Background())
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// nobody stands in for the server where its CPU is read by someone else.
type nobody struct{}

func (nobody) Name() string                { return "storm" }
func (nobody) CPU() (time.Duration, error) { return 0, nil }

func (s storm) keep(ctx context.Context) (stormed, error) {
	all, err := dialAll(ctx, s.Target, s.Lanes, s.Connections)
	defer func() { closeAll(all) }()
	if err != nil {
		return stormed{}, err
	}
	got, err := drive(ctx, nobody{}, all, s.For)
	return stormed{Answered: len(got.latencies), Shed: got.shed, Elapsed: got.elapsed, P50: got.quantile(0.5), P99: got.quantile(0.99)}, err
}

// reconnect has all connect at the same moment. Who is turned away comes back after a
// second or two, as a lane does.
func (s storm) reconnect(ctx context.Context) (stormed, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var mu sync.Mutex
	var r stormed
	var took []time.Duration
	begun := time.Now()
	var wg sync.WaitGroup
	for i := range s.Connections {
		wg.Go(func() {
			tries, ok := s.enter(ctx, s.Lanes[i%len(s.Lanes)], i/len(s.Lanes))
			mu.Lock()
			defer mu.Unlock()
			if r.Shed += tries - 1; ok {
				took = append(took, time.Since(begun))
			} else {
				r.Failed++
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	r.Answered, r.Elapsed, r.P50, r.P99 = len(took), time.Since(begun), quantile(took, 0.5), quantile(took, 0.99)
	return r, nil
}

// enter connects and asks once, however often it is turned away.
func (s storm) enter(ctx context.Context, l lane, offset int) (tries int, ok bool) {
	for tries = 1; ; tries++ {
		c, err := s.Target.dial(ctx, l, offset)
		if err == nil {
			err = c.ask()
			c.Close()
		}
		if err == nil {
			return tries, true
		}
		select {
		case <-ctx.Done():
			return tries, false
		case <-time.After(time.Second + time.Duration(rand.Int64N(int64(time.Second)))):
		}
	}
}

// What is watched while there is a storm: so many lanes that ask so often.
const (
	watched    = 16
	watchEvery = 40 * time.Millisecond
)

// watch runs a storm, and watches lanes that were there before.
func watch(ctx context.Context, c contender, live []asker, quiet time.Duration, s storm) (row stormRow, err error) {
	before, err := pace(live, watchEvery, after(quiet))
	if err != nil {
		return row, err
	}
	cpu, err := c.CPU()
	if err != nil {
		return row, err
	}
	over := make(chan struct{})
	var got stormed
	var stormErr error
	go func() { defer close(over); got, stormErr = s.run(ctx) }()
	meanwhile, err := pace(live, watchEvery, over)
	<-over
	if err := errors.Join(stormErr, err); err != nil {
		return row, fmt.Errorf("%s: %w", c.Name(), err)
	}
	used, err := c.CPU()
	answers := float64(max(got.Answered, 1))
	return stormRow{
		Name: c.Name(), Rate: float64(got.Answered) / got.Elapsed.Seconds(), Shed: float64(got.Shed), Failed: float64(got.Failed), P50: got.P50, P99: got.P99,
		CPU: float64(used-cpu) / float64(time.Microsecond) / answers, LiveQuiet: before.quantile(0.99), LiveMeanwhile: meanwhile.quantile(0.99), LiveShed: float64(meanwhile.shed),
	}, err
}

func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

// stormRow is what a storm did: medians of the rounds.
type stormRow struct {
	Name          string  `json:"name"`
	Rate          float64 `json:"per_s"`
	Shed          float64 `json:"shed"`
	Failed        float64 `json:"failed"`
	P50           float64 `json:"p50_ms"`
	P99           float64 `json:"p99_ms"`
	CPU           float64 `json:"server_cpu_us"`
	LiveQuiet     float64 `json:"live_p99_quiet_ms"`
	LiveMeanwhile float64 `json:"live_p99_meanwhile_ms"`
	LiveShed      float64 `json:"live_shed"`
}

func medianRow(rounds []stormRow) stormRow {
	m := rounds[0]
	for _, f := range []func(*stormRow) *float64{
		func(r *stormRow) *float64 { return &r.Rate }, func(r *stormRow) *float64 { return &r.Shed },
		func(r *stormRow) *float64 { return &r.Failed }, func(r *stormRow) *float64 { return &r.P50 },
		func(r *stormRow) *float64 { return &r.P99 }, func(r *stormRow) *float64 { return &r.CPU },
		func(r *stormRow) *float64 { return &r.LiveQuiet }, func(r *stormRow) *float64 { return &r.LiveMeanwhile },
		func(r *stormRow) *float64 { return &r.LiveShed },
	} {
		var all []float64
		for i := range rounds {
			all = append(all, *f(&rounds[i]))
		}
		*f(&m) = median(all)
	}
	return m
}

// reconnects has thousands of lanes come back at once, after an outage.
func (b *bench) reconnectStorm(ctx context.Context) error {
	rounds := make([][]stormRow, len(b.contenders))
	for round := range b.rounds {
		for i := range b.contenders {
			at := (i + round) % len(b.contenders)
			c, ok := b.contenders[at].(leanContender)
			if !ok {
				continue // PostgreSQL has a process for each connection: that is known
			}
			b.say("%d lanes reconnect, round %d of %d: %s", b.reconnects, round+1, b.rounds, c.Name())
			row, err := b.reconnectTo(ctx, c)
			if err != nil {
				return err
			}
			rounds[at] = append(rounds[at], row)
		}
	}
	for _, r := range rounds {
		if len(r) > 0 {
			b.report.Reconnects = append(b.report.Reconnects, medianRow(r))
		}
	}
	return nil
}

func (b *bench) reconnectTo(ctx context.Context, c leanContender) (stormRow, error) {
	t, lanes, err := c.lanes(ctx, b.connections)
	if err != nil {
		return stormRow{}, err
	}
	// Central learns all epochs from these first connections; a part of them stays.
	live, err := dialAll(ctx, t, lanes, len(lanes)+watched)
	defer func() { closeAll(live) }()
	if err != nil {
		return stormRow{}, err
	}
	for i := range lanes {
		lanes[i].First = nil
	}
	closeAll(live[watched:])
	live = live[:watched]
	return watch(ctx, c, live, b.slot/2, storm{Target: t, Lanes: trimmed(lanes), Connections: b.reconnects, Reconnect: true})
}

// trimmed leaves each lane a few requests: enough for one each time it connects.
func trimmed(lanes []lane) []lane {
	for i := range lanes {
		lanes[i].Requests = lanes[i].Requests[:min(len(lanes[i].Requests), 8)]
	}
	return lanes
}

// epochStorm has every request bring an epoch that central does not know.
func (b *bench) epochStorm(ctx context.Context) error {
	b.say("sealing for a storm of new epochs")
	var rounds []stormRow
	var ratios []float64
	for round := range b.rounds {
		b.say("a storm of new epochs, round %d of %d", round+1, b.rounds)
		_, lanes, err := b.central.lanes(ctx, watched)
		if err != nil {
			return err
		}
		t, fresh, err := b.central.sealed(ctx, b.connections, b.central.someKnown, (*epochs).fresh)
		if err != nil {
			return err
		}
		bare, err := bareDecapsulation(b.slot / 8)
		if err != nil {
			return err
		}
		live, err := dialAll(ctx, t, lanes, watched)
		if err == nil {
			var row stormRow
			row, err = watch(ctx, b.central, live, b.slot/2, storm{Target: t, Lanes: fresh, Connections: 4 * b.connections, For: b.slot})
			rounds, ratios = append(rounds, row), append(ratios, row.CPU/bare)
		}
		closeAll(live)
		if err != nil {
			return err
		}
	}
	b.report.Epochs = &epochsRow{medianRow(rounds), median(ratios)}
	return nil
}

// epochsRow is what a storm of new epochs did.
type epochsRow struct {
	stormRow
	ToBare float64 `json:"cpu_to_bare_decapsulation"`
}

// bareDecapsulation is how long one takes by itself, in µs.
func bareDecapsulation(d time.Duration) (float64, error) {
	kem, kdf, aead := enctid.Suite()
	private, err := kem.GenerateKey()
	if err != nil {
		return 0, err
	}
	enc, _, err := hpke.NewSender(private.PublicKey(), kdf, aead, nil)
	if err != nil {
		return 0, err
	}
	n, begun := 0, time.Now()
	for ; time.Since(begun) < d || n == 0; n++ {
		r, err := hpke.NewRecipient(enc, private, kdf, aead, nil)
		if err != nil {
			return 0, err
		}
		if _, err := enctid.NewAEAD(r); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(begun)) / float64(time.Microsecond) / float64(n), nil
}
