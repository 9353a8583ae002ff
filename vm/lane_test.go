package vm

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"posd/lane"
	"posd/lane/api"
)

const (
	configFile = "/etc/posd/posd.toml"
	socket     = "/run/posd/posd.sock"
)

// posd is the daemon of the guest, under its own unit, and what it says.
type posd struct {
	api *api.Client

	mu     sync.Mutex
	events []lane.Event
	reads  map[string][]string // what each device read: see essence

	asking  sync.Mutex // of what follows
	devices []api.Device
	asked   time.Time
}

// shop is the configuration beside the devices.
const shop = `
country = "US"
payment_cards = true
[basket]
abandon_after = "1h"
same_item_window = "0s"
[loyalty]
issuer = "0001"
`

// posd starts the daemon with these devices, and follows its events.
func (g *guest) posd(devices string) *posd {
	g.t.Helper()
	return g.posdOf(shop + devices)
}

// posdOf starts the daemon with a configuration.
func (g *guest) posdOf(config string) *posd {
	g.t.Helper()
	g.write(configFile, config)
	g.sh("posd config check")
	g.sh("systemctl restart posd.socket posd.service")
	g.t.Cleanup(func() {
		if g.t.Failed() {
			g.t.Logf("%s", g.run("journalctl -b --no-pager -o cat -u posd.service | tail -n 60; posd devices"))
		}
	})
	return connect(g.t)
}

// connect follows the posd that runs.
func connect(t *testing.T) *posd {
	t.Helper()
	p := &posd{api: api.NewClient(socket), reads: map[string][]string{}}
	p.follow(t)
	return p
}

// follow follows the events until the test or posd ends.
func (p *posd) follow(t *testing.T) {
	t.Helper()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- p.api.Events(t.Context(), func() { close(ready) }, func(e lane.Event) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, e)
			if line := essence(e); line != "" {
				p.reads[e.Device] = append(p.reads[e.Device], line)
			}
			return nil
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("follow posd's events: %v", err)
	}
}

// read gives what was read by a device up to now: each scan, swipe, key and fault
// as a line.
func (p *posd) read(device string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.reads[device])
}

// ofLane are the refusals that say nothing of what was read, and follow another
// event: the lane of these tests is not enrolled, and baskets come and go.
var ofLane = map[string]bool{"not-enrolled": true, "after-close": true, "no-basket": true}

// essence is what an event says of what was read; "" if it is about something
// else.
func essence(e lane.Event) string {
	switch e.Type {
	case lane.EventScan:
		if e.Line == nil {
			return fmt.Sprintf("scan of %s", e.Code)
		}
		return scanned(e.Line.UPC, e.Line.Symbology, e.Line.GTIN, e.Line.AddOn, e.Line.Problem)
	case lane.EventSwipe:
		if e.Source == "label" {
			return labelled(e.Last4)
		}
		return swiped(e.Source, e.Tracks, e.Last4, string(e.Kind), e.Code)
	case lane.EventKey:
		return "key " + e.Code
	case lane.EventFault:
		return "fault " + e.Code
	case lane.EventRefused:
		if !ofLane[e.Code] {
			return "refused " + e.Code
		}
	}
	return ""
}

func scanned(label, symbology, gtin, addOn, problem string) string {
	return fmt.Sprintf("scan %q %s gtin %q add-on %q problem %q", label, symbology, gtin, addOn, problem)
}

func labelled(last4 string) string { return fmt.Sprintf("label of a number, last %q", last4) }

func swiped(source string, tracks any, last4, kind, code string) string {
	return fmt.Sprintf("%s %v last %q kind %q code %q", source, tracks, last4, kind, code)
}

// await waits until a device has read n times, and gives what.
func (p *posd) await(t *testing.T, device string, n int) []string {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d reads of %s", n, device), func() bool { return len(p.read(device)) >= n })
	return p.read(device)
}

// event waits for an event, and gives it.
func (p *posd) event(t *testing.T, what string, is func(lane.Event) bool) (found lane.Event) {
	t.Helper()
	waitFor(t, what, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		at := slices.IndexFunc(p.events, is)
		if at >= 0 {
			found = p.events[at]
		}
		return at >= 0
	})
	return found
}

// device gives how a device is. One that posd does not know has no name.
func (p *posd) device(t *testing.T, name string) api.Device {
	t.Helper()
	return p.deviceSince(t, name, time.Now())
}

// deviceSince gives how a device was at a time, or later. The guest is slow: tests
// that wait at the same time share the answers.
func (p *posd) deviceSince(t *testing.T, name string, since time.Time) api.Device {
	t.Helper()
	p.asking.Lock()
	defer p.asking.Unlock()
	if p.asked.Before(since) {
		now := time.Now()
		all, err := p.api.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.devices, p.asked = all, now
	}
	for _, d := range p.devices {
		if d.Name == name {
			return d
		}
	}
	return api.Device{}
}

// state waits until a device is in a state.
func (p *posd) state(t *testing.T, name, want string) api.Device {
	t.Helper()
	const stale = 50 * time.Millisecond
	var d api.Device
	since := time.Now()
	waitFor(t, fmt.Sprintf("device %s to be %s", name, want), func() bool {
		d = p.deviceSince(t, name, since)
		since = time.Now().Add(-stale)
		return d.State == want
	})
	return d
}
