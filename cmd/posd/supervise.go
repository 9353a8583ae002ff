package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"posd/lane"
	"posd/lane/api"
)

const (
	statusEvery = 10 * time.Second
	knownWithin = 10 * time.Second // a device that says nothing does not hold up the lane
	laneStuck   = 20 * time.Second // its loop turns every 5 s
)

// supervise tells systemd that posd is ready, how it is, and that it lives. It
// does nothing where there is no systemd.
func (d *posd) supervise(ctx context.Context) {
	every := statusEvery
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("read systemd's watchdog interval", "err", err)
	}
	if watchdog > 0 {
		every = min(every, watchdog/3)
	}
	d.awaitDevices(ctx)
	if ctx.Err() == nil {
		d.notify(daemon.SdNotifyReady + "\nSTATUS=" + d.statusLine(ctx))
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			d.notify(daemon.SdNotifyStopping)
			return
		case <-ticker.C:
			d.beat(ctx, watchdog > 0)
		}
	}
}

// awaitDevices waits until each device is being read, or it is known why not.
func (d *posd) awaitDevices(ctx context.Context) {
	give := time.NewTimer(knownWithin)
	defer give.Stop()
	select {
	case <-ctx.Done():
	case <-d.devices.Settled():
	case <-give.C:
		d.log.Warn("a device is neither read nor known to be missing: going on without it")
	}
}

// beat feeds the watchdog, if every reader and the lane's loop live.
func (d *posd) beat(ctx context.Context, watchdog bool) {
	state := "STATUS=" + d.statusLine(ctx)
	if err := d.live(); err != nil {
		d.log.Error("not alive", "err", err)
		state = "STATUS=" + err.Error()
	} else if watchdog {
		state += "\n" + daemon.SdNotifyWatchdog
	}
	d.notify(state)
}

// live reports whether every reader and the lane's loop live.
func (d *posd) live() error {
	err := d.devices.Live(time.Now())
	if late := d.lane.Alive(); late > laneStuck {
		err = errors.Join(err, fmt.Errorf("the lane's loop is stuck: it has not turned for %s", late.Round(time.Second)))
	}
	return err
}

// statusLine is one line for systemctl status.
func (d *posd) statusLine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	st, err := d.lane.Status(ctx)
	if err != nil {
		return "the lane does not answer: " + err.Error()
	}
	return statusLine(st, devicesOf(d.devices), d.remote.credentials != nil)
}

func statusLine(st lane.Status, devices []api.Device, enrolled bool) string {
	reading := 0
	for _, dev := range devices {
		if dev.State == api.Reading {
			reading++
		}
	}
	line := fmt.Sprintf("%d of %d devices read, ", reading, len(devices))
	if st.Basket != nil {
		line += fmt.Sprintf("basket open with %d lines", st.Basket.Lines)
	} else {
		line += "no basket open"
	}
	if !enrolled {
		line += ", not enrolled: run posd enroll"
	} else {
		line += fmt.Sprintf(", central %s, POS main computer %s, %d to send", st.Central.State, st.Main.State, st.Queued)
	}
	if st.JournalError != "" {
		line += ", NOTHING CAN BE KEPT: " + st.JournalError
	}
	return line
}

func (d *posd) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		d.log.Warn("tell systemd", "err", err)
	}
}
