package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"posd/central/server"
)

// statusEvery is how often systemd is told the status; its watchdog may want to
// hear more often.
const statusEvery = 10 * time.Second

// supervisor tells systemd how the server stands, where there is one.
type supervisor struct {
	server *server.Server
	log    *slog.Logger
	wg     sync.WaitGroup
	cancel context.CancelFunc
}

func newSupervisor(s *server.Server, log *slog.Logger) *supervisor {
	return &supervisor{server: s, log: log, cancel: func() {}}
}

// ready says READY and then feeds the watchdog for as long as the server lives.
func (v *supervisor) ready(ctx context.Context) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		v.log.Warn("no watchdog", "error", err)
	}
	sent, err := daemon.SdNotify(false, daemon.SdNotifyReady+"\n"+v.status())
	if err != nil {
		v.log.Warn("systemd was not told", "error", err)
	}
	if !sent {
		return
	}
	every := statusEvery
	if watchdog > 0 {
		every = min(every, watchdog/3)
	}
	ctx, v.cancel = context.WithCancel(ctx)
	v.wg.Go(func() { v.tell(ctx, every, watchdog > 0) })
}

func (v *supervisor) tell(ctx context.Context, every time.Duration, watchdog bool) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		state := v.status()
		if watchdog && v.server.Alive() {
			state += "\n" + daemon.SdNotifyWatchdog
		}
		daemon.SdNotify(false, state)
	}
}

// stopping ends the supervisor.
func (v *supervisor) stopping() {
	daemon.SdNotify(false, daemon.SdNotifyStopping)
	v.cancel()
	v.wg.Wait()
}

func (v *supervisor) status() string {
	st := v.server.Status()
	text := fmt.Sprintf("STATUS=%s, %d cards and numbers known", st.State, st.TIDs)
	if len(st.Reasons) > 0 {
		text += ": " + strings.Join(st.Reasons, "; ")
	}
	return text
}
