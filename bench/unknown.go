package main

import (
	"context"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// unknownRow is what TIDs that central has never seen cost: medians of the rounds.
type unknownRow struct {
	Rate      float64 `json:"households_per_s"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	CPU       float64 `json:"server_cpu_us"`
	CommitP50 float64 `json:"commit_p50_ms"`
	CommitP99 float64 `json:"commit_p99_ms"`
	Ratio     float64 `json:"p99_to_commit_p99"`
}

// unknownTIDs has lanes show cards that central has never seen. In the same run, and
// in turn, a bare commit is measured on the same disk.
func (b *bench) unknownTIDs(ctx context.Context) error {
	var rates, p50s, p99s, cpus, commit50s, commit99s, ratios []float64
	for round := range b.rounds {
		b.say("unknown TIDs, round %d of %d", round+1, b.rounds)
		commits, err := bareCommits(b.cache, b.slot/2)
		if err != nil {
			return err
		}
		s, err := b.unknownSlot(ctx)
		if err != nil {
			return err
		}
		c50, c99 := quantile(commits, 0.5), quantile(commits, 0.99)
		rates, p50s, p99s, cpus = append(rates, s.rate()), append(p50s, p50(s)), append(p99s, p99(s)), append(cpus, s.cpuPer())
		commit50s, commit99s, ratios = append(commit50s, c50), append(commit99s, c99), append(ratios, p99(s)/c99)
	}
	row := &unknownRow{median(rates), median(p50s), median(p99s), median(cpus), median(commit50s), median(commit99s), median(ratios)}
	b.report.Unknown = row
	b.report.Goals = append(b.report.Goals,
		goal{"new households/s on this machine, in thousands", ">= 5", row.Rate / 1000, row.Rate >= 5000},
		goal{"p99 of a new household, to a bare commit's", "<= 3", row.Ratio, row.Ratio <= 3})
	return nil
}

func (b *bench) unknownSlot(ctx context.Context) (sample, error) {
	t, lanes, err := b.central.sealed(ctx, b.connections, someUnknown, (*epochs).known)
	if err != nil {
		return sample{}, err
	}
	for i := range lanes {
		lanes[i].Most = len(lanes[i].First) + len(lanes[i].Requests) // each is unknown but once
	}
	all, err := dialAll(ctx, t, lanes, b.connections)
	defer func() { closeAll(all) }()
	if err != nil {
		return sample{}, err
	}
	return drive(ctx, b.central, all, b.slot)
}

// bareCommits writes 4 KiB into a file that has its size and syncs the data, again
// and again: the least that a durable commit costs.
func bareCommits(dir string, d time.Duration) ([]time.Duration, error) {
	const block, blocks = 4 << 10, 4 << 10
	f, err := os.CreateTemp(dir, "commit-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, block*blocks)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	var all []time.Duration
	data := make([]byte, block)
	for begun, i := time.Now(), 0; time.Since(begun) < d; i++ {
		data[0]++
		from := time.Now()
		if _, err := f.WriteAt(data, int64(i%blocks)*block); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		all = append(all, time.Since(from))
	}
	slices.Sort(all)
	return all, nil
}
