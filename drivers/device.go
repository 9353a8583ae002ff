package drivers

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"posd/drivers/driver"
	"posd/drivers/hidraw"
	"posd/drivers/hotplug"
	"posd/drivers/node"
)

const (
	idle     = time.Second // an idle reader wakes this often, to show that it lives
	minRetry = time.Second // between tries to open a node
	maxRetry = 5 * time.Second
	settled  = 5 * time.Second // a node that was read this long works
	// slow is how long a device may take to be opened before that is told. USB
	// gives a device that does not answer 5 s for each thing that it is told.
	slow = 6 * time.Second
	// letGo is how long a device may hold up who ends reading it.
	letGo = 200 * time.Millisecond
)

// device reads one device. Its goroutine owns the node, the buffer and the
// decoder.
type device struct {
	cfg     resolved
	adopted bool // found, and not configured
	env     *environment
	log     *slog.Logger
	tap     atomic.Pointer[tap]
	tapped  *tap          // who hears what is being decoded now; the goroutine's
	poke    chan struct{} // the target is another one, or may be there again
	tried   chan struct{} // closed when it is known how the device is
	cancel  func()        // ends the goroutine; nil before it runs. The manager's
	once    sync.Once     // closes tried
	freed   chan struct{} // closed when what was opened last is closed; nil before. The goroutine's

	mu      sync.Mutex
	target  target
	session context.CancelFunc // ends what is read now; nil if nothing is
	state   *node.Error
	driver  string
	about   driver.Attributes // of what was opened last
	stats   Statistics
	wakes   time.Time // when the goroutine wakes at the latest; zero: when something happens
}

// environment is what all devices share.
type environment struct {
	Config
	open func(t target, c resolved) (port, driver.Attributes, error)
}

// target is what a device is to be read from.
type target struct {
	node hotplug.Node
	path string
	why  *node.Error // why there is nothing to be read
	home home
}

// is reports whether a device that is read from u goes on being read from t. Of a
// port that is configured it may be learned later which device it is of.
func (t target) is(u target) bool {
	return t.path == u.path && t.why == u.why && (t.node.Device == u.node.Device || u.node.Device == "")
}

func newDevice(c resolved, env *environment, stats Statistics) *device {
	d := &device{
		cfg: c, env: env, log: env.Log.With("device", c.Name), stats: stats,
		poke: make(chan struct{}, 1), tried: make(chan struct{}), wakes: time.Now(),
		target: target{path: c.Port},
		state:  &node.Error{State: node.Missing, Reason: "it has not been opened yet"},
	}
	switch {
	case c.Disabled:
		d.target.why = disabled()
	case c.Port == "":
		d.target.why = absent(c)
	}
	return d
}

// run reads the device until ctx ends.
func (d *device) run(ctx context.Context) {
	retry := minRetry
	for {
		t, began := d.aim(), time.Now()
		err := error(t.why)
		if t.why == nil {
			err = d.read(ctx, t)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.setState(node.Fail(t.path, err))
		}
		if time.Since(began) > settled {
			retry = minRetry
		}
		wait := retry
		if t.why != nil {
			wait = 0
		}
		poked, alive := d.pause(ctx, wait)
		if !alive {
			return
		}
		if retry = min(2*retry, maxRetry); poked {
			retry = minRetry
		}
	}
}

func (d *device) aim() target {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.target
}

// retarget says what the device is to be read from now.
func (d *device) retarget(t target) {
	d.mu.Lock()
	changed := !t.is(d.target)
	d.target = t
	if changed && d.session != nil {
		d.session()
	}
	d.mu.Unlock()
	d.wake()
}

// wake has the device tried again now.
func (d *device) wake() {
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// pause waits until it is woken, or wait is over; a wait of 0 has no end.
func (d *device) pause(ctx context.Context, wait time.Duration) (poked, alive bool) {
	var over <-chan time.Time
	d.willWake(time.Time{})
	if wait > 0 {
		d.willWake(time.Now().Add(wait))
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return false, false
	case <-d.poke:
		return true, true
	case <-over:
		return false, true
	}
}

// read opens the target and reads it until it ends, another is to be read, or
// ctx ends.
func (d *device) read(ctx context.Context, t target) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	if !d.target.is(t) { // while it was on its way here
		d.mu.Unlock()
		d.wake()
		return nil
	}
	d.session = cancel
	d.mu.Unlock()
	defer d.endSession()
	p, attributes, err := d.open(ctx, t)
	if err != nil || p == nil {
		return err
	}
	s, err := d.begin(p, attributes)
	if err != nil {
		d.free(p.Close)
		return err
	}
	go s.sender.run()
	defer d.free(func() error { <-s.sender.ended; return p.Close() })
	defer s.sender.stop()
	d.setReading(s.driver.Name, attributes)
	stop := context.AfterFunc(ctx, p.Wake)
	defer stop()
	return s.run(ctx)
}

