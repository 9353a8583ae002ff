package drivers

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hidraw"
	"posd/drivers/node"
	"posd/tid"
)

const (
	idle     = time.Second            // an idle reader wakes this often, to show that it lives
	minRetry = 250 * time.Millisecond // between tries to open a port
	maxRetry = 2 * time.Second
	settled  = 5 * time.Second // a port that was read this long works
)

// device reads one device. Its goroutine owns the port, the buffer and the
// decoder.
type device struct {
	cfg   resolved
	rules tid.Rules
	sink  Sink
	log   *slog.Logger
	open  func(resolved) (port, driver.Attributes, error)

	mu     sync.Mutex
	status Status
	wakes  time.Time // when the goroutine wakes at the latest
}

func newDevice(cfg resolved, rules tid.Rules, sink Sink, log *slog.Logger) *device {
	return &device{
		cfg: cfg, rules: rules, sink: sink, log: log.With("device", cfg.Name, "port", cfg.Port), open: opener("/sys"),
		status: Status{
			Name: cfg.Name, Role: cfg.Role, Driver: cfg.driver.Name, Port: cfg.Port,
			State: node.Missing, Reason: "it has not been opened yet",
		},
		wakes: time.Now(),
	}
}

// run reads the device until ctx ends.
func (d *device) run(ctx context.Context) {
	retry := minRetry
	for {
		began := time.Now()
		err := d.session(ctx)
		if ctx.Err() != nil {
			return
		}
		d.setState(node.Fail(d.cfg.Port, err))
		if time.Since(began) > settled {
			retry = minRetry
		}
		if !d.pause(ctx, retry) {
			return
		}
		retry = min(2*retry, maxRetry)
	}
}

func (d *device) pause(ctx context.Context, wait time.Duration) bool {
	d.willWake(time.Now().Add(wait))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// session opens the port and reads it until it ends or ctx does.
func (d *device) session(ctx context.Context) error {
	p, attributes, err := d.open(d.cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	dec, err := d.cfg.driver.Open(attributes, d.cfg.Settings, d.rules)
	if err != nil {
		return &node.Error{State: node.Failed, Reason: err.Error(), Remedy: "name another driver for the device, or set it to the mode that this one reads"}
	}
	d.setState(&node.Error{State: node.Reading})
	stop := context.AfterFunc(ctx, p.Wake)
	defer stop()
	err = d.read(ctx, p, dec)
	cutOff(dec, time.Now(), d.deliver(p))
	return err
}

// cutOff ends what was begun when a port is closed: it is counted, and its
// bytes are cleared.
func cutOff(dec driver.Decoder, now time.Time, emit driver.Emit) {
	dec.Expire(now.Add(time.Hour), func(r driver.Reading) {
		if r.At.After(now) {
			r.At = now
		}
		emit(r)
	})
}

// read reads an open port. It returns nil when ctx ends.
func (d *device) read(ctx context.Context, p port, dec driver.Decoder) error {
	emit := d.deliver(p)
	buf := make([]byte, hidraw.MaxReport)
	for {
		now := time.Now()
		until := now.Add(idle)
		if due := dec.Deadline(); !due.IsZero() && due.Before(until) {
			until = due
		}
		d.willWake(until)
		if err := p.SetDeadline(until); err != nil {
			return err
		}
		if ctx.Err() != nil { // after SetDeadline, which undoes the Wake
			return nil
		}
		n, err := p.Read(buf)
		if err != nil {
			return err
		}
		driver.Feed(dec, driver.Read{At: time.Now(), Data: buf[:n]}, emit)
		clear(buf[:n])
	}
}

// deliver gives the function that counts readings and hands them to the sink.
func (d *device) deliver(p port) driver.Emit {
	ack := d.acknowledger(p)
	return func(r driver.Reading) {
		r.Device, r.Ack = d.cfg.Name, ack
		d.count(&r)
		if d.sink(r) {
			return
		}
		r.Swipe.Wipe()
		d.add(func(s *Status) { s.Dropped++ })
		if ack != nil {
			ack(false)
		}
	}
}

// acknowledger gives the function that signals a good or bad read to the
// device, or nil if it takes no signals.
func (d *device) acknowledger(p port) func(bool) {
	if len(d.cfg.kept) == 0 && len(d.cfg.refused) == 0 {
		return nil
	}
	return func(kept bool) {
		signal := d.cfg.refused
		if kept {
			signal = d.cfg.kept
		}
		for _, c := range signal {
			if p.Send(c.Data) != nil {
				d.add(func(s *Status) { s.Unsent++ })
			}
		}
	}
}

func (d *device) count(r *driver.Reading) {
	d.add(func(s *Status) {
		s.LastRead = r.At
		if r.Problem() != nil {
			s.Errors++
		} else {
			s.Good++
		}
	})
}

func (d *device) add(f func(*Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.status)
}

// setState notes how the device is, and logs when that changes.
func (d *device) setState(e *node.Error) {
	d.mu.Lock()
	changed := d.status.State != e.State || d.status.Reason != e.Reason
	if changed {
		d.status.State, d.status.Reason, d.status.Remedy = e.State, e.Reason, e.Remedy
		if e.State == node.Missing {
			d.status.Remedy += others(d.cfg.Port)
		}
	}
	remedy := d.status.Remedy
	d.mu.Unlock()
	switch {
	case !changed:
	case e.State == node.Reading:
		d.log.Info("device is read", "driver", d.cfg.driver.Name)
	default:
		d.log.Warn("device is not read", "state", e.State, "reason", e.Reason, "remedy", remedy)
	}
}

// others names the ports that are there, for the person who looks for the one
// that is not.
func others(missing string) string {
	var there []string
	for _, pattern := range []string{"/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/hidraw*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			if path != missing && len(there) < 8 {
				there = append(there, path)
			}
		}
	}
	if len(there) == 0 {
		return ""
	}
	return "; there are " + strings.Join(there, ", ")
}

func (d *device) willWake(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wakes = at
}

func (d *device) due() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wakes
}

func (d *device) snapshot() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}
