package drivers

import (
	"errors"

	"posd/drivers/driver"
)

// sender sends commands to a device, in a goroutine of its own: a device that
// takes nothing holds up neither the reader nor whoever acknowledges.
type sender struct {
	port  port
	queue chan driver.Command
	done  chan struct{}
	ended chan struct{} // closed when nothing is sent any more
	lost  func()        // counts what the device did not take
}

// senderQueue is how many commands may wait. A device that is this far behind
// takes nothing.
const senderQueue = 16

func newSender(p port, lost func()) *sender {
	return &sender{port: p, queue: make(chan driver.Command, senderQueue), done: make(chan struct{}), ended: make(chan struct{}), lost: lost}
}

// send has commands sent, without waiting. It may be called from any goroutine,
// also after the sender has stopped.
func (s *sender) send(commands []driver.Command) {
	for _, c := range commands {
		select {
		case <-s.done:
			s.lost()
			continue
		default:
		}
		select {
		case s.queue <- c:
		default:
			s.lost()
		}
	}
}

// run sends until stop is called.
func (s *sender) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.done:
			return
		case c := <-s.queue:
			if s.write(c) != nil {
				s.lost()
			}
		}
	}
}

func (s *sender) stop() { close(s.done) }

var errNoFeatures = errors.New("the device takes no feature reports")

func (s *sender) write(c driver.Command) error {
	if !c.Feature {
		return s.port.Send(c.Data)
	}
	f, ok := s.port.(featurer)
	if !ok {
		return errNoFeatures
	}
	return f.SendFeature(c.Data)
}