// open opens the target, or gives nothing when ctx ends before: a device that
// does not answer can hold that up for long. What is opened then is closed.
func (d *device) open(ctx context.Context, t target) (port, driver.Attributes, error) {
	type opened struct {
		port       port
		attributes driver.Attributes
		err        error
	}
	done, before := make(chan opened, 1), d.freed
	d.willWake(time.Time{})
	go func() {
		if before != nil {
			<-before // or it would find itself in its way
		}
		p, a, err := d.env.open(t, d.cfg)
		done <- opened{p, a, err}
	}()
	late := time.NewTimer(slow)
	defer late.Stop()
	for {
		select {
		case o := <-done:
			return o.port, o.attributes, o.err
		case <-late.C:
			d.setState(&node.Error{State: node.Failed, Reason: t.path + " does not answer", Remedy: "unplug the device and plug it in again"})
		case <-ctx.Done():
			d.free(func() error {
				o := <-done
				if o.err != nil {
					return nil
				}
				return o.port.Close()
			})
			return nil, driver.Attributes{}, nil
		}
	}
}

// free closes what was opened, and waits a moment for that. A device that takes
// nothing, in the middle of a control transfer of USB, can hold it up for seconds:
// who stops does not wait so long.
func (d *device) free(closing func() error) {
	freed := make(chan struct{})
	d.freed = freed
	go func() {
		defer close(freed)
		_ = closing() // it is not used any more
	}()
	wait := time.NewTimer(letGo)
	defer wait.Stop()
	select {
	case <-freed:
	case <-wait.C:
	}
}

func (d *device) endSession() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session = nil
}

// session is one time that a node is open.
type session struct {
	*device
	port    port
	driver  driver.Driver
	decoder driver.Decoder
	sender  *sender
	emit    driver.Emit
}

// begin makes a session of an open node.
func (d *device) begin(p port, a driver.Attributes) (*session, error) {
	refuse := func(err error) error {
		return &node.Error{State: node.Failed, Reason: err.Error(), Remedy: "name another driver for the device, or set it to the mode that this one reads: see posd identify"}
	}
	drv, err := d.cfg.choose(a)
	if err != nil {
		return nil, refuse(err)
	}
	dec, err := drv.Open(a, d.cfg.Settings, d.env.Rules)
	if err != nil {
		return nil, refuse(err)
	}
	s := &session{device: d, port: p, driver: drv, decoder: dec, sender: newSender(p, d.unsent)}
	s.emit = d.deliver(nil)
	if drv.Signals != nil {
		kept, refused, err := drv.Signals(a, d.cfg.Settings)
		if err != nil {
			return nil, refuse(err)
		}
		s.emit = d.deliver(s.acknowledger(kept, refused))
	}
	return s, nil
}

// acknowledger gives the function that signals a good or bad read to the
// device, or nil if it takes no signals.
func (s *session) acknowledger(kept, refused []driver.Command) func(bool) {
	if len(kept) == 0 && len(refused) == 0 {
		return nil
	}
	return func(ok bool) {
		if ok {
			s.sender.send(kept)
		} else {
			s.sender.send(refused)
		}
	}
}

// run reads until the node ends. It returns nil when ctx ends.
func (s *session) run(ctx context.Context) error {
	buf := make([]byte, hidraw.MaxReport)
	defer s.cutOff()
	s.feed(driver.Read{At: time.Now()})
	for {
		now := time.Now()
		until := now.Add(idle)
		if due := driver.Due(s.decoder); !due.IsZero() && due.Before(until) {
			until = due
		}
		s.willWake(until)
		if err := s.port.SetDeadline(until); err != nil {
			return err
		}
		if ctx.Err() != nil { // after SetDeadline, which undoes the Wake
			return nil
		}
		n, err := s.port.Read(buf)
		if err != nil {
			s.lost()
			return err
		}
		s.feed(driver.Read{At: time.Now(), Data: buf[:n]})
		clear(buf[:n])
	}
}

// feed gives a read to the decoder, and says to the device what it wants to.
func (s *session) feed(r driver.Read) {
	tap := s.tap.Load()
	// What somebody heard the beginning of is theirs, though they have ended: the
	// rest of a label must not make a sale.
	if s.tapped == nil || !s.tapped.Divert || s.decoder.Deadline().IsZero() {
		s.tapped = tap
	}
	if tap != nil && len(r.Data) > 0 {
		tap.Read(r)
	}
	driver.Feed(s.decoder, r, s.emit)
	talker, ok := s.decoder.(driver.Talker)
	if !ok {
		return
	}
	if commands := talker.Commands(); len(commands) > 0 {
		s.sender.send(commands)
	}
}

// cutOff ends what was begun when a node is closed: it is counted, and its
// bytes are cleared. It is no label, also where silence would have made it one:
// the rest may have been on its way.
func (s *session) cutOff() {
	now := time.Now()
	if s.decoder.Deadline().IsZero() {
		return
	}
	s.decoder.Expire(now.Add(time.Hour), func(r driver.Reading) {
		if r.At.After(now) {
			r.At = now
		}
		if r.Type == driver.Scan {
			r = driver.Failure(r.At, "incomplete", "the device was closed in the middle of a label")
		}
		s.emit(r)
	})
}

// deliver gives the function that counts readings and hands them to the sink.
func (d *device) deliver(ack func(bool)) driver.Emit {
	return func(r driver.Reading) {
		r.Device, r.Ack = d.cfg.Name, ack
		d.count(&r)
		if d.tapped != nil && d.tapped.Divert {
			d.tapped = d.tap.Load()
			r.Swipe.Wipe()
			if ack != nil {
				ack(r.Problem() == nil)
			}
			return
		}
		if d.env.Sink(r) {
			return
		}
		r.Swipe.Wipe()
		d.dropped()
		if ack != nil {
			ack(false)
		}
	}
}
