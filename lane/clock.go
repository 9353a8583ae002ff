package lane

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"posd/basket"
)

// Clock tells the time in the two ways that a lane needs it.
type Clock interface {
	// Now is the wall clock: what people read, and what may jump.
	Now() time.Time
	// Boot is the time since the machine was booted, sleep included; it never
	// goes back. BootID changes with every boot.
	Boot() time.Duration
	BootID() string
}

// SystemClock is the machine's clock: CLOCK_REALTIME and CLOCK_BOOTTIME.
type SystemClock struct{ bootID string }

// NewSystemClock returns the machine's clock. Where the kernel tells no boot id
// every start of the program counts as a boot.
func NewSystemClock() SystemClock {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return SystemClock{bootID: basket.NewID().String()}
	}
	return SystemClock{bootID: strings.TrimSpace(string(id))}
}

func (SystemClock) Now() time.Time { return time.Now() }

func (SystemClock) Boot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func (c SystemClock) BootID() string { return c.bootID }

// ticker counts ticks: the time that the lane's machine was running since the
// journal was made. What a reboot leaves out, the time the machine was off, is
// not counted: no clock that survives it can be trusted.
type ticker struct {
	clock Clock
	base  time.Duration // ticks at boot time 0 of this boot
}

func newTicker(clock Clock, last basket.Clock) ticker {
	if last.BootID == clock.BootID() {
		return ticker{clock, last.Ticks - last.Boot}
	}
	if last.BootID == "" {
		return ticker{clock, -clock.Boot()}
	}
	return ticker{clock, last.Ticks}
}

func (t ticker) now() time.Duration { return t.base + t.clock.Boot() }

func (t ticker) snapshot() basket.Clock {
	boot := t.clock.Boot()
	return basket.Clock{Ticks: t.base + boot, BootID: t.clock.BootID(), Boot: boot}
}
