package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// shop is the whole installation: central, the POS main computer and two lanes.
type shop struct {
	central         *process
	lookups, ops    string
	main            *process
	mainURL         string
	lanes           map[int]*lane
	centralDatabase string
	mainDatabase    string
}

// openShop initialises central, starts it, enrols the POS main computer and
// two lanes with one-time tokens, and starts them.
func (w *world) openShop() (*shop, error) {
	s := &shop{lanes: map[int]*lane{}, centralDatabase: w.path("central", "centrald.db"), mainDatabase: w.path("posmain", "posmaind.db")}
	for _, dir := range []string{"central", "posmain"} {
		if err := os.Mkdir(w.path(dir), 0o700); err != nil {
			return nil, err
		}
	}
	if _, err := w.call("", "centrald", "init", "--database", s.centralDatabase, "--host", "localhost,127.0.0.1", "--tenant", "demo-markets"); err != nil {
		return nil, err
	}
	var err error
	if s.lookups, err = freePort(); err == nil {
		s.ops, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	if err := s.startCentral(w); err != nil {
		return nil, err
	}
	if err := s.startMain(w); err != nil {
		return nil, err
	}
	for n := 1; n <= 2; n++ {
		if err := s.startLane(w, n); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *shop) startCentral(w *world) (err error) {
	s.central, err = w.start("centrald", nil, "centrald", "serve", "--database", s.centralDatabase,
		"--listen", s.lookups, "--ops-listen", s.ops, "--lookup-url", "https://"+s.lookups)
	if err != nil {
		return err
	}
	return w.until("centrald listening", func() (bool, error) { return listening(s.ops), s.central.failed() })
}

func (s *shop) startMain(w *world) error {
	addr, err := freePort()
	if err != nil {
		return err
	}
	s.mainURL = "https://" + addr
	if err := s.enrol(w, []string{"--role", "posmain"}, "posmaind", "--state-dir", w.path("posmain")); err != nil {
		return err
	}
	s.main, err = w.start("posmaind", nil, "posmaind", "serve", "--database", s.mainDatabase, "--state-dir", w.path("posmain"), "--listen", addr)
	if err != nil {
		return err
	}
	return w.until("posmaind listening", func() (bool, error) { return listening(addr), s.main.failed() })
}

// enrol has central make a token and the program enrol with it.
func (s *shop) enrol(w *world, who []string, program string, where ...string) error {
	token, err := w.call("", append([]string{"centrald", "tokens", "create", "--database", s.centralDatabase, "--store", "12"}, who...)...)
	if err != nil {
		return err
	}
	_, err = w.call(token, append([]string{program, "enroll", "--central", "https://" + s.ops}, where...)...)
	return err
}

// lane is one checkout: its daemon, its simulated devices and what the daemon
// tells of itself.
type lane struct {
	number int
	config string
	sim    *process
	fifo   string // takes commands of the simulated devices, once the story is told
	events chan event

	lastClose time.Time
}

// nextCustomer lets the time pass in which a card still counts as the last
// customer's (basket.close_guard).
func (l *lane) nextCustomer() { time.Sleep(time.Until(l.lastClose.Add(2100 * time.Millisecond))) }

// event is what posd monitor --json tells, as far as the story needs it.
type event struct {
	At       time.Time `json:"at"`
	Type     string    `json:"type"`
	Basket   string    `json:"basket"`
	State    string    `json:"state"`
	HHID     string    `json:"hhid"`
	Sequence uint64    `json:"sequence"`
	Revision int       `json:"revision"`
	Code     string    `json:"code"`
	Reason   string    `json:"reason"`
	Last4    string    `json:"last4"`
	Kind     string    `json:"kind"`
	Line     *struct {
		UPC  string `json:"upc"`
		GTIN string `json:"gtin"`
	} `json:"line"`
}

const laneConfig = `# Lane %[1]d of the demo shop, on simulated devices.
state_dir = %[2]q
country = "US"
payment_cards = true

[api]
socket = %[3]q

[posmain]
url = %[4]q

[loyalty]
issuer = "0001"
patterns = ["2900[0-9]{9}"]

[[device]]
name = "scanner"
role = "scanner"
driver = "serial-scanner"
port = %[5]q

[[device]]
name = "card-reader"
role = "msr"
driver = "serial-msr"
port = %[6]q

[[device]]
name = "keypad"
role = "keypad"
driver = "serial-keypad"
port = %[7]q
`

func (s *shop) startLane(w *world, n int) error {
	dir := fmt.Sprintf("lane%d", n)
	l := &lane{number: n, config: w.path(dir, "posd.toml"), events: make(chan event, 1024)}
	s.lanes[n] = l
	dev := w.path(dir, "dev")
	if err := os.MkdirAll(w.path(dir, "state"), 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf(laneConfig, n, w.path(dir, "state"), w.path(dir, "posd.sock"), s.mainURL, dev+"/scanner", dev+"/msr", dev+"/keypad")
	if err := os.WriteFile(l.config, []byte(text), 0o600); err != nil {
		return err
	}
	if err := s.enrol(w, []string{"--lane", fmt.Sprint(n)}, "posd", "--config", l.config); err != nil {
		return err
	}
	if err := l.plugIn(w, dev); err != nil {
		return err
	}
	posd, err := w.start(fmt.Sprintf("posd-lane%d", n), nil, "posd", "run", "--config", l.config)
	if err != nil {
		return err
	}
	err = w.until("lane "+fmt.Sprint(n)+" open", func() (bool, error) {
		_, err := w.call("", "posd", "status", "--config", l.config)
		return err == nil, errors.Join(err, posd.failed())
	})
	if err != nil {
		return err
	}
	return l.listen(w)
}

// plugIn starts the simulated devices.
func (l *lane) plugIn(w *world, dev string) error {
	var err error
	l.sim, err = w.start(fmt.Sprintf("devices-lane%d", l.number), nil, "posd", "simulate", "--dir", dev)
	if err != nil {
		return err
	}
	return w.until("simulated devices", func() (bool, error) {
		_, err := os.Stat(dev + "/keypad")
		return err == nil, l.sim.failed()
	})
}

// takeCommands makes a named pipe into which a person can write commands for
// the simulated devices.
func (l *lane) takeCommands(w *world) error {
	l.fifo = w.path(fmt.Sprintf("lane%d", l.number), "devices")
	if err := unix.Mkfifo(l.fifo, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(l.fifo, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	context.AfterFunc(w.ctx, func() { f.Close() })
	go func() {
		for lines := bufio.NewScanner(f); lines.Scan(); {
			l.do(lines.Text())
		}
	}()
	go func() {
		for range l.events {
		}
	}()
	return nil
}

// listen follows the lane's events.
func (l *lane) listen(w *world) error {
	r, out := io.Pipe()
	monitor, err := w.start(fmt.Sprintf("monitor-lane%d", l.number), out, "posd", "monitor", "--json", "--config", l.config)
	if err != nil {
		return err
	}
	go func() { <-monitor.exited; out.Close() }()
	go func() {
		defer close(l.events)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				l.events <- e
			}
		}
	}()
	return nil
}

// do has a device do something, as posd simulate's standard input takes it.
func (l *lane) do(command string) error {
	if _, err := fmt.Fprintln(l.sim.stdin, command); err != nil {
		return fmt.Errorf("lane %d: %s: %v", l.number, strings.Fields(command)[0], err)
	}
	return nil
}

// wait gives the next event that f wants. One that refuses something ends the
// story.
func (l *lane) wait(what string, f func(event) bool) (event, error) {
	late := time.After(patience)
	for {
		select {
		case e, ok := <-l.events:
			switch {
			case !ok:
				return e, fmt.Errorf("lane %d: the monitor ended before %s", l.number, what)
			case f(e):
				return e, nil
			case e.Type == "refused" || e.Type == "fault":
				return e, fmt.Errorf("lane %d, waiting for %s: %s: %s", l.number, what, e.Code, e.Reason)
			}
		case <-late:
			return event{}, fmt.Errorf("lane %d: %s did not happen within %s", l.number, what, patience)
		}
	}
}
