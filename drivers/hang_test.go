package drivers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posd/drivers/driver"
	"posd/drivers/node"
)

// hung is the port of a scanner that reads one label, and hangs when it is told
// something until it is freed.
type hung struct {
	label               chan string
	woken, sent         chan struct{}
	free, closed, ended chan struct{}
}

func newHung() *hung {
	h := &hung{make(chan string, 1), make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}), make(chan struct{}), make(chan struct{})}
	h.label <- "036000291452\r"
	return h
}

func (h *hung) SetDeadline(time.Time) error { return nil }
func (h *hung) Wake()                       { h.woken <- struct{}{} }
func (h *hung) Close() error                { close(h.closed); return nil }

func (h *hung) Read(b []byte) (int, error) {
	select {
	case label := <-h.label:
		return copy(b, label), nil
	case <-h.woken:
		return 0, nil
	}
}

func (h *hung) Send([]byte) error {
	h.sent <- struct{}{}
	<-h.free
	close(h.ended)
	return nil
}

// hanging runs a manager of one scanner, which is opened by open. stop stops it.
func hanging(t *testing.T, open func() (port, error)) (m *Manager, stop func()) {
	sink := func(r driver.Reading) bool { r.Ack(true); return true }
	m = newManager(t, sink, DeviceConfig{Name: "front", Role: driver.Scanner, Port: "/dev/ttyNONE", Settings: driver.Settings{"ack": "06"}})
	m.env.open = func(target, resolved) (port, driver.Attributes, error) {
		p, err := open()
		return p, driver.Attributes{Transport: driver.TTY}, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() {
		t.Helper()
		began := time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(began) > time.Second {
			t.Errorf("it took %s to stop: %v", time.Since(began), err)
		}
	}
}

// A device that takes a signal and hangs does not hold up who stops, and is
// closed when nothing is written to it any more.
func TestStopWhileASignalHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHung()
		_, stop := hanging(t, func() (port, error) { return h, nil })
		<-h.sent
		time.AfterFunc(5*time.Second, func() { close(h.free) })
		stop()
		<-h.closed
		select {
		case <-h.ended:
		default:
			t.Error("it was closed while it was written to")
		}
	})
}

// Nor does one that cannot be opened. It is told of, and is not taken for stuck.
func TestStopWhileOpeningHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHung()
		m, stop := hanging(t, func() (port, error) { <-h.free; return h, nil })
		<-m.Settled()
		if st := m.Status()[0]; st.State != node.Failed || !strings.Contains(st.Reason, "does not answer") {
			t.Errorf("status: %+v", st)
		}
		time.Sleep(time.Minute)
		if err := m.Live(time.Now()); err != nil {
			t.Error(err)
		}
		time.AfterFunc(time.Minute, func() { close(h.free) })
		stop()
		<-h.closed
	})
}

// A device that is opened again while it still hangs waits for itself, and does
// not find itself in its way.
func TestOpenAgainWhileItHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newHung(), newHung()
		close(second.free)
		ports := []*hung{first, second}
		m, stop := hanging(t, func() (port, error) {
			if len(ports) == 0 {
				return nil, errors.New("it was opened three times")
			}
			if h := ports[0]; h == second {
				select {
				case <-first.closed:
				default:
					t.Error("it was opened before it was closed")
				}
			}
			h := ports[0]
			ports = ports[1:]
			return h, nil
		})
		<-first.sent
		again := m.devices[0].aim()
		again.path = "/dev/ttyNONE1" // it was plugged in again
		m.devices[0].retarget(again)
		time.AfterFunc(5*time.Second, func() { close(first.free) })
		<-second.sent
		stop()
		<-second.closed
	})
}
