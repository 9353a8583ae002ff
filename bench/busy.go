package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// busy tells how much of the processors that this process may use others had.
type busy struct {
	at   time.Time
	used time.Duration // by anybody
	own  time.Duration
}

func newBusy() (busy, error) {
	b := busy{at: time.Now()}
	var usage unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &usage)
	b.own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	var cpus unix.CPUSet
	err = errors.Join(err, unix.SchedGetaffinity(0, &cpus))
	text, err1 := os.ReadFile("/proc/stat")
	if err := errors.Join(err, err1); err != nil {
		return b, fmt.Errorf("read how busy the processors are: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if number, ok := strings.CutPrefix(fields[0], "cpu"); ok && len(fields) > 8 {
			if cpu, err := strconv.Atoi(number); err == nil && cpus.IsSet(cpu) {
				b.used += busyTicks(fields[1:9])
			}
		}
	}
	return b, nil
}

// busyTicks is all but idle time and waiting for disks, in a line of /proc/stat: user,
// nice, system, idle, iowait, irq, softirq, steal.
func busyTicks(fields []string) time.Duration {
	var sum time.Duration
	for i, f := range fields {
		if n, err := strconv.ParseInt(f, 10, 64); err == nil && i != 3 && i != 4 {
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// others is the share that others had since b was made. The server is known to have
// used so much.
func (b busy) others(server time.Duration) (float64, error) {
	now, err := newBusy()
	if err != nil {
		return 0, err
	}
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return 0, err
	}
	all := now.at.Sub(b.at) * time.Duration(cpus.Count())
	rest := now.used - b.used - (now.own - b.own) - server
	return max(0, float64(rest)/float64(all)), nil
}
